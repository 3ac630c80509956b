"""Index factorisation as branch and bound sees it: extents of tiles at loop sites, as numbers of divisors."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

import numpy as np
import numpy.typing as npt

from accelgym.costmodels.architecture.loop_nest import LoopNest
from accelgym.costmodels.architecture.machine import Architecture
from accelgym.costmodels.mapspace.constraints import Constraints
from accelgym.costmodels.mapspace.index_factorization import divisors
from accelgym.costmodels.mapspace.spatial_split import split_fanout

__all__ = ["LoopSite", "SiteFactorization"]

Ints = npt.NDArray[np.int64]
Bools = npt.NDArray[np.bool_]


@dataclass(frozen=True)
class LoopSite:
    """Where loops may lie: the time loops of a level, or its fan-out with x and y taken together."""

    level: int
    spatial: bool
    slots: tuple[int, ...]
    """Slots of the architecture that it covers."""


class SiteFactorization:
    """Sites, divisors and chains of one problem on one machine.

    Along y and x a fan-out costs the same, so the two are one site here; :meth:`split` finds out which dimension goes
    where. *Extent* ``e[i, d]`` is the product of the factors of ``d`` at sites ``i`` and further inside; ``e[0, d]`` is
    the bound. Extents of a dimension are nested divisors of its bound: a *chain*.

    Args:
        problem: The problem.
        architecture: The machine.
        constraints: What restricts the factors.
    """

    def __init__(self, problem: LoopNest, architecture: Architecture, constraints: Constraints) -> None:
        self.problem, self.architecture, self.constraints = problem, architecture, constraints
        self.active = tuple(d for d, bound in enumerate(problem.bounds) if bound > 1)
        """Dimensions with more than one iteration; all arrays here run over these."""
        self.names = tuple(problem.dims[d] for d in self.active)
        self.bounds: Ints = np.array([problem.bounds[d] for d in self.active], dtype=np.int64)
        sites = []
        for v, level in enumerate(architecture.levels):
            kinds = ("temporal", "y", "x")
            time, *along = (architecture.slot(v, kind) for kind in kinds)  # type: ignore[arg-type]
            assert time is not None
            sites.append(LoopSite(v, False, (time,)))
            if level.fanout > 1:
                sites.append(LoopSite(v, True, tuple(s for s in along if s is not None)))
        self.sites = tuple(sites)
        """The sites, outer to inner."""
        self.time = tuple(i for i, site in enumerate(sites) if not site.spatial)
        """Site of the time loops of each level."""

    def fan(self, level: int) -> int | None:
        """Site of the fan-out below a level, ``None`` where there is none."""
        i = self.time[level] + 1
        return i if i < len(self.sites) and self.sites[i].spatial else None

    @property
    def dims(self) -> int:
        """Number of active dimensions."""
        return len(self.active)

    # -- constraints by site -----------------------------------------------------------------------------------------

    @cached_property
    def open(self) -> Bools:
        """Whether a site takes loops that are not prescribed, shape ``(sites, dims)``."""
        placeable, fixed = self.constraints.placeable, self.constraints.fixed
        rows = [placeable[list(p.slots)].any(axis=0) & (fixed[list(p.slots)] == 1).all(axis=0) for p in self.sites]
        return np.array(rows, dtype=bool)[:, list(self.active)]

    @cached_property
    def fixed(self) -> Ints:
        """Prescribed factors, shape ``(sites, dims)``."""
        rows = [self.constraints.fixed[list(p.slots)].prod(axis=0) for p in self.sites]
        return np.array(rows, dtype=np.int64)[:, list(self.active)]

    @cached_property
    def most(self) -> Ints:
        """Largest factors, shape ``(sites, dims)``."""
        allowed = np.where(self.constraints.placeable, self.constraints.max_factor, 1)
        rows = [allowed[list(p.slots)].max(axis=0) for p in self.sites]
        most = np.array(rows, dtype=np.int64)[:, list(self.active)]
        return np.where(self.open, np.minimum(most, self.bounds), self.fixed)

    @cached_property
    def least(self) -> Ints:
        """Smallest factors, shape ``(sites, dims)``."""
        rows = [self.constraints.minimum.factors[list(p.slots)].max(axis=0) for p in self.sites]
        return np.where(self.open, np.array(rows, dtype=np.int64)[:, list(self.active)], self.fixed)

    # -- divisors and chains -----------------------------------------------------------------------------------------

    @cached_property
    def divisors(self) -> list[Ints]:
        """Divisors of each bound, ascending."""
        return [divisors(n) for n in self.bounds.tolist()]

    @cached_property
    def least_primes(self) -> Ints:
        """The least prime factor of each bound: a factor is one or at least that, shape ``(dims,)``."""
        return np.array([table[1] for table in self.divisors], dtype=np.int64)

    @cached_property
    def divisor_table(self) -> Ints:
        """Divisors padded with the bound, shape ``(dims, most divisors)``."""
        width = max(len(table) for table in self.divisors)
        return np.array([np.pad(table, (0, width - len(table)), mode="edge") for table in self.divisors])

    @cached_property
    def chains(self) -> list[Ints]:
        """Extents of all chains of each dimension as divisor numbers, shape ``(chains, sites)``."""
        return [self._chains(d) for d in range(self.dims)]

    def _chains(self, d: int) -> Ints:
        divisors = self.divisors[d]
        number = {int(x): i for i, x in enumerate(divisors)}
        found: list[tuple[int, ...]] = [()]
        # From the inside outwards; the outermost site takes what is left.
        for i in reversed(range(1, len(self.sites))):
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
        return np.array(kept, dtype=np.int64).reshape(-1, len(self.sites))

    def extents(self, chains: Ints) -> Ints:
        """Returns the extents of chains ``(sites, dims, n)``, same shape."""
        return np.asarray(self.divisor_table[np.arange(self.dims)[:, None], chains])

    def split(self, place: int, factors: Ints, limits: tuple[Ints, Ints]) -> tuple[Bools, Ints]:
        """Distributes the dimensions of a fan-out over y and x; see :func:`.spatial_split.split_fanout`.

        Args:
            place: Site of the fan-out.
            factors: Shape ``(dims, n)``.
            limits: Extents along y and x, broadcastable to ``(n,)``.
        """
        level = self.sites[place].level
        return split_fanout(self.constraints, self.architecture, level, self.active, factors, limits)

    # -- chains and factors by slot: a pair --------------------------------------------------------------------------

    def to_factors(self, chains: Ints, along_x: dict[int, Ints]) -> Ints:
        """Returns factors by slot and dimension of the problem, shape ``(slots, dims of the problem, n)``.

        Args:
            chains: Extents as divisor numbers, shape ``(sites, dims, n)``.
            along_x: Per fan-out, the dimensions along x as bit masks, from :meth:`split`.
        """
        factors = self.site_factors(chains)
        result = np.ones((len(self.architecture.slots), len(self.problem.dims), chains.shape[2]), dtype=np.int64)
        for i, site in enumerate(self.sites):
            if not site.spatial:
                result[site.slots[0], list(self.active)] = factors[i]
                continue
            y, x = (self.architecture.slot(site.level, kind) for kind in ("y", "x"))
            for d, dim in enumerate(self.active):
                on_x = (along_x[i] >> d & 1).astype(bool)
                if x is not None:
                    result[x, dim] = np.where(on_x, factors[i, d], 1)
                if y is not None:
                    result[y, dim] = np.where(on_x, 1, factors[i, d])
        return result

    def from_factors(self, factors: Ints) -> tuple[Ints, dict[int, Ints]]:
        """Returns chains, and the dimensions along x of each fan-out; inverse of :meth:`to_factors`.

        Args:
            factors: Shape ``(slots, dims of the problem, n)``; every product is the bound.
        """
        local = factors[:, list(self.active)]
        extents = np.ones((len(self.sites) + 1, *local.shape[1:]), dtype=np.int64)
        for i in reversed(range(len(self.sites))):
            extents[i] = extents[i + 1] * local[list(self.sites[i].slots)].prod(axis=0)
        chains = np.stack([np.searchsorted(table, extents[:-1, d]) for d, table in enumerate(self.divisors)], axis=1)
        along_x = {}
        for i, site in enumerate(self.sites):
            if site.spatial:
                x = self.architecture.slot(site.level, "x")
                on_x = np.zeros(local.shape[1:], dtype=bool) if x is None else local[x] > 1
                along_x[i] = (on_x << np.arange(self.dims)[:, None]).sum(axis=0)
        return chains.astype(np.int64), along_x

    def site_factors(self, chains: Ints) -> Ints:
        """Returns factors by site of chains, same shape ``(sites, dims, n)``."""
        extents = self.extents(chains)
        return np.asarray(extents // np.concatenate([extents[1:], np.ones_like(extents[:1])]))
