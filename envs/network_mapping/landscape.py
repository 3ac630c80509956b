"""The audit: is mapping this network worth searching?"""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING

import numpy as np

from accelgym.envs.audits import RANDOM_DESIGNS, best_regret, verdict
from accelgym.envs.mapping.landscape import constant_designs, fullest_share, tied_orders, unlimited_task
from accelgym.envs.mapping.pricing import combine
from accelgym.envs.mapping.search import climb, descend
from accelgym.envs.mapping.spec import MappingObjective
from accelgym.envs.task import Audit

if TYPE_CHECKING:
    from accelgym.envs.network_mapping.task import NetworkMappingTask

__all__ = ["audit_network"]

_RELAXED_STARTS = 2


def audit_network(task: NetworkMappingTask, rng: np.random.Generator) -> Audit:
    """Measures the landscape of a network-mapping task.

    As for a single layer (:func:`~accelgym.envs.mapping.landscape.audit_mapping`), a constant design makes the same
    wish in all layers, and greedy moves single prime factors in each layer by itself.

    Args:
        task: The task.
        rng: Source of the random designs.
    """
    reference = task.reference()
    optimum = reference.value
    regret = partial(best_regret, task, optimum)

    dims = dict.fromkeys(dim for layer in task.layers for dim in layer.problem.dims)
    constant = [layer.repair(constant_designs(layer, tuple(dims)), rng) for layer in task.layers]
    greedy = [layer.encode(climb(layer.pricing, layer.candidate(layer.outermost))[0]) for layer in task.layers]
    relaxed = [unlimited_task(layer) for layer in task.layers]
    best = list(task.split(np.array([reference.design])))
    designs = []
    for x, (_, part) in zip(relaxed, best, strict=True):
        tries = (descend(x.pricing, x.candidate(part[0]), rng), x.best_of_descents(_RELAXED_STARTS, rng))
        designs.append(x.encode(min(tries, key=lambda found: found[1])[0]))
    costs = [x.evaluate(design).costs for x, design in zip(relaxed, designs, strict=True)]
    energy, cycles = (
        float(sum(weight * cost[name][0] for weight, cost in zip(task.weights, costs, strict=True)))
        for name in ("energy_pj", "latency_cycles")
    )
    ideal = min(optimum, float(combine(task.spec.objective, np.array(energy), np.array(cycles))))
    tied = np.ones(1)
    if task.spec.objective is not MappingObjective.EDP:  # layers tie by themselves only where costs add up
        tied = np.array([tied_orders(x, part[0], float(x.evaluate(part).objective[0])) for x, part in best])
    shared = {
        "constant_regret": regret(np.concatenate(constant, axis=1)),
        "random_regret": regret(task.sample_feasible(rng, RANDOM_DESIGNS)),
        "relaxed_optimum_ratio": ideal / optimum,
    }
    return Audit(
        optimum=optimum,
        gap=reference.gap,
        log10_cardinality=float(np.log10(task.space.nvec).sum()),
        feasible_fraction=float(task.evaluate(task.space.sample(rng, RANDOM_DESIGNS)).feasible.mean()),
        greedy_regret=regret(np.concatenate(greedy, axis=1)),
        tied_optima=float(tied.prod()),
        budget_used=max(fullest_share(x, part[0]) for x, part in best),
        verdict=verdict(shared | {"tied_optima": float(tied.max())}, tied="mappings of one layer"),
        **shared,
    )
