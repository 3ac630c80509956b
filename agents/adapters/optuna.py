"""Optuna drives a task (extra ``bo``): search space, objective and constraint.

Example::

    counter = EvaluationCounter(task)
    study = optuna.create_study(sampler=optuna.samplers.TPESampler(seed=0))
    study.optimize(optuna_objective(task, counter), n_trials=300)
    counter.best

With several objectives, ``create_study(directions=["minimize"] * 2)`` and
``optuna_objective(task, objectives=("energy_pj", "latency_cycles"))``.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt

from accelgym.agents.adapters.counter import DesignRepair, EvaluationCounter, figures, objective_names
from accelgym.costmodels.errors import MissingExtraError
from accelgym.envs.space import Space
from accelgym.envs.task import Task

try:
    import optuna
except ImportError as error:
    raise MissingExtraError("the Optuna adapter", "optuna", "bo") from error

if TYPE_CHECKING:
    from optuna.trial import Trial

__all__ = ["optuna_objective", "space_distributions", "suggest_design"]

_CONSTRAINT = "budget"


def space_distributions(space: Space) -> dict[str, optuna.distributions.BaseDistribution]:
    """Returns the space as Optuna distributions over value indices.

    Ordered parameters become integers, unordered ones categories.
    """
    kinds = optuna.distributions
    return {
        p.name: kinds.IntDistribution(0, len(p.values) - 1)
        if p.ordered
        else kinds.CategoricalDistribution(range(len(p.values)))
        for p in space.parameters
    }


def suggest_design(trial: Trial, task: Task) -> npt.NDArray[np.int64]:
    """Lets a trial suggest a design, feasible or not; value indices of shape ``(parameters,)``."""
    row = [
        trial.suggest_int(p.name, 0, len(p.values) - 1)
        if p.ordered
        else trial.suggest_categorical(p.name, range(len(p.values)))
        for p in task.space.parameters
    ]
    return np.array(row, dtype=np.int64)


def optuna_objective(
    task: Task,
    counter: EvaluationCounter | None = None,
    *,
    repair: bool = False,
    seed: int = 0,
    objectives: Sequence[str] | None = None,
) -> Callable[[Trial], float | tuple[float, ...]]:
    """Returns an objective for ``study.optimize`` (direction ``minimize``).

    The value is the task's objective, also beyond the budget; the relative overshoot is set as the trial's
    constraint, which Optuna's samplers and its best trial respect. An invalid design has the worst value of a valid one
    so far, and the largest violation.

    Args:
        task: The task.
        counter: Counts the evaluations and keeps the best feasible design.
        repair: Evaluate a feasible design near what a trial suggests; the trial's user attribute ``design`` holds it.
            Where hardly any design is feasible, as of mappings, nothing is learnt without it.
        seed: Of the repairs.
        objectives: Names of costs to minimise in place of the task's objective, such as ``energy_pj``; with more than
            one the study needs as many directions.

    Raises:
        InputError: The task has no such cost; raised by the first trial.
    """
    counter = counter or EvaluationCounter(task)
    mend, names = DesignRepair(task, repair, seed), objective_names(objectives)

    def objective(trial: Trial) -> float | tuple[float, ...]:
        design = mend(suggest_design(trial, task)[None])
        found = figures(counter, counter.evaluate(design), names)
        trial.set_user_attr("design", design[0].tolist())
        trial.set_constraint(_CONSTRAINT, float(found.violation[0]))
        values = tuple(float(value) for value in found.objectives[0])
        return values if len(values) > 1 else values[0]

    return objective
