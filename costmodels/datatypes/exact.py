"""Exact numbers and the one function that rounds them.

Everything here is Python integers and fractions: slow, and the definition that the vectorised paths must equal.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from enum import IntEnum, StrEnum
from fractions import Fraction
from typing import TypeVar

from accelgym.costmodels.errors import unknown_name

__all__ = ["STOCHASTIC_BITS", "Exact", "Fields", "Overflow", "Rounding", "Special", "choose", "rounds_up"]

STOCHASTIC_BITS = 24
"""Random bits a stochastic rounding draws. With 24, every comparison it makes is exact in float64."""


class Rounding(StrEnum):
    """How a value between two neighbours is rounded."""

    NEAREST_EVEN = "nearest_even"
    """To the nearer neighbour; a tie goes to the even code."""
    TOWARD_ZERO = "toward_zero"
    """To the neighbour of smaller magnitude."""
    STOCHASTIC = "stochastic"
    """Away from the lower neighbour with a probability equal to the distance from it: right on average."""


class Overflow(StrEnum):
    """Treatment of a value beyond the largest finite one."""

    SATURATE = "saturate"
    """The largest finite value of that sign, also for infinities."""
    WRAP = "wrap"
    """Integers only: the low bits of the two's complement."""
    INFINITY = "infinity"
    """IEEE 754: infinity, or NaN where the format has no infinity; toward_zero keeps finite values finite."""


class Special(IntEnum):
    """Whether a number is one."""

    FINITE = 0
    INFINITE = 1
    NAN = 2


_Choice = TypeVar("_Choice", bound=StrEnum)


def choose(enum: type[_Choice], what: str, value: str) -> _Choice:
    """Returns the member of an enumeration by its name.

    Raises:
        InputError: No such member.
    """
    try:
        return enum(value)
    except ValueError:
        raise unknown_name(what, value, [member.value for member in enum]) from None


def rounds_up(
    value: Fraction,
    lower: Fraction,
    upper: Fraction,
    threshold: Fraction,
    tie_up: bool,
    rounding: Rounding,
    draw: Fraction | None = None,
) -> bool:
    """Decides whether a value strictly between two neighbours becomes the upper one: all rounding is done here.

    Args:
        value: Magnitude with ``lower < value < upper``.
        lower: Largest number of the format below the value.
        upper: Smallest number of the format above it.
        threshold: Where nearest rounding changes sides; the midpoint for all formats but posits.
        tie_up: Whether a value on the threshold goes up.
        rounding: The mode.
        draw: Uniform number in [0, 1), for stochastic rounding.
    """
    if rounding is Rounding.TOWARD_ZERO:
        return False
    if rounding is Rounding.STOCHASTIC:
        if draw is None:
            raise TypeError("stochastic rounding needs a draw")
        return draw * (upper - lower) < value - lower
    return value > threshold or (value == threshold and tie_up)


@dataclass(frozen=True)
class Fields:
    """Output of a decoder in hardware: ``(-1)**negative * significand * 2**exponent``.

    The significand is not normalised: its width is fixed by the format (``Datatype.significand_bits``).
    """

    negative: bool
    significand: int
    exponent: int
    special: Special = Special.FINITE


@dataclass(frozen=True)
class Exact:
    """A signed number without rounding error, an infinity, or not a number. Zeros are signed, as in IEEE 754."""

    negative: bool
    magnitude: Fraction
    """Zero for the specials."""
    special: Special = Special.FINITE

    @classmethod
    def of(cls, value: Exact | Fraction | Fields | float) -> Exact:
        """Converts without rounding; a Python float keeps the sign of its zero."""
        if isinstance(value, Exact):
            return value
        if isinstance(value, Fields):
            magnitude = Fraction(value.significand) * Fraction(2) ** value.exponent
            return cls(value.negative, magnitude if value.special is Special.FINITE else Fraction(0), value.special)
        if isinstance(value, float) and not math.isfinite(value):
            special = Special.NAN if math.isnan(value) else Special.INFINITE
            return cls(special is Special.INFINITE and value < 0, Fraction(0), special)
        negative = math.copysign(1.0, value) < 0 if isinstance(value, float) else value < 0
        return cls(negative, abs(Fraction(value)))

    @property
    def value(self) -> Fraction:
        """The number with its sign; the specials have none and give 0."""
        return -self.magnitude if self.negative else self.magnitude

    def to_float(self) -> float:
        """Returns the nearest float64, exact for everything a format of this package holds."""
        magnitude = (float(self.magnitude), math.inf, math.nan)[self.special]
        return -magnitude if self.negative else magnitude

    def __mul__(self, other: Exact) -> Exact:
        negative = self.negative != other.negative
        specials = {self.special, other.special}
        if specials == {Special.FINITE}:
            return Exact(negative, self.magnitude * other.magnitude)
        zero_times_infinity = any(n.special is Special.FINITE and n.magnitude == 0 for n in (self, other))
        if Special.NAN in specials or zero_times_infinity:
            return Exact(False, Fraction(0), Special.NAN)
        return Exact(negative, Fraction(0), Special.INFINITE)

    def __add__(self, other: Exact) -> Exact:
        infinite = [n for n in (self, other) if n.special is Special.INFINITE]
        opposed = len({n.negative for n in infinite}) == 2
        if Special.NAN in (self.special, other.special) or opposed:
            return Exact(False, Fraction(0), Special.NAN)
        if infinite:
            return infinite[0]
        total = self.value + other.value
        # A sum that is zero is +0 unless both terms are -0 (IEEE 754, section 6.3).
        negative = total < 0 or (total == 0 and self.negative and other.negative)
        return Exact(negative, abs(total))
