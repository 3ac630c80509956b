"""What a mapping task says about its landscape."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from accelgym.envs.hardness import Landscape, landscape
from accelgym.envs.mapping.mapspace import Order
from accelgym.envs.mapping.search import climb
from accelgym.envs.mapping.task import MappingTask
from accelgym.envs.space import Designs

__all__ = ["fullest_share", "greedy_mapping", "mapping_landscape", "tied_orders", "unlimited_task"]

_RELAXED_STARTS = 4


@landscape.register
def mapping_landscape(task: MappingTask, rng: np.random.Generator) -> Landscape:
    """Greedy moves single prime factors, always the one that saves most, from the mapping with all loops outermost.

    The constraint is the capacity of the memories; its relaxed optimum is the best of four descents.

    Args:
        task: The task.
        rng: Source of the starts of the descents.
    """
    reference = task.reference()
    best = np.array(reference.design, dtype=np.int64)
    relaxed = unlimited_task(task)
    greedy, evaluations = greedy_mapping(task)
    return Landscape(
        greedy=greedy,
        greedy_evaluations=evaluations,
        tied_optima=tied_orders(task, best, reference.value),
        relaxed_optimum=min(reference.value, relaxed.best_of_descents(_RELAXED_STARTS, rng)[1]),
        budget_used=fullest_share(task, best),
    )


def greedy_mapping(task: MappingTask) -> tuple[Designs, int]:
    """Returns the design of the greedy rule, shape ``(1, parameters)``, and the evaluations it took."""
    before = task.pricing.spent
    found, _ = climb(task.pricing, task.candidate(task.outermost))
    return task.encode(found), task.pricing.spent - before


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
