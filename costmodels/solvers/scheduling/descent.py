"""Good schedules: local search over assignments and orders of one chip."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from accelgym.costmodels.solvers.scheduling.list_schedule import order_of_codes, run_schedules, worth
from accelgym.costmodels.solvers.scheduling.problem import SchedulingProblem
from accelgym.costmodels.solvers.scheduling.rules import ScheduleDesigns

__all__ = ["evaluate_schedules", "improve"]

Floats = npt.NDArray[np.float64]

_ROWS = 128


def evaluate_schedules(problem: SchedulingProblem, designs: ScheduleDesigns) -> Floats:
    """Returns the objective of designs, ``(n,)``."""
    order = order_of_codes(problem, designs.codes)
    return worth(problem, run_schedules(problem, designs.sizes, designs.assignment, order))


def improve(
    problem: SchedulingProblem,
    designs: ScheduleDesigns,
    rng: np.random.Generator,
    rounds: int,
    floor: float = 0.0,
) -> tuple[ScheduleDesigns, float]:
    """Returns the best design that random moves from given ones find, and what it is worth.

    Each round tries 128 neighbours of the best designs: one to three layers moved to another accelerator that may run
    them, one to three codes of the order drawn anew.

    Args:
        problem: The problem.
        designs: Where to start; at least one.
        rng: Draws the moves.
        rounds: Most rounds; it ends after a third of them without progress, too.
        floor: A lower bound, at which it ends.
    """
    value = evaluate_schedules(problem, designs)
    layers, width = np.arange(len(problem.layers)), problem.width
    pool = designs.rows(np.argsort(value, kind="stable")[:8])
    value = np.sort(value, kind="stable")[:8]
    idle = 0
    for _ in range(rounds):
        if value[0] <= floor or idle > rounds // 3:
            break
        parents = pool.rows(np.minimum(rng.geometric(0.4, _ROWS) - 1, len(pool) - 1))
        assignment, codes = parents.assignment.copy(), parents.codes.copy()
        rows = np.arange(_ROWS)
        for _ in range(int(rng.integers(1, 4))):
            layer = rng.integers(0, len(layers), _ROWS)
            where = rng.integers(0, len(problem.accelerators), _ROWS)
            fits = problem.allowed[layer, where, parents.sizes[rows, where]] & (rng.random(_ROWS) < 0.7)
            assignment[rows[fits], layer[fits]] = where[fits]
            if width > 1:
                moved = rng.random(_ROWS) < 0.6
                step = rng.integers(0, codes.shape[1], _ROWS)
                drawn = np.minimum(rng.geometric(0.6, _ROWS) - 1, width - 1)
                codes[rows[moved], step[moved]] = drawn[moved]
        near = ScheduleDesigns(parents.sizes, assignment, codes)
        joined = ScheduleDesigns.joined([pool, near])
        values = np.concatenate((value, evaluate_schedules(problem, near)))
        distinct = np.unique(np.concatenate((joined.assignment, joined.codes), axis=1), axis=0, return_index=True)[1]
        best = np.sort(distinct)[np.argsort(values[np.sort(distinct)], kind="stable")][:8]
        idle = 0 if values[best[0]] < value[0] else idle + 1
        pool, value = joined.rows(best), values[best]
    return pool.rows([0]), float(value[0])
