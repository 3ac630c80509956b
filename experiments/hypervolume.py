"""The volume that a set of trade-offs dominates (Zitzler and Thiele, 1998), exactly."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt

from accelgym.costmodels.errors import InputError

__all__ = ["hypervolume", "nondominated"]

FloatArray = npt.NDArray[np.float64]


def nondominated(points: Any) -> npt.NDArray[np.bool_]:
    """Returns which points no other one dominates, shape ``(points,)``; of equal points all count.

    Args:
        points: To be minimised, shape ``(points, objectives)``.
    """
    x = np.asarray(points, dtype=np.float64)
    return np.array([not bool(((x <= row).all(axis=1) & (x < row).any(axis=1)).any()) for row in x], dtype=bool)


def hypervolume(points: Any, reference: Any) -> float:
    """Volume between a set of points and a reference point that it dominates.

    Sliced along the last objective, each slice recursively: exact, ``O(n^(objectives - 1) log n)``, meant for fronts of
    some hundred points and two to four objectives.

    Args:
        points: To be minimised, shape ``(points, objectives)``; points at or beyond the reference add nothing.
        reference: The worst that counts, shape ``(objectives,)``.

    Raises:
        InputError: Shapes that do not match, or a figure that is not a number.
    """
    x, end = np.asarray(points, dtype=np.float64), np.asarray(reference, dtype=np.float64)
    if end.ndim != 1 or not len(end) or (x.size and (x.ndim != 2 or x.shape[1] != len(end))):
        raise InputError(
            f"points have shape {x.shape}, the reference {end.shape}, allowed (n, objectives), (objectives,)"
        )
    if np.isnan(x).any() or np.isnan(end).any():
        raise InputError("hypervolume: nan is no objective")
    x = x.reshape(-1, len(end))
    return _volume(x[(x < end).all(axis=1)], end)


def _volume(points: FloatArray, end: FloatArray) -> float:
    if not len(points):
        return 0.0
    if len(end) == 1:
        return float(end[0] - points[:, 0].min())
    if len(end) == 2:
        ordered = points[np.lexsort((points[:, 1], points[:, 0]))]
        best = np.minimum.accumulate(ordered[:, 1])
        widths = np.diff(ordered[:, 0], append=end[0])
        return float((widths * (end[1] - best)).sum())
    ordered = points[np.argsort(points[:, -1], kind="stable")]
    heights = np.diff(ordered[:, -1], append=end[-1])
    front, total = np.zeros((0, len(end) - 1)), 0.0
    for row, height in zip(ordered[:, :-1], heights, strict=True):
        front = np.concatenate((front[~(front >= row).all(axis=1)], row[None]))
        if height > 0:
            total += float(height) * _volume(front, end[:-1])
    return total
