"""Closed forms of MAESTRO's analysis where the NoC never limits: the sums of ``general_rules``, done by hand.

Every case then takes its compute cycles, plus one for the first element to cross the NoC, so the runtime is a
product of trip counts. Traffic follows from the loop nests: with ``j`` the innermost loop that steps, a tensor
takes in what is new along ``j``.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from accelgym.costmodels.arrays import Array
from accelgym.costmodels.maestro.columns import LayerColumns
from accelgym.costmodels.maestro.designs import Dataflow
from accelgym.costmodels.maestro.faults import Faults
from accelgym.costmodels.maestro.mapping import coupled_dims

__all__ = ["Traffic", "iterations", "latency", "traffic", "transfer_bound"]


@dataclass(frozen=True)
class Traffic:
    """Elements between L2 and the PEs over a layer."""

    input_reads: Array
    filter_reads: Array
    output_writes: Array
    first_case: Array
    """Elements that enter and leave in the first case: half of the double buffer."""
    macs: Array | None = None
    """``dpt`` only: MACs as the program counts them, over edge tiles as it sizes them."""


def _nowhere(p: LayerColumns, mask: Array) -> bool:
    """Whether work for a mask can be saved; torch is not asked, so that compiled code has no branches."""
    return p.xp is np and not mask.any()


def latency(p: LayerColumns, faults: Faults) -> Array:
    """Cycles of each design, float64 of the columns' broadcast shape."""
    xp = p.xp
    dla, eye, dpt = (p.is_flow(flow) for flow in (Dataflow.DLA, Dataflow.EYE, Dataflow.DPT))
    kernel = p.R * p.S
    oy, ox = p.OY, p.OX
    # Channels per PE in tiles of k, the last one partial.
    channels = p.select(dpt, p.C, p.K)
    tiles_of_k = channels / p.k
    # What the PEs divide among themselves, in rounds of P.
    spread = p.select(dla, p.C, p.select(eye, oy, p.select(dpt, xp.floor(tiles_of_k), ox)))
    rounds_of_p = spread / p.P
    if dpt is True:
        return _depthwise_latency(p, faults, tiles_of_k, spread, rounds_of_p)
    k_tiles, rounds = xp.ceil(tiles_of_k), xp.ceil(rounds_of_p)
    # A tile of k channels takes its MACs; the program's slip is to charge a partial tile like a full one.
    macs_k = kernel * (k_tiles * xp.minimum(p.k, p.K) if faults.edge_tiles else p.K)
    if dla is True:
        return oy * ox * rounds * (macs_k + k_tiles) + 1.0
    extent, window = p.select(eye, ox, oy), p.select(eye, p.S, p.R)
    windows = extent / window
    steps, starts = oy, xp.ceil(windows)
    if eye is not False:
        along = _eye_columns(p, faults, spread, rounds_of_p, windows)
        steps = p.select(eye, along, steps)
    steps, starts = p.select(dla, ox, steps), p.select(dla, ox, starts)
    if faults.eye_diagonal or eye is False:
        cycles = rounds * (steps * macs_k + starts * k_tiles)
    else:
        # The columns of a partial row tile share PEs, so eye's steps are counted over all rounds.
        cycles = p.select(eye, steps, rounds * steps) * macs_k + rounds * starts * k_tiles
    cycles = p.select(dla, oy, p.C) * cycles + 1.0
    if dpt is False:
        return cycles
    return xp.where(dpt, _depthwise_latency(p, faults, tiles_of_k, spread, rounds_of_p), cycles)


def _eye_columns(p: LayerColumns, faults: Faults, rows: Array, rounds_of_p: Array, windows: Array) -> Array:
    """Steps of ``eye`` along its columns, in tiles of S: per tile of rows, or (mended) over all of them."""
    xp, window = p.xp, p.S
    full = xp.floor(windows)
    rest = p.OX - full * window
    if not faults.eye_diagonal:
        full_rounds = xp.floor(rounds_of_p)
        left = rows - full_rounds * p.P
        at_once = xp.floor(p.P / xp.maximum(left, p.one))
        partial = full * xp.ceil(window / at_once) + xp.ceil(rest / at_once)
        return full_rounds * p.OX + xp.where(left > 0.0, partial, p.zero)
    per_tile, per_rest = xp.ceil(window / p.P), xp.ceil(rest / p.P)
    if faults.edge_tiles and not _nowhere(p, (rows == 1.0) & (window > p.P)):
        # The slip: on a single row, the last columns of a tile that needs several rounds take S steps. (Selections
        # are nested, since combined masks keep torch from vectorising the loop.)
        extra = xp.where(rows == 1.0, xp.where(window > p.P, window - 1.0, p.zero), p.zero)
        per_tile = per_tile + xp.where(per_tile * p.P > window, extra, p.zero)
        per_rest = per_rest + xp.where(rest > p.P, xp.where(per_rest * p.P > rest, extra, p.zero), p.zero)
    return full * per_tile + per_rest


