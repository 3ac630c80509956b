"""Two's complement and unsigned integers, optionally with a binary point."""

from __future__ import annotations

import math
from dataclasses import dataclass
from fractions import Fraction
from functools import cached_property
from typing import ClassVar

import numpy as np
import numpy.typing as npt

from accelgym.costmodels.datatypes.datatype import Codes, Datatype, Kind, Values, round_to_integer
from accelgym.costmodels.datatypes.exact import Exact, Fields, Overflow, Rounding, Special, rounds_up
from accelgym.costmodels.errors import InputError

__all__ = ["IntegerFormat"]

_WIDEST = 53  # Wider integers are not exact in float64.


@dataclass(frozen=True, repr=False)
class IntegerFormat(Datatype):
    """An integer times ``2**-fraction_bits``.

    ``Fields`` hold the magnitude (so the significand of the most negative code needs all ``bits``) and the
    constant exponent ``-fraction_bits``. Encoding rounds to nearest even and saturates by default, as
    ``ac_fixed`` with AC_RND_CONV and AC_SAT; arithmetic in hardware wraps (see ``FusedMultiplyAdd``).
    """

    kind: ClassVar[Kind] = Kind.INTEGER

    name: str
    bits: int
    signed: bool = True
    fraction_bits: int = 0

    def __post_init__(self) -> None:
        if not 1 <= self.bits <= _WIDEST:
            raise InputError(f"datatype {self.name!r}: bits is {self.bits!r}, allowed 1..{_WIDEST}")
        if not -256 <= self.fraction_bits <= 256:
            raise InputError(f"datatype {self.name!r}: fraction_bits is {self.fraction_bits!r}, allowed -256..256")

    @property
    def lowest(self) -> int:
        """Smallest integer, before the binary point is placed."""
        return -(1 << (self.bits - 1)) if self.signed else 0

    @property
    def highest(self) -> int:
        """Largest integer, before the binary point is placed."""
        return (1 << (self.bits - 1 if self.signed else self.bits)) - 1

    @property
    def max(self) -> float:
        return math.ldexp(self.highest, -self.fraction_bits)

    @cached_property
    def max_magnitude(self) -> float:
        return math.ldexp(max(-self.lowest, self.highest), -self.fraction_bits)

    @property
    def full_scale(self) -> float:
        return self.max

    @property
    def significand_bits(self) -> int:
        return self.bits

    @cached_property
    def quantum_exponent(self) -> int:
        return -self.fraction_bits

    @property
    def _overflows(self) -> tuple[Overflow, ...]:
        return (Overflow.SATURATE, Overflow.WRAP)

    def fields(self, code: int) -> Fields:
        integer = code - (1 << self.bits) if code > self.highest else code
        return Fields(integer < 0, abs(integer), -self.fraction_bits)

    def encode_exact(
        self,
        value: Exact | Fraction | float,
        rounding: str = Rounding.NEAREST_EVEN,
        overflow: str = Overflow.SATURATE,
        draw: Fraction | None = None,
    ) -> int:
        mode, limit = self._modes(rounding, overflow)
        number = Exact.of(value)
        if number.special is Special.NAN:
            raise self._no_nan()
        if number.special is Special.INFINITE:
            if limit is Overflow.WRAP:
                raise InputError(f"datatype {self.name!r}: an infinity cannot wrap")
            integer = self.lowest if number.negative else self.highest
        else:
            scaled = number.magnitude * Fraction(2) ** self.fraction_bits
            lower = math.floor(scaled)
            below, half, above = Fraction(lower), lower + Fraction(1, 2), Fraction(lower + 1)
            up = scaled != lower and rounds_up(scaled, below, above, half, lower % 2 == 1, mode, draw)
            integer = -(lower + up) if number.negative else lower + up
        if limit is Overflow.SATURATE:
            integer = min(max(integer, self.lowest), self.highest)
        return integer & ((1 << self.bits) - 1)

    def _encode(self, values: Values, rounding: Rounding, overflow: Overflow, uniform: Values | None) -> Codes:
        if np.isnan(values).any():
            raise self._no_nan()
        if overflow is Overflow.SATURATE:
            # Clipping to values of the format leaves every rounding of what is inside as it was.
            values = np.clip(values, math.ldexp(self.lowest, -self.fraction_bits), self.max)
        elif not np.isfinite(values).all():
            raise InputError(f"datatype {self.name!r}: an infinity cannot wrap")
        scaled = np.ldexp(values, self.fraction_bits)
        integers = round_to_integer(scaled, rounding, uniform)
        if overflow is Overflow.WRAP:
            # fmod is exact, and leaves numbers that int64 holds.
            integers = np.fmod(integers, float(1 << self.bits))
        return np.asarray(integers).astype(np.int64) & ((1 << self.bits) - 1)

    def decode(self, codes: npt.ArrayLike) -> Values:
        return np.asarray(self.integers(codes) * 2.0**-self.fraction_bits)

    def integers(self, codes: npt.ArrayLike) -> Codes:
        """Returns codes as signed integers, without the binary point."""
        array = self.check(codes)
        return array - ((array > self.highest).astype(np.int64) << self.bits) if self.signed else array

    def wrap(self, integers: Codes) -> Codes:
        """Returns the codes of integers modulo ``2**bits``."""
        return integers & ((1 << self.bits) - 1)
