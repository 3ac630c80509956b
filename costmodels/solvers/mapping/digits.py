"""Rounding that keeps last bits out of decisions.

Logarithms, exponentials and matrix products differ in their last bits between processors, libraries and numbers of
threads. What a search decides by must not: bounds are rounded down to a grid, relaxed points and sensitivities to
one that is far coarser than the errors of a solve. The grids are powers of two, so rounding itself is exact.
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

__all__ = ["POINT_GRID", "bound_grid", "bounds_on_grid", "points_on_grid", "significant"]

Floats = npt.NDArray[np.float64]

_STEPS = 16
"""Steps of the grid of bounds within the tolerance. Bounds differ by 1e-12, a few by 1e-10, between two processors."""
POINT_GRID = 2.0**-12
"""Of logarithms of extents, which differ by up to 1e-6; neighbouring divisors are farther apart by far."""


def bound_grid(tolerance: float) -> float:
    """Returns the grid on which logarithms of bounds lie: a power of two, a small part of the tolerance."""
    return float(2.0 ** np.floor(np.log2(max(tolerance, 1e-9) / _STEPS)))


def bounds_on_grid(bounds: Floats, grid: float) -> Floats:
    """Rounds logarithms of lower bounds down; they stay lower bounds."""
    return np.asarray(np.floor(bounds / grid) * grid)


def points_on_grid(points: Floats) -> Floats:
    """Rounds logarithms of extents to the nearest point of the grid."""
    return np.asarray(np.rint(points / POINT_GRID) * POINT_GRID)


def significant(values: Floats, bits: int) -> Floats:
    """Rounds to so many significant binary digits."""
    finite = np.isfinite(values)
    mantissa, exponent = np.frexp(np.where(finite, values, 0.0))
    return np.where(finite, np.ldexp(np.rint(np.ldexp(mantissa, bits)), exponent - bits), values)
