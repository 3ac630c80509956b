"""Objectives of candidates as bare arrays, for searches that evaluate many and keep few."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from accelgym.costmodels.loopnest import LoopnestModel
from accelgym.costmodels.mapspace.candidates import Candidates
from accelgym.costmodels.mapspace.space import MapSpace
from accelgym.costmodels.objective import Objective

__all__ = ["CandidateEvaluator"]

Floats = npt.NDArray[np.float64]

_BLOCK = 8192
"""Candidates evaluated at a time: their columns stay in cache."""


class CandidateEvaluator:
    """Evaluates candidates of one map space on one machine.

    Args:
        mapspace: The map space.
        model: The cost model, built for a machine with the levels of ``mapspace``.
        objective: What is minimised.
    """

    def __init__(self, mapspace: MapSpace, model: LoopnestModel, objective: Objective) -> None:
        self.mapspace, self.model, self.objective = mapspace, model, objective
        self.spent = 0
        """Mappings evaluated so far."""
        names = mapspace.problem.tensor_names
        self._stored = np.array([[x.may_store(t) for t in names] for x in model.architecture.levels])[:, :, None]

    def __call__(self, candidates: Candidates) -> Floats:
        """Returns objectives, shape ``(n,)``; ``inf`` where a mapping does not fit or uses too little."""
        n = len(candidates)
        self.spent += n
        result = np.empty(n)
        for begin in range(0, n, _BLOCK):
            part = candidates.take(slice(begin, begin + _BLOCK))
            energy, cycles, valid = self.model.score(
                part.factors.astype(np.float64),
                self.mapspace.permutation.ranks(part.codes).astype(np.float64),
                None if (part.keep == self._stored).all() else part.keep,
            )
            minimum = self.mapspace.constraints.minimum
            if minimum.binds:
                problem, machine = self.mapspace.problem, self.model.architecture
                valid = valid & (minimum.shortfall(problem, machine, part.factors, part.keep) == 0.0)
            value = self.objective.combine(energy, cycles)
            result[begin : begin + _BLOCK] = np.where(valid, value, np.inf)
        return result
