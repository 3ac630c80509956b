"""Solvers of a mapping task: enumeration with pruning, and descent dimension by dimension."""

from __future__ import annotations

import itertools
import math

import numpy as np
import numpy.typing as npt

from accelgym.envs.mapping.mapspace import prime_factors
from accelgym.envs.mapping.orders import dominant_orders, promising_orders
from accelgym.envs.mapping.pricing import Candidates, Pricing

__all__ = ["climb", "descend", "enumerate_all", "recombine", "room"]

Ints = npt.NDArray[np.int64]
Floats = npt.NDArray[np.float64]
Bools = npt.NDArray[np.bool_]

MAX_ORDERS = 64
"""Combinations of loop orders tried with every tiling; beyond, orders are improved level by level."""


def room(pricing: Pricing, factors: Ints, keep: Bools) -> Bools:
    """Returns which tilings fit the memories and the fan-outs.

    Args:
        pricing: Knows the map space.
        factors: Shape ``(slots, dims, n)``.
        keep: Shape ``(levels, tensors, n)`` or ``(levels, tensors, 1)``.
    """
    mapspace = pricing.mapspace
    problem, architecture = mapspace.problem, mapspace.architecture
    fits = np.ones(factors.shape[2], dtype=bool)
    extent = np.ones(factors.shape[1:])
    for s in reversed(range(len(architecture.slots))):
        slot = architecture.slots[s]
        level = architecture.levels[slot.level]
        extent *= factors[s]
        if slot.kind != "temporal":
            fits &= factors[s].prod(axis=0) <= (level.fanout_x if slot.kind == "x" else level.fanout_y)
        elif level.tile_capacity is not None:
            words = np.zeros(len(fits))
            for t, tensor in enumerate(problem.tensors):
                box = np.ones(len(fits))
                for axis in tensor.axes:
                    box *= 1 + sum(c * (extent[problem.dims.index(name)] - 1) for name, c in axis)
                words += box * keep[slot.level, t]
            fits &= words <= level.tile_capacity
    return fits


def enumerate_all(pricing: Pricing, *, most: int) -> tuple[Candidates, float] | None:
    """Finds the optimum by enumerating tilings, dropped as soon as they overflow, with their dominant orders.

    Args:
        pricing: The task.
        most: Give up when more candidates than this would have to be priced.

    Returns:
        The optimum (one candidate) and its objective, or ``None`` when there are too many candidates.
    """
    mapspace = pricing.mapspace
    levels = range(len(mapspace.architecture.levels) - 1)
    if math.prod(len(dominant_orders(mapspace, v)) for v in levels) > most:
        return None
    orders = _order_grid(pricing)
    keeps = _keeps(pricing)
    best: tuple[Candidates, float] | None = None
    # What is not enumerated yet lies in its outermost slot and takes no room.
    base = mapspace.fixed.copy()
    for d in mapspace.active:
        base[mapspace.rules.absorber[d], d] *= mapspace.problem.bounds[d] // int(base[:, d].prod())
    by_size = sorted(mapspace.active, key=lambda d: mapspace.problem.bounds[d])
    for keep in keeps:
        factors = base[:, :, None]
        for d in by_size:
            chains = mapspace.chains(d).T
            if factors.shape[2] * chains.shape[1] * orders.shape[1] > 64 * most:
                return None
            wide = np.repeat(factors, chains.shape[1], axis=2)
            wide[:, d] = np.tile(chains, factors.shape[2])
            factors = wide[:, :, room(pricing, wide, keep)]
        if factors.shape[2] * orders.shape[1] * len(keeps) > most:
            return None
        if not factors.shape[2]:
            continue  # What these levels would have to keep fits nowhere.
        found = _best_of_grid(pricing, factors, keep, orders)
        if best is None or found[1] < best[1]:
            best = found
    return best


