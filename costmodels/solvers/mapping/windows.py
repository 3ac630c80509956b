"""Sound monomials for what is not a posynomial: windows, strides and partly shared requests.

A window axis ``ca * X + cb * Y + 1 - ca - cb`` sums two extents (Algorithm 1 of Thistle has ``h + R - 1``). One of
the two, ``Y``, is replaced by its least value in the box, exact once its tiling is decided; the remaining constant
is a posynomial's if it is not negative. A negative constant (a stride larger than the kernel) makes the logarithm
concave, and the chord between the ends of the box lies below it.
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from accelgym.costmodels.loopnest.terms import Window
from accelgym.costmodels.solvers.mapping.space import MappingSpace

__all__ = ["ABSENT", "chord", "least_distinct", "varying_first", "window_monomials"]

Floats = npt.NDArray[np.float64]

ABSENT = -200.0
"""Logarithm of the coefficient of a monomial that is not there; small enough to change no bound."""


def varying_first(space: MappingSpace, window: Window) -> list[int]:
    """Numbers of the dimensions of a window: first the one that varies, then those taken at their least.

    Those with fewer divisors take fewer decisions.
    """
    return sorted(range(len(window.dims)), key=lambda k: -len(space.divisors[space.active.index(window.dims[k])]))


def chord(constant: Floats, scale: Floats, low: Floats, high: Floats) -> tuple[Floats, Floats]:
    """Bounds ``log(scale * exp(x) + constant)`` from below on ``[low, high]`` where it is concave.

    Args:
        constant: Negative, or at most 0.
        scale: Positive.
        low: Shape as the others; ``scale * exp(low) + constant`` must be positive.
        high: At least ``low``.

    Returns:
        Intercept and slope of the line through both ends.
    """
    left = np.log(np.maximum(scale * np.exp(low) + constant, 1e-300))
    right = np.log(np.maximum(scale * np.exp(high) + constant, 1e-300))
    width = high - low
    tangent = scale * np.exp(low) / np.maximum(scale * np.exp(low) + constant, 1e-300)
    slope = np.where(width > 1e-9, (right - left) / np.maximum(width, 1e-9), tangent)
    return left - slope * low, slope


def window_monomials(ca: float, low: Floats, high: Floats, constant: Floats) -> tuple[Floats, Floats, Floats]:
    """Bounds ``ca * X + constant`` from below by one or two monomials in ``X``.

    Args:
        ca: Coefficient of the extent.
        low: Logarithm of the least extent, shape ``(n,)``.
        high: Of the largest.
        constant: Everything that does not vary, shape ``(n,)``.

    Returns:
        Log coefficient and exponent of the first monomial, log coefficient of the constant one.
    """
    line, slope = chord(np.minimum(constant, 0.0), np.full_like(low, ca), low, high)
    concave = constant < 0.0
    first = np.where(concave, line, np.log(ca))
    power = np.where(concave, slope, 1.0)
    rest = np.where(constant > 0.0, np.log(np.maximum(constant, 1e-300)), ABSENT)
    return first, power, rest


def least_distinct(
    m: tuple[Floats, Floats], n: tuple[Floats, Floats], u: tuple[Floats, Floats], v: tuple[Floats, Floats]
) -> tuple[Floats, Floats, Floats]:
    """Bounds the number of distinct positions ``i * u + j * v``, ``i < m``, ``j < n``, from below by a monomial.

    Without sharing there are ``m * n``, always at least ``m + n - 1``. When ``n``, ``u`` and ``v`` are decided and
    coprime, ``m * u + v * (n - u)`` is exact for ``m >= v``, and its tangent lies below it.

    Args:
        m: Logarithms of the least and the largest value, shape ``(rows,)`` each; the others alike.
        n: Copies along the second dimension.
        u: Step of ``i``.
        v: Step of ``j``.

    Returns:
        Log coefficient and the exponents of ``m`` and ``n``.
    """
    largest_gcd = np.minimum(u[1], v[1])
    alone = (m[1] <= 1e-9) | (n[1] <= 1e-9) | (n[1] <= u[0] - largest_gcd + 1e-9) | (m[1] <= v[0] - largest_gcd + 1e-9)
    power = np.where(m[0] >= n[1] - 1e-9, 1.0, np.where(n[0] >= m[1] - 1e-9, 0.0, 0.5))
    fixed = (n[1] - n[0] < 1e-9) & (u[1] - u[0] < 1e-9) & (v[1] - v[0] < 1e-9)
    steps, jumps, copies = np.rint(np.exp(u[0])), np.rint(np.exp(v[0])), np.rint(np.exp(n[0]))
    coprime = np.gcd(steps.astype(np.int64), jumps.astype(np.int64)) == 1
    shared = fixed & coprime & (copies > steps) & (m[0] >= v[1] - 1e-9) & ~alone
    middle = (m[0] + m[1]) / 2
    value = np.maximum(np.exp(middle) * steps + jumps * (copies - steps), 1e-9)
    tangent = np.exp(middle) * steps / value
    coefficient = np.where(shared, np.log(value) - tangent * middle, 0.0)
    along = np.where(alone, 1.0, np.where(shared, tangent, power))
    across = np.where(alone, 1.0, np.where(shared, 0.0, 1.0 - power))
    return coefficient, along, across
