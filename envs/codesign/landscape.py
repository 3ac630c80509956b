"""The audit: is a co-design task worth searching?"""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING

import numpy as np

from accelgym.envs.audits import RANDOM_DESIGNS, best_regret, verdict
from accelgym.envs.mapping.landscape import constant_designs, tied_orders
from accelgym.envs.mapping.mapspace import Size
from accelgym.envs.mapping.search import climb
from accelgym.envs.task import Audit

if TYPE_CHECKING:
    from accelgym.envs.codesign.task import CoDesignTask

__all__ = ["audit_codesign"]

_MORE_AREA = 4.0


def audit_codesign(task: CoDesignTask, rng: np.random.Generator) -> Audit:
    """Measures the landscape of a co-design task.

    * a *constant* design wants every factor in the same slot and the same order everywhere, on any machine, repaired;
    * *greedy* climbs from the mapping with all loops outermost, on every machine of the family;
    * the *constraint* is the area: the optimum with four times as much.

    Args:
        task: The task.
        rng: Source of the random designs.
    """
    reference = task.reference()
    optimum = reference.value
    best = np.array(reference.design, dtype=np.int64)
    regret = partial(best_regret, task, optimum)

    sizes = [len(x.words) for x in task.mapspace.decisions if isinstance(x, Size)]
    constant = np.repeat(constant_designs(task, task.problem.dims), int(np.prod(sizes)), axis=0)
    constant[:, 0], constant[:, 1] = np.unravel_index(np.arange(len(constant)) % int(np.prod(sizes)), sizes)
    greedy = []
    for machine in range(len(task.family.machines)):
        mapping = task.on_machine(machine)
        greedy.append(climb(mapping.pricing, mapping.candidate(mapping.outermost))[1])
    more = task.with_area(task.family.area_um2 * _MORE_AREA).reference()
    shared = {
        "constant_regret": regret(task.repair(constant, rng)),
        "random_regret": regret(task.sample_feasible(rng, RANDOM_DESIGNS)),
        "tied_optima": tied_orders(task, best, optimum),
        "relaxed_optimum_ratio": min(1.0, more.value / optimum),
    }
    machine = int(task.machines(best[None])[0])
    return Audit(
        optimum=optimum,
        gap=reference.gap,
        log10_cardinality=float(np.log10(task.space.nvec).sum()),
        feasible_fraction=float(task.evaluate(task.space.sample(rng, RANDOM_DESIGNS)).feasible.mean()),
        greedy_regret=min(greedy) / optimum - 1,
        budget_used=task.family.machines[machine].architecture.area_um2 / task.family.area_um2,
        verdict=verdict(shared, constraint="the area"),
        **shared,
    )
