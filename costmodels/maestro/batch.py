"""Batches: rows grouped by dataflow, cut into blocks that fit the cache, and put together again."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from functools import cached_property, lru_cache, partial, reduce
from operator import or_

import numpy as np

from accelgym.costmodels.arrays import Array
from accelgym.costmodels.costs import Reason
from accelgym.costmodels.expressions import Program, Recorder
from accelgym.costmodels.kernels import Kernel
from accelgym.costmodels.maestro import closed_form, general_rules, hardware
from accelgym.costmodels.maestro.columns import EXACT_LIMIT, Batch, LayerColumns, input_faults, positions
from accelgym.costmodels.maestro.designs import Dataflow
from accelgym.costmodels.maestro.faults import Faults

__all__ = ["BLOCK", "Compiled", "LazyBreakdown", "blockwise", "cleared", "counts_of"]

Evaluate = Callable[..., dict[str, Array]]
"""Takes designs of one dataflow, their depthwise mask and, by name, ``faults``; returns columns by name."""

BLOCK = 4096
"""Designs that NumPy takes at a time: their columns stay in the cache."""

INT32_MAX = 2.0**31 - 1.0
"""MAESTRO counts iterations in ``int``."""

_TRAFFIC = ("latency_cycles", "input_l2_reads", "filter_l2_reads", "output_l2_writes", "l2_bytes", "counted_macs")


class LazyBreakdown(Mapping[str, Array]):
    """Named figures that are worked out, all at once, when the first is asked for."""

    def __init__(self, names: tuple[str, ...], compute: Callable[[], dict[str, Array]]) -> None:
        self._names = names
        self._compute = compute

    @cached_property
    def _figures(self) -> dict[str, Array]:
        return self._compute()

    def __getitem__(self, name: str) -> Array:
        if name not in self._names:
            raise KeyError(name)
        return self._figures[name]

    def __iter__(self) -> Iterator[str]:
        return iter(self._names)

    def __len__(self) -> int:
        return len(self._names)


def blockwise(
    batch: Batch, evaluate: Callable[[LayerColumns, Array], dict[str, Array]] | Compiled, dtypes: Mapping[str, str]
) -> dict[str, Array]:
    """Evaluates a batch block by block (torch: at once).

    Args:
        batch: The designs.
        evaluate: Takes some rows and their depthwise mask, returns float64 or bool columns by name.
        dtypes: Names of the columns to return and of their types.

    Returns:
        The columns in the shape of the batch.
    """
    xp = batch.xp
    placed = {} if xp is np else {"device": batch.raw["K"].device}
    columns = {name: xp.empty(batch.rows, dtype=getattr(xp, dtype), **placed) for name, dtype in dtypes.items()}
    step = BLOCK if xp is np else max(batch.rows, 1)
    with np.errstate(all="ignore"):
        for flow, rows in batch.groups():
            if isinstance(evaluate, Compiled) and (done := evaluate.write(batch, rows, flow, columns)) is not None:
                rows = done
            for start in range(0, batch.rows if rows is None else len(rows), step):
                block = slice(start, start + step) if rows is None else rows[start : start + step]
                found = evaluate(*batch.problem(block, flow))
                for name, column in columns.items():
                    column[block] = found[name].to(column.dtype) if placed else found[name]
    return {name: column.reshape(batch.shape) for name, column in columns.items()}


def cleared(p: LayerColumns, columns: dict[str, Array]) -> dict[str, Array]:
    """Sets the numbers of the rows that are not ``valid`` to 0, which also keeps NaN out of integers."""
    valid = columns["valid"]
    if bool(valid.all()):
        return columns
    kept = ("valid", "reason")
    return {n: c if n in kept else p.xp.where(valid, c, p.zero) for n, c in columns.items()}


@dataclass(frozen=True)
class Compiled:
    """A function of designs of one dataflow, evaluated by machine code where that is worth it."""

    evaluate: Evaluate
    """Equal ones share machine code."""
    faults: Faults

    def __call__(self, p: LayerColumns, depthwise: Array) -> dict[str, Array]:
        """Evaluates some designs in array code."""
        return self.evaluate(p, depthwise, faults=self.faults)

    def write(self, batch: Batch, rows: Array | None, flow: float, columns: dict[str, Array]) -> Array | None:
        """Has machine code write the columns of some rows of a batch, ``None`` for all of them.

        Returns:
            Rows that are left for array code; ``None`` if nothing was written.
        """
        if batch.xp is not np or flow < 0.0:
            return None
        bw = batch.raw.get("noc_bw")
        wide = bw is None or (bw.ndim == 0 and batch.widest_transfer <= float(bw))
        kernel = _kernel(self.evaluate, Dataflow(int(flow)), self.faults, bw is not None, wide)
        count = batch.rows if rows is None else len(rows)
        if not kernel.wants(count):
            return None
        given = {_INPUTS.get(name, name): column for name, column in batch.raw.items()}
        left = np.zeros(batch.rows if _LEFT in kernel.names else 0, dtype=np.bool_)
        kernel.bind(given, columns | ({_LEFT: left} if len(left) else {})).run(0, count, rows)
        return left.nonzero()[0]


_INPUTS = {"num_pes": "P", "buffer_level": "k", "noc_bw": "bw"}
_LEFT = "left to array code"


@lru_cache(maxsize=64)
def _kernel(evaluate: Evaluate, dataflow: Dataflow, faults: Faults, has_bw: bool, wide: bool) -> Kernel:
    """Returns the program for a dataflow; ``wide`` if the NoC never limits."""

    def record() -> tuple[tuple[str, ...], Program]:
        recorder = Recorder()
        columns = {name: recorder.input(name) for name in general_rules.DIMENSIONS}
        bw = recorder.input("bw") if has_bw else None
        p = LayerColumns.of(recorder, **columns, flow=float(dataflow), bw=bw)
        if bw is not None and wide:
            recorder.assumed.add((closed_form.transfer_bound(p) <= bw).index)
        found = evaluate(p, recorder.input("depthwise") != 0.0, faults=faults)
        if recorder.exceptions:
            found[_LEFT] = reduce(or_, recorder.exceptions)
        return tuple(found), Program(list(found.values()))

    return Kernel(record)


def counts_of(p: LayerColumns, depthwise: Array, faults: Faults) -> dict[str, Array]:
    """Works out the integers of the analysis, for designs that all use one dataflow.

    Returns:
        float64 columns, exact where valid: ``latency_cycles``, ``input_l2_reads``, ``filter_l2_reads``,
        ``output_l2_writes``, ``l1_bytes``, ``l2_bytes``, ``macs``, ``counted_macs`` (as the program counts them,
        for ``dpt``), and ``reason``, codes of :class:`Reason`.
    """
    reason, macs = input_faults(p, depthwise)
    found = _analysed(p, faults)
    found["l1_bytes"] = hardware.l1_bytes(p, faults)
    found["macs"] = macs
    found["reason"] = _limits(p, faults, reason, found)
    return found


def _limits(p: LayerColumns, faults: Faults, reason: Array, found: dict[str, Array]) -> Array:
    """Adds the rows beyond the exact range and the program's own failures to the faults of the input."""
    xp, cycles = p.xp, found["latency_cycles"]
    reads = found["input_l2_reads"] + found["filter_l2_reads"]
    largest = xp.maximum(xp.maximum(cycles, found["output_l2_writes"]), reads)

    def mark(reason: Array, rows: Array, why: Reason) -> Array:
        return xp.where(rows & (reason == 0.0), float(why), reason) if bool(rows.any()) else reason

    reason = mark(reason, ~(largest <= EXACT_LIMIT), Reason.OVERFLOW)
    if faults.edge_tiles:
        # A dimension that holds a step, but not a whole tile.
        if p.is_flow(Dataflow.SHI):
            reason = mark(reason, (p.OY < p.R) | ((p.OX < p.P) & (p.P <= p.X)), Reason.DEGENERATE)
        elif p.is_flow(Dataflow.EYE):
            reason = mark(reason, (p.OX < p.S) | ((p.OY < p.P) & (p.P <= p.Y)), Reason.DEGENERATE)
    # A case takes a cycle at least, so it cannot occur more often than there are cycles.
    if faults.int32_iterations and bool((largest > INT32_MAX).any()):
        if largest.ndim == 1:
            rows = positions(xp, largest > INT32_MAX)
            too_many = xp.zeros_like(largest)
            too_many[rows] = closed_form.iterations(p.take(rows))
        else:  # Axes that broadcast, see ``grid``: the terms are smaller than the selection would be.
            too_many = closed_form.iterations(p)
        reason = mark(reason, too_many > INT32_MAX, Reason.INT32_OVERFLOW)
    return reason


