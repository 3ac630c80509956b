"""Local search for layers whose proof ends at a limit."""

from __future__ import annotations

import numpy as np

from accelgym.costmodels.errors import InputError
from accelgym.costmodels.loopnest import Mappings
from accelgym.costmodels.mapper.search import LayerSearch
from accelgym.costmodels.solvers.mapping.local_search import descend, recombine
from accelgym.envs.mapping import MappingTask

__all__ = ["descend_from"]

_STARTS, _ROUNDS = 4, 4
"""Descents from given and random mappings, and from recombinations: a few seconds in all."""
_OBJECTIVES = {"energy": "energy", "delay": "latency", "edp": "edp"}


def descend_from(space: LayerSearch, metric: str, multipliers: int, starts: list[Mappings]) -> Mappings:
    """Returns the best mapping of some descents, a batch of one; an empty one where none is found.

    Args:
        space: The map space.
        metric: What is minimised.
        multipliers: Only mappings that use at least as many.
        starts: Mappings of the space to begin with, one each; the last ones are the first to be taken.
    """
    empty = Mappings.empty(space.problem, space.architecture, 0)
    try:
        task = MappingTask(
            problem=space.problem,
            machine=space.limited(multipliers),
            objective=_OBJECTIVES[metric],
            bypass=space.settings.bypass,
        )
        designs = [_design(task, start) for start in starts[::-1][:_STARTS]]
    except InputError:
        return empty
    rng = np.random.default_rng(0)
    designs += list(task.sample_feasible(rng, _STARTS - len(designs)))
    elite = [descend(task.evaluator, task.candidate(design), rng) for design in designs]
    best, value = recombine(task.evaluator, elite, rng, rounds=_ROUNDS)
    if not np.isfinite(value):
        return empty
    found, _ = task.inspect(task.mapspace.to_designs(best)[0])
    return Mappings(space.problem, space.architecture, found.factors, found.ranks, found.keep)


def _design(task: MappingTask, start: Mappings) -> np.ndarray[tuple[int], np.dtype[np.int64]]:
    mapping = Mappings(task.problem, task.architecture, start.factors, start.ranks, start.keep)
    return task.mapping_design(mapping)
