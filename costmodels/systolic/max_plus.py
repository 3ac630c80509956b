"""Max-plus linear algebra: matrices whose product adds along paths and takes the longest.

A pipeline whose every event time is the maximum of earlier times plus constants is ``x' = A x`` over
(max, +), and ``n`` identical steps are the power ``A**n``, found in ``log2 n`` products. Exact in int64.
"""

from __future__ import annotations

from accelgym.costmodels.arrays import Array, array_namespace

__all__ = ["NEVER", "apply", "power", "product"]

NEVER = -(2**60)
"""Stands for minus infinity: no path. Sums of two stay inside int64 and are clamped back."""


def product(a: Array, b: Array) -> Array:
    """Returns ``a b``: entry (i, j) is ``max_k a[i, k] + b[k, j]``.

    Args:
        a: Shape ``(..., n, n)``, int64.
        b: Shape ``(..., n, n)``, int64.
    """
    xp = array_namespace(a)
    size = a.shape[-1]
    out = a[..., :, 0:1] + b[..., 0:1, :]
    for k in range(1, size):
        out = xp.maximum(out, a[..., :, k : k + 1] + b[..., k : k + 1, :])
    return xp.where(out < NEVER // 2, NEVER, out)


def power(a: Array, exponent: Array) -> Array:
    """Returns ``a`` to a power, one exponent per matrix.

    Args:
        a: Shape ``(..., n, n)``.
        exponent: Shape ``(...)``, int64, at least 0.
    """
    xp = array_namespace(a)
    size = a.shape[-1]
    eye = xp.zeros_like(a) + NEVER
    for i in range(size):
        eye[..., i, i] = 0
    result, base, left = eye, a, exponent
    while bool((left > 0).any()):
        odd = ((left % 2) == 1)[..., None, None]
        result = xp.where(odd, product(result, base), result)
        left = left // 2
        if bool((left > 0).any()):
            base = product(base, base)
    return result


def apply(a: Array, x: Array) -> Array:
    """Returns ``a x`` for vectors ``x`` of shape ``(..., n)``."""
    xp = array_namespace(a)
    return xp.amax(a + x[..., None, :], -1)
