"""What a resource-assignment task says about its landscape."""

from __future__ import annotations

import numpy as np

from accelgym.costmodels.solvers import allocate_greedily
from accelgym.envs.hardness import Landscape, landscape
from accelgym.envs.resource_assignment.task import ResourceAssignmentTask

__all__ = ["assignment_landscape"]


@landscape.register
def assignment_landscape(task: ResourceAssignmentTask, rng: np.random.Generator) -> Landscape:
    """Marginal allocation: constant designs tabulate every option, then the best saving per resource is bought.

    Args:
        task: The task.
        rng: Not used.
    """
    table = task.table
    optimum = task.reference().value
    best = task.actions(np.array([task.reference().design]))[0]
    greedy = allocate_greedily(
        table.cost, table.resource, table.limit, table.allowed, aggregate_max=table.aggregate_max
    )
    chosen_cost = table.gather(table.cost, best[None])[0]
    chosen_resource = table.gather(table.resource, best[None])[0]
    ceiling = np.full(table.slots, optimum) if table.aggregate_max else chosen_cost
    equal = (table.cost <= ceiling[:, None]) & (table.resource <= chosen_resource[:, None]) & table.allowed
    return Landscape(
        greedy=None if greedy is None else task.designs(greedy[None]),
        greedy_evaluations=table.options + 1,
        tied_optima=float(np.prod(equal.sum(axis=1, dtype=np.float64))),
        relaxed_optimum=float(table.aggregate(table.best_cost[None])[0]),
        budget_used=float(chosen_resource.sum() / table.capacity),
    )
