"""Local search in a map space: descent dimension by dimension, steepest moves of single factors, recombination."""

from __future__ import annotations

import math
from functools import cached_property

import numpy as np
import numpy.typing as npt

from accelgym.costmodels.mapspace import CandidateEvaluator, Candidates, MapSpace
from accelgym.costmodels.mapspace.dominant_orders import dominant_orders, promising_orders

__all__ = ["best_of_descents", "climb", "descend", "recombine"]

Ints = npt.NDArray[np.int64]
Floats = npt.NDArray[np.float64]
Bools = npt.NDArray[np.bool_]

MAX_ORDERS = 64
"""Combinations of loop orders tried with every tiling; beyond, orders are improved level by level."""


def descend(evaluator: CandidateEvaluator, start: Candidates, rng: np.random.Generator) -> tuple[Candidates, float]:
    """Improves one mapping until no dimension, pair of factors, order or bypass alone can be changed for the better.

    Every step is exact within its block: a dimension takes the best of all its factorisations with the best loop
    orders, all else fixed.

    Args:
        evaluator: Evaluates candidates of the map space.
        start: One candidate.
        rng: Draws the order of the dimensions.

    Returns:
        The improved candidate and its objective.
    """
    walker = _Walker(evaluator, start)
    while True:
        before = walker.value
        for d in rng.permutation(np.array(evaluator.mapspace.active, dtype=np.int64)):
            walker.refactor(int(d))
        walker.reorder()
        walker.rebypass()
        if walker.value == before and not walker.move_pairs():
            return walker.current, walker.value


def climb(evaluator: CandidateEvaluator, start: Candidates) -> tuple[Candidates, float]:
    """Moves one prime factor at a time, always the one that saves most; returns the candidate and its objective."""
    walker = _Walker(evaluator, start)
    while walker.move_one():
        pass
    return walker.current, walker.value


def best_of_descents(
    evaluator: CandidateEvaluator, starts: Ints, rng: np.random.Generator, *, rounds: int = 0
) -> tuple[Candidates, float]:
    """Descends from several mappings, then from recombinations of what that found.

    Args:
        evaluator: Evaluates candidates of the map space.
        starts: Designs of the map space, shape ``(n, decisions)``; their orders do not matter.
        rng: Source of the choices.
        rounds: Recombinations.

    Returns:
        The best candidate and its objective.
    """
    found = evaluator.mapspace.to_candidates(starts)
    firsts = evaluator.mapspace.candidates(found.factors, found.keep)
    elite = [descend(evaluator, firsts.take(slice(i, i + 1)), rng) for i in range(len(firsts))]
    return recombine(evaluator, elite, rng, rounds=rounds)


def recombine(
    evaluator: CandidateEvaluator,
    elite: list[tuple[Candidates, float]],
    rng: np.random.Generator,
    *,
    rounds: int,
    most: int = 6,
) -> tuple[Candidates, float]:
    """Descends again and again from mixtures and disturbances of the best local optima found so far.

    Args:
        evaluator: Evaluates candidates of the map space.
        elite: Local optima with their objectives, at least one.
        rng: Source of the choices.
        rounds: Descents.
        most: Distinct local optima kept.

    Returns:
        The best candidate and its objective.
    """
    mapspace = evaluator.mapspace
    chains = {d: mapspace.factorization.chains(d) for d in mapspace.active}
    pool = sorted(elite, key=lambda pair: pair[1])[:most]
    for _ in range(rounds):
        first, second = (pool[int(i)][0] for i in rng.integers(0, len(pool), 2))
        found = descend(evaluator, _mix(mapspace, first, second, chains, rng), rng)
        if all(found[1] != value for _, value in pool):
            pool = sorted([*pool, found], key=lambda pair: pair[1])[:most]
    return pool[0]


def _mix(
    mapspace: MapSpace, first: Candidates, second: Candidates, chains: dict[int, Ints], rng: np.random.Generator
) -> Candidates:
    """A mapping that takes each dimension from either parent or, rarely, at random, and fits."""
    tries = 64
    mixed = first.repeat(tries)
    for d, table in chains.items():
        draw = rng.random(tries)
        other = draw < 0.4
        mixed.factors[:, d, other] = second.factors[:, d]
        fresh = draw > 0.8
        mixed.factors[:, d, fresh] = table[:, rng.integers(0, table.shape[1], int(fresh.sum()))]
    mixed.codes[:] = np.where(rng.random(mixed.codes.shape) < 0.5, mixed.codes, second.codes)
    fits = np.flatnonzero(mapspace.fits(mixed.factors, mixed.keep))
    return mixed.take(fits[:1]) if len(fits) else first


