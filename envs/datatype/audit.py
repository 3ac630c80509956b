"""Landscape of a datatype task, for its audit."""

from __future__ import annotations

import numpy as np

from accelgym.costmodels.solvers import allocate_greedily
from accelgym.envs.datatype.task import DatatypeTask
from accelgym.envs.hardness import Landscape, landscape

__all__ = ["datatype_landscape"]


@landscape.register
def datatype_landscape(task: DatatypeTask, rng: np.random.Generator) -> Landscape:
    """Greedy by ratio: from the least loss, the largest saving for each unit of loss until nothing fits.

    It tabulates every option with constant designs. Losses add up, so it nearly suffices.

    Args:
        task: The task.
        rng: Not used.
    """
    table = task.table
    best = task.actions(np.array([task.reference().design]))[0]
    greedy = allocate_greedily(table.cost, table.resource, table.limit, table.allowed)
    cost, loss = table.gather(table.cost, best[None])[0], table.gather(table.resource, best[None])[0]
    equal = (table.cost <= cost[:, None]) & (table.resource <= loss[:, None]) & table.allowed
    return Landscape(
        greedy=None if greedy is None else task.designs(greedy[None]),
        greedy_evaluations=table.options + 1,
        tied_optima=float(np.prod(equal.sum(axis=1, dtype=np.float64))),
        relaxed_optimum=float(table.best_cost.sum()),
        budget_used=float(loss.sum() / max(table.capacity, 1.0)),
    )
