"""Float64 sums and quotients rounded to odd, so that a second rounding gives the correctly rounded result.

A number rounded to odd in p + 2 bits or more rounds to p bits as the exact number does (Boldo and Melquiond,
"Emulation of a FMA and correctly rounded sums: proved algorithms using rounding to odd", IEEE Transactions on
Computers 57(4), 2008).
"""

from __future__ import annotations

import numpy as np

from accelgym.costmodels.datatypes.datatype import Values

__all__ = ["divide_to_odd", "multiply_add_to_odd", "sum_to_odd"]

_SPLITTER = 2.0**27 + 1
"""Veltkamp's constant: cuts a float64 significand into halves of at most 26 bits."""


def _round_to_odd(rounded: Values, error: Values) -> Values:
    """Turns results rounded to nearest into results rounded to odd, given the sign of what was rounded away."""
    bits = rounded.view(np.int64)
    even = (bits & 1) == 0
    inexact = (error != 0) & even
    if not inexact.any():
        return rounded
    outward = (error < 0) == (rounded < 0)
    step = np.where(inexact, np.where(outward, 1, -1), 0)
    return (bits + step).view(np.float64)


def sum_to_odd(first: Values, second: Values) -> Values:
    """Adds with rounding to odd; the error of the float64 sum comes from Knuth's two-sum, which is exact."""
    total, error = _two_sum(first, second)
    return _round_to_odd(total, error)


def multiply_add_to_odd(first: Values, second: Values, addend: Values) -> Values:
    """Returns ``first * second + addend`` rounded to odd; significands of any width that float64 has.

    The product is the sum of two float64 numbers (Dekker's two-product), and the smaller terms are joined by
    rounding to odd, as in the cited emulation of a fused multiply-add.
    """
    product = first * second
    left, right = _halves(first), _halves(second)
    rest = ((left[0] * right[0] - product) + left[0] * right[1] + left[1] * right[0]) + left[1] * right[1]
    total, error = _two_sum(addend, product)
    small = sum_to_odd(error, np.where(np.isfinite(total), rest, 0.0))
    return np.where(small == 0, total, sum_to_odd(total, small))  # Adding +0 would lose the sign of a zero.


def _halves(values: Values) -> tuple[Values, Values]:
    scaled = values * _SPLITTER
    high = scaled - (scaled - values)
    return high, values - high


def _two_sum(first: Values, second: Values) -> tuple[Values, Values]:
    """Returns the float64 sum and what it leaves out, which is 0 for sums that are not finite."""
    total = np.asarray(first + second)
    back = total - first
    error = (first - (total - back)) + (second - back)
    return total, np.where(np.isfinite(total), error, 0.0)


def divide_to_odd(dividend: Values, divisor: Values) -> Values:
    """Divides such that rounding the quotient to a format gives the correctly rounded quotient.

    The divisor and the points where the format rounds differently must have 53 significant bits together. Then,
    if the float64 quotient lies on such a point, the remainder below is exact and tells the side; if not, its
    sign is of no consequence.
    """
    quotient = np.ascontiguousarray(dividend / divisor)
    return _round_to_odd(quotient, dividend - quotient * divisor)
