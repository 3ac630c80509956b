"""MAESTRO's algorithm for any NoC bandwidth: every combination of loop states, per level, as array operations.

Each loop of a level is in one of three states: ``INIT`` (first tile), ``STEADY`` (further full tiles) or ``EDGE``
(a partial last tile). A *case* is one state per loop; it occurs as often as the product of its states' counts, and
cases of the same sizes and traffic are counted together. A case takes as long as the slowest of its compute, the
traffic into the level and the traffic out of it; the very first case overlaps with nothing. The compute of a case is
the runtime of the level below on that tile or, on the lowest level, the MACs of the busiest PE. Traffic of ``t``
elements takes ``ceil(t / bandwidth)`` cycles.

Source: MAESTRO at commit 4eb08d17 (MIT licence), classes ``CostAnalysisEngine``, ``ReuseAnalysis``,
``IterationAnalysis`` and ``ClusterUnit``. Its bound by off-chip bandwidth is left out: at the program's default
(70000 elements/cycle) it acts on none of these mappings below several thousand PEs.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, replace
from functools import cache

from accelgym.costmodels.arrays import Array
from accelgym.costmodels.expressions import Program, Recorder
from accelgym.costmodels.maestro.columns import LayerColumns
from accelgym.costmodels.maestro.designs import Dataflow
from accelgym.costmodels.maestro.faults import Faults
from accelgym.costmodels.maestro.mapping import (
    EDGE,
    INIT,
    STEADY,
    Directive,
    Level,
    coupled_dims,
    inner_level,
    top_level,
)
from accelgym.costmodels.maestro.tiles import Tiles
from accelgym.costmodels.maestro.unit_traffic import egress, ingress, macs_of_busiest_pe, macs_of_case

__all__ = ["DIMENSIONS", "LevelCounts", "analyse", "analyse_levels", "runtime"]


@dataclass(frozen=True)
class LevelCounts:
    """Totals of the top level over all its cases; elements unless stated."""

    runtime: Array
    """Cycles."""
    input_reads: Array
    filter_reads: Array
    output_writes: Array
    first_case: Array
    """Elements that enter and leave in the first case: half of the double buffer that feeds the level."""
    macs: Array | None
    """``dpt`` only: MACs as the program counts them, over edge tiles as it sizes them."""


def analyse(p: LayerColumns, dataflow: Dataflow, faults: Faults) -> LevelCounts:
    """Runs the analysis for designs that all use one dataflow.

    Args:
        p: The designs; ``p.bw`` must be set.
        dataflow: The mapping of all of them.
        faults: Which slips of the program to repeat.
    """
    top, coupled = top_level(p, dataflow), coupled_dims(dataflow)
    if dataflow is Dataflow.DPT:
        return analyse_levels(p, top, None, coupled, faults, counts_macs=True)
    return analyse_levels(p, top, lambda dims: inner_level(p, dataflow, dims, faults), coupled, faults)


def runtime(p: LayerColumns, dataflow: Dataflow, faults: Faults) -> Array:
    """Returns the runtime of :func:`analyse`, cycles, from a recording of it; the columns may broadcast."""
    if isinstance(p.xp, Recorder):
        return analyse(p, dataflow, faults).runtime
    given = {name: getattr(p, name) for name in (*DIMENSIONS, "bw")}
    cycles: Array = _recorded_runtime(dataflow, faults).run(p.xp, given)[0]
    return cycles


DIMENSIONS = ("K", "C", "Y", "X", "R", "S", "P", "k")


@cache
def _recorded_runtime(dataflow: Dataflow, faults: Faults) -> Program:
    recorder = Recorder()
    columns = {name: recorder.input(name) for name in (*DIMENSIONS, "bw")}
    p = LayerColumns.of(recorder, **columns, flow=float(dataflow))
    return Program([analyse(p, dataflow, faults).runtime])


def analyse_levels(
    p: LayerColumns,
    top: Level,
    inner: Callable[[Mapping[str, Array]], Level] | None,
    coupled: Mapping[str, tuple[str, ...]],
    faults: Faults,
    *,
    counts_macs: bool = False,
) -> LevelCounts:
    """Runs the analysis for designs whose loops stand in the same order.

    Args:
        p: The designs; ``p.bw`` must be set.
        top: Loops over the clusters; over the PEs if there is no inner level.
        inner: Returns the loops over the PEs of a cluster that holds a tile of the given dimensions.
        coupled: The dimensions that ``input``, ``filter`` and ``output`` depend on.
        faults: Which slips of the program to repeat.
        counts_macs: Whether to add up the MACs as the program counts them.
    """
    xp = p.xp
    tiles = Tiles.of(xp, top, top, faults)
    outputs = coupled["output"]
    if inner is None:
        return _run(p, tiles, coupled, faults, lambda c: macs_of_busiest_pe(tiles, outputs, c, faults), counts_macs)
    kernel = {"R": p.R, "S": p.S}
    full = kernel | {loop.dim: xp.minimum(loop.size, top.dims[loop.dim]) for loop in top.loops}
    spread = next(i for i, loop in enumerate(top.loops) if loop.spatial)
    single = bool((top.units == 1.0).all())
    runtimes: dict[tuple[frozenset[str], bool], Array] = {}

    def runtime_of(case: tuple[int, ...], last: bool) -> Array:
        """Runtime of the last cluster at work in a case, or of the ones before it."""
        edges = frozenset(loop.dim for loop, state in zip(top.loops, case, strict=True) if state == EDGE)
        # INIT and STEADY tiles of one unit are equally large, so one run per set of edges is enough.
        key = (edges, last)
        if key not in runtimes:
            held = {loop.dim: tiles.held_by(loop, EDGE if loop.dim in edges else INIT, last=last) for loop in top.loops}
            level = inner(kernel | held)
            # The program's slip: it sizes the inner tiles of an edge as those of a full tile.
            sized = replace(level, dims=full) if faults.edge_tiles else level
            below = Tiles.of(xp, level, sized, faults)
            runtimes[key] = _run(
                p, below, coupled, faults, lambda c: macs_of_busiest_pe(below, outputs, c, faults)
            ).runtime
        return runtimes[key]

    def slowest_cluster(case: tuple[int, ...]) -> Array:
        first = runtime_of(case, last=False)
        if single or case[spread] != EDGE:
            return first
        last = runtime_of(case, last=True)
        slower = xp.where(tiles.active > 1.0, xp.maximum(first, last), last)
        return xp.where(tiles.partial_unit[top.loops[spread].dim], slower, first)

    return _run(p, tiles, coupled, faults, slowest_cluster, counts_macs)


def _run(
    p: LayerColumns,
    tiles: Tiles,
    coupled: Mapping[str, tuple[str, ...]],
    faults: Faults,
    compute: Callable[[tuple[int, ...]], Array],
    counts_macs: bool = False,
) -> LevelCounts:
    """Adds up all cases of one level."""
    xp = p.xp
    zero = p.K * 0.0
    totals = dict.fromkeys(("runtime", "input_reads", "filter_reads", "output_writes"), zero)
    macs = zero if counts_macs else None
    first_case = zero
    for j, case, times in _cases(tiles):
        reads = {t: ingress(tiles, coupled[t], case, j, faults) for t in ("input", "filter")}
        writes = egress(tiles, coupled["output"], case, faults)
        arriving = reads["input"] + reads["filter"]
        if j < 0:
            delay = compute(case) + _transfer(p, arriving)
            first_case = arriving + writes
        else:
            delay = xp.maximum(compute(case), _transfer(p, xp.maximum(arriving, writes)))
        totals["runtime"] = totals["runtime"] + times * delay
        totals["input_reads"] = totals["input_reads"] + times * reads["input"]
        totals["filter_reads"] = totals["filter_reads"] + times * reads["filter"]
        totals["output_writes"] = totals["output_writes"] + times * writes
        if macs is not None:
            macs = macs + times * macs_of_case(tiles, coupled["output"], case, faults)
    return LevelCounts(**totals, first_case=first_case, macs=macs)


def _cases(tiles: Tiles) -> Iterator[tuple[int, tuple[int, ...], Array]]:
    """The cases of a level, those of the same traffic taken together.

    Traffic depends on the innermost loop ``j`` that is past its first tile, -1 if none is, and on which tiles are
    partial: where a loop has a ``STEADY`` tile, it is as large as the first.

    Yields:
        ``j``; for each loop ``EDGE`` or, for a full tile or the first, ``INIT``; and how often this occurs.
    """
    loops = tiles.level.loops
    yield -1, (INIT,) * len(loops), tiles.zero + 1.0
    # States of the loops outside ``j``, with their occurrences.
    outside: list[tuple[tuple[int, ...], Array]] = [((), 1.0)]
    for j, loop in enumerate(loops):
        states = _states(tiles, loop)
        inside = (INIT,) * (len(loops) - j - 1)
        for case, times in outside:
            for state in states[1:]:
                yield j, (*case, _size(state), *inside), times * tiles.count(loop, state)
        full = 1.0 + (tiles.count(loop, STEADY) if STEADY in states else 0.0)
        counts = [(INIT, full)] + ([(EDGE, tiles.count(loop, EDGE))] if EDGE in states else [])
        outside = [((*case, state), times * count) for case, times in outside for state, count in counts]


def _size(state: int) -> int:
    return EDGE if state == EDGE else INIT


def _states(tiles: Tiles, loop: Directive) -> tuple[int, ...]:
    """States of a loop that any of the designs is ever in."""
    possible = (state for state in (STEADY, EDGE) if state <= loop.last_state)
    later = (state for state in possible if bool((tiles.zero + tiles.count(loop, state)).any()))
    return (INIT, *later)


def _transfer(p: LayerColumns, elements: Array) -> Array:
    """Cycles on the NoC: one per ``bw`` elements; the hop's latency of 1 is the first of them."""
    return p.xp.ceil(elements / p.bw)
