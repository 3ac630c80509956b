"""The audit: is a mapping task worth searching?"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from functools import partial
from typing import TYPE_CHECKING

import numpy as np

from accelgym.envs.audits import RANDOM_DESIGNS, best_regret, verdict
from accelgym.envs.mapping.mapspace import Order, Place
from accelgym.envs.mapping.search import climb
from accelgym.envs.space import Designs
from accelgym.envs.task import Audit

if TYPE_CHECKING:
    from accelgym.envs.mapping.task import MappingTask

__all__ = ["audit_mapping", "constant_designs", "fullest_share", "tied_orders", "unlimited_task"]

_RELAXED_STARTS = 4


def audit_mapping(task: MappingTask, rng: np.random.Generator) -> Audit:
    """Measures the landscape of a mapping task.

    For this kind of task

    * a *constant* design wants every factor in the same slot and the same order at every level, and is repaired;
    * *greedy* moves single prime factors, always the one that saves most, from the mapping with all loops outermost;
    * the *constraint* is the capacity of the memories.

    Args:
        task: The task.
        rng: Source of the random designs.
    """
    reference = task.reference()
    optimum = reference.value
    regret = partial(best_regret, task, optimum)

    relaxed = unlimited_task(task)
    ideal = min(optimum, relaxed.best_of_descents(_RELAXED_STARTS, rng)[1])
    greedy = climb(task.pricing, task.candidate(task.outermost))
    best = np.array(reference.design, dtype=np.int64)
    shared = {
        "constant_regret": regret(task.repair(constant_designs(task, task.problem.dims), rng)),
        "random_regret": regret(task.sample_feasible(rng, RANDOM_DESIGNS)),
        "tied_optima": tied_orders(task, best, optimum),
        "relaxed_optimum_ratio": ideal / optimum,
    }
    return Audit(
        optimum=optimum,
        gap=reference.gap,
        log10_cardinality=float(np.log10(task.space.nvec).sum()),
        feasible_fraction=float(task.evaluate(task.space.sample(rng, RANDOM_DESIGNS)).feasible.mean()),
        greedy_regret=greedy[1] / optimum - 1,
        budget_used=fullest_share(task, best),
        verdict=verdict(shared),
        **shared,
    )


def constant_designs(task: MappingTask, innermost: Sequence[str]) -> Designs:
    """Returns designs that want all factors in one slot, crossed with one order for all levels.

    Args:
        task: The task.
        innermost: Names of dimensions that the orders begin with.
    """
    decisions = task.mapspace.decisions
    rows = []
    for slot in range(len(task.mapspace.slot_names)):
        for name in innermost:
            first = task.problem.dims.index(name) if name in task.problem.dims else -1
            row = np.zeros(len(decisions), dtype=np.int64)
            for j, decision in enumerate(decisions):
                if isinstance(decision, Place):
                    row[j] = int(np.abs(np.array(decision.slots) - slot).argmin())
                elif isinstance(decision, Order) and decision.digit == 0 and first in decision.dims:
                    row[j] = decision.dims.index(first)
            rows.append(row)
    return np.array(rows)


def unlimited_task(task: MappingTask) -> MappingTask:
    """Returns the task on a machine whose memories are not limited."""
    levels = tuple(replace(level, capacity_words=None) for level in task.architecture.levels)
    return type(task)(
        problem=task.problem,
        machine=replace(task.architecture, levels=levels),
        objective=task.spec.objective,
        bypass=task.spec.bypass,
    )


def tied_orders(task: MappingTask, best: Designs, optimum: float) -> float:
    """Counts designs that differ from the optimum in the order of one level and are as good; at least 1."""
    tied = 1.0
    for v in range(len(task.architecture.levels) - 1):
        digits = [j for j, x in enumerate(task.mapspace.decisions) if isinstance(x, Order) and x.level == v]
        if digits:
            sizes = tuple(int(n) for n in task.space.nvec[digits])
            designs = np.repeat(best[None], int(np.prod(sizes)), axis=0)
            designs[:, digits] = np.stack(np.unravel_index(np.arange(len(designs)), sizes), axis=1)
            tied += float((task.evaluate(designs).score <= optimum * (1 + 1e-12)).sum() - 1)
    return tied


def fullest_share(task: MappingTask, best: Designs) -> float:
    """Returns the share of its capacity that the fullest memory uses."""
    costs = task.model.evaluate(task.mapspace.decode(best[None])).breakdown
    shares = [0.0]
    for level in task.architecture.levels:
        if level.tile_capacity is not None:
            words = [costs.get(f"{level.name}.{t}.tile_words", np.zeros(1))[0] for t in task.problem.tensor_names]
            shares.append(float(sum(words)) / level.tile_capacity)
    return max(shares)
