"""What a hardware-generation task says about its landscape."""

from __future__ import annotations

import numpy as np

from accelgym.envs.hardness import Landscape, landscape
from accelgym.envs.hwgen.task import HwGenTask
from accelgym.envs.space import Designs

__all__ = ["hwgen_landscape"]


@landscape.register
def hwgen_landscape(task: HwGenTask, rng: np.random.Generator) -> Landscape:
    """Greedy starts at the smallest feasible design and takes the single change that saves most cycles, to the end.

    The constraint is all limits together, but for the widths of formats.

    Args:
        task: The task.
        rng: Not used.
    """
    reference = task.reference()
    best = np.array(reference.design, dtype=np.int64)
    largest = task.space.nvec - 1
    relaxed = np.stack([np.array([best[0], template, *largest[2:]]) for template in range(task.space.nvec[1])])
    near = task.neighbours(best)
    greedy, evaluations = _greedy(task)
    return Landscape(
        greedy=greedy[None],
        greedy_evaluations=evaluations,
        tied_optima=1.0 + float((task.cycles(near) == reference.value).sum()) if len(near) else 1.0,
        relaxed_optimum=min(float(task.cycles(relaxed).min()), reference.value),
        budget_used=float(task.evaluate(best[None]).costs["area_nand2"][0] / task.spec.area_budget),
    )


def _greedy(task: HwGenTask) -> tuple[Designs, int]:
    """Best-improvement ascent from the smallest feasible design, one parameter at a time."""
    design = task.smallest
    cycles, evaluations = int(task.cycles(design[None])[0]), 1
    while True:
        near = task.neighbours(design)
        found = task.cycles(near)
        evaluations += len(near)
        if len(near) == 0 or found.min() >= cycles:
            return design, evaluations
        design, cycles = near[found.argmin()], int(found.min())
