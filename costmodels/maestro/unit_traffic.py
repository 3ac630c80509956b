"""Elements that enter and leave a level in one case, and the MACs done in it.

Two countings live side by side. The program adds up units: the first one, the full ones, the last one, each with
rules of its own, some of them slips. The plain counting takes the distinct elements that all units hold together.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator

from accelgym.costmodels.arrays import Array
from accelgym.costmodels.maestro.faults import Faults
from accelgym.costmodels.maestro.mapping import EDGE, INIT, Directive
from accelgym.costmodels.maestro.tiles import OUT, Tiles

__all__ = ["egress", "ingress", "macs_of_busiest_pe", "macs_of_case"]

Case = tuple[int, ...]


def ingress(t: Tiles, coupled: tuple[str, ...], case: Case, j: int, faults: Faults) -> Array:
    """Elements of an input tensor that enter the level in a case.

    With ``j`` the innermost loop that is past its first tile, -1 if none is: if the tensor depends on ``j``, the part
    of the tile that is new along ``j`` enters, or all of it when a loop inside ``j`` that the tensor depends on has
    started over. If it does not depend on ``j``, nothing enters, even in the latter case (``missed_reloads``).
    """
    loops = t.level.loops
    restarted = t.no
    for i, loop in enumerate(loops):
        if i > j and loop.dim in coupled:
            restarted = restarted | ~t.unrolled[loop.dim]
    depends = j < 0 or loops[j].dim in coupled
    if not depends and faults.missed_reloads:
        return t.zero
    if faults.edge_traffic:
        volume = _over_units(
            t, coupled, case, lambda first, last: _unit_ingress(t, coupled, case, j, restarted, first, last)
        )
    else:
        volume = _distinct_ingress(t, coupled, case, j, restarted)
    for kernel in ("R", "S"):
        if kernel in coupled:
            volume = volume * t.level.dims[kernel]
    return volume if depends else t.xp.where(restarted, volume, t.zero)


def egress(t: Tiles, coupled: tuple[str, ...], case: Case, faults: Faults) -> Array:
    """Output elements that leave the level in a case: its output tile, partial sums included."""
    if faults.edge_traffic:
        return _over_units(t, coupled, case, lambda first, last: _unit_outputs(t, coupled, case, first, last))
    volume = 1.0
    for _, loop, state in _coupled_loops(t, coupled, case):
        volume = volume * t.distinct(state, OUT.get(loop.dim, loop.dim))
    return volume


def macs_of_busiest_pe(t: Tiles, coupled: tuple[str, ...], case: Case, faults: Faults) -> Array:
    """MACs of the first PE in a case of the lowest level: its compute cycles.

    Args:
        t: The tiles of the level.
        coupled: The dimensions of the output.
        case: A state per loop.
        faults: Which slips of the program to repeat.
    """
    macs = _macs_per_output(t, coupled, case)
    if t.level.columns_share_pes:
        coupled = tuple(dim for dim in coupled if dim != "X")
    if faults.edge_tiles:
        alone = (t.active == 1.0) & _in_edge(t, coupled, case) & _ends_partial(t, coupled, case)
        alone_macs = macs * _unit_outputs(t, coupled, case, True, True)
        return t.xp.where(alone, alone_macs, macs * _unit_outputs(t, coupled, case, True, False))
    for _, loop, state in _coupled_loops(t, coupled, case):
        name = OUT.get(loop.dim, loop.dim)
        macs = macs * t.xp.minimum(t.whole[name], t.distinct(state, name))
    return macs


def macs_of_case(t: Tiles, coupled: tuple[str, ...], case: Case, faults: Faults) -> Array:
    """MACs of all units in a case; ``coupled`` are the dimensions of the output."""
    if not faults.edge_traffic:
        return _macs_per_output(t, coupled, case) * egress(t, coupled, case, faults)
    return _macs_per_output(t, coupled, case) * _over_units(
        t, coupled, case, lambda first, last: _unit_outputs(t, coupled, case, first or not last, last, own=True)
    )


def _coupled_loops(t: Tiles, coupled: tuple[str, ...], case: Case) -> Iterator[tuple[int, Directive, int]]:
    for i, (loop, state) in enumerate(zip(t.level.loops, case, strict=True)):
        if loop.dim in coupled:
            yield i, loop, state


def _macs_per_output(t: Tiles, coupled: tuple[str, ...], case: Case) -> Array:
    macs = t.level.dims["R"] * t.level.dims["S"]
    for loop, state in zip(t.level.loops, case, strict=True):
        if loop.dim in coupled:
            continue
        if not loop.spatial:
            macs = macs * t.held(loop, state)
        elif state == EDGE:
            macs = macs * t.xp.where(t.active == 1.0, t.edge[loop.dim], t.whole[loop.dim])
        else:
            macs = macs * t.whole[loop.dim]
    return macs


def _distinct_ingress(t: Tiles, coupled: tuple[str, ...], case: Case, j: int, restarted: Array) -> Array:
    """The plain counting: distinct elements that all units need and did not hold."""
    volume = t.zero + 1.0
    for i, loop, state in _coupled_loops(t, coupled, case):
        held = t.distinct(state, loop.dim)
        if i == j:
            held = t.xp.where(restarted, held, held - (loop.size - loop.offset))
        volume = volume * held
    return volume


def _in_edge(t: Tiles, coupled: tuple[str, ...], case: Case) -> Array:
    edge = t.no
    for _, loop, state in _coupled_loops(t, coupled, case):
        if loop.spatial:
            edge = edge | t.is_edge(loop, state)
    return edge


def _ends_partial(t: Tiles, coupled: tuple[str, ...], case: Case) -> Array:
    """Whether the program takes the last unit of the last spatial loop to be partial."""
    partial = t.no
    for _, loop, state in _coupled_loops(t, coupled, case):
        if loop.spatial:
            partial = t.partial_unit[loop.dim] if state == EDGE else t.starts_as_edge[loop.dim]
    return partial


def _over_units(t: Tiles, coupled: tuple[str, ...], case: Case, unit: Callable[[bool, bool], Array]) -> Array:
    """The program's sum over units of ``unit(is_first, is_partial_last)``; one unit if none is spatial."""
    if not any(loop.spatial for _, loop, _ in _coupled_loops(t, coupled, case)):
        return unit(True, False)
    xp, partial = t.xp, _ends_partial(t, coupled, case)
    in_full = unit(True, False) + (t.level.units - 1.0) * unit(False, False)
    first = xp.where((t.active == 1.0) & partial, unit(True, True), unit(True, False))
    last = xp.where(partial, t.zero + 1.0, t.zero)
    others = xp.maximum(t.active - last - 1.0, t.zero) * unit(False, False) + last * unit(False, True)
    in_edge = first + xp.where(t.active > 1.0, others, t.zero)
    return xp.where(_in_edge(t, coupled, case), in_edge, in_full)


