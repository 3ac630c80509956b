"""Optuna drives a task (extra ``bo``): search space, objective and constraint.

Example::

    counter = EvaluationCounter(task)
    study = optuna.create_study(sampler=optuna.samplers.TPESampler(seed=0))
    study.optimize(optuna_objective(task, counter), n_trials=300)
    counter.best

"""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt

from accelgym.agents.adapters.counter import EvaluationCounter
from accelgym.costmodels.errors import MissingExtraError
from accelgym.envs.space import Space
from accelgym.envs.task import Task

try:
    import optuna
    from optuna.distributions import BaseDistribution, CategoricalDistribution, IntDistribution
except ImportError as error:
    raise MissingExtraError("the Optuna adapter", "optuna", "bo") from error

if TYPE_CHECKING:
    from optuna.trial import Trial

__all__ = ["optuna_objective", "space_distributions", "suggest_design"]

_CONSTRAINT = "budget"


def space_distributions(space: Space) -> dict[str, BaseDistribution]:
    """Returns the space as Optuna distributions over value indices.

    Ordered parameters become integers, unordered ones categories.
    """
    return {
        p.name: IntDistribution(0, len(p.values) - 1) if p.ordered else CategoricalDistribution(range(len(p.values)))
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


def optuna_objective(task: Task, counter: EvaluationCounter | None = None) -> Callable[[Trial], float]:
    """Returns an objective for ``study.optimize`` (direction ``minimize``).

    The value is the task's objective, also beyond the budget; the relative overshoot is set as the trial's
    constraint, which Optuna's samplers and its best trial respect. Trials of invalid designs are pruned.

    Args:
        task: The task.
        counter: Counts the evaluations and keeps the best feasible design.
    """
    counter = counter or EvaluationCounter(task)

    def objective(trial: Trial) -> float:
        outcome = counter.evaluate(suggest_design(trial, task)[None])
        trial.set_constraint(_CONSTRAINT, float(outcome.violation[0]))
        if not outcome.valid[0]:
            raise optuna.TrialPruned("invalid design")
        return float(outcome.objective[0])

    return objective
