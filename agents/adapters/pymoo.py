"""pymoo drives a task (extra ``bo``): a vectorised integer problem with one inequality constraint.

Example::

    problem = TaskProblem(task)
    algorithm = GA(pop_size=32, sampling=FeasibleSampling(), repair=TaskRepair())
    result = pymoo.optimize.minimize(problem, algorithm, ("n_eval", 2000), seed=0)
    problem.counter.best

"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

from accelgym.agents.adapters.counter import DesignRepair, EvaluationCounter, figures, objective_names
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

    ``F`` has the shape ``(n, objectives)``, ``G`` the shape ``(n, 1)``; a design is feasible when ``G <= 0``. Both are
    finite: an invalid design has the worst value of a valid one so far, and the largest violation. Real-valued
    proposals are rounded to the nearest index.

    Args:
        task: The task; the objects of a run share its :attr:`counter`.
        counter: Counts the evaluations and keeps the best feasible design.
        repair: Evaluate feasible designs near the proposals, which themselves stay as they are; :class:`TaskRepair`
            replaces them.
        seed: Of the repairs.
        objectives: Names of costs to minimise in place of the task's objective, such as ``energy_pj``.

    Raises:
        InputError: The task has no such cost; raised by the first evaluation.
    """

    def __init__(
        self,
        task: Task,
        counter: EvaluationCounter | None = None,
        *,
        repair: bool = False,
        seed: int = 0,
        objectives: Sequence[str] | None = None,
    ) -> None:
        self.task = task
        self.counter = counter or EvaluationCounter(task)
        self._mend, self._names = DesignRepair(task, repair, seed), objective_names(objectives)
        top = task.space.nvec - 1
        size = len(self._names)
        super().__init__(n_var=len(top), n_obj=size, n_ieq_constr=1, xl=np.zeros_like(top), xu=top, vtype=int)

    def designs(self, x: npt.NDArray[Any]) -> Designs:
        """Rounds proposals of shape ``(n, parameters)`` to designs."""
        return np.clip(np.rint(np.asarray(x, dtype=np.float64)), 0, self.task.space.nvec - 1).astype(np.int64)

    def _evaluate(self, x: npt.NDArray[Any], out: dict[str, Any], *args: Any, **kwargs: Any) -> None:
        found = figures(self.counter, self.counter.evaluate(self._mend(self.designs(x))), self._names)
        out["F"] = found.objectives
        out["G"] = found.violation[:, None]


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
