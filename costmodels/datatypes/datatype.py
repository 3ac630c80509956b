"""The contract of a number format: codes, the values they stand for, and rounding to them."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable
from enum import StrEnum
from fractions import Fraction
from functools import cached_property
from typing import ClassVar, TypeVar

import numpy as np
import numpy.typing as npt

from accelgym.costmodels.datatypes.exact import STOCHASTIC_BITS, Exact, Fields, Overflow, Rounding, Special, choose
from accelgym.costmodels.errors import InputError

__all__ = ["TABLE_BITS", "Codes", "Datatype", "Kind", "Values"]

Codes = npt.NDArray[np.int64]
"""Bit patterns as unsigned numbers, ``0 .. 2**bits - 1``."""
Values = npt.NDArray[np.float64]

TABLE_BITS = 16
"""Formats up to this width have a table of all their values."""

_PART = 1 << 13
_Scalar = TypeVar("_Scalar", bound=np.generic)


class Kind(StrEnum):
    """Family of a format, which decides the decoder and the arithmetic in hardware."""

    INTEGER = "integer"
    FLOAT = "float"
    POSIT = "posit"
    CODEBOOK = "codebook"


class Datatype(ABC):
    """A number format of fixed width. Instances are immutable and shared by name.

    Two descriptions live side by side: the definition in exact arithmetic (``fields``, ``decode_exact``,
    ``encode_exact``) and the vectorised one (``decode``, ``encode``, ``round``), which equals it bit for bit.
    Every finite value, and every point where rounding changes sides, is a float64.

    Attributes:
        name: Name in the registry.
        bits: Width of a code.
        kind: Family.
    """

    name: str
    bits: int
    kind: ClassVar[Kind]

    @abstractmethod
    def fields(self, code: int) -> Fields:
        """Decodes one code into sign, significand and exponent, as hardware does."""

    @abstractmethod
    def encode_exact(
        self,
        value: Exact | Fraction | float,
        rounding: str = Rounding.NEAREST_EVEN,
        overflow: str = Overflow.SATURATE,
        draw: Fraction | None = None,
    ) -> int:
        """Rounds one number with exact arithmetic; the definition of ``encode``.

        Args:
            value: The number.
            rounding: A mode of :class:`Rounding`.
            overflow: A mode of :class:`Overflow`.
            draw: Uniform number in [0, 1) for stochastic rounding.

        Raises:
            InputError: The format has no code for the result (NaN in a format without), or no such mode.
        """

    @abstractmethod
    def _encode(self, values: Values, rounding: Rounding, overflow: Overflow, uniform: Values | None) -> Codes:
        """Rounds a flat array to codes; ``uniform`` holds the draws of stochastic rounding."""

    def _round(self, values: Values, rounding: Rounding, overflow: Overflow, uniform: Values | None) -> Values:
        """Rounds a flat array to values of the format."""
        return self.decode(self._encode(values, rounding, overflow, uniform))

    def encode(
        self,
        values: npt.ArrayLike,
        rounding: str = Rounding.NEAREST_EVEN,
        overflow: str = Overflow.SATURATE,
        generator: np.random.Generator | None = None,
    ) -> Codes:
        """Rounds float64 numbers to codes.

        Args:
            values: Any shape, converted to float64 first (exact for all narrower types).
            rounding: A mode of :class:`Rounding`.
            overflow: A mode of :class:`Overflow`.
            generator: Source of the draws of stochastic rounding: one ``STOCHASTIC_BITS``-bit integer per value.

        Returns:
            Codes of the same shape.

        Raises:
            InputError: The format has no code for a result, or no such mode.
        """
        modes = self._modes(rounding, overflow)
        return _in_parts(lambda part, uniform: self._encode(part, *modes, uniform), values, modes[0], generator)

    def round(
        self,
        values: npt.ArrayLike,
        rounding: str = Rounding.NEAREST_EVEN,
        overflow: str = Overflow.SATURATE,
        generator: np.random.Generator | None = None,
    ) -> Values:
        """Rounds to the format and returns values: ``decode(encode(values))``."""
        modes = self._modes(rounding, overflow)
        return _in_parts(lambda part, uniform: self._round(part, *modes, uniform), values, modes[0], generator)

    @property
    @abstractmethod
    def significand_bits(self) -> int:
        """Width of ``Fields.significand``."""

    @property
    @abstractmethod
    def max(self) -> float:
        """Largest finite value."""

    @cached_property
    def max_magnitude(self) -> float:
        """Largest finite magnitude; differs from ``max`` where the format is not symmetric."""
        return float(np.max(np.abs(self.values[np.isfinite(self.values)])))

    @property
    def full_scale(self) -> float:
        """Magnitude that the largest value of a block is scaled to; for integers the largest value of both signs."""
        return self.max_magnitude

    @property
    def has_nan(self) -> bool:
        """Whether a code stands for NaN (for posits: NaR)."""
        return False

    @property
    def has_infinity(self) -> bool:
        """Whether a code stands for an infinity."""
        return False

    @cached_property
    def quantum_exponent(self) -> int:
        """Largest ``q`` such that every finite value is an integer times ``2**q``."""
        finite = [f for f in map(self.fields, self._all_codes()) if f.significand and f.special is Special.FINITE]
        return min(f.exponent + (f.significand & -f.significand).bit_length() - 1 for f in finite)

    def decode_exact(self, code: int) -> Exact:
        """Returns the number a code stands for."""
        return Exact.of(self.fields(code))

    @cached_property
    def values(self) -> Values:
        """Value of every code, shape ``(2**bits,)``, read-only.

        Raises:
            InputError: The format is wider than ``TABLE_BITS``.
        """
        table = np.array([self.decode_exact(code).to_float() for code in self._all_codes()])
        table.flags.writeable = False
        return table

    @cached_property
    def field_table(self) -> Codes:
        """Truth table of a decoder: rows (negative, significand, exponent, special), shape ``(2**bits, 4)``.

        Raises:
            InputError: The format is wider than ``TABLE_BITS``.
        """
        rows = (self.fields(code) for code in self._all_codes())
        table = np.array([(f.negative, f.significand, f.exponent, f.special) for f in rows], dtype=np.int64)
        table.flags.writeable = False
        return table

    def decode(self, codes: npt.ArrayLike) -> Values:
        """Returns the values of codes, exactly. Any shape.

        Raises:
            InputError: A code outside ``0 .. 2**bits - 1``.
        """
        return np.asarray(self.values[self.check(codes)])

    def zero(self) -> int:
        """Code of (positive) zero.

        Raises:
            InputError: The format has no zero.
        """
        code = self.encode_exact(0.0)
        if self.decode_exact(code).magnitude:
            raise InputError(f"datatype {self.name!r} has no zero")
        return code

    def check(self, codes: npt.ArrayLike) -> Codes:
        """Returns codes as int64 after a range check.

        Raises:
            InputError: Not integers, or outside ``0 .. 2**bits - 1``.
        """
        array = np.asarray(codes)
        if array.dtype.kind not in "iu":
            raise InputError(f"datatype {self.name!r}: codes are {array.dtype}, allowed: integers")
        if array.size and (array.min() < 0 or int(array.max()) >> self.bits):
            raise InputError(
                f"datatype {self.name!r}: codes from {array.min()} to {array.max()}, allowed 0..{(1 << self.bits) - 1}"
            )
        return array.astype(np.int64, copy=False)

    def __repr__(self) -> str:
        return f"<{self.kind} {self.name}, {self.bits} bits>"

    def _all_codes(self) -> range:
        if self.bits > TABLE_BITS:
            raise InputError(f"datatype {self.name!r}: no table of 2**{self.bits} codes, allowed: {TABLE_BITS} bits")
        return range(1 << self.bits)

    def _modes(self, rounding: str, overflow: str) -> tuple[Rounding, Overflow]:
        """Reads the two modes; formats refuse the overflow rules that they do not have."""
        modes = choose(Rounding, "rounding", rounding), choose(Overflow, "overflow", overflow)
        if modes[1] not in self._overflows:
            allowed = ", ".join(self._overflows)
            raise InputError(f"datatype {self.name!r}: overflow {overflow!r} has no meaning here, allowed: {allowed}")
        return modes

    @property
    @abstractmethod
    def _overflows(self) -> tuple[Overflow, ...]:
        """Overflow rules that mean something for this format."""

    def _no_nan(self) -> InputError:
        return InputError(f"datatype {self.name!r} has no code for NaN")


def _in_parts(
    work: Callable[[Values, Values | None], npt.NDArray[_Scalar]],
    values: npt.ArrayLike,
    rounding: Rounding,
    generator: np.random.Generator | None,
) -> npt.NDArray[_Scalar]:
    """Applies elementwise work to flat parts of an array, so small that their temporaries stay in the cache."""
    array = np.asarray(values, dtype=np.float64)
    flat = array.reshape(-1)
    uniform = _draws(rounding, generator, flat.size)
    parts = [slice(start, start + _PART) for start in range(0, max(flat.size, 1), _PART)]
    done = [work(flat[part], None if uniform is None else uniform[part]) for part in parts]
    return (done[0] if len(done) == 1 else np.concatenate(done)).reshape(array.shape)


def _draws(rounding: Rounding, generator: np.random.Generator | None, count: int) -> Values | None:
    """Draws the uniform numbers of stochastic rounding, multiples of ``2**-STOCHASTIC_BITS``; None for other modes.

    Raises:
        InputError: Stochastic rounding without a generator.
    """
    if rounding is not Rounding.STOCHASTIC:
        return None
    if generator is None:
        raise InputError("rounding 'stochastic' needs a generator, for example numpy.random.default_rng(0)")
    return np.asarray(generator.integers(0, 1 << STOCHASTIC_BITS, size=count) * 2.0**-STOCHASTIC_BITS, dtype=np.float64)


def round_to_integer(scaled: Values, rounding: Rounding, uniform: Values | None) -> Values:
    """Rounds numbers to integers; a stochastic rounding works on the magnitude."""
    if rounding is Rounding.NEAREST_EVEN:
        return np.asarray(np.rint(scaled))
    if uniform is None:
        return np.asarray(np.trunc(scaled))
    magnitude = np.abs(scaled)
    lower = np.floor(magnitude)
    return np.asarray(np.copysign(lower + (uniform < magnitude - lower), scaled))


class Lattice:
    """Rounding to a sorted table of numbers by binary search, for formats whose neighbours obey no formula.

    Args:
        points: The numbers, ascending, shape ``(n,)``.
        thresholds: Where nearest rounding changes from point ``i`` to ``i + 1``, shape ``(n - 1,)``.
        ties_up: Which side a number on the threshold takes, shape ``(n - 1,)``.
    """

    def __init__(self, points: Values, thresholds: Values, ties_up: npt.NDArray[np.bool_]) -> None:
        self.points = points
        # A tie that goes up is a threshold one float64 lower, so that a single search settles both cases.
        self._nudged = np.where(ties_up, np.nextafter(thresholds, -np.inf), thresholds)

    def index(self, values: Values, rounding: Rounding, uniform: Values | None) -> Codes:
        """Returns the index of the point each value is rounded to; values outside go to the ends."""
        if rounding is Rounding.NEAREST_EVEN:
            return np.searchsorted(self._nudged, values, side="left").astype(np.int64)
        last = self.points.size - 1
        below = np.clip(np.searchsorted(self.points, values, side="right") - 1, 0, last)
        lower, upper = self.points[below], self.points[np.minimum(below + 1, last)]
        # The second sum is not rounded: the draw has 24 bits and the span of a lattice 28.
        inward = np.abs(upper) <= np.abs(lower)
        up = inward & (values > lower) if uniform is None else lower + uniform * (upper - lower) < values
        return np.asarray(np.where(values <= self.points[0], 0, np.minimum(below + up, last)), dtype=np.int64)
