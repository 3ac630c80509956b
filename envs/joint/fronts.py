"""Several objectives at once: latency, energy, area and loss of designs, and exact Pareto fronts."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt

from accelgym.costmodels.errors import InputError, unknown_name
from accelgym.envs.joint.task import JointTask
from accelgym.envs.pareto import nondominated
from accelgym.envs.space import Designs

__all__ = ["MOST_ENUMERATED", "exact_front", "figures_of", "objective_names"]

Floats = npt.NDArray[np.float64]

MOST_ENUMERATED = 5_000_000
"""Designs that are all evaluated, at most."""
_BLOCK = 2**16


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
        keep = nondominated(points)
        designs, points = designs[first][keep], points[keep]
    return designs, points
