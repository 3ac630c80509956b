"""Float64 sums and quotients rounded to odd, so that a second rounding gives the correctly rounded result.

A number rounded to odd in p + 2 bits or more rounds to p bits as the exact number does (Boldo and Melquiond,
"Emulation of a FMA and correctly rounded sums: proved algorithms using rounding to odd", IEEE Transactions on
Computers 57(4), 2008).
"""

from __future__ import annotations

import numpy as np

from accelgym.costmodels.datatypes.datatype import Values

__all__ = ["divide_to_odd", "sum_to_odd"]


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
    total = first + second
    back = total - first
    error = (first - (total - back)) + (second - back)
    return _round_to_odd(total, np.where(np.isfinite(total), error, 0.0))


def divide_to_odd(dividend: Values, divisor: Values) -> Values:
    """Divides such that rounding the quotient to a format gives the correctly rounded quotient.

    The divisor and the points where the format rounds differently must have 53 significant bits together. Then,
    if the float64 quotient lies on such a point, the remainder below is exact and tells the side; if not, its
    sign is of no consequence.
    """
    quotient = np.ascontiguousarray(dividend / divisor)
    return _round_to_odd(quotient, dividend - quotient * divisor)
