"""Posits of any width and exponent size."""

from __future__ import annotations

import bisect
import math
from dataclasses import dataclass
from fractions import Fraction
from functools import cached_property
from typing import ClassVar

import numpy as np

from accelgym.costmodels.datatypes.datatype import TABLE_BITS, Codes, Datatype, Kind, Lattice, Values
from accelgym.costmodels.datatypes.exact import Exact, Fields, Overflow, Rounding, Special, rounds_up
from accelgym.costmodels.errors import InputError

__all__ = ["PositFormat"]


def _positive_fields(code: int, bits: int, es: int) -> Fields:
    """Decodes a posit with sign bit 0 that is neither zero nor NaR."""
    body = [(code >> i) & 1 for i in range(bits - 2, -1, -1)]
    run = next((i for i, bit in enumerate(body) if bit != body[0]), len(body))
    regime = run - 1 if body[0] else -run
    rest = body[run + 1 :]
    # Bits cut off at the end are zeros.
    exponent = int("".join(map(str, (rest + [0] * es)[:es])) or "0", 2)
    fraction_bits = max(bits - 3 - es, 0)
    fraction = int("".join(map(str, (rest[es:] + [0] * fraction_bits)[:fraction_bits])) or "0", 2)
    scale = (regime << es) + exponent
    return Fields(False, (1 << fraction_bits) + fraction, scale - fraction_bits)


@dataclass(frozen=True, repr=False)
class PositFormat(Datatype):
    """``posit<bits, es>``: sign, regime (a run), ``es`` exponent bits, fraction; negatives in two's complement.

    ``Fields`` hold a significand of fixed width ``bits - 2 - es`` (leading one, fraction filled up with zeros from
    the right) and its exponent; code ``2**(bits-1)`` is NaR, returned as NaN. Nearest rounding works on the bit
    string (Posit Standard 2022, section 4.1, with ``es`` free): it changes sides at the value of the posit with
    one more bit between the two neighbours, ties go to the even code, and a number that is not zero becomes
    neither zero nor NaR: it saturates at the smallest and the largest magnitude. ``overflow="infinity"`` makes
    NaR of infinities only. Toward zero truncates (to zero below the smallest magnitude); stochastic rounding is
    linear in the value.

    Args:
        name: Name in the registry.
        bits: Width, 3..16.
        es: Exponent bits, 0..3.
        flush: Numbers below half the smallest magnitude become zero, as in Voyager's hardware; half of it and
            more becomes the smallest magnitude.
    """

    kind: ClassVar[Kind] = Kind.POSIT

    name: str
    bits: int
    es: int
    flush: bool = False

    def __post_init__(self) -> None:
        if not 3 <= self.bits <= TABLE_BITS or not 0 <= self.es <= 3:
            raise InputError(f"datatype {self.name!r}: posit<{self.bits},{self.es}>, allowed <3..16, 0..3>")

    @property
    def significand_bits(self) -> int:
        return max(self.bits - 3 - self.es, 0) + 1

    @property
    def max_code(self) -> int:
        """Code of the largest value."""
        return (1 << (self.bits - 1)) - 1

    @property
    def nan_code(self) -> int:
        """Code of NaR."""
        return 1 << (self.bits - 1)

    @property
    def max(self) -> float:
        return math.ldexp(1.0, (self.bits - 2) << self.es)

    @property
    def has_nan(self) -> bool:
        return True

    @property
    def _overflows(self) -> tuple[Overflow, ...]:
        return (Overflow.SATURATE, Overflow.INFINITY)

    def fields(self, code: int) -> Fields:
        if code == 0:
            return Fields(False, 0, 0)
        if code == self.nan_code:
            return Fields(False, 0, 0, Special.NAN)
        negative = code > self.nan_code
        positive = _positive_fields((1 << self.bits) - code if negative else code, self.bits, self.es)
        return Fields(negative, positive.significand, positive.exponent)

    def _threshold(self, code: int) -> Fraction:
        """Where nearest rounding changes from a positive code to the next."""
        if code:
            return Exact.of(_positive_fields(2 * code + 1, self.bits + 1, self.es)).magnitude
        smallest = self.decode_exact(1).magnitude
        return smallest / 2 if self.flush else Fraction(0)

    def _tie_up(self, code: int) -> bool:
        return code % 2 == 1 or (code == 0 and self.flush)

    def encode_exact(
        self,
        value: Exact | Fraction | float,
        rounding: str = Rounding.NEAREST_EVEN,
        overflow: str = Overflow.SATURATE,
        draw: Fraction | None = None,
    ) -> int:
        mode, limit = self._modes(rounding, overflow)
        number = Exact.of(value)
        infinite = number.special is Special.INFINITE
        if number.special is Special.NAN or (infinite and limit is Overflow.INFINITY):
            return self.nan_code
        magnitude = number.magnitude
        if infinite or magnitude >= Fraction(self.max):
            code = self.max_code
        else:
            # Codes of positive posits are in the order of their values.
            code = bisect.bisect_right(self._magnitudes, magnitude) - 1
            lower, upper = self._magnitudes[code : code + 2]
            if magnitude != lower:
                threshold = self._threshold(code)
                code += rounds_up(magnitude, lower, upper, threshold, self._tie_up(code), mode, draw)
        return (-code if number.negative else code) & ((1 << self.bits) - 1)

    @cached_property
    def _magnitudes(self) -> tuple[Fraction, ...]:
        """Values of the codes that are not negative."""
        return tuple(self.decode_exact(code).magnitude for code in range(self.max_code + 1))

    @cached_property
    def _lattice(self) -> Lattice:
        points = self.values[: self.max_code + 1]
        thresholds = np.array([float(self._threshold(code)) for code in range(self.max_code)])
        return Lattice(points, thresholds, np.array([self._tie_up(code) for code in range(self.max_code)]))

    def _encode(self, values: Values, rounding: Rounding, overflow: Overflow, uniform: Values | None) -> Codes:
        lost = np.isnan(values) if overflow is Overflow.SATURATE else ~np.isfinite(values)
        magnitudes = np.abs(np.where(lost, 0.0, values))
        codes = self._lattice.index(magnitudes, rounding, uniform)
        codes = np.where(values < 0, -codes, codes) & ((1 << self.bits) - 1)
        return np.asarray(np.where(lost, self.nan_code, codes))
