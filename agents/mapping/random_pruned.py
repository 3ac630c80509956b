"""Random search as timeloop-mapper does it."""

from __future__ import annotations

from typing import ClassVar

import numpy as np
import numpy.typing as npt

from accelgym.agents.hyperparameters import Hyperparameters, Whole
from accelgym.agents.mapping.base import MappingAgent
from accelgym.agents.options import require
from accelgym.costmodels.mapspace import Candidates
from accelgym.envs.space import Designs
from accelgym.envs.task import Outcome, Task

__all__ = ["RandomPruned"]

Ints = npt.NDArray[np.int64]

_DRAWS = 16_384
_ROUNDS = 64


class RandomPruned(MappingAgent):
    """Draws factorisations at random, and for each that fits visits some distinct loop orders.

    After timeloop-mapper's ``random-pruned``: per dimension a factorisation is drawn uniformly, bypasses by coin;
    what overflows a memory or a fan-out is thrown away unseen (the mapper does not evaluate it either). Orders that
    differ only in loops of bound 1 are the same and visited once. When hardly any draw fits, feasible designs are
    drawn step by step instead.

    Args:
        task: The mapping task to search.
        seed: Seed of the draws.
        batch: Factorisations per ask.
        orders: Orders visited per factorisation at most (``max-permutations-per-if-visit``).
    """

    name: ClassVar[str] = "random_pruned"
    hyperparameters: ClassVar[Hyperparameters] = {"orders": Whole(1, 64, log=True)}

    def __init__(self, task: Task, *, seed: int, batch: int = 16, orders: int = 16) -> None:
        super().__init__(task, seed=seed)
        require(self.name, 1, batch=batch, orders=orders)
        self.batch, self.orders = batch, orders
        self._chains = {d: self.mapspace.factorization.chains(d) for d in self.mapspace.active}

    def ask(self, count: int) -> Designs:
        tilings = min(self.batch, -(-count // self.orders))
        factors, keep = self._draw(tilings)
        return self._visit_orders(factors, keep)[:count]

    def tell(self, designs: Designs, outcome: Outcome) -> None:
        """Learns nothing."""

    def _draw(self, wanted: int) -> tuple[Ints, npt.NDArray[np.bool_]]:
        """Factors ``(slots, dims, n)`` and bypasses ``(levels, tensors, n)`` that fit."""
        mapspace = self.mapspace
        for _ in range(_ROUNDS):
            factors = np.repeat(mapspace.factorization.fixed[:, :, None], _DRAWS, axis=2)
            for d, chains in self._chains.items():
                factors[:, d] = chains[:, self.rng.integers(chains.shape[1], size=_DRAWS)]
            keep, free = mapspace.bypass.everything_kept(_DRAWS), mapspace.bypass.free
            keep[free] = self.rng.random((int(free.sum()), _DRAWS)) < 0.5
            fits = np.flatnonzero(mapspace.fits(factors, keep))[:wanted]
            if len(fits):
                return factors[:, :, fits], keep[:, :, fits]
        drawn = mapspace.to_candidates(self.task.sample_feasible(self.rng, wanted))
        return drawn.factors, drawn.keep

    def _visit_orders(self, factors: Ints, keep: npt.NDArray[np.bool_]) -> Designs:
        """Designs with distinct orders of the loops longer than 1, those of one factorisation in a row."""
        n = factors.shape[2]
        wide, held = np.repeat(factors, self.orders, axis=2), np.repeat(keep, self.orders, axis=2)
        # Loops of bound 1 go outermost, in the order of the dimensions.
        weight = np.where(wide > 1, 1.0 + self.rng.random(wide.shape), 0.0)
        ranks = np.argsort(np.argsort(weight, axis=1, kind="stable"), axis=1)
        visited = self.mapspace.to_designs(Candidates(wide, self.mapspace.permutation.codes(ranks), held))
        designs = np.column_stack((np.repeat(np.arange(n), self.orders), visited))
        first = np.sort(np.unique(designs, axis=0, return_index=True)[1])
        return designs[first, 1:]