class _Walker:
    """A mapping under improvement."""

    def __init__(self, evaluator: CandidateEvaluator, start: Candidates) -> None:
        self.evaluator, self.mapspace, self.current = evaluator, evaluator.mapspace, start
        self.value = float(evaluator(start)[0])
        self.chains = {d: self.mapspace.factorization.chains(d) for d in self.mapspace.active}
        self.orders = [promising_orders(self.mapspace, v) for v in range(len(start.codes))]
        """Orders of each level that are tried while those of the other levels stay."""

    @cached_property
    def grid(self) -> Ints:
        """Every combination of dominant orders, shape ``(levels - 1, combinations)``."""
        return self.mapspace.permutation.all_orders(
            [dominant_orders(self.mapspace, v) for v in range(len(self.orders))]
        )

    def refactor(self, d: int) -> None:
        """Gives a dimension its best factorisation."""
        chains = self.chains[d]
        factors = np.repeat(self.current.factors, chains.shape[1], axis=2)
        factors[:, d] = chains
        self._try(factors)

    def reorder(self) -> None:
        """Gives each level its best order."""
        for v, codes in enumerate(self.orders):
            wide = self.current.repeat(len(codes))
            wide.codes[v] = codes
            self._adopt(wide)

    def rebypass(self) -> None:
        """Flips each free bypass."""
        for v, t in np.argwhere(self.mapspace.bypass.free):
            wide = self.current.repeat(1)
            wide.keep[v, t] ^= True
            self._adopt(wide)

    def move_one(self) -> bool:
        """Moves one prime factor to another slot; says whether that helped."""
        moves = self.mapspace.factorization.moves(self.current.factors[:, :, 0])
        factors = np.repeat(self.current.factors, len(moves), axis=2)
        d, prime, source, target = moves.T
        factors[source, d, np.arange(len(moves))] //= prime
        factors[target, d, np.arange(len(moves))] *= prime
        before = self.value
        self._try(factors)
        return self.value < before

    def move_pairs(self) -> bool:
        """Moves any two prime factors to any other slots; says whether that helped."""
        moves = self.mapspace.factorization.moves(self.current.factors[:, :, 0])
        if not len(moves):
            return False
        first, second = np.triu_indices(len(moves))
        factors = np.repeat(self.current.factors, len(first), axis=2)
        legal = np.ones(len(first), dtype=bool)
        everyone = np.arange(len(first))
        for chosen, other in ((first, None), (second, first)):
            d, prime, source, target = moves[chosen].T
            acts = np.ones(len(first), dtype=bool) if other is None else chosen != other
            legal &= ~acts | (factors[source, d, everyone] % prime == 0)
            acts &= legal
            factors[source, d, everyone] //= np.where(acts, prime, 1)
            factors[target, d, everyone] *= np.where(acts, prime, 1)
        before = self.value
        self._try(factors[:, :, legal], self.current.codes)
        return self.value < before

    def _try(self, factors: Ints, orders: Ints | None = None) -> None:
        """Adopts the best of some tilings with their best orders (of those given), if better."""
        good = self.mapspace.fits(factors, self.current.keep) & self.mapspace.factorization.within_limits(factors)
        factors = factors[:, :, good]
        n = factors.shape[2]
        if orders is None and math.prod(len(codes) for codes in self.orders) <= MAX_ORDERS:
            orders = self.grid
        elif orders is None:
            orders = np.concatenate([self._orders_but_for(v) for v in range(len(self.orders))], axis=1)
        step = max(1, 65_536 // orders.shape[1])
        for begin in range(0, n, step):
            part = factors[:, :, begin : begin + step]
            wide = self.mapspace.candidates(part, np.repeat(self.current.keep, part.shape[2], axis=2))
            wide = wide.repeat(orders.shape[1])
            self._adopt(Candidates(wide.factors, np.tile(orders, part.shape[2]), wide.keep))

    def _orders_but_for(self, level: int) -> Ints:
        """The orders in use, with every alternative at one level."""
        codes = np.repeat(self.current.codes, len(self.orders[level]), axis=1)
        codes[level] = self.orders[level]
        return codes

    def _adopt(self, candidates: Candidates) -> None:
        values = self.evaluator(candidates)
        i = int(values.argmin()) if len(values) else -1
        if i >= 0 and values[i] < self.value:
            self.current, self.value = candidates.take(slice(i, i + 1)), float(values[i])