def _depthwise_latency(p: LayerColumns, faults: Faults, tiles_of_k: Array, whole: Array, rounds_of_p: Array) -> Array:
    """Cycles of ``dpt``: C in tiles of k over P PEs, for every output position; a round takes its busiest PE's time."""
    xp = p.xp
    rest = p.C - xp.floor(tiles_of_k) * p.k
    full_rounds = xp.floor(rounds_of_p)
    left = whole - full_rounds * p.P
    last_round = xp.where(left > 0.0, p.k, rest)
    if faults.edge_tiles:
        # The slip: of one full PE and one partial one, in a last round after others, the partial one is timed.
        # (Selections are nested, since combined masks keep torch from vectorising the loop.)
        timed = xp.where(left == 1.0, xp.where(rest > 0.0, rest, last_round), last_round)
        last_round = xp.where(full_rounds > 0.0, timed, last_round)
    return p.OY * p.OX * p.R * p.S * (full_rounds * p.k + last_round) + 1.0


def iterations(p: LayerColumns) -> Array:
    """Largest number of times a case of designs of one dataflow occurs: what the program keeps in an ``int``."""
    xp = p.xp
    dla, eye, dpt = (p.is_flow(flow) for flow in (Dataflow.DLA, Dataflow.EYE, Dataflow.DPT))

    def steady(extent: Array, tile: Array) -> Array:
        return xp.maximum(xp.floor(extent / tile) - 1.0, p.one)

    if dpt:
        return steady(xp.floor(p.C / p.k), p.P) * steady(p.OY, p.one) * steady(p.OX, p.one)
    k_steady = steady(p.K, p.k)
    if dla:
        return k_steady * steady(p.C, p.P) * steady(p.OY, p.one) * steady(p.OX, p.one)
    rows, cols = (p.P, p.S) if eye else (p.R, p.P)
    return k_steady * steady(p.C, p.one) * steady(p.OY, rows) * steady(p.OX, cols)


def transfer_bound(p: LayerColumns) -> Array:
    """An upper bound on the elements of any one transfer: below the NoC's width, the closed forms are exact."""
    return 4.0 * (p.k + 2.0) * p.P * p.R * p.S


@dataclass(frozen=True)
class _Loop:
    """One loop over tiles of a dimension."""

    dim: str
    trips: Array
    tile: Array
    """Elements in the first tile."""
    total: Array
    """Elements in all tiles, halos counted in each."""
    new: Array | None = None
    """Elements in the later tiles that their predecessors did not hold; all of them if ``None``."""


def _tiled(p: LayerColumns, dim: str, extent: Array, tile: Array, faults: Faults) -> _Loop:
    """Tiles without overlap."""
    trips, first = p.xp.ceil(extent / tile), p.xp.minimum(tile, extent)
    # The program charges every tile like a full one.
    return _Loop(dim, trips, first, trips * first if faults.edge_traffic else extent)


def _overlapping(
    p: LayerColumns, dim: str, extent: Array, tile: Array, halo: Array, faults: Faults, *, spatial: bool = False
) -> _Loop:
    """Tiles of ``tile`` outputs, each with ``halo`` inputs more than outputs, over ``extent`` outputs."""
    trips, width = p.xp.ceil(extent / tile), p.xp.minimum(tile, extent)
    first = width + halo
    if not faults.edge_traffic:
        return _Loop(dim, trips, first, extent + trips * halo, extent - width)
    # The program charges every tile like a full one, and a spatial one its halo each time.
    return _Loop(dim, trips, first, trips * first, None if spatial else (trips - 1.0) * width)


def _sliding(dim: str, extent: Array, window: Array) -> _Loop:
    """A window that moves by one over ``extent`` positions."""
    return _Loop(dim, extent, window, extent * window, extent - 1.0)


