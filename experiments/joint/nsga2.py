"""NSGA-II of pymoo as the baseline for several objectives (extra ``bo``)."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from accelgym.agents.adapters.pymoo import FeasibleSampling, TaskProblem, TaskRepair
from accelgym.costmodels.errors import MissingExtraError
from accelgym.envs.joint import JointTask
from accelgym.envs.space import Designs

try:
    from pymoo.algorithms.moo.nsga2 import NSGA2
    from pymoo.operators.crossover.sbx import SBX
    from pymoo.operators.mutation.pm import PM
    from pymoo.operators.repair.rounding import RoundingRepair
    from pymoo.optimize import minimize
except ImportError as error:
    raise MissingExtraError("NSGA-II", "pymoo", "bo") from error

__all__ = ["nsga2_designs"]

_POPULATION = 50


def nsga2_designs(task: JointTask, objectives: Sequence[str], budget: int, seed: int) -> Designs:
    """Returns the last population's non-dominated designs, shape ``(n, parameters)``.

    Args:
        task: The task; designs are repaired to keep its limits.
        objectives: Names of costs to minimise together.
        budget: Evaluations.
        seed: Of the algorithm and of the repairs.

    Raises:
        MissingExtraError: pymoo is not installed.
    """
    problem = TaskProblem(task, seed=seed, objectives=objectives)
    algorithm = NSGA2(
        pop_size=min(_POPULATION, budget),
        sampling=FeasibleSampling(),
        crossover=SBX(prob=0.9, eta=3.0, vtype=float, repair=RoundingRepair()),
        mutation=PM(eta=3.0, vtype=float, repair=RoundingRepair()),
        repair=TaskRepair(),
    )
    result = minimize(problem, algorithm, ("n_eval", budget), seed=seed, verbose=False)
    return problem.designs(np.atleast_2d(result.X))
