"""Closed forms of MAESTRO's analysis where the NoC never limits: the sums of ``general_rules``, done by hand.

Every case then takes its compute cycles, plus one for the first element to cross the NoC, so the runtime is a
product of trip counts. Traffic follows from the loop nests: with ``j`` the innermost loop that steps, a tensor
takes in what is new along ``j``.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from accelgym.costmodels.arrays import Array
from accelgym.costmodels.designs import Dataflow
from accelgym.costmodels.maestro.faults import Faults
from accelgym.costmodels.maestro.mapping import coupled_dims
from accelgym.costmodels.maestro.problem import Problem, ceil_div

__all__ = ["Traffic", "iterations", "latency", "traffic", "transfer_bound"]

Mask = Any
"""A bool array, or a plain bool where all designs share one dataflow."""


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


def _masks(p: Problem, dataflow: Dataflow | None) -> tuple[Mask, Mask, Mask]:
    flows = (Dataflow.DLA, Dataflow.EYE, Dataflow.DPT)
    if dataflow is not None:
        return tuple(dataflow is flow for flow in flows)
    return tuple(p.is_flow(flow) for flow in flows)


def _select(xp: Any, mask: Mask, yes: Array, no: Array) -> Array:
    if isinstance(mask, bool):
        return yes if mask else no
    return xp.where(mask, yes, no)


def latency(p: Problem, faults: Faults, dataflow: Dataflow | None = None) -> Array:
    """Cycles of each design, float64 of the columns' broadcast shape.

    Args:
        p: The designs.
        faults: Which slips of the program to repeat.
        dataflow: The dataflow of all designs; by default each design's own.
    """
    xp = p.xp
    dla, eye, dpt = _masks(p, dataflow)
    kernel = p.R * p.S
    oy, ox = p.OY, p.OX
    # Channels per PE: tiles of k, the last one partial.
    channels = _select(xp, dpt, p.C, p.K)
    whole = xp.floor(channels / p.k)
    rest = channels - whole * p.k
    k_tiles = xp.where(rest > 0.0, whole + 1.0, whole)
    # What the PEs divide among themselves, in rounds of P.
    spread = _select(xp, dla, p.C, _select(xp, eye, oy, _select(xp, dpt, whole, ox)))
    full_rounds = xp.floor(spread / p.P)
    left = spread - full_rounds * p.P
    rounds = xp.where(left > 0.0, full_rounds + 1.0, full_rounds)
    if dpt is not True:
        # A K tile takes its MACs; the program's slip is to charge a partial one like a full one.
        macs_k = kernel * (k_tiles * xp.minimum(p.k, p.K) if faults.edge_tiles else p.K)
        steps, starts = _inner_steps(p, faults, dla, eye, full_rounds, left, rounds)
        cycles = steps * macs_k + starts * k_tiles
        cycles = _select(xp, dla, oy, p.C) * cycles + 1.0
        if dpt is False:
            return cycles
    last_round = xp.where(left > 0.0, p.k, rest)
    if faults.edge_tiles:
        # The slip: of one full PE and one partial one in the last round, the partial one is taken for the slowest.
        last_round = xp.where((left == 1.0) & (rest > 0.0) & (full_rounds > 0.0), rest, last_round)
    depthwise = oy * ox * kernel * (full_rounds * p.k + last_round) + 1.0
    return depthwise if dpt is True else xp.where(dpt, depthwise, cycles)


def _inner_steps(
    p: Problem, faults: Faults, dla: Mask, eye: Mask, full_rounds: Array, left: Array, rounds: Array
) -> tuple[Array, Array]:
    """Output positions in sequence on a PE and starts of the inner level, per K tile and row (dla) or channel."""
    xp, oy, ox = p.xp, p.OY, p.OX
    if dla is True:
        return rounds * ox, rounds * ox
    extent, window = _select(xp, eye, ox, oy), _select(xp, eye, p.S, p.R)
    full = xp.floor(extent / window)
    rest = extent - full * window
    tiles = xp.where(rest > 0.0, full + 1.0, full)
    steps = rounds * oy
    if eye is not False:
        if faults.eye_diagonal:
            per_tile, per_rest = ceil_div(xp, window, p.P), ceil_div(xp, rest, p.P)
            if faults.edge_tiles:
                # The slip: on a single row, the last columns of a tile that needs several rounds take S steps.
                extra = xp.where((oy == 1.0) & (p.P > 1.0), window - 1.0, p.zero)
                per_tile = per_tile + xp.where((window > p.P) & (per_tile * p.P > window), extra, p.zero)
                per_rest = per_rest + xp.where((rest > p.P) & (per_rest * p.P > rest), extra, p.zero)
            along = rounds * (full * per_tile + per_rest)
        else:
            at_once = xp.floor(p.P / xp.maximum(left, p.one))
            partial = full * ceil_div(xp, window, at_once) + ceil_div(xp, rest, at_once)
            along = full_rounds * ox + xp.where(left > 0.0, partial, p.zero)
        steps = _select(xp, eye, along, steps)
    starts = rounds * tiles
    return _select(xp, dla, rounds * ox, steps), _select(xp, dla, rounds * ox, starts)


def iterations(p: Problem) -> Array:
    """Largest number of times a single case occurs: what the program keeps in a C++ ``int``."""
    xp = p.xp
    dla, eye, dpt = _masks(p, None)
    oy, ox = p.OY, p.OX

    def steady(extent: Array, tile: Array) -> Array:
        return xp.maximum(xp.floor(extent / tile) - 1.0, p.one)

    spread = xp.where(dla, p.C, xp.where(eye, oy, xp.where(dpt, xp.floor(p.C / p.k), ox)))
    k_steady = xp.where(dpt, p.one, steady(p.K, p.k))
    by_one = xp.where(dla | dpt, steady(oy, p.one) * steady(ox, p.one), steady(p.C, p.one))
    window = xp.where(eye, p.S, p.R)
    tiled = xp.where(dla | dpt, p.one, steady(xp.where(eye, ox, oy), window))
    return steady(spread, p.P) * k_steady * by_one * tiled


def transfer_bound(p: Problem) -> Array:
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
    new: Array
    """Elements in the later tiles that their predecessors did not hold."""


def _tiled(
    p: Problem, dim: str, extent: Array, tile: Array, faults: Faults, halo: Any = 0.0, spatial: bool = False
) -> _Loop:
    """Tiles of ``tile`` outputs (or channels) with ``halo`` elements more, over ``extent`` outputs."""
    trips = ceil_div(p.xp, extent, tile)
    width = p.xp.minimum(tile, extent)
    first = width + halo
    if faults.edge_traffic:
        # The program charges every tile like a full one, and a spatial one its halo each time.
        return _Loop(dim, trips, first, trips * first, (trips - 1.0) * (first if spatial else width))
    return _Loop(dim, trips, first, extent + trips * halo, extent - width)


def _sliding(dim: str, extent: Array, window: Array) -> _Loop:
    """A window that moves by one over ``extent`` positions."""
    return _Loop(dim, extent, window, extent * window, extent - 1.0)


def _fetched(p: Problem, loops: tuple[_Loop, ...], coupled: tuple[str, ...], faults: Faults) -> Array:
    """Elements of a tensor that enter over a whole nest (outermost loop first), kernel extents left out."""
    xp = p.xp
    # From the innermost loop outwards: the first tile, and what enters after it.
    tile: Any = 1.0
    later: Any = 0.0
    restarts: Any = None
    for loop in reversed(loops):
        if loop.dim in coupled:
            steps = loop.new if restarts is None else xp.where(restarts, loop.total - loop.tile, loop.new)
            later = loop.total * later + steps * tile
            tile = loop.tile * tile
            again = loop.trips > 1.0
            restarts = again if restarts is None else restarts | again
        else:
            later = loop.trips * later
            if restarts is not None and not faults.missed_reloads:
                later = later + xp.where(restarts, (loop.trips - 1.0) * tile, p.zero)
    return tile + later


def traffic(p: Problem, dataflow: Dataflow, faults: Faults) -> Traffic:
    """Traffic between L2 and the PEs for designs that all use one dataflow."""
    xp = p.xp
    if dataflow is Dataflow.DPT:
        return _depthwise_traffic(p, faults)
    oy, ox, kernel = p.OY, p.OX, p.R * p.S
    k = xp.minimum(p.k, p.K)
    spatial_k = dataflow is Dataflow.DLA
    loop_k = _tiled(p, "K", p.K, p.k, faults, spatial=spatial_k)
    if dataflow is Dataflow.DLA:
        loop_c = _tiled(p, "C", p.C, p.P, faults)
        loops: tuple[_Loop, ...] = (loop_k, loop_c, _sliding("Y", oy, p.R), _sliding("X", ox, p.S))
        out = p.K * oy * ox * loop_c.trips
        first = loop_c.tile * kernel * (1.0 + k) + k
    else:
        loop_c = _Loop("C", p.C, 1.0, p.C, p.C - 1.0)
        shi = dataflow is Dataflow.SHI
        rows, cols = (p.R, p.P) if shi else (p.P, p.S)
        loop_y = _tiled(p, "Y", oy, rows, faults, halo=p.R - 1.0, spatial=True)
        loop_x = _tiled(p, "X", ox, cols, faults, halo=p.S - 1.0)
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


def _depthwise_traffic(p: Problem, faults: Faults) -> Traffic:
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