def _fetched(p: LayerColumns, loops: tuple[_Loop, ...], coupled: tuple[str, ...], faults: Faults) -> Array:
    """Elements of a tensor that enter over a whole nest (outermost loop first), kernel extents left out."""
    xp = p.xp
    # From the innermost loop outwards: the first tile, and what enters after it.
    tile: Array | None = None
    later: Array | None = None
    restarts: Array | None = None
    for loop in reversed(loops):
        if loop.dim in coupled:
            steps = loop.total - loop.tile
            if loop.new is not None:
                steps = loop.new if restarts is None else xp.where(restarts, steps, loop.new)
            later = steps if later is None else loop.total * later + steps * tile
            tile = loop.tile if tile is None else loop.tile * tile
            again = loop.trips > 1.0
            restarts = again if restarts is None else restarts | again
        elif later is not None:
            later = loop.trips * later
            if not faults.missed_reloads:
                later = later + xp.where(restarts, (loop.trips - 1.0) * tile, p.zero)
    assert tile is not None  # every tensor depends on some loop
    return tile + later


def traffic(p: LayerColumns, dataflow: Dataflow, faults: Faults) -> Traffic:
    """Traffic between L2 and the PEs for designs that all use one dataflow."""
    xp = p.xp
    if dataflow is Dataflow.DPT:
        return _depthwise_traffic(p, faults)
    oy, ox, kernel = p.OY, p.OX, p.R * p.S
    k = xp.minimum(p.k, p.K)
    loop_k = _tiled(p, "K", p.K, p.k, faults)
    if dataflow is Dataflow.DLA:
        loop_c = _tiled(p, "C", p.C, p.P, faults)
        loops: tuple[_Loop, ...] = (loop_k, loop_c, _sliding("Y", oy, p.R), _sliding("X", ox, p.S))
        out = p.K * oy * ox * loop_c.trips
        first = loop_c.tile * kernel * (1.0 + k) + k
    else:
        loop_c = _Loop("C", p.C, p.one, p.C)
        shi = dataflow is Dataflow.SHI
        rows, cols = (p.R, p.P) if shi else (p.P, p.S)
        loop_y = _overlapping(p, "Y", oy, rows, p.R - 1.0, faults, spatial=True)
        loop_x = _overlapping(p, "X", ox, cols, p.S - 1.0, faults)
        loops = (loop_k, loop_y, loop_x, loop_c) if shi else (loop_c, loop_k, loop_y, loop_x)
        out_rows = oy
        if faults.edge_traffic:
            # The slip: the last, partial tile of rows leaves as many as come in.
            ragged = (loop_y.trips > 1.0) & (loop_y.trips * rows > oy)
            out_rows = xp.where(ragged, oy + (p.R - 1.0), oy)
        out = p.K * ox * p.C * out_rows
        first = loop_y.tile * loop_x.tile + k * (kernel + xp.minimum(rows, oy) * xp.minimum(cols, ox))
    coupled = coupled_dims(dataflow)
    return Traffic(
        input_reads=_fetched(p, loops, coupled["input"], faults),
        filter_reads=kernel * _fetched(p, loops, coupled["filter"], faults),
        output_writes=out,
        first_case=first,
    )


def _depthwise_traffic(p: LayerColumns, faults: Faults) -> Traffic:
    """Single level: C in tiles of k over P PEs, then Y and X by one."""
    xp = p.xp
    oy, ox, kernel = p.OY, p.OX, p.R * p.S
    charged = counted = written = p.C
    first = xp.minimum(p.C, p.k * p.P)
    first_out = first
    if faults.edge_traffic:
        # The program counts the PEs of the last round by whole tiles, and forgets one where none is partial.
        whole = xp.floor(p.C / p.k)
        rest = p.C - whole * p.k
        full = xp.floor(whole / p.P)
        left = whole - full * p.P
        partial = (rest > 0.0) & (left >= 1.0)
        last = xp.maximum(left - 1.0, p.zero) * p.k + rest
        spread = full * p.P * p.k
        some = (left > 0.0) | (rest > 0.0)
        last = xp.where(partial, last, left * p.k)
        alone = ~partial & (left == 0.0)
        charged_last = xp.where(some, xp.where(alone, p.k, last), p.zero)
        counted_last = xp.where(some, xp.where(alone, rest, last), p.zero)
        one_round = full == 0.0
        charged = xp.where(one_round, p.C, spread + charged_last)
        counted = xp.where(one_round, p.C, spread + counted_last)
        lost = xp.where((rest == 0.0) & (whole > 1.0) & one_round, p.k, p.zero)
        written = counted - lost
        first_out = first - lost
    positions = xp.where(ox > 1.0, oy * p.R * p.X, p.Y * p.S)
    return Traffic(
        input_reads=charged * positions,
        filter_reads=charged * kernel,
        output_writes=written * oy * ox,
        first_case=2.0 * first * kernel + first_out,
        macs=counted * kernel * oy * ox,
    )
