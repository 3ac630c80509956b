"""Dataflows in MAESTRO's language as loops of the general rules, as far as these reproduce the program.

Checked against the program (commit 4eb08d17) on random mappings: one or two levels, any order and tile size of the
loops over K, C, Y and X, one ``SpatialMap`` a level, any number of clusters, any NoC bandwidth. What lies outside is
refused with the directive's place.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np

from accelgym.costmodels.errors import InputError
from accelgym.costmodels.maestro.mapping import Directive, Level
from accelgym.costmodels.maestro.tiles import WINDOW
from accelgym.costmodels.workloads.importers.maestro_language import DataflowDirective, Size, Word

__all__ = ["Plan", "plan_loops"]

_LOOPS = ("K", "C", "Y", "X")


@dataclass(frozen=True)
class _Map:
    """A map with its sizes as numbers, in input coordinates."""

    dim: str
    size: int
    offset: int
    spatial: bool
    skipped: bool = False
    """Whether the program skips its tiles."""

    def directive(self) -> Directive:
        return Directive(self.dim, np.float64(self.size), np.float64(self.offset), self.spatial)


@dataclass(frozen=True)
class Plan:
    """The loops of a dataflow on one layer and one array."""

    top: Level
    inner: Level | None
    """Its dimensions are those of a full tile; :meth:`below` gives it others."""
    degenerate: bool
    """Whether the program skips tiles, so that its results mean nothing."""

    def below(self, dims: Mapping[str, np.float64]) -> Level:
        """The inner level on a tile of the given dimensions."""
        assert self.inner is not None
        return replace(self.inner, dims=dims)

    @property
    def lowest(self) -> Mapping[str, np.float64]:
        """Sizes of the maps of a PE, in input coordinates."""
        level = self.top if self.inner is None else self.inner
        sizes = {loop.dim: loop.size for loop in level.loops}
        return sizes | {window: self.top.dims[window] for window in WINDOW.values()}


def plan_loops(
    dataflow: Sequence[DataflowDirective], dims: Mapping[str, int], num_pes: int, *, depthwise: bool = False
) -> Plan:
    """Turns a dataflow into loops over a layer.

    Args:
        dataflow: The directives, outermost first.
        dims: ``K, C, Y, X, R, S`` of a layer of stride 1, ``Y`` and ``X`` input sizes.
        num_pes: Number of PEs.
        depthwise: Whether the layer has one filter per channel, and no ``K``.

    Raises:
        InputError: The program refuses the dataflow, or it lies outside what is modelled; names the place.
    """
    clusters = [i for i, directive in enumerate(dataflow) if directive.offset is None]
    if not dataflow:
        raise InputError("the dataflow has no directive")
    if len(clusters) > 1:
        raise dataflow[clusters[1]].word.error("a second Cluster: mappings of three levels are not modelled")
    for directive in dataflow:
        if depthwise and directive.dim == "K":
            raise directive.word.error("a map of K is not modelled for a depthwise layer; the program aborts on most")
        if not clusters and not depthwise and (directive.word.text, directive.dim) == ("SpatialMap", "C"):
            raise directive.word.error(
                "SpatialMap of C in a mapping of one level is not modelled: the energy of its reduction is not known"
            )
    whole = {dim: np.float64(size) for dim, size in dims.items()}
    if not clusters:
        maps = _maps(dataflow, dims, dims)
        return Plan(_level(maps, whole, num_pes), None, _skips(maps))
    split = dataflow[clusters[0]]
    if split.dim != "P":
        raise split.word.error(f"Cluster of type {split.dim} is not modelled, allowed: P")
    per_cluster = _number(split.size, dims)
    if num_pes % per_cluster:
        raise split.word.error(f"clusters of {per_cluster} do not divide {num_pes} PEs")
    outer = _maps(dataflow[: clusters[0]], dims, dims)
    tile = dict(dims)
    for found in outer.values():
        tile[found.dim] = min(found.size, dims[found.dim])
    inner = _maps(dataflow[clusters[0] + 1 :], dims, tile, cluster=split)
    # A dimension that the inner level does not map has the outer map there.
    filled = {dim: inner.get(dim, replace(outer[dim], spatial=False)) for dim in (*inner, *_LOOPS)}
    return Plan(
        _level(outer, whole, num_pes // per_cluster),
        _level(filled, {dim: np.float64(size) for dim, size in tile.items()}, per_cluster),
        _skips(outer) or _skips(inner),
    )


def _skips(maps: Mapping[str, _Map]) -> bool:
    return any(found.skipped for found in maps.values())


def _level(maps: Mapping[str, _Map], whole: Mapping[str, np.float64], units: int) -> Level:
    return Level(tuple(found.directive() for found in maps.values()), whole, np.float64(units))


def _maps(
    directives: Sequence[DataflowDirective],
    layer: Mapping[str, int],
    dims: Mapping[str, int],
    cluster: DataflowDirective | None = None,
) -> dict[str, _Map]:
    """Returns the maps of one level by dimension, in order; those of the kernel have one iteration and are left out."""
    found: dict[str, _Map] = {}
    seen: set[str] = set()
    spread: Word | None = None
    second: Word | None = None
    for directive in directives:
        axis = directive.dim.removesuffix("'")
        if axis not in (*_LOOPS, "R", "S"):
            raise directive.word.error(f"maps of {directive.dim} are not modelled, allowed: K, C, Y, X, Y', X', R, S")
        if axis in seen:
            raise directive.word.error(f"a second map of {axis} in one level is not modelled")
        seen.add(axis)
        spatial = directive.word.text == "SpatialMap"
        if spatial and axis in WINDOW.values():
            raise directive.word.error(f"SpatialMap of {axis} is not modelled, allowed: of K, C, Y or X")
        if spatial and spread is not None:
            second = directive.word
        spread = directive.word if spatial and spread is None else spread
        assert directive.offset is not None
        sizes = _number(directive.size, layer), _number(directive.offset, layer)
        if axis in WINDOW.values():
            if sizes != (layer[axis], layer[axis]):
                raise directive.word.error(
                    f"the map of {axis} is {sizes}, allowed, as in the program: the whole kernel, {layer[axis]}"
                )
            continue
        found[axis] = _checked(directive, axis, spatial, sizes, dims)
    if spread is None:
        place = directives[0] if directives else cluster
        if place is None:
            raise InputError("the dataflow has no SpatialMap; the program needs one in each level")
        raise place.word.error("no SpatialMap in this level; the program needs one")
    if second is not None and not (cluster is not None and _is_diagonal(found)):
        raise second.error("a second SpatialMap in one level is not modelled, but for the rows and columns of eye")
    for window in WINDOW.values():
        if window not in seen:
            raise directives[0].word.error(f"no map of {window} in this level; the program's results are random then")
    if cluster is None:
        for dim in _LOOPS:
            found.setdefault(dim, _Map(dim, dims[dim], dims[dim], False))
    return found


def _is_diagonal(maps: Mapping[str, _Map]) -> bool:
    """Whether a level spreads single output rows and columns over the same PEs, as ConfuciuX's ``eye`` does."""
    spread = [found for found in maps.values() if found.spatial]
    return [found.dim for found in spread] == ["Y", "X"] and all(found.offset == 1 for found in spread)


