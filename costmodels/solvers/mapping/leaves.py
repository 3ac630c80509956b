"""Whole mappings inside nodes: enumeration of small ones, rounding of relaxed points, and their true costs."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from accelgym.costmodels.loopnest.model import LoopnestModel
from accelgym.costmodels.objective import Objective
from accelgym.costmodels.solvers.mapping.classes import LevelClasses
from accelgym.costmodels.solvers.mapping.digits import significant
from accelgym.costmodels.solvers.mapping.machines import MachineTable
from accelgym.costmodels.solvers.mapping.nodes import Nodes
from accelgym.costmodels.solvers.mapping.room import tile_words
from accelgym.costmodels.solvers.mapping.space import MappingSpace

__all__ = ["Evaluator", "Found"]

Ints = npt.NDArray[np.int64]
Floats = npt.NDArray[np.float64]
Bools = npt.NDArray[np.bool_]

_BLOCK = 8192
_TIE_BITS, _VALUE_BITS = 24, 40
"""Significant digits of distances and of objectives that are told apart."""


@dataclass(frozen=True)
class Found:
    """A mapping with its true objective."""

    value: float
    chains: Ints
    """Extents as divisor numbers, shape ``(places, dims)``."""
    classes: Ints
    """Shape ``(levels - 1,)``."""
    machine: int
    keep: Bools
    """Shape ``(levels, tensors)``."""


class Evaluator:
    """Evaluates mappings given as chains with the cost model itself.

    Args:
        space: The map space.
        classes: Permutation classes of every level but the innermost.
        machines: The machines that nodes name.
        objective: What is minimised.
    """

    def __init__(
        self, space: MappingSpace, classes: tuple[LevelClasses, ...], machines: MachineTable, objective: Objective
    ) -> None:
        self.space, self.classes, self.machines, self.objective = space, classes, machines, objective
        self.models = [LoopnestModel(space.problem, machine) for machine in machines.architectures]
        self.spent = 0
        """Mappings evaluated."""
        self._ranks = [np.stack([self._rank(order) for order in table.orders]) for table in classes]

    def _rank(self, order: tuple[int, ...]) -> Ints:
        """Positions of all dimensions, 0 outermost, from an order of active ones, innermost first."""
        dims = len(self.space.problem.dims)
        inner = [self.space.active[d] for d in order]
        outer = [d for d in range(dims) if d not in inner]
        ranks = np.empty(dims, dtype=np.int64)
        ranks[[*outer, *reversed(inner)]] = np.arange(dims)
        return ranks

    def ranks(self, classes: Ints) -> Ints:
        """Loop positions of mappings, shape ``(slots, dims, n)`` from ``(n, levels - 1)``."""
        slots = len(self.space.architecture.slots)
        ranks = np.empty((slots, len(self.space.problem.dims), len(classes)), dtype=np.int64)
        ranks[:] = np.arange(len(self.space.problem.dims))[None, :, None]
        for v, table in enumerate(self._ranks):
            ranks[self.space.places[self.space.time[v]].slots[0]] = table[classes[:, v]].T
        return ranks

    def factors(self, chains: Ints) -> Ints:
        """Factors by place of chains, shape ``(places, dims, n)`` from ``(n, places, dims)``."""
        extents = self.space.divisor_table[np.arange(self.space.dims), chains]
        inner = np.concatenate([extents[:, 1:], np.ones_like(extents[:, :1])], axis=1)
        return np.ascontiguousarray((extents // inner).transpose(1, 2, 0))

    def fits(self, chains: Ints, machine: Ints, keep: Bools) -> Bools:
        """Which tilings fit the memories and the fan-outs' products, shape ``(n,)``."""
        space = self.space
        extents = space.divisor_table[np.arange(space.dims), chains]
        good = np.ones(len(chains), dtype=bool)
        for v, place in enumerate(space.time):
            capacity = self.machines.capacity[machine, v]
            if np.isfinite(capacity).any():
                words = sum(
                    tile_words(space, t, extents[:, place]) * keep[:, v, t] for t in range(len(space.problem.tensors))
                )
                good &= words <= capacity * (1 + 1e-12)
        for v in range(len(space.time)):
            fan = space.fan(v)
            if fan is not None:
                outer = extents[:, fan].prod(axis=1, dtype=np.float64)
                inner = extents[:, fan + 1].prod(axis=1, dtype=np.float64) if fan + 1 < len(space.places) else 1.0
                good &= outer / inner <= (self.machines.fanout_x * self.machines.fanout_y)[machine, v] * (1 + 1e-9)
        return good

    def evaluate(self, chains: Ints, classes: Ints, machine: Ints, keep: Bools) -> Floats:
        """Returns objectives, ``inf`` where a mapping does not fit; arrays with a leading axis ``(n,)``."""
        values = np.full(len(chains), np.inf)
        rows = np.flatnonzero(self.fits(chains, machine, keep))
        for begin in range(0, len(rows), _BLOCK):
            part = rows[begin : begin + _BLOCK]
            values[part] = self._price(chains[part], classes[part], machine[part], keep[part])
        return values

    def _price(self, chains: Ints, classes: Ints, machine: Ints, keep: Bools) -> Floats:
        factors = self.factors(chains)
        fits, masks = self._split(factors, machine)
        slots, ranks = self.space.slot_factors(factors, masks), self.ranks(classes)
        values = np.full(len(chains), np.inf)
        for m in np.unique(machine[fits]):
            rows = np.flatnonzero(fits & (machine == m))
            held = keep[rows].transpose(1, 2, 0)
            energy, cycles, valid = self.models[m].score(
                slots[:, :, rows].astype(np.float64),
                ranks[:, :, rows].astype(np.float64),
                None if self._plain(held) else held,
            )
            self.spent += len(rows)
            floors = self.space.rules.floors
            if floors.any:
                machine_of = self.machines.architectures[m]
                valid = valid & (floors.shortfall(self.space.problem, machine_of, slots[:, :, rows], held) == 0.0)
            value = {Objective.ENERGY: energy, Objective.LATENCY: cycles, Objective.EDP: energy * cycles}[
                self.objective
            ]
            values[rows] = np.where(valid, value, np.inf)
        return values

    def nests(self, chains: Ints, classes: Ints, machine: Ints, keep: Bools) -> tuple[Ints, Ints, Bools]:
        """Returns factors and ranks by slot, shape ``(slots, dims, n)``, and which mappings fit, shape ``(n,)``."""
        factors = self.factors(chains)
        fits, masks = self._split(factors, machine)
        return (
            self.space.slot_factors(factors, masks),
            self.ranks(classes),
            fits & self.fits(chains, machine, keep),
        )

    def _plain(self, keep: Bools) -> bool:
        stored = np.array(
            [[x.may_store(t) for t in self.space.problem.tensor_names] for x in self.space.architecture.levels]
        )
        return bool((keep == stored[:, :, None]).all())

    def _split(self, factors: Ints, machine: Ints) -> tuple[Bools, dict[int, Ints]]:
        fits, masks = np.ones(factors.shape[2], dtype=bool), {}
        for i, place in enumerate(self.space.places):
            if place.spatial:
                limits = (self.machines.fanout_y[machine, place.level], self.machines.fanout_x[machine, place.level])
                good, masks[i] = self.space.split(i, factors[i], limits)
                fits &= good
        return fits, masks

    def mapping(self, found: Found) -> tuple[Ints, Ints]:
        """Returns factors and ranks by slot and dimension, shape ``(slots, dims)`` each."""
        factors = self.factors(found.chains[None])
        _, masks = self._split(factors, np.array([found.machine]))
        slots = self.space.slot_factors(factors, masks)
        ranks = self.ranks(found.classes[None])
        return slots[:, :, 0], ranks[:, :, 0]

    # -- sets of mappings --------------------------------------------------------------------------------------------

    def sizes(self, nodes: Nodes) -> tuple[Floats, list[list[Ints]]]:
        """Returns how many tilings each node holds at most, and the rows of its chains per dimension."""
        sizes = np.ones(len(nodes))
        rows: list[list[Ints]] = [[] for _ in range(len(nodes))]
        for d, chains in enumerate(self.space.chains):
            inside = np.ones((len(nodes), len(chains)), dtype=bool)
            for i in range(1, len(self.space.places)):
                inside &= (chains[None, :, i] >= nodes.low[:, None, i, d]) & (
                    chains[None, :, i] <= nodes.high[:, None, i, d]
                )
            sizes *= inside.sum(axis=1)
            for k in range(len(nodes)):
                rows[k].append(np.flatnonzero(inside[k]))
        return sizes, rows

    def grid(self, rows: list[Ints]) -> Ints:
        """All combinations of chains, shape ``(n, places, dims)``."""
        mesh = np.meshgrid(*rows, indexing="ij")
        return np.stack([self.space.chains[d][mesh[d].ravel()] for d in range(self.space.dims)], axis=2)

    def nearest(self, point: Floats, count: int) -> list[Ints]:
        """Rows of the chains nearest to a relaxed point, ``count`` per dimension.

        Args:
            point: Logarithms of the extents at places 1 to the last, shape ``(places - 1, dims)``.
            count: How many.
        """
        found = []
        for d, chains in enumerate(self.space.chains):
            logs = np.log(self.space.divisor_table[d][chains[:, 1:]].astype(np.float64))
            distance = significant(np.abs(logs - point[:, d]).sum(axis=1), _TIE_BITS)
            found.append(np.argsort(distance, kind="stable")[:count])
        return found

    def best(self, chains: Ints, classes: Ints, machine: Ints, keep: Bools) -> Found | None:
        """Evaluates mappings and returns the best one that fits."""
        if not len(chains):
            return None
        values = self.evaluate(chains, classes, machine, keep)
        # Mirror images cost the same up to rounding; the first one counts.
        i = int(significant(values, _VALUE_BITS).argmin())
        if not np.isfinite(values[i]):
            return None
        return Found(float(values[i]), chains[i], classes[i], int(machine[i]), keep[i])
