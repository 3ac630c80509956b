"""Local search for layers whose proof ends at a limit."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from accelgym.costmodels.errors import InputError
from accelgym.costmodels.loopnest import LoopnestModel, Mappings
from accelgym.costmodels.mapper.metrics import goal_of
from accelgym.costmodels.mapper.search import LayerSearch
from accelgym.costmodels.mapspace import CandidateEvaluator, MapSpace
from accelgym.costmodels.mapspace.construction import Construction
from accelgym.costmodels.solvers.mapping.local_search import best_of_descents

__all__ = ["descend_from"]

_STARTS, _ROUNDS = 4, 4
"""Descents from given and random mappings, and from recombinations: a few seconds in all."""


def descend_from(space: LayerSearch, metric: str, multipliers: int, starts: list[Mappings]) -> Mappings:
    """Returns the best mapping of some descents, a batch of one; an empty one where none is found.

    Args:
        space: The map space.
        metric: What is minimised.
        multipliers: Only mappings that use at least as many.
        starts: Mappings of the space to begin with, one each; the last ones are the first to be taken.
    """
    rng = np.random.default_rng(0)
    try:
        mapspace = MapSpace(space.problem, space.limited(multipliers), bypass=space.settings.bypass)
        given = [
            mapspace.encode(replace(start, architecture=mapspace.architecture)) for start in starts[::-1][:_STARTS]
        ]
        drawn = Construction(mapspace, _STARTS - len(given)).sample(rng)
    except InputError:
        return Mappings.empty(space.problem, space.architecture, 0)
    model = LoopnestModel(space.problem, mapspace.architecture)
    evaluator = CandidateEvaluator(mapspace, model, goal_of(metric))
    best, value = best_of_descents(evaluator, np.concatenate([*given, drawn]), rng, rounds=_ROUNDS)
    if not np.isfinite(value):
        return Mappings.empty(space.problem, space.architecture, 0)
    return replace(mapspace.to_mappings(best), architecture=space.architecture)
