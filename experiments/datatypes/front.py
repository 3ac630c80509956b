"""Cost against loss: the exact front of a table beside what NSGA-II finds with a number of evaluations."""

from __future__ import annotations

from typing import Any

import numpy as np

from accelgym.agents.adapters.nsga2 import nsga2_front
from accelgym.envs.datatype.task import DatatypeTask
from accelgym.envs.pareto import relative_hypervolume

__all__ = ["BUDGETS", "compare_front"]

BUDGETS = (1_000, 10_000)
"""Evaluations of NSGA-II."""
_SEEDS = 3
_POPULATION = 100
"""pymoo's default."""


def compare_front(network: str, hardware: str) -> dict[str, Any]:
    """Returns the size of the exact front and the share of its hypervolume that NSGA-II reaches.

    Both axes are scaled to the range of the exact front; the reference point is its worst of each, so the hypervolume
    counts what lies between the cheapest and the least lossy design.

    Args:
        network: A shipped network.
        hardware: A name in ``HARDWARE``.
    """
    limited = DatatypeTask(network=network, hardware=hardware)
    _, cost, loss = limited.front()
    task = DatatypeTask(network=network, hardware=hardware, max_loss=float(loss.max()))
    exact = np.stack((cost, loss), axis=1)
    found: dict[str, Any] = {"points": len(exact)}
    names = ["energy_pj", "table_loss"]
    for budget in BUDGETS:
        fronts = [
            nsga2_front(task, names, budget, seed, population=_POPULATION, repair=False)[1] for seed in range(_SEEDS)
        ]
        found[f"nsga2_{budget}"] = [relative_hypervolume(front, exact, beyond=1.0) for front in fronts]
    return found
