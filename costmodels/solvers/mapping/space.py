"""The integers behind a map space: places for loops, divisors and chains of factors."""

from __future__ import annotations

import itertools
import math
from dataclasses import dataclass
from functools import cached_property

import numpy as np
import numpy.typing as npt

from accelgym.costmodels.architecture.loop_nest import LoopNest
from accelgym.costmodels.architecture.machine import Architecture
from accelgym.costmodels.architecture.rules import Rules

__all__ = ["MappingSpace", "Place"]

Ints = npt.NDArray[np.int64]
Floats = npt.NDArray[np.float64]
Bools = npt.NDArray[np.bool_]


@dataclass(frozen=True)
class Place:
    """Where loops may lie: the time loops of a level, or its fan-out with x and y taken together."""

    level: int
    spatial: bool
    slots: tuple[int, ...]
    """Slots of the architecture that it covers."""


class MappingSpace:
    """Places, divisors and chains of one problem on one machine.

    Along y and x a fan-out costs the same, so the two are one place here; :meth:`split` finds out which dimension
    goes where. *Extent* ``e[i, d]`` is the product of the factors of ``d`` at places ``i`` and further inside;
    ``e[0, d]`` is the bound. Extents of a dimension are nested divisors of its bound: a *chain*.

    Args:
        problem: The problem.
        architecture: The machine.
        rules: Its constraints.
    """

    def __init__(self, problem: LoopNest, architecture: Architecture, rules: Rules) -> None:
        self.problem, self.architecture, self.rules = problem, architecture, rules
        self.active = tuple(d for d, bound in enumerate(problem.bounds) if bound > 1)
        """Dimensions with more than one iteration; all arrays here run over these."""
        self.bounds: Ints = np.array([problem.bounds[d] for d in self.active], dtype=np.int64)
        places = []
        for v, level in enumerate(architecture.levels):
            places.append(Place(v, False, (_slot(architecture, v, "temporal"),)))
            along = [architecture.slot(v, kind) for kind in ("y", "x")]
            if level.fanout > 1:
                places.append(Place(v, True, tuple(s for s in along if s is not None)))
        self.places = tuple(places)
        self.time = tuple(i for i, place in enumerate(places) if not place.spatial)
        """Place of the time loops of each level."""

    def fan(self, level: int) -> int | None:
        """Place of the fan-out below a level, ``None`` where there is none."""
        i = self.time[level] + 1
        return i if i < len(self.places) and self.places[i].spatial else None

    @property
    def dims(self) -> int:
        """Number of active dimensions."""
        return len(self.active)

    @cached_property
    def open(self) -> Bools:
        """Whether a place takes loops that are not prescribed, shape ``(places, dims)``."""
        rules = self.rules
        table = [
            [
                any(rules.open[s, d] for s in p.slots) and all(rules.fixed[s, d] == 1 for s in p.slots)
                for d in self.active
            ]
            for p in self.places
        ]
        return np.array(table, dtype=bool).reshape(len(self.places), self.dims)

    @cached_property
    def fixed(self) -> Ints:
        """Prescribed factors, shape ``(places, dims)``."""
        table = [[int(np.prod([self.rules.fixed[s, d] for s in p.slots])) for d in self.active] for p in self.places]
        return np.array(table, dtype=np.int64).reshape(len(self.places), self.dims)

    @cached_property
    def most(self) -> Ints:
        """Largest factors, shape ``(places, dims)``."""
        rules = self.rules
        table = [
            [max((int(rules.most[s, d]) for s in p.slots if rules.open[s, d]), default=1) for d in self.active]
            for p in self.places
        ]
        most = np.array(table, dtype=np.int64).reshape(len(self.places), self.dims)
        return np.where(self.open, np.minimum(most, self.bounds), self.fixed)

    @cached_property
    def least(self) -> Ints:
        """Smallest factors, shape ``(places, dims)``."""
        floors = self.rules.floors.factors
        table = [[max(int(floors[s, d]) for s in p.slots) for d in self.active] for p in self.places]
        least = np.array(table, dtype=np.int64).reshape(len(self.places), self.dims)
        return np.where(self.open, least, self.fixed)

    @cached_property
    def divisors(self) -> list[Ints]:
        """Divisors of each bound, ascending."""
        return [_divisors(n) for n in self.bounds.tolist()]

    @cached_property
    def divisor_table(self) -> Ints:
        """Divisors padded with the bound, shape ``(dims, most divisors)``."""
        width = max(len(table) for table in self.divisors)
        return np.array([np.pad(table, (0, width - len(table)), mode="edge") for table in self.divisors])

    @cached_property
    def chains(self) -> list[Ints]:
        """Extents of all chains of each dimension as divisor numbers, shape ``(chains, places)``."""
        return [self._chains(d) for d in range(self.dims)]

    def _chains(self, d: int) -> Ints:
        divisors = self.divisors[d]
        number = {int(x): i for i, x in enumerate(divisors)}
        found: list[tuple[int, ...]] = [()]
        # From the inside outwards; the outermost place takes what is left.
        for i in reversed(range(1, len(self.places))):
            longer = []
            for chain in found:
                inner = chain[0] if chain else 1
                if not self.open[i, d]:
                    factors = [int(self.fixed[i, d])]
                else:
                    factors = [int(f) for f in divisors if self.least[i, d] <= f <= self.most[i, d]]
                longer += [(inner * f, *chain) for f in factors if inner * f in number]
            found = longer
        bound = int(self.bounds[d])
        kept = []
        for chain in found:
            outermost = bound // (chain[0] if chain else 1)
            if self.least[0, d] <= outermost <= self.most[0, d]:
                kept.append([number[bound], *(number[x] for x in chain)])
        return np.array(kept, dtype=np.int64).reshape(-1, len(self.places))

    # -- fan-outs ------------------------------------------------------------------------------------------------

    def split(self, place: int, factors: Ints, limits: tuple[Ints, Ints]) -> tuple[Bools, Ints]:
        """Distributes the dimensions of a fan-out over y and x.

        Args:
            place: The fan-out.
            factors: Shape ``(dims, n)``.
            limits: Extents along y and x, broadcastable to ``(n,)``.

        Returns:
            Whether some distribution fits, shape ``(n,)``, and which dimensions lie along x as a bit mask.
        """
        level = self.places[place].level
        slots = [self.architecture.slot(level, kind) for kind in ("y", "x")]
        n = factors.shape[1]
        fits, chosen = np.zeros(n, dtype=bool), np.zeros(n, dtype=np.int64)
        spread = np.flatnonzero((factors > 1).any(axis=1))
        for sides in itertools.product((0, 1), repeat=len(spread)):
            products = [np.ones(n, dtype=np.int64), np.ones(n, dtype=np.int64)]
            good = np.ones(n, dtype=bool)
            for side, d in zip(sides, spread, strict=True):
                slot = slots[side]
                products[side] = products[side] * factors[d]
                if slot is None:
                    good &= factors[d] == 1
                    continue
                dim = self.active[d]
                most = self.rules.most[slot, dim] if self.rules.open[slot, dim] else self.rules.fixed[slot, dim]
                good &= factors[d] <= max(int(most), 1)
                other = slots[1 - side]
                good &= factors[d] >= self.rules.floors.factors[slot, dim]
                if other is not None and self.rules.floors.factors[other, dim] > 1:
                    good &= False
            good &= (products[0] <= limits[0]) & (products[1] <= limits[1]) & ~fits
            chosen[good] = sum(1 << int(d) for side, d in zip(sides, spread, strict=True) if side)
            fits |= good
            if fits.all():
                break
        return fits, chosen

    def slot_factors(self, factors: Ints, masks: dict[int, Ints]) -> Ints:
        """Returns factors by slot of the architecture and dimension of the problem, shape ``(slots, dims, n)``.

        Args:
            factors: By place, shape ``(places, dims, n)``.
            masks: Per fan-out, the dimensions along x, from :meth:`split`.
        """
        result = np.ones((len(self.architecture.slots), len(self.problem.dims), factors.shape[2]), dtype=np.int64)
        for i, place in enumerate(self.places):
            if not place.spatial:
                result[place.slots[0], list(self.active)] = factors[i]
                continue
            y, x = (self.architecture.slot(place.level, kind) for kind in ("y", "x"))
            for d, dim in enumerate(self.active):
                along_x = (masks[i] >> d & 1).astype(bool)
                if x is not None:
                    result[x, dim] = np.where(along_x, factors[i, d], 1)
                if y is not None:
                    result[y, dim] = np.where(along_x, 1, factors[i, d])
        return result


def _divisors(n: int) -> Ints:
    low = np.arange(1, math.isqrt(n) + 1)
    low = low[n % low == 0]
    return np.unique(np.concatenate([low, n // low])).astype(np.int64)


def _slot(architecture: Architecture, level: int, kind: str) -> int:
    slot = architecture.slot(level, kind)  # type: ignore[arg-type]
    assert slot is not None
    return slot
