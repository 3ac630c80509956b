"""The audit: is a hardware-generation task worth searching?"""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING

import numpy as np

from accelgym.envs.audits import RANDOM_DESIGNS, best_regret, verdict
from accelgym.envs.space import Designs
from accelgym.envs.task import Audit

if TYPE_CHECKING:
    from accelgym.envs.hwgen.task import HwGenTask

__all__ = ["audit_hwgen"]


def audit_hwgen(task: HwGenTask, rng: np.random.Generator) -> Audit:
    """Measures the landscape of a hardware-generation task.

    For this kind of task

    * a *constant* design takes the same relative size everywhere (all smallest to all largest), with any formats and
      template, and is repaired;
    * *greedy* starts at the smallest feasible design and takes the single change that saves most cycles, until none
      does;
    * the *constraint* is all limits together, but for the widths of formats.

    Args:
        task: The task.
        rng: Source of the random designs.
    """
    reference = task.reference()
    optimum = reference.value
    best = np.array(reference.design, dtype=np.int64)
    regret = partial(best_regret, task, optimum)

    largest = task.space.nvec - 1
    relaxed = np.stack([np.array([best[0], template, *largest[2:]]) for template in range(task.space.nvec[1])])
    outcome = task.evaluate(best[None])
    shared = {
        "constant_regret": regret(task.repair(_constants(task), rng)),
        "random_regret": regret(task.sample_feasible(rng, RANDOM_DESIGNS)),
        "tied_optima": _tied(task, best, optimum),
        "relaxed_optimum_ratio": min(float(task.cycles(relaxed).min()), optimum) / optimum,
    }
    return Audit(
        optimum=optimum,
        gap=reference.gap,
        log10_cardinality=float(np.log10(task.space.nvec).sum()),
        feasible_fraction=float(task.feasible.mean()),
        greedy_regret=regret(_greedy(task)[None]),
        budget_used=float(outcome.costs["area_nand2"][0] / task.spec.area_budget),
        verdict=verdict(shared),
        **shared,
    )


def _constants(task: HwGenTask) -> Designs:
    nvec = task.space.nvec
    rows = []
    for formats in range(nvec[0]):
        for template in range(nvec[1]):
            for share in np.linspace(0, 1, int(nvec.max())):
                rows.append([formats, template, *np.rint(share * (nvec[2:] - 1)).astype(int)])
    return np.array(rows, dtype=np.int64)


def _greedy(task: HwGenTask) -> Designs:
    """Best-improvement ascent from the smallest feasible design, one parameter at a time."""
    design = task.smallest
    cycles = int(task.cycles(design[None])[0])
    while True:
        near = task.neighbours(design)
        found = task.cycles(near)
        if len(near) == 0 or found.min() >= cycles:
            return design
        design, cycles = near[found.argmin()], int(found.min())


def _tied(task: HwGenTask, best: Designs, optimum: float) -> float:
    """Feasible single changes of the optimum that are as good, and the optimum."""
    near = task.neighbours(best)
    return 1.0 + float((task.cycles(near) == optimum).sum()) if len(near) else 1.0
