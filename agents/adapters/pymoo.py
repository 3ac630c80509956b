"""pymoo drives a task (extra ``bo``): a vectorised integer problem with one inequality constraint.

Example::

    problem = TaskProblem(task)
    algorithm = GA(pop_size=32, sampling=FeasibleSampling(), repair=TaskRepair())
    result = pymoo.optimize.minimize(problem, algorithm, ("n_eval", 2000), seed=0)
    problem.counter.best

"""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt

from accelgym.agents.adapters.counter import EvaluationCounter
from accelgym.costmodels.errors import MissingExtraError
from accelgym.envs.space import Designs
from accelgym.envs.task import Task

try:
    from pymoo.core.problem import Problem
    from pymoo.core.repair import Repair
    from pymoo.core.sampling import Sampling
except ImportError as error:
    raise MissingExtraError("the pymoo adapter", "pymoo", "bo") from error

__all__ = ["FeasibleSampling", "TaskProblem", "TaskRepair"]


class TaskProblem(Problem):  # type: ignore[misc]
    """A task as a pymoo problem: value indices in, objective ``F`` and relative overshoot ``G`` out.

    ``F`` and ``G`` have the shape ``(n, 1)``; a design is feasible when ``G <= 0``, and both are ``inf`` for an
    invalid one. Real-valued proposals are rounded to the nearest index.

    Args:
        task: The task; the objects of a run share its :attr:`counter`.
        counter: Counts the evaluations and keeps the best feasible design.
    """

    def __init__(self, task: Task, counter: EvaluationCounter | None = None) -> None:
        self.task = task
        self.counter = counter or EvaluationCounter(task)
        top = task.space.nvec - 1
        super().__init__(n_var=len(top), n_obj=1, n_ieq_constr=1, xl=np.zeros_like(top), xu=top, vtype=int)

    def designs(self, x: npt.NDArray[Any]) -> Designs:
        """Rounds proposals of shape ``(n, parameters)`` to designs."""
        return np.clip(np.rint(np.asarray(x, dtype=np.float64)), 0, self.task.space.nvec - 1).astype(np.int64)

    def _evaluate(self, x: npt.NDArray[Any], out: dict[str, Any], *args: Any, **kwargs: Any) -> None:
        outcome = self.counter.evaluate(self.designs(x))
        out["F"] = outcome.objective[:, None]
        out["G"] = outcome.violation[:, None]


class FeasibleSampling(Sampling):  # type: ignore[misc]
    """Starts a pymoo algorithm from random feasible designs."""

    def _do(
        self,
        problem: TaskProblem,
        n_samples: int,
        *args: Any,
        random_state: np.random.Generator,
        **kwargs: Any,
    ) -> Designs:
        return problem.task.sample_feasible(random_state, n_samples)


class TaskRepair(Repair):  # type: ignore[misc]
    """Makes the offspring of a pymoo algorithm feasible before they are evaluated."""

    def _do(
        self,
        problem: TaskProblem,
        X: npt.NDArray[Any],
        *args: Any,
        random_state: np.random.Generator,
        **kwargs: Any,
    ) -> Designs:
        return problem.task.repair(problem.designs(X), random_state)
