"""Sets of trade-offs between costs: which points no other one beats, and how much they dominate (package moocore)."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt

from accelgym.costmodels.errors import InputError, MissingExtraError

__all__ = ["hypervolume", "nondominated", "relative_hypervolume"]

Floats = npt.NDArray[np.float64]


def nondominated(points: Any) -> npt.NDArray[np.bool_]:
    """Returns which points no other one dominates, shape ``(points,)``; of equal points all count.

    Args:
        points: To be minimised, shape ``(points, objectives)``.

    Raises:
        MissingExtraError: moocore is not installed.
    """
    found: npt.NDArray[np.bool_] = _moocore().is_nondominated(np.asarray(points, dtype=np.float64), keep_weakly=True)
    return found


def hypervolume(points: Any, reference: Any) -> float:
    """Volume between a set of points and a reference point that it dominates (Zitzler and Thiele, 1998), exactly.

    Args:
        points: To be minimised, shape ``(points, objectives)``; points at or beyond the reference add nothing.
        reference: The worst that counts, shape ``(objectives,)``.

    Raises:
        InputError: Shapes that do not match, or a figure that is not a number.
        MissingExtraError: moocore is not installed.
    """
    x, end = np.asarray(points, dtype=np.float64), np.asarray(reference, dtype=np.float64)
    if end.ndim != 1 or not len(end) or (x.size and (x.ndim != 2 or x.shape[1] != len(end))):
        raise InputError(
            f"points have shape {x.shape}, the reference {end.shape}, allowed (n, objectives), (objectives,)"
        )
    if np.isnan(x).any() or np.isnan(end).any():
        raise InputError("hypervolume: nan is no objective")
    x = x.reshape(-1, len(end))
    x = x[(x < end).all(axis=1)]
    if len(end) == 1:
        return float((end - x.min(axis=0, initial=end[0]))[0])
    return float(_moocore().hypervolume(x, ref=end)) if len(x) else 0.0


def relative_hypervolume(points: Any, front: Floats, beyond: float = 1.1) -> float:
    """Returns the hypervolume of a set relative to that of a front: 1 where it covers all of it.

    Args:
        points: Shape ``(n, objectives)``; rows that are not finite do not count.
        front: The exact front, shape ``(points, objectives)``.
        beyond: Distance of the reference point from the best of the front in units of the front's range, per objective.
    """
    low = front.min(axis=0)
    size = beyond * np.maximum(front.max(axis=0) - low, 1e-9)
    ones = np.ones(front.shape[1])
    rows = np.asarray(points, dtype=np.float64).reshape(-1, len(ones))
    rows = rows[np.isfinite(rows).all(axis=1)]
    return hypervolume((rows - low) / size, ones) / hypervolume((front - low) / size, ones)


def _moocore() -> Any:
    try:
        import moocore
    except ImportError as error:
        raise MissingExtraError("a front of several objectives", "moocore", "bo") from error
    return moocore
