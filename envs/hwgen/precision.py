"""How well a number format represents operands: a stand-in for accuracy that needs no data."""

from __future__ import annotations

from functools import cache

import numpy as np

from accelgym.costmodels.datatypes import get_datatype
from accelgym.costmodels.rounded import log2, power

__all__ = ["product_sqnr_db"]

_SAMPLES = 4001
_REACH = 6.0
_SCALES = power(2.0, np.arange(-6, 12, 0.125))
_DECIBELS = 3.010299956639812
"""Of a factor of 2."""


@cache
def _noise(name: str) -> float:
    """Returns the least mean squared error of a format on a unit normal over power-of-1.09 scales, by quadrature."""
    datatype = get_datatype(name)
    x = np.linspace(-_REACH, _REACH, _SAMPLES)
    weight = power(np.e, -(x * x) / 2)
    weight /= weight.sum()
    errors = []
    for scale in _SCALES:
        value = datatype.values[datatype.encode(x * scale)] / scale
        error = float((weight * (value - x) ** 2).sum())
        errors.append(error if np.isfinite(error) else np.inf)
    return min(errors)


def product_sqnr_db(input_type: str, weight_type: str) -> float:
    """Returns signal over quantisation noise of products of normal operands, in dB.

    Each operand is scaled as suits its format best; errors of the two add up. Rounding of the sums is not counted.

    Args:
        input_type: Name of a format of up to 16 bits.
        weight_type: Name of a format of up to 16 bits.
    """
    return float(-_DECIBELS * log2(_noise(input_type) + _noise(weight_type)))
