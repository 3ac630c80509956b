"""Sizes and counts of the tiles of one level: how MAESTRO cuts each dimension."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from accelgym.costmodels.arrays import Array
from accelgym.costmodels.maestro.faults import Faults
from accelgym.costmodels.maestro.mapping import EDGE, Directive, Level

__all__ = ["OUT", "WINDOW", "Tiles"]

WINDOW = {"Y": "R", "X": "S"}
"""The kernel dimension that slides along an input dimension."""
OUT = {"Y": "OY", "X": "OX"}
"""The output dimension behind an input dimension."""


@dataclass(frozen=True)
class Tiles:
    """Per dimension, as arrays over the designs. ``OY`` and ``OX`` stand for output rows and columns.

    ``level`` has the dimensions that are iterated over; the sizes come from the dimensions the program takes
    them from, which are those of a full tile on its inner level. Sizes are asked for by ``EDGE`` or, for a first or
    full tile, ``INIT``.
    """

    xp: Any
    level: Level
    whole: dict[str, Array]
    """Size of a full tile of one unit."""
    step: dict[str, Array]
    """Part of a full tile that its predecessor did not hold."""
    edge: dict[str, Array]
    """Size of a partial tile."""
    edge_step: dict[str, Array]
    starts_as_edge: dict[str, Array]
    """Whether the first tile (of all units together) reaches beyond the dimension."""
    unrolled: dict[str, Array]
    """Whether the first tile (of all units together) covers the dimension."""
    steady: dict[str, Array]
    """Number of ``STEADY`` iterations."""
    edges: dict[str, Array]
    """Number of ``EDGE`` iterations, 0 or 1."""
    first: dict[str, Array]
    """Distinct elements in the first tile of all units together."""
    last: dict[str, Array]
    """Distinct elements in the partial last tile of all units together."""
    partial_unit: dict[str, Array]
    """Whether the last unit at work in ``EDGE`` holds a partial tile."""
    active: Array
    """Units at work in an edge, by the program's count, over the outermost spatial loop."""
    zero: Array
    """Zeros of the designs' shape."""
    no: Array
    """``False`` for every design."""

    @classmethod
    def of(cls, xp: Any, level: Level, sized: Level, faults: Faults) -> Tiles:
        """Cuts ``level``; tile sizes follow the dimensions of ``sized`` (the same loops)."""
        names: tuple[str, ...] = ("whole", "step", "edge", "edge_step", "starts_as_edge", "unrolled")
        names += ("steady", "edges", "first", "last", "partial_unit")
        t: dict[str, dict[str, Array]] = {name: {} for name in names}
        active = None
        for loop in level.loops:
            _sizes(xp, t, loop, sized.dims[loop.dim], faults)
            rest = _counts(xp, t, loop, level)
            t["partial_unit"][loop.dim] = (rest > loop.size) & (
                xp.floor((rest - loop.size) / loop.offset) * loop.offset + loop.size < rest
            )
            if loop.spatial and active is None:
                active = _active_units(xp, loop, sized)
        for dim, window in WINDOW.items():
            halo = level.dims[window] - 1.0
            loop = next(loop for loop in level.loops if loop.dim == dim)
            for name in ("whole", "edge", "first", "last"):
                t[name][OUT[dim]] = t[name][dim] - halo
            t["step"][OUT[dim]] = xp.minimum(loop.offset, loop.size)
            t["edge_step"][OUT[dim]] = xp.minimum(loop.offset, t["edge"][OUT[dim]])
        zero = level.units * 0.0
        return cls(xp, level, **t, active=active, zero=zero, no=zero > 0.0)

    def count(self, loop: Directive, state: int) -> Array | float:
        """Iterations a loop spends in a state."""
        return (1.0, self.steady[loop.dim], self.edges[loop.dim])[state]

    def held(self, loop: Directive, state: int) -> Array:
        """Elements of a dimension that one unit holds (the last one, where the unit count matters)."""
        dim = loop.dim
        if state == EDGE:
            return self.edge[dim]
        return self.xp.where(self.starts_as_edge[dim], self.edge[dim], self.whole[dim])

    def held_by(self, loop: Directive, state: int, *, last: bool) -> Array:
        """Elements of a dimension that the last unit at work holds, or those before it (as the program sizes them)."""
        if not loop.spatial or last:
            return self.held(loop, state)
        alone = self.xp.where(self.active == 1.0, self.held(loop, state), self.whole[loop.dim])
        return alone if state == EDGE else self.xp.where(self.starts_as_edge[loop.dim], alone, self.whole[loop.dim])

    def is_edge(self, loop: Directive, state: int) -> Array | bool:
        """Whether the tile of a state is partial."""
        return state == EDGE or self.starts_as_edge[loop.dim]

    def distinct(self, state: int, name: str) -> Array:
        """Distinct elements (``name``: input or output dimension) that all units together hold in a state."""
        return self.last[name] if state == EDGE else self.first[name]


def _sizes(xp: Any, t: dict[str, dict[str, Array]], loop: Directive, extent: Array, faults: Faults) -> None:
    """Tile sizes along one dimension of one unit."""
    d, size, step = loop.dim, loop.size, loop.offset
    steps = xp.floor(xp.maximum(extent - size, 0.0 * size) / step)
    rest = extent - (steps + 1.0) * step
    # The program's slip: for a tile larger than its dimension this is the dimension less a step.
    rest = xp.where(rest < 0.0, extent, rest)
    if not faults.edge_tiles:
        rest = xp.where(size > extent, extent, rest)
    ragged = (steps * step + size < extent) | (size > extent)
    t["whole"][d] = size
    t["step"][d] = xp.minimum(size, step)
    t["edge"][d] = xp.where(ragged, rest, size)
    t["edge_step"][d] = xp.maximum(step - size + rest, 0.0 * rest)


def _counts(xp: Any, t: dict[str, dict[str, Array]], loop: Directive, level: Level) -> Array:
    """Iterations along one dimension by all units together; returns what is left for the last one."""
    d, size, extent = loop.dim, loop.size, level.dims[loop.dim]
    covered, stride = size, loop.offset
    if loop.spatial:
        covered = size + loop.offset * (level.units - 1.0)
        stride = loop.offset * level.units
        full_units = xp.floor((extent - size) / loop.offset) + 1.0
        rounds = xp.floor(full_units / level.units) - 1.0
    else:
        rounds = xp.floor((extent - size) / loop.offset)
    zero = 0.0 * rounds
    goes_on = covered < extent
    rest = extent - (rounds + 1.0) * stride
    t["starts_as_edge"][d] = extent < covered
    t["unrolled"][d] = extent <= covered
    t["steady"][d] = xp.where(goes_on, rounds, zero)
    t["edges"][d] = xp.where(goes_on & (covered + rounds * stride < extent), 1.0 + zero, zero)
    t["first"][d] = xp.minimum(covered, extent)
    t["last"][d] = rest
    return rest


def _active_units(xp: Any, loop: Directive, level: Level) -> Array:
    """Units at work in an edge; in the first tile a partial unit counts, in the last it does not."""
    size, step, extent = loop.size, loop.offset, level.dims[loop.dim]
    covered = size + step * (level.units - 1.0)
    first = xp.ceil(xp.maximum(extent - size, 0.0 * size) / step) + 1.0
    rounds = xp.floor((xp.floor((extent - size) / step) + 1.0) / level.units) - 1.0
    rest = extent - (rounds + 1.0) * step * level.units
    last = xp.floor(xp.maximum(rest - size, 0.0 * size) / step) + 1.0
    return xp.where(extent > covered, last, first)