def _checked(
    directive: DataflowDirective, axis: str, spatial: bool, sizes: tuple[int, int], dims: Mapping[str, int]
) -> _Map:
    """Converts a map to input coordinates and checks that its tiles lie side by side."""
    size, offset = sizes
    halo = dims[WINDOW[axis]] - 1 if axis in WINDOW else 0
    if directive.dim.endswith("'"):
        size += halo
    held = size - halo
    if held < 1 or (offset != held and size < dims[axis]):
        what = "outputs" if axis in WINDOW else "channels"
        raise directive.word.error(
            f"the map of {axis} holds {held} {what} and moves by {offset}; modelled: maps that move by what they hold"
        )
    # The program sizes such a tile by what lies behind its step, finds no output in it and skips it.
    skipped = axis in WINDOW and held <= dims[axis] < size
    return _Map(axis, size, held, spatial, skipped)


def _number(size: Size, layer: Mapping[str, int]) -> int:
    if size.number is not None:
        return size.number
    dim = size.word.text
    windows = {f"{axis}'": layer[axis] - layer[window] + 1 for axis, window in WINDOW.items()}
    known = {**layer, **windows}
    if dim not in known:
        raise size.word.error(f"Sz({dim}): the layer has no dimension {dim}, allowed: {', '.join(known)}")
    return known[dim]
