"""Binary floating-point formats of any exponent and mantissa width: FP4 to FP32, block scales."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from fractions import Fraction
from functools import cached_property
from itertools import pairwise
from typing import ClassVar

import numpy as np
import numpy.typing as npt

from accelgym.costmodels.datatypes.datatype import (
    TABLE_BITS,
    Codes,
    Datatype,
    Kind,
    Lattice,
    Values,
    round_to_integer,
)
from accelgym.costmodels.datatypes.exact import Exact, Fields, Overflow, Rounding, Special, rounds_up
from accelgym.costmodels.errors import InputError

__all__ = ["FloatFormat", "Specials", "Underflow"]

_FLOAT64_MANTISSA = 52
_FLOAT64_BIAS = 1023
"""IEEE 754 binary64."""


class Specials(StrEnum):
    """Which codes are not finite numbers."""

    IEEE = "ieee"
    """The top exponent: infinity for mantissa 0, NaN for all others. E4M3 ends at 240."""
    FN = "fn"
    """Only the code of all ones (either sign) is NaN; no infinity. OCP E4M3 ends at 448."""
    FNUZ = "fnuz"
    """The code of negative zero is NaN; no infinity, no negative zero."""
    FINITE = "finite"
    """None: every code is a number. OCP FP6 and FP4."""


class Underflow(StrEnum):
    """Meaning of exponent field 0."""

    GRADUAL = "gradual"
    """Zero and subnormal numbers."""
    FLUSH = "flush"
    """Only zero: subnormal codes decode to zero, results that round to a subnormal become zero of their sign."""
    NORMAL = "normal"
    """An exponent as any other: the format has no zero, everything smaller becomes the smallest number (E8M0)."""


@dataclass(frozen=True, repr=False)
class FloatFormat(Datatype):
    """Sign, exponent and mantissa fields, most significant first.

    A code with exponent field ``e`` and mantissa field ``f`` is ``(2**M + f) * 2**(e - bias - M)``, or
    ``f * 2**(1 - bias - M)`` when ``e`` is 0 and underflow is gradual: exactly what ``fields`` returns, as the
    significand with its hidden bit and an exponent. Encoding rounds once, ties to the even code, and saturates
    by default. NaN is always encoded as one code (``nan_code``): the positive quiet NaN of IEEE formats.

    Args:
        name: Name in the registry.
        exponent_bits: E, 1..11.
        mantissa_bits: M, 0..23; without mantissa the format may not follow the IEEE rule.
        bias: Exponent bias; ``2**(E-1) - 1`` when None.
        specials: Codes of infinity and NaN.
        underflow: Meaning of exponent field 0.
        signed: Whether there is a sign bit. Without one, negative numbers become the smallest code.
    """

    kind: ClassVar[Kind] = Kind.FLOAT

    name: str
    exponent_bits: int
    mantissa_bits: int
    bias: int | None = None
    specials: Specials = Specials.IEEE
    underflow: Underflow = Underflow.GRADUAL
    signed: bool = True

    def __post_init__(self) -> None:
        if not 1 <= self.exponent_bits <= 11 or not 0 <= self.mantissa_bits <= 23:
            raise InputError(
                f"datatype {self.name!r}: {self.exponent_bits} exponent and {self.mantissa_bits} mantissa bits, "
                "allowed 1..11 and 0..23"
            )
        if self.specials is Specials.IEEE and (self.mantissa_bits == 0 or self.exponent_bits == 1):
            raise InputError(f"datatype {self.name!r}: the IEEE rule needs a mantissa and two exponent bits")
        if self.specials is Specials.FNUZ and not self.signed:
            raise InputError(f"datatype {self.name!r}: fnuz puts NaN at negative zero, an unsigned format has none")
        if self.underflow is Underflow.NORMAL and self.bits > TABLE_BITS:
            raise InputError(f"datatype {self.name!r}: a format without zero has at most {TABLE_BITS} bits")
        lowest, highest = self._exponent(0), self._exponent(self.max_code) + self.mantissa_bits
        if lowest < -500 or highest > 500:
            # Products of two values, and points between neighbours, must be normal float64 numbers.
            raise InputError(f"datatype {self.name!r}: exponents {lowest}..{highest}, allowed -500..500")

    @property
    def bits(self) -> int:  # type: ignore[override]
        return self.signed + self.exponent_bits + self.mantissa_bits

    @property
    def exponent_bias(self) -> int:
        """The bias in force."""
        return (1 << (self.exponent_bits - 1)) - 1 if self.bias is None else self.bias

    @property
    def max_code(self) -> int:
        """Code of the largest finite value."""
        codes = 1 << (self.exponent_bits + self.mantissa_bits)
        if self.specials is Specials.IEEE:
            return codes - (1 << self.mantissa_bits) - 1
        return codes - (2 if self.specials is Specials.FN else 1)

    @property
    def nan_code(self) -> int | None:
        """The code that NaN is encoded as, None where the format has none."""
        if self.specials is Specials.IEEE:
            return self.max_code + 1 + (1 << (self.mantissa_bits - 1))
        if self.specials is Specials.FN:
            return self.max_code + 1
        return self._sign_bit if self.specials is Specials.FNUZ else None

    @property
    def has_nan(self) -> bool:
        return self.nan_code is not None

    @property
    def has_infinity(self) -> bool:
        return self.specials is Specials.IEEE

    @property
    def significand_bits(self) -> int:
        return self.mantissa_bits + 1

    @cached_property
    def max(self) -> float:
        return self.decode_exact(self.max_code).to_float()

    @cached_property
    def max_magnitude(self) -> float:
        return self.max

    @cached_property
    def quantum_exponent(self) -> int:
        return self._first_exponent - self.mantissa_bits

    @property
    def _overflows(self) -> tuple[Overflow, ...]:
        return (Overflow.SATURATE, Overflow.INFINITY)

    @property
    def _hidden(self) -> int:
        return 1 << self.mantissa_bits

    @property
    def _sign_bit(self) -> int:
        return 1 << (self.exponent_bits + self.mantissa_bits)

    @property
    def _first_exponent(self) -> int:
        """Smallest exponent of a normal number."""
        return (0 if self.underflow is Underflow.NORMAL else 1) - self.exponent_bias

    def _exponent(self, magnitude_code: int) -> int:
        """Exponent of the last mantissa bit of a code without its sign, also beyond the largest one."""
        field = magnitude_code >> self.mantissa_bits
        return max(field - self.exponent_bias, self._first_exponent) - self.mantissa_bits

    def _significand(self, magnitude_code: int) -> int:
        normal = magnitude_code >= self._hidden or self.underflow is Underflow.NORMAL
        mantissa = magnitude_code & (self._hidden - 1)
        if self.underflow is Underflow.FLUSH and not normal:
            return 0
        return mantissa | (self._hidden if normal else 0)

    def fields(self, code: int) -> Fields:
        magnitude_code = code & (self._sign_bit - 1)
        negative = code >= self._sign_bit
        if code == self.nan_code or (magnitude_code > self.max_code and magnitude_code != self._infinity_code):
            return Fields(negative, 0, 0, Special.NAN)
        if magnitude_code == self._infinity_code:
            return Fields(negative, 0, 0, Special.INFINITE)
        return Fields(negative, self._significand(magnitude_code), self._exponent(magnitude_code))

    @property
    def _infinity_code(self) -> int | None:
        return self.max_code + 1 if self.has_infinity else None

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
            if self.nan_code is None:
                raise self._no_nan()
            return self.nan_code
        if number.negative and not self.signed:
            return 0
        if number.special is Special.INFINITE:
            code = self._overflow_code(limit)
        else:
            code = self._round_magnitude(number.magnitude, mode, draw)
            if code > self.max_code:
                truncated = mode is Rounding.TOWARD_ZERO
                code = self.max_code if truncated else self._overflow_code(limit)
        if self.underflow is Underflow.FLUSH and code < self._hidden:
            code = 0
        if code == self.nan_code or (code == 0 and self.specials is Specials.FNUZ):
            return code
        return code | (self._sign_bit if number.negative else 0)

    def _round_magnitude(self, magnitude: Fraction, mode: Rounding, draw: Fraction | None) -> int:
        """Rounds as if exponents went on for ever upwards."""
        if magnitude <= self._gradual(0):
            return 0
        # 2**exponent <= magnitude < 2**(exponent + 1)
        exponent = magnitude.numerator.bit_length() - magnitude.denominator.bit_length()
        exponent -= magnitude < Fraction(2) ** exponent
        exponent = max(exponent, self._first_exponent)
        steps = int(magnitude / Fraction(2) ** (exponent - self.mantissa_bits))
        lower = steps + (exponent - self._first_exponent) * self._hidden
        if self.underflow is Underflow.NORMAL:
            lower -= self._hidden
        below, above = self._gradual(lower), self._gradual(lower + 1)
        if magnitude == below:
            return lower
        return lower + rounds_up(magnitude, below, above, (below + above) / 2, lower % 2 == 1, mode, draw)

    def _gradual(self, magnitude_code: int) -> Fraction:
        """Value of a code before subnormals are flushed: rounding comes first."""
        normal = magnitude_code >= self._hidden or self.underflow is Underflow.NORMAL
        significand = (magnitude_code & (self._hidden - 1)) + (self._hidden if normal else 0)
        return significand * Fraction(2) ** self._exponent(magnitude_code)

    def _overflow_code(self, limit: Overflow) -> int:
        if limit is Overflow.SATURATE:
            return self.max_code
        code = self._infinity_code if self.has_infinity else self.nan_code
        if code is None:
            raise InputError(f"datatype {self.name!r} has no code for an infinity, and none for NaN instead")
        return code

    @cached_property
    def _lattice(self) -> Lattice:
        """Magnitudes up to one step beyond the largest finite one, for formats whose neighbours need a table."""
        points = [self._gradual(code) for code in range(self.max_code + 2)]
        midpoints = [float((a + b) / 2) for a, b in pairwise(points)]
        odd = np.arange(len(midpoints)) % 2 == 1
        return Lattice(np.array([float(p) for p in points]), np.array(midpoints), odd)

    def _scaled(self, magnitudes: Values, mode: Rounding, uniform: Values | None) -> tuple[Values, Codes]:
        """Rounds magnitudes to whole numbers of units in the last place.

        Returns:
            The number of units (at most ``2**(M+1)`` unless it overflows), and the exponent of each, from the
            first normal one to one beyond the last.
        """
        exponents = (magnitudes.view(np.int64) >> _FLOAT64_MANTISSA) - _FLOAT64_BIAS
        last = self._exponent(self.max_code) + self.mantissa_bits
        exponents = np.clip(exponents, self._first_exponent, last + 1)
        # Powers of two are assembled from their bits: multiplying by one is exact.
        powers = ((self.mantissa_bits + _FLOAT64_BIAS) - exponents) << _FLOAT64_MANTISSA
        units = np.minimum(magnitudes, 2.0 ** (last + 2)) * powers.view(np.float64)
        return round_to_integer(units, mode, uniform), exponents

    @property
    def _by_formula(self) -> bool:
        # Without mantissa, the parity of a code is not the parity of its significand.
        return self.mantissa_bits > 0 and self.underflow is not Underflow.NORMAL

    def _encode(self, values: Values, rounding: Rounding, overflow: Overflow, uniform: Values | None) -> Codes:
        nan = np.isnan(values)
        any_nan = bool(nan.any())
        magnitudes = np.where(nan, 0.0, values) if any_nan else values
        magnitudes = np.abs(magnitudes) if self.signed else np.maximum(magnitudes, 0.0)
        if self._by_formula:
            units, exponents = self._scaled(magnitudes, rounding, uniform)
            codes = units.astype(np.int64) + ((exponents - self._first_exponent) << self.mantissa_bits)
        else:
            codes = self._lattice.index(magnitudes, rounding, uniform)
        over = codes > self.max_code
        if over.any():
            codes = np.where(over, self._overflow_codes(magnitudes, rounding, overflow, over), codes)
        if self.underflow is Underflow.FLUSH:
            codes = np.where(codes < self._hidden, 0, codes)
        negative = np.signbit(values)
        if self.signed:
            # Zero of fnuz formats, and NaN in the place of an infinity, have no sign.
            unsigned = {Specials.FNUZ: 0, Specials.FN: self.nan_code}.get(self.specials)
            if unsigned is not None:
                negative &= codes != unsigned
            codes = codes | (negative.astype(np.int64) << (self.bits - 1))
        else:
            codes = np.where(negative, 0, codes)
        if any_nan:
            if self.nan_code is None:
                raise self._no_nan()
            codes = np.where(nan, self.nan_code, codes)
        return codes

    def _overflow_codes(
        self, magnitudes: Values, mode: Rounding, limit: Overflow, over: npt.NDArray[np.bool_]
    ) -> Codes:
        """Codes for magnitudes that rounded beyond the largest one."""
        kept = np.isfinite(magnitudes) & (mode is Rounding.TOWARD_ZERO)
        lost = self.max_code if not (over & ~kept).any() else self._overflow_code(limit)
        return np.where(kept, self.max_code, lost)

    def _round(self, values: Values, rounding: Rounding, overflow: Overflow, uniform: Values | None) -> Values:
        plain = self.signed and self.underflow is Underflow.GRADUAL and self.specials is not Specials.FNUZ
        if not (plain and self._by_formula):
            return super()._round(values, rounding, overflow, uniform)
        if not self.has_nan and np.isnan(values).any():
            raise self._no_nan()
        magnitudes = np.abs(values)
        units, exponents = self._scaled(magnitudes, rounding, uniform)
        steps = (exponents + (_FLOAT64_BIAS - self.mantissa_bits)) << _FLOAT64_MANTISSA
        rounded = units * steps.view(np.float64)
        over = rounded > self.max
        if over.any():
            beyond = self._overflow_codes(magnitudes, rounding, overflow, over)
            rounded = np.where(over, self.decode(beyond), rounded)
        return np.copysign(rounded, values)

    def decode(self, codes: npt.ArrayLike) -> Values:
        if self.bits <= TABLE_BITS:
            return np.asarray(self.values[self.check(codes)])
        return self._assemble(self.check(codes))

    @cached_property
    def values(self) -> Values:
        if self.bits > TABLE_BITS:
            return super().values
        table = self._assemble(np.arange(1 << self.bits))
        table.flags.writeable = False
        return table

    def _assemble(self, codes: Codes) -> Values:
        """Decodes by arithmetic on the fields."""
        magnitude_codes = codes & (self._sign_bit - 1)
        field = magnitude_codes >> self.mantissa_bits
        mantissa = magnitude_codes & (self._hidden - 1)
        normal = (field > 0) | (self.underflow is Underflow.NORMAL)
        significand = np.where(normal, mantissa + self._hidden, 0 if self.underflow is Underflow.FLUSH else mantissa)
        exponent = np.maximum(field - self.exponent_bias, self._first_exponent) - self.mantissa_bits
        values = significand * ((exponent + _FLOAT64_BIAS) << _FLOAT64_MANTISSA).view(np.float64)
        beyond = magnitude_codes > self.max_code
        values = np.where(beyond, np.where(magnitude_codes == (self._infinity_code or -1), np.inf, np.nan), values)
        values = np.where(codes >= self._sign_bit, -values, values)
        return np.where(codes == self.nan_code, np.nan, values) if self.has_nan else values
