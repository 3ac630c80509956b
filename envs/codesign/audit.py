"""What a co-design task says about its landscape."""

from __future__ import annotations

import numpy as np

from accelgym.envs.codesign.task import CoDesignTask
from accelgym.envs.hardness import Landscape, landscape
from accelgym.envs.mapping.audit import greedy_mapping, tied_orders

__all__ = ["codesign_landscape"]

_MORE_AREA = 4.0


@landscape.register
def codesign_landscape(task: CoDesignTask, rng: np.random.Generator) -> Landscape:
    """Greedy is that of a mapping task, on every machine of the family; the constraint is the area.

    The relaxed optimum is the one with four times as much.

    Args:
        task: The task.
        rng: Not used.
    """
    reference = task.reference()
    best = np.array(reference.design, dtype=np.int64)
    greedy, evaluations = [], 0
    for machine in range(len(task.family.machines)):
        found, spent = greedy_mapping(task.on_machine(machine))
        greedy.append(task.join(machine, found))
        evaluations += spent
    more = task.with_area(task.family.area_um2 * _MORE_AREA).reference()
    machine = int(task.machines(best[None])[0])
    return Landscape(
        greedy=np.concatenate(greedy),
        greedy_evaluations=evaluations,
        tied_optima=tied_orders(task, best, reference.value),
        relaxed_optimum=min(reference.value, more.value),
        budget_used=task.family.machines[machine].architecture.area_um2 / task.family.area_um2,
    )
