"""The audit: is a task worth searching, or does a constant answer it?"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from accelgym.costmodels.solvers import allocate_greedily
from accelgym.envs.audits import RANDOM_DESIGNS, verdict
from accelgym.envs.resource_assignment.table import AssignmentTable
from accelgym.envs.task import Audit

if TYPE_CHECKING:
    from accelgym.envs.resource_assignment.task import ResourceAssignmentTask

__all__ = ["audit_table"]


def audit_table(task: ResourceAssignmentTask, table: AssignmentTable, rng: np.random.Generator) -> Audit:
    """Measures the landscape of a resource-assignment task.

    Args:
        task: The task.
        table: Its tabulated options.
        rng: Source of the random designs.
    """
    reference = task.reference()
    optimum = reference.value
    best = task.actions(np.array([reference.design]))[0]

    def regret(options: np.ndarray) -> float:
        score = task.evaluate(task.designs(options)).score
        return float(score.min() / optimum - 1) if optimum else float(score.min())

    constant = np.repeat(np.arange(table.options)[:, None], table.slots, axis=1)
    greedy = allocate_greedily(
        table.cost, table.resource, table.limit, table.allowed, aggregate_max=table.aggregate_max
    )
    uniform = task.space.sample(rng, RANDOM_DESIGNS)
    chosen_cost = table.gather(table.cost, best[None])[0]
    chosen_resource = table.gather(table.resource, best[None])[0]
    ceiling = np.full(table.slots, optimum) if table.aggregate_max else chosen_cost
    equal = (table.cost <= ceiling[:, None]) & (table.resource <= chosen_resource[:, None]) & table.allowed
    ideal = table.aggregate(table.best_cost[None])[0]
    shared = {
        "constant_regret": regret(constant),
        "random_regret": regret(table.sample_feasible(rng, RANDOM_DESIGNS)),
        "tied_optima": float(np.prod(equal.sum(axis=1, dtype=np.float64))),
        "relaxed_optimum_ratio": float(ideal / optimum) if optimum else 1.0,
    }
    return Audit(
        optimum=optimum,
        gap=reference.gap,
        log10_cardinality=float(np.log10(task.space.nvec).sum()),
        feasible_fraction=float(task.evaluate(uniform).feasible.mean()),
        budget_used=float(chosen_resource.sum() / table.capacity),
        greedy_regret=regret(greedy[None]) if greedy is not None else float("inf"),
        verdict=verdict(shared),
        **shared,
    )
