"""Whole mappings inside nodes: enumeration of small ones, rounding of relaxed points, and their true costs."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
import numpy.typing as npt

from accelgym.costmodels.loopnest import LoopnestModel, Mappings
from accelgym.costmodels.mapspace import CandidateEvaluator, Candidates, MapSpace, fits_capacity
from accelgym.costmodels.objective import Objective
from accelgym.costmodels.solvers.mapping.classes import LevelClasses
from accelgym.costmodels.solvers.mapping.digits import POINT_GRID, significant
from accelgym.costmodels.solvers.mapping.machines import MachineTable
from accelgym.costmodels.solvers.mapping.nodes import Nodes

__all__ = ["Found", "LeafEvaluator"]

Ints = npt.NDArray[np.int64]
Floats = npt.NDArray[np.float64]
Bools = npt.NDArray[np.bool_]

_BLOCK = 8192
_TIE_BITS, _VALUE_BITS = 24, 40
"""Significant digits of distances and of objectives that are told apart."""
_PROGRESS = 1e-9
"""What counts as better; far above the rounding of a cost, so that the same steps are taken everywhere."""


@dataclass(frozen=True)
class Found:
    """A mapping with its true objective."""

    value: float
    chains: Ints
    """Extents as divisor numbers, shape ``(sites, dims)``."""
    classes: Ints
    """Shape ``(levels - 1,)``."""
    machine: int
    keep: Bools
    """Shape ``(levels, tensors)``."""


class LeafEvaluator:
    """Evaluates mappings given as chains with the cost model itself.

    Args:
        mapspace: The map space.
        classes: Permutation classes of every level but the innermost.
        machines: The machines that nodes name.
        objective: What is minimised.
    """

    def __init__(
        self, mapspace: MapSpace, classes: tuple[LevelClasses, ...], machines: MachineTable, objective: Objective
    ) -> None:
        self.mapspace, self.space, self.machines = mapspace, mapspace.site_factorization, machines
        self.evaluators = [
            CandidateEvaluator(mapspace, LoopnestModel(mapspace.problem, machine), objective)
            for machine in machines.architectures
        ]
        self._codes = [
            np.concatenate([self._code(v, order) for order in table.orders]) for v, table in enumerate(classes)
        ]

    @property
    def spent(self) -> int:
        """Mappings evaluated."""
        return sum(evaluator.spent for evaluator in self.evaluators)

    def _code(self, level: int, order: tuple[int, ...]) -> Ints:
        """Code of a loop order of active dimensions, innermost first; shape ``(1,)``."""
        free = self.mapspace.permutation.free[level]
        loops = [self.space.active[d] for d in order if self.space.active[d] in free]
        return self.mapspace.permutation.code(level, np.array(loops, dtype=np.int64)[:, None])

    def candidates(self, chains: Ints, classes: Ints, machine: Ints, keep: Bools) -> tuple[Candidates, Bools]:
        """Returns mappings as candidates, and which of them fit.

        Args:
            chains: Extents as divisor numbers, shape ``(sites, dims, n)``.
            classes: Permutation classes, shape ``(levels - 1, n)``.
            machine: Rows of the machine table, shape ``(n,)``.
            keep: Shape ``(levels, tensors, n)``.
        """
        candidates, good = self._split(chains, classes, machine, keep)
        return candidates, good & self.fits(chains, machine, keep)

    def _split(self, chains: Ints, classes: Ints, machine: Ints, keep: Bools) -> tuple[Candidates, Bools]:
        """Returns mappings as candidates, and for which of them x and y of every fan-out suffice."""
        good, factors = np.ones(chains.shape[2], dtype=bool), self.space.site_factors(chains)
        along_x = {}
        for i, site in enumerate(self.space.sites):
            if site.spatial:
                limits = (self.machines.fanout_y[machine, site.level], self.machines.fanout_x[machine, site.level])
                split, along_x[i] = self.space.split(i, factors[i], limits)
                good &= split
        codes = [table[numbers] for table, numbers in zip(self._codes, classes, strict=True)]
        ordered = np.array(codes, dtype=np.int64).reshape(classes.shape)
        return Candidates(self.space.to_factors(chains, along_x), ordered, keep), good

    def fits(self, chains: Ints, machine: Ints, keep: Bools) -> Bools:
        """Returns which tilings fit the memories and the products of the fan-outs, shape ``(n,)``."""
        space, extents = self.space, self.space.extents(chains)
        good = np.ones(chains.shape[2], dtype=bool)
        for v, site in enumerate(space.time):
            capacity = self.machines.capacity[machine, v]
            if np.isfinite(capacity).any():
                tile = dict(zip(space.names, extents[site].astype(np.float64), strict=True))
                good &= fits_capacity(space.problem, capacity, tile, keep[v])
        for v in range(len(space.time)):
            fan = space.fan(v)
            if fan is not None:
                inner = extents[fan + 1].prod(axis=0, dtype=np.float64) if fan + 1 < len(space.sites) else 1.0
                used = extents[fan].prod(axis=0, dtype=np.float64) / inner
                good &= used <= (self.machines.fanout_x * self.machines.fanout_y)[machine, v] * (1 + 1e-9)
        return good

    def evaluate(self, chains: Ints, classes: Ints, machine: Ints, keep: Bools) -> Floats:
        """Returns objectives, ``inf`` where a mapping does not fit; arguments as for :meth:`candidates`."""
        values = np.full(chains.shape[2], np.inf)
        rows = np.flatnonzero(self.fits(chains, machine, keep))
        for begin in range(0, len(rows), _BLOCK):
            part = rows[begin : begin + _BLOCK]
            candidates, good = self._split(chains[:, :, part], classes[:, part], machine[part], keep[:, :, part])
            for m in np.unique(machine[part[good]]):
                mine = np.flatnonzero(good & (machine[part] == m))
                values[part[mine]] = self.evaluators[m](candidates.take(mine))
        return values

    def mapping(self, found: Found) -> Mappings:
        """Returns a mapping, a batch of one on its machine."""
        keep = found.keep[:, :, None]
        candidates, _ = self._split(found.chains[:, :, None], found.classes[:, None], np.array([found.machine]), keep)
        mappings = self.mapspace.to_mappings(candidates)
        return replace(mappings, architecture=self.machines.architectures[found.machine], keep=keep)

    # -- sets of mappings --------------------------------------------------------------------------------------------

    def sizes(self, nodes: Nodes) -> tuple[Floats, list[list[Ints]]]:
        """Returns how many tilings each node holds at most, and the rows of its chains per dimension."""
        sizes = np.ones(len(nodes))
        rows: list[list[Ints]] = [[] for _ in range(len(nodes))]
        for d, chains in enumerate(self.space.chains):
            inside = np.ones((len(nodes), len(chains)), dtype=bool)
            for i in range(1, len(self.space.sites)):
                inside &= (chains[None, :, i] >= nodes.low[:, None, i, d]) & (
                    chains[None, :, i] <= nodes.high[:, None, i, d]
                )
            sizes *= inside.sum(axis=1)
            for k in range(len(nodes)):
                rows[k].append(np.flatnonzero(inside[k]))
        return sizes, rows

    def grid(self, rows: list[Ints]) -> Ints:
        """Returns all combinations of chains, shape ``(sites, dims, n)``."""
        mesh = np.meshgrid(*rows, indexing="ij")
        return np.stack([self.space.chains[d].T[:, mesh[d].ravel()] for d in range(self.space.dims)], axis=1)

    def nearest(self, point: Floats, count: int) -> list[Ints]:
        """Rows of the chains nearest to a relaxed point, ``count`` per dimension, and the nearest one inside it.

        Args:
            point: Logarithms of the extents at sites 1 to the last, shape ``(sites - 1, dims)``.
            count: How many.
        """
        found = []
        for d, chains in enumerate(self.space.chains):
            logs = np.log(self.space.divisor_table[d][chains[:, 1:]].astype(np.float64))
            away = logs - point[:, d]
            distance = significant(np.abs(away).sum(axis=1), _TIE_BITS)
            rows = np.argsort(distance, kind="stable")[:count]
            # Tiles that are nowhere larger fit as the relaxed ones do.
            inside = np.where((away <= 1.5 * POINT_GRID).all(axis=1), distance, np.inf)
            found.append(np.union1d(rows, inside.argmin()))
        return found

    def best(self, chains: Ints, classes: Ints, machine: Ints, keep: Bools) -> Found | None:
        """Evaluates mappings and returns the best one that fits."""
        if not chains.shape[2]:
            return None
        values = self.evaluate(chains, classes, machine, keep)
        # Mirror images cost the same up to rounding; the first one counts.
        i = int(significant(values, _VALUE_BITS).argmin())
        if not np.isfinite(values[i]):
            return None
        return Found(float(values[i]), chains[:, :, i], classes[:, i], int(machine[i]), keep[:, :, i])

    def polish(self, found: Found) -> Found:
        """Improves a mapping until neither the factors of one dimension nor the class of one level can be better.

        Incumbents by rounding alone come late, and what they would have cut off is split meanwhile.
        """
        while True:
            before = found.value
            for d, table in enumerate(self.space.chains):
                chains = np.repeat(found.chains[:, :, None], len(table), axis=2)
                chains[:, d] = table.T
                found = self._better(found, chains, np.repeat(found.classes[:, None], len(table), axis=1))
            for v, codes in enumerate(self._codes):
                # The last class is undecided.
                decided = np.arange(len(codes) - 1)
                classes = np.repeat(found.classes[:, None], len(decided), axis=1)
                classes[v] = decided
                found = self._better(found, np.repeat(found.chains[:, :, None], len(decided), axis=2), classes)
            if found.value >= before:
                return found

    def _better(self, found: Found, chains: Ints, classes: Ints) -> Found:
        n = chains.shape[2]
        other = self.best(chains, classes, np.full(n, found.machine), np.repeat(found.keep[:, :, None], n, axis=2))
        return other if other is not None and other.value < found.value * (1 - _PROGRESS) else found
