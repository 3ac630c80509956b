"""The best of many designs, the same one for everybody: canonical optima, ties and runners-up of whole grids."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

__all__ = ["ROUNDING", "Optima", "find_optima"]

ROUNDING = 1e-12
"""Objectives that are no integers tie within this relative difference: rounding of some ten operations."""

FloatArray = npt.NDArray[np.float64]
IntArray = npt.NDArray[np.int64]


@dataclass(frozen=True)
class Optima:
    """What is known about each row of a landscape of shape ``(rows, designs)``."""

    best: IntArray
    """First design that ties for the best objective, shape ``(rows,)``; -1 where no design is feasible.

    Designs are numbered by PEs, then by buffer size, so it has the fewest PEs and, among those, the smallest buffer.
    """
    ties: IntArray
    """Designs that tie with it, itself included."""
    feasible: IntArray
    """Designs that are feasible."""
    top: IntArray
    """Best designs, shape ``(rows, k)``: the canonical one, then by objective and number; -1 where there is none."""


def find_optima(objective: FloatArray, top: int, tolerance: float = 0.0) -> Optima:
    """Finds the canonical optimum of each row.

    Args:
        objective: To be minimised, shape ``(rows, designs)``; ``inf`` where a design is infeasible. It is not kept
            as it is.
        top: Designs to list, at least 1.
        tolerance: Relative difference up to which objectives tie.
    """
    rows = np.arange(len(objective))
    feasible = np.isfinite(objective).sum(axis=1)
    least = objective.min(axis=1)
    tied = objective <= (least * (1 + tolerance) if tolerance else least)[:, None]
    best = tied.argmax(axis=1)
    ties = np.where(feasible > 0, tied.sum(axis=1), 0)
    listed = np.empty((len(objective), top), dtype=np.int64)
    pick = best
    for place in range(top):
        listed[:, place] = np.where(feasible > place, pick, -1)
        if place + 1 < top:
            objective[rows, pick] = np.inf
            pick = objective.argmin(axis=1)
    return Optima(np.where(feasible > 0, best, -1), ties, feasible.astype(np.int64), listed)
