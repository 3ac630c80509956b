"""Integer tightening of nodes: extents that still fit the memories, factors that still fit the fan-outs."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from accelgym.costmodels.mapspace import SiteFactorization, fits_capacity, held_words
from accelgym.costmodels.solvers.mapping.machines import MachineTable
from accelgym.costmodels.solvers.mapping.nodes import Nodes

__all__ = ["Fanouts", "shrink_to_capacity"]

Ints = npt.NDArray[np.int64]
Floats = npt.NDArray[np.float64]
Bools = npt.NDArray[np.bool_]

_MAX_SPREADS = 4096
_HUGE = np.iinfo(np.int64).max


def shrink_to_capacity(space: SiteFactorization, machines: MachineTable, nodes: Nodes) -> Bools:
    """Lowers the largest extents to what fits when all others are least, in place.

    Returns:
        Which nodes still fit and can fill what has to be filled, shape ``(nodes,)``.
    """
    fits = np.ones(len(nodes), dtype=bool)
    table, dims = space.divisor_table, np.arange(space.dims)
    for v, place in enumerate(space.time):
        capacity = machines.capacity[nodes.machine, v]
        if not np.isfinite(capacity).any():
            continue
        keep = nodes.keep[:, v].T
        least = dict(zip(space.names, table[dims, nodes.low[:, place]].T.astype(np.float64), strict=True))
        for d, name in enumerate(space.names):
            trial = least | {name: table[d, : len(space.divisors[d]), None].astype(np.float64)}
            held = fits_capacity(space.problem, capacity, trial, keep[:, None])
            held = np.broadcast_to(held, (len(space.divisors[d]), len(nodes)))
            # More of a dimension never takes fewer words.
            nodes.high[:, place, d] = np.minimum(nodes.high[:, place, d], held.sum(axis=0) - 1)
        fits &= (nodes.low[:, place] <= nodes.high[:, place]).all(axis=1)
        if (share := space.constraints.minimum.words[v]) > 0.0:
            most = dict(zip(space.names, table[dims, np.maximum(nodes.high[:, place], 0)].T, strict=True))
            fits &= held_words(space.problem, most, keep) * (1 + 1e-9) >= share * capacity
    return fits


class Fanouts:
    """The factors that fill fan-outs, given that they divide.

    Args:
        space: The map space.
        machines: The machines; where they differ in a fan-out, it has one direction.
    """

    def __init__(self, space: SiteFactorization, machines: MachineTable) -> None:
        self.space, self.machines = space, machines
        output = next(t for t in space.problem.tensors if t.read_write)
        self.reducing = np.array([space.problem.dims[d] not in output.dims for d in space.active], dtype=bool)
        """Dimensions that a fan-out sums over."""
        self.choices: dict[int, _Spreads] = {}
        for v in range(len(space.architecture.levels)):
            place = space.fan(v)
            if place is not None:
                self.choices[v] = self._spreads(v, place)

    def _spreads(self, level: int, place: int) -> _Spreads:
        space = self.space
        limits = (self.machines.fanout_y[:, level].max(), self.machines.fanout_x[:, level].max())
        rows, sizes = np.ones((1, 0), dtype=np.int64), np.ones(1, dtype=np.int64)
        for d, divisors in enumerate(space.divisors):
            options = (
                divisors[(divisors >= space.least[place, d]) & (divisors <= space.most[place, d])]
                if space.open[place, d]
                else space.fixed[place, d : d + 1]
            )
            longer = sizes[:, None] * options
            kept = longer <= limits[0] * limits[1]
            row, option = np.nonzero(kept)
            rows, sizes = np.concatenate([rows[row], options[option][:, None]], axis=1), longer[kept]
            if len(rows) > _MAX_SPREADS:
                return _Spreads(None, sizes, sizes)
        fits, _ = space.split(place, rows.T, limits)
        rows = rows[fits]
        order = np.argsort(-rows.prod(axis=1), kind="stable")
        rows = rows[order]
        return _Spreads(rows, rows[:, self.reducing].prod(axis=1), rows.prod(axis=1))

    def tighten(self, nodes: Nodes) -> tuple[Floats, Bools]:
        """Bounds the children in use and narrows reductions, factors and extents of nodes, in place.

        Returns:
            Logarithm of the most children below each level, shape ``(nodes, levels)``, and which nodes have any.
        """
        space, n = self.space, len(nodes)
        table, dims = space.divisor_table, np.arange(space.dims)
        result, possible = np.zeros((n, len(space.architecture.levels))), np.ones(n, dtype=bool)
        for v, spreads in self.choices.items():
            place = space.fan(v)
            assert place is not None
            limit = (self.machines.fanout_x * self.machines.fanout_y)[nodes.machine, v]
            outer_low, outer_high = table[dims, nodes.low[:, place]], table[dims, nodes.high[:, place]]
            inner_low = inner_high = np.ones_like(outer_low)
            if place + 1 < len(space.sites):
                inner_low, inner_high = table[dims, nodes.low[:, place + 1]], table[dims, nodes.high[:, place + 1]]
            least, most = nodes.spatial_factor_bounds[:, v, :, 0], nodes.spatial_factor_bounds[:, v, :, 1]
            np.maximum(least, -(-outer_low // inner_high), out=least)
            np.minimum(most, outer_high // inner_low, out=most)
            if spreads.rows is None:
                np.minimum(most, limit[:, None], out=most)
                total = np.minimum(most.prod(axis=1, dtype=np.float64), limit)
                most_sum = np.minimum(most[:, self.reducing].prod(axis=1, dtype=np.float64), limit).astype(np.int64)
                nodes.reducing_children_bounds[:, v, 1] = np.minimum(nodes.reducing_children_bounds[:, v, 1], most_sum)
                nodes.reducing_children_bounds[:, v, 0] = np.maximum(
                    nodes.reducing_children_bounds[:, v, 0], least[:, self.reducing].prod(axis=1)
                )
                result[:, v] = np.log(total)
                possible &= (least.prod(axis=1, dtype=np.float64) <= limit) & (least <= most).all(axis=1)
                continue
            rows, sums, sizes = spreads.rows, spreads.sums, spreads.sizes
            inside = (sizes[None] <= limit[:, None]) & (sums[None] >= nodes.reducing_children_bounds[:, v, :1])
            inside &= sums[None] <= nodes.reducing_children_bounds[:, v, 1:]
            for d in range(space.dims):
                inside &= (rows[None, :, d] >= least[:, d, None]) & (rows[None, :, d] <= most[:, d, None])
            possible &= inside.any(axis=1)
            result[:, v] = np.log(sizes[inside.argmax(axis=1)])
            nodes.reducing_children_bounds[:, v, 0] = np.where(inside, sums, _HUGE).min(axis=1, initial=_HUGE)
            nodes.reducing_children_bounds[:, v, 1] = np.where(inside, sums, 0).max(axis=1, initial=0)
            for d in range(space.dims):
                least[:, d] = np.where(inside, rows[:, d], _HUGE).min(axis=1, initial=_HUGE)
                most[:, d] = np.where(inside, rows[:, d], 1).max(axis=1, initial=1)
        return result, possible

    def reductions(self, level: int, low: int, high: int) -> Ints:
        """Numbers of children that some spread sums over, ascending, within limits."""
        spreads = self.choices[level]
        if spreads.rows is None:
            return np.arange(low, high + 1) if high - low < _MAX_SPREADS else np.array([low, high])
        sums = np.unique(spreads.sums)
        return sums[(sums >= low) & (sums <= high)]


@dataclass(frozen=True)
class _Spreads:
    """Ways to fill a fan-out, most children first."""

    rows: Ints | None
    """Factors, shape ``(spreads, dims)``; ``None`` when there are too many to list."""
    sums: Ints
    """Children that add to one sum, shape ``(spreads,)``."""
    sizes: Ints
    """Children in use."""
