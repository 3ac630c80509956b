"""Exact Pareto front of two sums: one option per group, both sums minimised.

Groups are merged one after another; of the states reached, those that no other one dominates are kept (Nemhauser and
Ullmann, "Discrete dynamic programming and capital allocation", Management Science 15(9), 1969). Where one of the sums
is an integer, its range bounds the number of states.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from accelgym.costmodels.errors import InputError

__all__ = ["Front", "minimise_both"]

Floats = npt.NDArray[np.float64]
Ints = npt.NDArray[np.int64]
Bools = npt.NDArray[np.bool_]

_ROUNDING = 1e-9
"""Share of the limit by which a sum and its parts may differ: sums of thousands of terms in another order differ by
less. Only the whole sum is compared with the limit itself."""


@dataclass(frozen=True)
class Front:
    """Points that no selection dominates, by ascending second sum and descending first."""

    first: Floats
    """Shape ``(points,)``."""
    second: Floats
    """Shape ``(points,)``."""
    choices: Ints
    """A selection that reaches each point, shape ``(points, groups)``."""

    def __len__(self) -> int:
        return len(self.first)


def minimise_both(
    first: Floats,
    second: Floats,
    allowed: Bools | None = None,
    *,
    limit: float = np.inf,
    max_points: int = 1_000_000,
) -> Front:
    """Returns all trade-offs between the sums of two costs over one option per group.

    Of selections with equal sums one stays. Sums are compared as floats, so selections whose sums differ by rounding
    alone may both stay; integers are exact.

    Args:
        first: ``(groups, options)``.
        second: ``(groups, options)``, non-negative.
        allowed: ``(groups, options)``; all when omitted.
        limit: Largest second sum.
        max_points: Largest number of states after a group.

    Returns:
        The front; no point where nothing is allowed or stays below the limit.

    Raises:
        InputError: More states than ``max_points``.
    """
    usable = np.ones(first.shape, dtype=bool) if allowed is None else allowed
    if not usable.any(axis=1).all():
        return Front(np.empty(0), np.empty(0), np.empty((0, len(first)), dtype=np.int64))
    least = np.where(usable, second, np.inf).min(axis=1)
    rest = np.append(np.cumsum(least[::-1])[::-1], 0.0)[1:]
    sums = np.zeros((2, 1))
    steps: list[tuple[Ints, Ints]] = []
    for group in range(len(first)):
        options = np.flatnonzero(usable[group])
        joined = np.stack((first[group, options], second[group, options]))[:, :, None] + sums[:, None, :]
        a, b = joined.reshape(2, -1)
        last = group == len(first) - 1
        kept = _undominated(a, b, limit if last else limit * (1 + _ROUNDING) - rest[group])
        if len(kept) > max_points:
            raise InputError(
                f"max_points={max_points}: {len(kept)} trade-offs after {group + 1} of {len(first)} groups"
            )
        option, previous = np.divmod(kept, max(sums.shape[1], 1))
        steps.append((options[option], previous))
        sums = np.stack((a[kept], b[kept]))
    at = np.arange(sums.shape[1])
    choices = np.empty((len(at), len(first)), dtype=np.int64)
    for group in range(len(first) - 1, -1, -1):
        picked, previous = steps[group]
        choices[:, group] = picked[at]
        at = previous[at]
    return Front(sums[0], sums[1], choices)


def _undominated(first: Floats, second: Floats, limit: float) -> Ints:
    """Returns the indices of points within the limit that no other dominates, by ascending second coordinate."""
    inside = np.flatnonzero(second <= limit)
    order = inside[np.lexsort((first[inside], second[inside]))]
    lowest = np.minimum.accumulate(first[order])
    better = np.ones(len(order), dtype=bool)
    better[1:] = first[order[1:]] < lowest[:-1]
    return order[better]
