"""Powers and logarithms to base 2, rounded correctly and hence the same on every machine.

The C library and NumPy come within a unit in the last place and no nearer, by code that is chosen for the processor:
of the costs of memories, 5 % of NumPy's powers differ between processors with and without AVX-512. Here a logarithm
has 30 digits, made of additions, multiplications and divisions alone, which IEEE 754 defines to the last bit
(Dekker, 1971: pairs of numbers whose sum is meant), and whatever a library has answered is corrected by it.
"""

from __future__ import annotations

from decimal import Decimal, localcontext
from functools import cache

import numpy as np
import numpy.typing as npt

__all__ = ["log2", "power"]

FloatArray = npt.NDArray[np.float64]
Pair = tuple[FloatArray, FloatArray]

_STEPS = 256
"""Significands are brought to within half of 1 / _STEPS of a number whose logarithm is tabulated."""
_SPLITTER = 134217729.0
"""2**27 + 1: cuts a number into halves whose products are exact."""
_LN2 = 0.6931471805599453
_BLOCK = 8192
"""Numbers at a time, so that the terms stay in the cache."""


def power(base: npt.ArrayLike, exponent: npt.ArrayLike) -> FloatArray:
    """Returns ``base**exponent``.

    Args:
        base: At least 0, any shape; positive ones are no subnormals.
        exponent: Positive where the base is 0; broadcasts with the base. Powers beyond 1e-300 to 1e300 are left as the
            library has them.
    """
    bases, exponents = np.broadcast_arrays(np.asarray(base, dtype=np.float64), np.asarray(exponent, dtype=np.float64))
    found = np.empty(bases.shape)
    x, y, flat = bases.ravel(), exponents.ravel(), found.reshape(-1)
    for start in range(0, len(flat), _BLOCK):
        part = slice(start, start + _BLOCK)
        flat[part] = _powers(x[part], y[part])
    return found


def log2(numbers: npt.ArrayLike) -> FloatArray:
    """Returns the logarithms to base 2 of positive numbers that are no subnormals, any shape."""
    array = np.asarray(numbers, dtype=np.float64)
    high, low = _log2(array.ravel())
    return (high + low).reshape(array.shape)


def _powers(base: FloatArray, exponent: FloatArray) -> FloatArray:
    with np.errstate(over="ignore", under="ignore"):
        near = base**exponent
    sound = (near > 1e-300) & (near < 1e300)
    x, p = np.where(sound, base, 1.0), np.where(sound, near, 1.0)
    high, low = _log2(x)
    wanted, error = _product(high, exponent)
    there, rest = _log2(p)
    # Both differ by some 1e-16, so that what follows needs no pairs.
    missing = (wanted - there) + (error + low * exponent - rest)
    return np.where(sound, p + p * (missing * _LN2), near)


def _log2(z: FloatArray) -> Pair:
    """The logarithm as a pair: of the exponent, of a tabulated number ``c``, and of ``m / c``, as a series."""
    logs, twice, third, fifth = _constants()
    m, e = np.frexp(z)
    row = np.rint(m * _STEPS).astype(np.intp)
    c = row / _STEPS
    high, low = (table[row - _STEPS // 2] for table in logs)
    # m - c is exact; log(m / c) is twice the inverse hyperbolic tangent of this quotient.
    r = _quotient(m - c, _sum(m, c))
    w = _times(r, r)
    # Beyond w**2, 1e-11 of the series, single numbers are exact enough.
    inner = _sum_to(fifth, w[0] * (1 / 7 + w[0] * (1 / 9 + w[0] * (1 / 11 + w[0] / 13))))
    series = _sum_to(_times(w, _plus(third, _times(w, inner))), np.ones_like(z))
    return _plus(_sum_to(_sum(e.astype(np.float64), high), low), _times(_times(r, twice), series))


@cache
def _constants() -> tuple[Pair, Pair, Pair, Pair]:
    """Logarithms to base 2 of the tabulated numbers, 1/2 to 1; 2 / log(2); 1/3; 1/5."""
    with localcontext() as context:
        context.prec = 50
        base = Decimal(2).ln()
        logs = [(Decimal(k) / _STEPS).ln() / base for k in range(_STEPS // 2, _STEPS + 1)]
        return _pairs(logs), _pairs([2 / base]), _pairs([Decimal(1) / 3]), _pairs([Decimal(1) / 5])


def _pairs(numbers: list[Decimal]) -> Pair:
    high = [float(number) for number in numbers]
    return np.array(high), np.array([float(n - Decimal(h)) for n, h in zip(numbers, high, strict=True)])


# -- pairs ---------------------------------------------------------------------------------------------------------


def _sum(a: FloatArray, b: FloatArray) -> Pair:
    """The sum of two numbers, exactly."""
    total = a + b
    part = total - a
    return total, (a - (total - part)) + (b - part)


def _product(a: FloatArray, b: FloatArray) -> Pair:
    """The product of two numbers, exactly."""
    total = a * b
    (a1, a2), (b1, b2) = _halves(a), _halves(b)
    return total, ((a1 * b1 - total) + a1 * b2 + a2 * b1) + a2 * b2


def _halves(a: FloatArray) -> Pair:
    shifted = _SPLITTER * a
    upper = shifted - (shifted - a)
    return upper, a - upper


def _plus(a: Pair, b: Pair) -> Pair:
    high, error = _sum(a[0], b[0])
    return _sum(high, error + (a[1] + b[1]))


def _sum_to(a: Pair, b: FloatArray) -> Pair:
    high, error = _sum(a[0], b)
    return _sum(high, error + a[1])


def _times(a: Pair, b: Pair) -> Pair:
    high, error = _product(a[0], b[0])
    return _sum(high, error + (a[0] * b[1] + a[1] * b[0]))


def _quotient(a: FloatArray, b: Pair) -> Pair:
    high = a / b[0]
    back, error = _product(high, b[0])
    return _sum(high, ((a - back) - error - high * b[1]) / b[0])
