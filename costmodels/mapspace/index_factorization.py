"""Index factorisation: how the prime factors of every loop bound spread over the slots of a machine."""

from __future__ import annotations

import itertools
import math

import numpy as np
import numpy.typing as npt

from accelgym.costmodels.architecture.loop_nest import LoopNest
from accelgym.costmodels.architecture.machine import Architecture
from accelgym.costmodels.mapspace.constraints import Constraints
from accelgym.costmodels.mapspace.decisions import FactorPlacement
from accelgym.costmodels.mapspace.spatial_split import lies_along_both

__all__ = ["IndexFactorization", "divisors", "prime_factors"]

Ints = npt.NDArray[np.int64]
Bools = npt.NDArray[np.bool_]


class IndexFactorization:
    """The factorisations of all bounds; every combination multiplies to the bounds.

    Args:
        problem: The problem.
        architecture: The machine.
        constraints: What restricts the factors.
    """

    def __init__(self, problem: LoopNest, architecture: Architecture, constraints: Constraints) -> None:
        self.problem, self.architecture, self.constraints = problem, architecture, constraints
        self.active = tuple(d for d, bound in enumerate(problem.bounds) if bound > 1)
        """Dimensions with more than one iteration."""
        self.fixed: Ints = constraints.fixed.copy()
        """Loop bounds that no decision changes, shape ``(slots, dims)``: those prescribed, and prime factors that only
        one slot may take."""
        self.placements = tuple(x for d in self.active for x in self._placements(d))
        """One decision for each prime factor that several slots may take."""

    def _placements(self, d: int) -> list[FactorPlacement]:
        constraints, found = self.constraints, []
        before = 0
        for prime in prime_factors(self.problem.bounds[d] // math.prod(constraints.fixed[:, d].tolist())):
            slots = self.slots_for(d, prime)
            if len(slots) == 1:
                self.fixed[slots[0], d] *= prime
                continue
            found.append(FactorPlacement(d, prime, slots, prime == before))
            before = prime
        return found

    def slots_for(self, dim: int, prime: int) -> tuple[int, ...]:
        """Slots that may take a prime factor of a dimension, outer to inner."""
        constraints = self.constraints
        open_slots = constraints.placeable[:, dim] & (constraints.max_factor[:, dim] >= prime)
        return tuple(int(s) for s in np.flatnonzero(open_slots))

    @property
    def outermost(self) -> Ints:
        """The tiling with every factor that is not fixed in its remainder slot, shape ``(slots, dims)``.

        Tiles and fan-outs only grow when factors move further in, so where this one does not fit, none does.
        """
        factors = self.fixed.copy()
        for d in self.active:
            slot = self.constraints.remainder_slot[d]
            factors[slot, d] *= self.problem.bounds[d] // math.prod(factors[:, d].tolist())
        return factors

    @property
    def limits(self) -> Ints:
        """Largest factors, those that are fixed included; shape ``(slots, dims)``."""
        return np.maximum(self.constraints.max_factor, self.fixed)

    def within_limits(self, factors: Ints) -> Bools:
        """Returns which tilings respect every largest factor, and spread no dimension along x and y of one fan-out.

        Args:
            factors: Shape ``(slots, dims, n)``.

        Returns:
            Shape ``(n,)``.
        """
        good = (factors <= self.limits[:, :, None]).all(axis=(0, 1))
        return np.asarray(good & ~lies_along_both(self.architecture, factors).any(axis=0))

    def chains(self, dim: int) -> Ints:
        """Returns all factorisations of one bound, shape ``(slots, chains)``; limits of single factors hold."""
        table = self.fixed[None, :, dim]
        placed = [x for x in self.placements if x.dim == dim]
        for prime, group in itertools.groupby(placed, key=lambda x: x.prime):
            copies = list(group)
            parts = []
            for slots in itertools.combinations_with_replacement(copies[0].slots, len(copies)):
                part = np.ones(table.shape[1], dtype=np.int64)
                np.multiply.at(part, list(slots), prime)
                parts.append(part)
            table = (table[:, None] * np.array(parts)[None]).reshape(-1, table.shape[1])
        chains = np.ascontiguousarray(table.T)
        good = (chains <= self.limits[:, dim, None]).all(axis=0)
        good &= (chains >= self.constraints.minimum.factors[:, dim, None]).all(axis=0)
        good &= ~lies_along_both(self.architecture, chains[:, None]).any(axis=0)
        return chains[:, good]

    def moves(self, factors: Ints) -> Ints:
        """Returns every move of one prime factor to another slot: rows of dimension, prime, slot now, slot then.

        Args:
            factors: One tiling, shape ``(slots, dims)``.
        """
        free = factors // self.fixed
        rows: list[tuple[int, int, int, int]] = []
        for d in self.active:
            for prime in {p for s in range(len(free)) for p in prime_factors(int(free[s, d]))}:
                sources = np.flatnonzero(free[:, d] % prime == 0).tolist()
                rows += [(d, prime, s, t) for s, t in itertools.product(sources, self.slots_for(d, prime)) if s != t]
        return np.array(rows, dtype=np.int64).reshape(-1, 4)


def prime_factors(n: int) -> list[int]:
    """Returns the prime factors with multiplicity, the largest first."""
    found, factor = [], 2
    while factor * factor <= n:
        while n % factor == 0:
            found.append(factor)
            n //= factor
        factor += 1
    return sorted([*found, n] if n > 1 else found, reverse=True)


def divisors(n: int) -> Ints:
    """Returns the divisors, ascending."""
    low = np.arange(1, math.isqrt(n) + 1)
    low = low[n % low == 0]
    return np.unique(np.concatenate([low, n // low])).astype(np.int64)