def _analysed(p: LayerColumns, faults: Faults) -> dict[str, Array]:
    """Traffic, which no bandwidth changes, and cycles: by closed form where the NoC cannot limit."""
    dataflow = Dataflow(max(int(p.flow), 0))
    t = closed_form.traffic(p, dataflow, faults)
    cycles = _cycles(p, dataflow, faults)
    counted = p.zero if t.macs is None else t.macs
    # The first case is double buffered in L2.
    found = (cycles, t.input_reads, t.filter_reads, t.output_writes, 2.0 * t.first_case, counted)
    return dict(zip(_TRAFFIC, found, strict=True))


def _cycles(p: LayerColumns, dataflow: Dataflow, faults: Faults) -> Array:
    if p.bw is None:
        return closed_form.latency(p, faults)
    wide = closed_form.transfer_bound(p) <= p.bw
    if bool(wide.all()):
        return closed_form.latency(p, faults)
    if wide.ndim != 1 or not bool(wide.any()):
        return general_rules.runtime(p, dataflow, faults)
    cycles = p.xp.zeros_like(p.K)
    for mask, evaluate in ((wide, closed_form.latency), (~wide, partial(general_rules.runtime, dataflow=dataflow))):
        rows = positions(p.xp, mask)
        cycles[rows] = evaluate(p.take(rows), faults=faults)
    return cycles
