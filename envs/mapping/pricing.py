"""Objectives of loop factors and orders as bare arrays: what the solvers of a mapping task evaluate."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from accelgym.costmodels.architecture.rules import BYPASSED
from accelgym.costmodels.loopnest import LoopnestModel
from accelgym.costmodels.objective import Objective
from accelgym.envs.mapping.mapspace import Mapspace

__all__ = ["Candidates", "Pricing", "combine"]

Ints = npt.NDArray[np.int64]
Floats = npt.NDArray[np.float64]
Bools = npt.NDArray[np.bool_]

_BLOCK = 8192


def combine(objective: Objective, energy_pj: Floats, cycles: Floats) -> Floats:
    """Returns what is minimised."""
    if objective is Objective.ENERGY:
        return energy_pj
    return cycles if objective is Objective.LATENCY else energy_pj * cycles


@dataclass(frozen=True)
class Candidates:
    """Mappings by their loop factors, orders and bypasses."""

    factors: Ints
    """Shape ``(slots, dims, n)``."""
    codes: Ints
    """Order of each level but the innermost, positions in its rank table; shape ``(levels - 1, n)``."""
    keep: Bools
    """Shape ``(levels, tensors, n)``."""

    def __len__(self) -> int:
        return int(self.factors.shape[2])

    def take(self, rows: Ints | slice) -> Candidates:
        """Returns some of them."""
        return Candidates(self.factors[:, :, rows], self.codes[:, rows], self.keep[:, :, rows])

    def repeat(self, times: int) -> Candidates:
        """Repeats each one."""
        return Candidates(
            np.repeat(self.factors, times, axis=2),
            np.repeat(self.codes, times, axis=1),
            np.repeat(self.keep, times, axis=2),
        )


class Pricing:
    """Prices candidates of one map space.

    Args:
        mapspace: The map space.
        model: The cost model, built for the machine of ``mapspace``.
        objective: What is minimised.
    """

    def __init__(self, mapspace: Mapspace, model: LoopnestModel, objective: Objective) -> None:
        self.mapspace, self.model, self.objective = mapspace, model, objective
        self.free_keep = mapspace.rules.keep < 0
        self.spent = 0
        """Mappings priced so far."""

    def start(self, factors: Ints, keep: Bools | None = None) -> Candidates:
        """Returns candidates with the first order everywhere.

        Args:
            factors: Shape ``(slots, dims, n)``.
            keep: Shape ``(levels, tensors, n)``; everything that may be kept, by default.
        """
        n = factors.shape[2]
        if keep is None:
            keep = np.repeat((self.mapspace.rules.keep != BYPASSED)[:, :, None], n, axis=2)
        return Candidates(factors, np.zeros((len(self.mapspace.architecture.levels) - 1, n), dtype=np.int64), keep)

    def __call__(self, candidates: Candidates) -> Floats:
        """Returns objectives, shape ``(n,)``; ``inf`` where a mapping does not fit or fills a level too little."""
        n = len(candidates)
        self.spent += n
        result = np.empty(n)
        for begin in range(0, n, _BLOCK):
            part = candidates.take(slice(begin, begin + _BLOCK))
            energy, cycles, valid = self.model.score(
                part.factors.astype(np.float64),
                self.mapspace.ranks(part.codes).astype(np.float64),
                part.keep if self.free_keep.any() else None,
            )
            value = combine(self.objective, energy, cycles)
            floors, mapspace = self.mapspace.rules.floors, self.mapspace
            if floors.any:
                short = floors.shortfall(mapspace.problem, mapspace.architecture, part.factors, part.keep)
                valid = valid & (short == 0.0)
            result[begin : begin + _BLOCK] = np.where(valid, value, np.inf)
        return result
