"""Several objectives at once: latency, energy, area and loss of designs, exact Pareto fronts, and hypervolume."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

from accelgym.costmodels.errors import InputError, MissingExtraError, unknown_name
from accelgym.envs.joint.task import JointTask
from accelgym.envs.space import Designs

__all__ = ["MOST_ENUMERATED", "exact_front", "figures_of", "hypervolume", "objective_names", "reference_point"]

Floats = npt.NDArray[np.float64]

MOST_ENUMERATED = 5_000_000
"""Designs that are all evaluated, at most."""
_BLOCK = 2**16
_BEYOND = 1.1
"""How far the reference point of a hypervolume lies behind the worst of a front, per objective."""


def objective_names(task: JointTask) -> tuple[str, ...]:
    """Returns what may be minimised together, names of an outcome's costs."""
    return ("latency_cycles", "energy_pj", "area_nand2", "proxy_loss" if task.is_proxy else "table_loss")


def figures_of(task: JointTask, designs: Designs, objectives: Sequence[str] | None = None) -> Floats:
    """Returns the objectives of designs, shape ``(n, objectives)``; ``inf`` in the rows of infeasible ones.

    Args:
        task: The task, whose limits hold.
        designs: Shape ``(n, parameters)``.
        objectives: Some of :func:`objective_names`, all by default.

    Raises:
        InputError: Another objective.
    """
    names = objective_names(task)
    for name in objectives or ():
        if name not in names:
            raise unknown_name("objective", name, names)
    outcome = task.evaluate(designs)
    columns = np.stack([np.asarray(outcome.costs[name], dtype=np.float64) for name in objectives or names], axis=1)
    return np.where(outcome.feasible[:, None], columns, np.inf)


def exact_front(task: JointTask, objectives: Sequence[str] | None = None) -> tuple[Designs, Floats]:
    """Returns the Pareto front of all feasible designs, one design for each point, by enumeration.

    Args:
        task: A task of at most :data:`MOST_ENUMERATED` designs.
        objectives: As for :func:`figures_of`.

    Returns:
        Designs, shape ``(points, parameters)``, and their objectives, in lexicographic order of the latter.

    Raises:
        InputError: The task has more designs.
        MissingExtraError: moocore is not installed.
    """
    size = task.space.cardinality
    if size > MOST_ENUMERATED:
        raise InputError(f"{task!r} has {size:.3g} designs, allowed up to {MOST_ENUMERATED:,} for an exact front")
    shape = tuple(task.space.nvec)
    designs = np.empty((0, len(shape)), dtype=np.int64)
    points = np.empty((0, len(objectives or objective_names(task))))
    for begin in range(0, size, _BLOCK):
        numbers = np.arange(begin, min(begin + _BLOCK, size))
        block = np.stack(np.unravel_index(numbers, shape), axis=1)
        block = block[task.fits(block)]
        if len(block) == 0:
            continue
        designs = np.concatenate((designs, block))
        points = np.concatenate((points, figures_of(task, block, objectives)))
        points, first = np.unique(points, axis=0, return_index=True)
        keep = _moocore().is_nondominated(points)
        designs, points = designs[first][keep], points[keep]
    return designs, points


def reference_point(front: Floats) -> Floats:
    """Returns the corner from which the hypervolume of sets is measured that are compared with a front."""
    return np.asarray(front.min(axis=0) + _BEYOND * np.maximum(front.max(axis=0) - front.min(axis=0), 1e-9))


def hypervolume(points: Floats, front: Floats) -> float:
    """Returns the hypervolume of a set relative to that of a front: 1 where it covers all of it.

    Args:
        points: Objectives, shape ``(n, objectives)``; rows that are not finite do not count.
        front: Objectives of the exact front.

    Raises:
        MissingExtraError: moocore is not installed.
    """
    low, corner = front.min(axis=0), reference_point(front)

    def volume(rows: Floats) -> float:
        scaled = (rows[np.isfinite(rows).all(axis=1)] - low) / (corner - low)
        scaled = scaled[(scaled < 1).all(axis=1)]
        return float(_moocore().hypervolume(scaled, ref=np.ones(front.shape[1]))) if len(scaled) else 0.0

    return volume(np.asarray(points, dtype=np.float64)) / volume(front)


def _moocore() -> Any:
    try:
        import moocore
    except ImportError as error:
        raise MissingExtraError("fronts of several objectives", "moocore", "bo") from error
    return moocore
