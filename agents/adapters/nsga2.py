"""NSGA-II of pymoo as the baseline for several objectives (extra ``bo``)."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

from accelgym.agents.adapters.pymoo import FeasibleSampling, TaskProblem, TaskRepair
from accelgym.costmodels.errors import MissingExtraError
from accelgym.envs.space import Designs
from accelgym.envs.task import Task

try:
    from pymoo.algorithms.moo.nsga2 import NSGA2
    from pymoo.operators.crossover.sbx import SBX
    from pymoo.operators.mutation.pm import PM
    from pymoo.operators.repair.rounding import RoundingRepair
    from pymoo.optimize import minimize
except ImportError as error:
    raise MissingExtraError("NSGA-II", "pymoo", "bo") from error

__all__ = ["nsga2_front"]


def nsga2_front(
    task: Task, objectives: Sequence[str], budget: int, seed: int, *, population: int = 50, repair: bool = True
) -> tuple[Designs, npt.NDArray[np.float64]]:
    """Returns the non-dominated feasible designs of the last population, and their costs.

    Args:
        task: The task; its limits hold.
        objectives: Names of costs to minimise together.
        budget: Evaluations.
        seed: Of the algorithm and of the repairs.
        population: Designs of a generation.
        repair: Start from feasible designs, and vary by whole indices and repair what breaks a limit; without it,
            pymoo's defaults: uniform samples, and real numbers that are rounded when they are evaluated.

    Returns:
        Designs, shape ``(n, parameters)``, and costs, shape ``(n, objectives)``.
    """
    problem = TaskProblem(task, seed=seed, objectives=objectives)
    result = minimize(
        problem,
        NSGA2(pop_size=min(population, budget), **(_whole_indices() if repair else {})),
        ("n_eval", budget),
        seed=seed,
    )
    return problem.designs(np.atleast_2d(result.X)), np.atleast_2d(result.F)


def _whole_indices() -> dict[str, Any]:
    return {
        "sampling": FeasibleSampling(),
        "crossover": SBX(prob=0.9, eta=3.0, vtype=float, repair=RoundingRepair()),
        "mutation": PM(eta=3.0, vtype=float, repair=RoundingRepair()),
        "repair": TaskRepair(),
    }
