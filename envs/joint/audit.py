"""Landscape of a joint task, for its audit."""

from __future__ import annotations

import numpy as np

from accelgym.costmodels.solvers.joint import two_level_greedy
from accelgym.envs.hardness import Landscape, landscape
from accelgym.envs.joint.task import JointTask

__all__ = ["joint_landscape"]


@landscape.register
def joint_landscape(task: JointTask, rng: np.random.Generator) -> Landscape:
    """Greedy is the two-level rule: every machine, the scheduler's mappings, ratios and swaps.

    The budget is the area.

    Args:
        task: The task.
        rng: Not used.
    """
    best = np.array(task.reference().design)
    choice, evaluations = two_level_greedy(task.problem)
    near = task.neighbours(best)
    tied = (task.evaluate(near).objective == task.reference().value).sum() if len(near) else 0
    return Landscape(
        greedy=None if choice is None else task.design(choice)[None],
        greedy_evaluations=evaluations,
        tied_optima=1.0 + float(tied),
        budget_used=float(task.evaluate(best[None]).costs["area_nand2"][0] / task.spec.area_budget),
    )
