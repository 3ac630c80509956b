"""Local search for layers whose proof ends at a limit."""

from __future__ import annotations

import numpy as np

from accelgym.costmodels.errors import InputError
from accelgym.costmodels.loopnest import Mappings
from accelgym.costmodels.mapper.search import MapSpace
from accelgym.envs.mapping import MappingTask

__all__ = ["descend"]

_STARTS, _ROUNDS = 4, 4
"""Descents from random mappings and from recombinations: a few seconds each."""
_OBJECTIVES = {"energy": "energy", "delay": "latency", "edp": "edp"}


def descend(space: MapSpace, metric: str) -> Mappings:
    """Returns the best mapping of some descents, a batch of one, or an empty one where the task finds none."""
    try:
        task = MappingTask(
            problem=space.problem,
            machine=space.machine,
            objective=_OBJECTIVES[metric],
            bypass=space.settings.bypass,
        )
        best, value = task.best_of_descents(_STARTS, np.random.default_rng(0), rounds=_ROUNDS)
    except InputError:
        return Mappings.empty(space.problem, space.architecture, 0)
    if not np.isfinite(value):
        return Mappings.empty(space.problem, space.architecture, 0)
    found, _ = task.inspect(task.encode(best)[0])
    return Mappings(space.problem, space.architecture, found.factors, found.ranks, found.keep)
