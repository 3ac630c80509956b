"""A task as an objective function of CARP-S; ``carps/task/AccelGym/mapping.yaml`` names it."""

import time

import numpy as np
from carps.objective_functions.objective_function import ObjectiveFunction
from carps.utils.task import TaskMetadata, get_search_space_info
from carps.utils.trials import TrialInfo, TrialValue
from ConfigSpace import CategoricalHyperparameter, ConfigurationSpace, UniformIntegerHyperparameter

from accelgym.envs import make_task

PENALTY = 1e3
"""Times the reference: of an infeasible design, plus its violation."""


def configuration_space(env: str, arguments: dict) -> ConfigurationSpace:
    """Returns value indices as hyperparameters: ordered parameters are integers, others categories.

    Args:
        env: Environment id.
        arguments: Of the task.
    """
    space = ConfigurationSpace()
    for parameter in make_task(env, **dict(arguments)).space.parameters:
        last = len(parameter.values) - 1
        if parameter.ordered and last > 0:
            space.add(UniformIntegerHyperparameter(parameter.name, 0, last))
        else:
            space.add(CategoricalHyperparameter(parameter.name, list(range(last + 1))))
    return space


def metadata(space: ConfigurationSpace) -> TaskMetadata:
    """Returns what CARP-S states about a task beside its results.

    Args:
        space: Of :func:`configuration_space`.
    """
    told = {"has_constraints": False, "domain": "accelerator design", "objective_function_approximation": "real"}
    return TaskMetadata(**told, has_virtual_time=False, deterministic=True, **get_search_space_info(space))


class AccelGymObjective(ObjectiveFunction):
    """Minimises the objective of a task over value indices.

    Args:
        env: Environment id.
        arguments: Of the task.
        loggers: Of CARP-S.
    """

    def __init__(self, env: str, arguments: dict, loggers: list | None = None) -> None:
        super().__init__(loggers)
        self._space = configuration_space(env, arguments)
        self._task = make_task(env, **dict(arguments))
        self._reference = self._task.reference().value

    @property
    def configspace(self) -> ConfigurationSpace:
        """Of :func:`configuration_space`."""
        return self._space

    @property
    def f_min(self) -> float:
        """The certified reference."""
        return self._reference

    def _evaluate(self, trial_info: TrialInfo) -> TrialValue:
        begin = time.time()
        config = dict(trial_info.config)
        found = self._task.evaluate(np.array([[int(config[p.name]) for p in self._task.space.parameters]]))
        cost = float(found.objective[0])
        if not found.feasible[0]:
            cost = self._reference * (PENALTY + min(float(found.violation[0]), PENALTY))
        end = time.time()
        return TrialValue(cost=cost, time=end - begin, starttime=begin, endtime=end)