def _best_of_grid(pricing: Pricing, factors: Ints, keep: Bools, orders: Ints) -> tuple[Candidates, float]:
    """The best of tilings crossed with orders, a block at a time."""
    step = max(1, 65_536 // orders.shape[1])
    best, value = None, np.inf
    for begin in range(0, factors.shape[2], step):
        part = factors[:, :, begin : begin + step]
        n = part.shape[2]
        tilings = pricing.start(part, np.repeat(keep, n, axis=2)).repeat(orders.shape[1])
        candidates = Candidates(tilings.factors, np.tile(orders, n), tilings.keep)
        values = pricing(candidates)
        i = int(values.argmin())
        if best is None or values[i] < value:
            best, value = candidates.take(slice(i, i + 1)), float(values[i])
    assert best is not None  # there is a tiling
    return best, value


def descend(pricing: Pricing, start: Candidates, rng: np.random.Generator) -> tuple[Candidates, float]:
    """Improves one mapping until no dimension, pair of factors, order or bypass alone can be changed for the better.

    Every step is exact within its block: a dimension takes the best of all its factorisations with the best loop
    orders, all else fixed.

    Args:
        pricing: The task.
        start: One candidate.
        rng: Draws the order of the dimensions.

    Returns:
        The improved candidate and its objective.
    """
    walker = _Walker(pricing, start)
    while True:
        before = walker.value
        for d in rng.permutation(np.array(pricing.mapspace.active, dtype=np.int64)):
            walker.refactor(int(d))
        walker.reorder()
        walker.rebypass()
        if walker.value == before and not walker.move_pairs():
            return walker.current, walker.value


def climb(pricing: Pricing, start: Candidates) -> tuple[Candidates, float]:
    """Moves one prime factor at a time, always the one that saves most; returns the candidate and its objective."""
    walker = _Walker(pricing, start)
    while walker.move_one():
        pass
    return walker.current, walker.value


def recombine(
    pricing: Pricing, elite: list[tuple[Candidates, float]], rng: np.random.Generator, *, rounds: int, most: int = 6
) -> tuple[Candidates, float]:
    """Descends again and again from mixtures and disturbances of the best local optima found so far.

    Args:
        pricing: The task.
        elite: Local optima with their objectives, at least one.
        rng: Source of the choices.
        rounds: Descents.
        most: Distinct local optima kept.

    Returns:
        The best candidate and its objective.
    """
    chains = {d: pricing.mapspace.chains(d).T for d in pricing.mapspace.active}
    pool = sorted(elite, key=lambda pair: pair[1])[:most]
    for _ in range(rounds):
        first, second = (pool[int(i)][0] for i in rng.integers(0, len(pool), 2))
        found = descend(pricing, _mix(pricing, first, second, chains, rng), rng)
        if all(found[1] != value for _, value in pool):
            pool = sorted([*pool, found], key=lambda pair: pair[1])[:most]
    return pool[0]


def _mix(
    pricing: Pricing, first: Candidates, second: Candidates, chains: dict[int, Ints], rng: np.random.Generator
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
    fits = np.flatnonzero(room(pricing, mixed.factors, mixed.keep))
    return mixed.take(fits[:1]) if len(fits) else first


class _Walker:
    """A mapping under improvement."""

    def __init__(self, pricing: Pricing, start: Candidates) -> None:
        self.pricing, self.current = pricing, start
        self.value = float(pricing(start)[0])
        self.chains = {d: pricing.mapspace.chains(d).T for d in pricing.mapspace.active}
        self.orders = [promising_orders(pricing.mapspace, v) for v in range(len(start.codes))]

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
        for v, t in np.argwhere(self.pricing.free_keep):
            wide = self.current.repeat(1)
            wide.keep[v, t] ^= True
            self._adopt(wide)

    def move_one(self) -> bool:
        """Moves one prime factor to another slot; says whether that helped."""
        moves = self._moves()
        factors = np.repeat(self.current.factors, len(moves), axis=2)
        d, prime, source, target = moves.T
        factors[source, d, np.arange(len(moves))] //= prime
        factors[target, d, np.arange(len(moves))] *= prime
        before = self.value
        self._try(factors)
        return self.value < before

    def move_pairs(self) -> bool:
        """Moves any two prime factors to any other slots; says whether that helped."""
        moves = self._moves()
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

    def _moves(self) -> Ints:
        """Rows of dimension, prime, slot now, slot then."""
        mapspace, current = self.pricing.mapspace, self.current.factors[:, :, 0] // self.pricing.mapspace.fixed
        rows = []
        for d in mapspace.active:
            for prime in {p for s in range(len(current)) for p in prime_factors(int(current[s, d]))}:
                open_slots = np.flatnonzero(mapspace.rules.open[:, d] & (mapspace.rules.most[:, d] >= prime))
                sources = np.flatnonzero(current[:, d] % prime == 0)
                rows += [(d, prime, s, t) for s, t in itertools.product(sources, open_slots) if s != t]
        return np.array(rows, dtype=np.int64).reshape(-1, 4)

    def _try(self, factors: Ints, orders: Ints | None = None) -> None:
        """Adopts the best of some tilings with their best orders (of those given), if better."""
        mapspace = self.pricing.mapspace
        good = room(self.pricing, factors, self.current.keep)
        limit = np.maximum(mapspace.rules.most, mapspace.fixed)[:, :, None]
        good &= (factors <= limit).all(axis=(0, 1)) & ~_crosses(self.pricing, factors)
        factors = factors[:, :, good]
        n = factors.shape[2]
        if orders is None and math.prod(len(codes) for codes in self.orders) <= MAX_ORDERS:
            orders = _order_grid(self.pricing)
        elif orders is None:
            orders = np.concatenate([self._orders_but_for(v) for v in range(len(self.orders))], axis=1)
        step = max(1, 65_536 // orders.shape[1])
        for begin in range(0, n, step):
            part = factors[:, :, begin : begin + step]
            wide = self.pricing.start(part, np.repeat(self.current.keep, part.shape[2], axis=2))
            wide = wide.repeat(orders.shape[1])
            self._adopt(Candidates(wide.factors, np.tile(orders, part.shape[2]), wide.keep))

    def _orders_but_for(self, level: int) -> Ints:
        """The orders in use, with every alternative at one level."""
        codes = np.repeat(self.current.codes, len(self.orders[level]), axis=1)
        codes[level] = self.orders[level]
        return codes

    def _adopt(self, candidates: Candidates) -> None:
        values = self.pricing(candidates)
        i = int(values.argmin()) if len(values) else -1
        if i >= 0 and values[i] < self.value:
            self.current, self.value = candidates.take(slice(i, i + 1)), float(values[i])


def _order_grid(pricing: Pricing) -> Ints:
    """All combinations of dominant orders, shape ``(levels - 1, combinations)``."""
    levels = len(pricing.mapspace.architecture.levels) - 1
    if not levels:
        return np.zeros((0, 1), dtype=np.int64)
    orders = [dominant_orders(pricing.mapspace, v) for v in range(levels)]
    return np.stack([grid.ravel() for grid in np.meshgrid(*orders, indexing="ij")])


def _keeps(pricing: Pricing) -> list[Bools]:
    """All bypass choices, shape ``(levels, tensors, 1)`` each."""
    free = np.argwhere(pricing.free_keep)
    base = pricing.start(pricing.mapspace.fixed[:, :, None]).keep
    keeps = []
    for held in itertools.product((True, False), repeat=len(free)):
        keep = base.copy()
        for (v, t), value in zip(free, held, strict=True):
            keep[v, t] = value
        keeps.append(keep)
    return keeps


def _crosses(pricing: Pricing, factors: Ints) -> Bools:
    """Tilings that spread a dimension along x and y of one fan-out."""
    architecture = pricing.mapspace.architecture
    result = np.zeros(factors.shape[2], dtype=bool)
    for v in range(len(architecture.levels)):
        x, y = architecture.slot(v, "x"), architecture.slot(v, "y")
        if x is not None and y is not None:
            result |= ((factors[x] > 1) & (factors[y] > 1)).any(axis=0)
    return result
