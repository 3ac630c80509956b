"""Lower bounds of the scheduling problem by Lagrangian relaxation: no solver needed."""

from __future__ import annotations

from itertools import combinations

import numpy as np
import numpy.typing as npt

from accelgym.costmodels.objective import Objective
from accelgym.costmodels.solvers.scheduling.problem import SchedulingProblem

__all__ = ["chip_bounds", "objective_bound", "shares_of_load"]

Floats = npt.NDArray[np.float64]
Ints = npt.NDArray[np.int64]

_STEPS = {1: 1, 2: 200, 3: 40}
"""Steps from 0 to 1 of the multipliers, by the number of accelerators; any multipliers give a bound."""


def shares_of_load(accelerators: int) -> Floats:
    """Returns multipliers that add up to 1, one an accelerator, ``(multipliers, K)``."""
    steps = _STEPS.get(accelerators, 12)
    bars = np.array(list(combinations(range(steps + accelerators - 1), accelerators - 1))).reshape(-1, accelerators - 1)
    edges = np.pad(bars, ((0, 0), (1, 1)), constant_values=(-1, steps + accelerators - 1))
    return (np.diff(edges, axis=1) - 1) / steps


def chip_bounds(problem: SchedulingProblem, chips: Ints) -> tuple[Floats, Floats]:
    """Bounds makespan and energy of every chip, each ``(chips,)``.

    The makespan is at least the longest path of shortest durations, and at least any average of the loads of the
    accelerators: for given shares the best assignment is that of each layer alone. So it is for the energy, in which
    the makespan counts with the leakage.

    Args:
        problem: The problem.
        chips: Sizes, ``(chips, K)``.
    """
    columns = np.arange(len(problem.accelerators)), chips
    allowed = problem.allowed[:, *columns]  # (L, chips, K)
    ticks = np.where(allowed, problem.ticks[:, *columns], np.inf)
    energy = np.where(allowed, problem.energy_pj[:, *columns], np.inf)
    leakage = problem.leakage_pj[columns].sum(axis=1)
    shares, batches = shares_of_load(len(problem.accelerators)), problem.batches
    shortest = ticks.min(axis=2)
    path = np.zeros(len(chips))
    for chip in range(len(chips)):
        # The last batch of a layer waits for the others, which run on the same accelerator.
        own = shortest[:, chip]
        path[chip] = (problem.heads(own) + batches * own + problem.tails(own)).max()
    load, total = np.zeros(len(chips)), np.zeros(len(chips))
    for share in shares:
        weighted = np.where(allowed, share * np.where(allowed, ticks, 0.0), np.inf)
        load = np.maximum(load, batches * weighted.min(axis=2).sum(axis=0))
        sums = energy + leakage[None, :, None] * weighted
        total = np.maximum(total, batches * sums.min(axis=2).sum(axis=0))
    makespan = np.maximum(path, np.ceil(load * (1 - 1e-12)))
    least = batches * energy.min(axis=2).sum(axis=0) + leakage * makespan
    return makespan, np.maximum(total, least) * (1 - 1e-12)


def objective_bound(problem: SchedulingProblem, makespan: Floats, energy: Floats) -> Floats:
    """Returns the bound of the objective from those of its parts, any one shape."""
    return np.asarray(
        {Objective.LATENCY: makespan, Objective.ENERGY: energy, Objective.EDP: makespan * energy}[problem.objective]
    )