def _unit_ingress(
    t: Tiles, coupled: tuple[str, ...], case: Case, j: int, restarted: Array, first: bool, last: bool
) -> Array:
    """The program's count of what one unit takes in."""
    xp = t.xp
    volume = t.zero + 1.0
    for i, loop, state in _coupled_loops(t, coupled, case):
        d = loop.dim
        whole, step = (t.edge[d], t.edge_step[d]) if loop.spatial and last else (t.whole[d], t.step[d])
        if not loop.spatial:
            if state != EDGE:
                whole = t.held(loop, state)
            size = xp.where(restarted, whole, step) if i == j else whole
        elif j < 0:
            size = xp.where(t.starts_as_edge[d] & (t.active == 1.0) & (first or last), t.edge[d], whole)
        elif first:
            size = whole
        elif i == j:
            size = xp.where(restarted, whole, step)
        else:
            size = step if i > j else whole
        volume = volume * size
    return volume


def _unit_outputs(t: Tiles, coupled: tuple[str, ...], case: Case, first: bool, last: bool, own: bool = False) -> Array:
    """The program's count of the outputs of one unit; ``own`` counts what it shares with its neighbour too."""
    xp = t.xp
    outputs = t.zero + 1.0
    for _, loop, state in _coupled_loops(t, coupled, case):
        d = OUT.get(loop.dim, loop.dim)
        if not loop.spatial:
            outputs = outputs * (t.edge[d] if state == EDGE else _first(t, loop, d))
            continue
        size = t.whole[d] if first else t.step[d]
        if last:
            alone = t.edge[d] if state == INIT else t.edge[loop.dim]
            shared = t.edge[d] if own and state == INIT else t.edge_step[d]
            partial = xp.where(t.active == 1.0, alone, shared)
            size = xp.where(t.starts_as_edge[loop.dim], partial, size) if state == INIT else partial
        elif state == EDGE and first:
            # The program's slip: input rows in place of output rows.
            size = xp.where(t.active == 1.0, t.edge[loop.dim], size)
        outputs = outputs * size
    return outputs


def _first(t: Tiles, loop: Directive, name: str) -> Array:
    return t.xp.where(t.starts_as_edge[loop.dim], t.edge[name], t.whole[name])
