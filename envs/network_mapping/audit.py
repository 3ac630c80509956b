"""What a network-mapping task says about its landscape."""

from __future__ import annotations

import numpy as np

from accelgym.costmodels.objective import Objective
from accelgym.envs.hardness import Landscape, landscape
from accelgym.envs.mapping.audit import fullest_share, greedy_mapping, tied_orders, unlimited_task
from accelgym.envs.mapping.pricing import combine
from accelgym.envs.mapping.search import descend
from accelgym.envs.network_mapping.task import NetworkMappingTask

__all__ = ["network_landscape"]

_RELAXED_STARTS = 2


@landscape.register
def network_landscape(task: NetworkMappingTask, rng: np.random.Generator) -> Landscape:
    """As for single layers (:func:`~accelgym.envs.mapping.audit.mapping_landscape`); greedy works layer by layer.

    Its evaluations are those of the layer that takes most, since one evaluation prices all layers.

    Args:
        task: The task.
        rng: Source of the starts of the descents.
    """
    optimum = task.reference().value
    greedy = [greedy_mapping(layer) for layer in task.layers]
    relaxed = [unlimited_task(layer) for layer in task.layers]
    best = list(task.split(np.array([task.reference().design])))
    designs = []
    for x, (_, part) in zip(relaxed, best, strict=True):
        tries = (descend(x.pricing, x.candidate(part[0]), rng), x.best_of_descents(_RELAXED_STARTS, rng))
        designs.append(x.encode(min(tries, key=lambda found: found[1])[0]))
    costs = [x.evaluate(design).costs for x, design in zip(relaxed, designs, strict=True)]
    energy, cycles = (
        float(sum(weight * cost[name][0] for weight, cost in zip(task.weights, costs, strict=True)))
        for name in ("energy_pj", "latency_cycles")
    )
    tied = np.ones(1)
    if task.spec.objective is not Objective.EDP:  # layers tie by themselves only where costs add up
        tied = np.array([tied_orders(x, part[0], float(x.evaluate(part).objective[0])) for x, part in best])
    return Landscape(
        greedy=np.concatenate([design for design, _ in greedy], axis=1),
        greedy_evaluations=max(evaluations for _, evaluations in greedy),
        tied_optima=float(tied.prod()),
        most_tied=float(tied.max()),
        relaxed_optimum=min(optimum, float(combine(task.spec.objective, np.array(energy), np.array(cycles)))),
        budget_used=max(fullest_share(x, part[0]) for x, part in best),
    )
