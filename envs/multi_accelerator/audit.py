"""Landscape of a multi-accelerator task, for its audit."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from accelgym.costmodels.solvers.scheduling import chip_bounds, objective_bound, rule_designs
from accelgym.envs.hardness import Landscape, landscape
from accelgym.envs.multi_accelerator.task import MultiAcceleratorTask

__all__ = ["multi_accelerator_landscape"]


@landscape.register
def multi_accelerator_landscape(task: MultiAcceleratorTask, rng: np.random.Generator) -> Landscape:
    """Greedy list scheduling and HEFT on every chip that fits, for several weights of energy.

    Args:
        task: The task.
        rng: Not used.
    """
    problem = task.problem
    greedy = task.join_parts(rule_designs(problem, problem.chips))
    best = np.array(task.reference().design)
    sizes = best[None, : len(problem.accelerators)]
    area = problem.area_um2[np.arange(sizes.shape[1]), sizes].sum()
    room = replace(problem, area_limit_um2=np.inf)
    relaxed = objective_bound(room, *chip_bounds(room, room.chips)).min() * task.unit
    return Landscape(
        greedy=greedy,
        greedy_evaluations=len(greedy),
        relaxed_optimum=float(relaxed),
        budget_used=float(area / problem.area_limit_um2),
    )
