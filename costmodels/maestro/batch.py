"""Batches: rows grouped by dataflow, cut into blocks that fit the cache, and put together again."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from typing import Any

import numpy as np

from accelgym.costmodels.arrays import Array
from accelgym.costmodels.costs import Reason
from accelgym.costmodels.designs import Dataflow
from accelgym.costmodels.maestro import closed_form, hardware
from accelgym.costmodels.maestro.faults import Faults
from accelgym.costmodels.maestro.general_rules import analyse
from accelgym.costmodels.maestro.problem import EXACT_LIMIT, Problem, input_faults

__all__ = ["LazyBreakdown", "blockwise", "counts_of", "finish"]

BLOCK = 8192
"""Rows evaluated at a time with NumPy: the temporaries then stay in cache."""
INT32_MAX = 2.0**31 - 1.0

_TRAFFIC = ("latency_cycles", "input_l2_reads", "filter_l2_reads", "output_l2_writes", "l2_bytes", "counted_macs")


class LazyBreakdown(Mapping[str, Array]):
    """A mapping whose values are worked out when they are first asked for."""

    def __init__(self, makers: dict[str, Callable[[], Array]]) -> None:
        self._makers = makers
        self._made: dict[str, Array] = {}

    def __getitem__(self, name: str) -> Array:
        if name not in self._made:
            with np.errstate(all="ignore"):
                self._made[name] = self._makers[name]()
        return self._made[name]

    def __iter__(self) -> Iterator[str]:
        return iter(self._makers)

    def __len__(self) -> int:
        return len(self._makers)


def blockwise(
    p: Problem, depthwise: Array | None, evaluate: Callable[[Problem, Array], dict[str, Array]]
) -> dict[str, Array]:
    """Evaluates a problem block by block (torch: at once) and returns columns of shape ``(rows,)``."""
    rows = p.K.shape[0]
    with np.errstate(all="ignore"):
        if p.xp is not np or rows <= BLOCK:
            found = evaluate(p, depthwise)
            return {name: p.xp.broadcast_to(column, (rows,)) for name, column in found.items()}
        columns: dict[str, Array] = {}
        for start in range(0, rows, BLOCK):
            block = slice(start, start + BLOCK)
            some = depthwise if depthwise is None or depthwise.ndim == 0 else depthwise[block]
            for name, column in evaluate(p.take(block), some).items():
                if start == 0:
                    columns[name] = np.empty(rows)
                columns[name][block] = column
        return columns


def finish(
    column: Array, shape: tuple[int, ...], valid: Array | None = None, *, integer: bool = False, small: bool = False
) -> Array:
    """Brings a column into the batch's shape; rows that are not valid become 0.

    Args:
        column: float64, shape ``(rows,)``.
        shape: Shape of the batch.
        valid: Rows that mean something.
        integer: Whether to return int64 (int8 if ``small``) in place of float64.
        small: See ``integer``.
    """
    torch_like = hasattr(column, "detach")
    if valid is not None:
        # Not a product: 0 * inf is NaN.
        column = column.where(valid, column.new_zeros(())) if torch_like else np.where(valid, column, 0.0)
    if integer and torch_like:
        import torch

        column = column.to(torch.int8 if small else torch.int64)
    elif integer:
        column = column.astype(np.int8 if small else np.int64)
    return column.reshape(shape)


def counts_of(p: Problem, depthwise: Array, faults: Faults) -> dict[str, Array]:
    """Works out the integers of the analysis.

    Returns:
        float64 columns, exact where valid: ``latency_cycles``, ``input_l2_reads``, ``filter_l2_reads``,
        ``output_l2_writes``, ``l1_bytes``, ``l2_bytes``, ``macs``, ``counted_macs`` (as the program counts them,
        for ``dpt``), and ``reason``, codes of :class:`Reason`.
    """
    xp = p.xp
    reason, macs = input_faults(p, depthwise)
    found = _by_dataflow(p, faults)
    dpt = p.is_flow(Dataflow.DPT)
    found["l1_bytes"] = hardware.l1_bytes(p, dpt, faults)
    found["macs"] = macs
    largest = xp.maximum(found["latency_cycles"], found["output_l2_writes"])
    largest = xp.maximum(largest, found["input_l2_reads"] + found["filter_l2_reads"])
    found["reason"] = _program_limits(p, faults, reason, largest)
    return found


def _program_limits(p: Problem, faults: Faults, reason: Array, largest: Array) -> Array:
    """Adds overflow and the program's own failures to the faults of the input."""
    xp = p.xp
    reason = xp.where((reason == 0.0) & ~(largest <= EXACT_LIMIT), float(Reason.OVERFLOW), reason)
    if faults.edge_tiles:
        # A dimension that holds a step, but not a whole tile.
        shi, eye = p.is_flow(Dataflow.SHI), p.is_flow(Dataflow.EYE)
        rows_left, cols_left = p.OY, p.OX
        lost = xp.where(shi, (rows_left < p.R) | ((cols_left < p.P) & (p.P <= p.X)), shi)
        lost = lost | (eye & (((rows_left < p.P) & (p.P <= p.Y)) | ((cols_left < p.S) & (p.S <= p.X))))
        reason = xp.where((reason == 0.0) & lost, float(Reason.DEGENERATE), reason)
    if faults.int32_iterations:
        too_many = closed_form.iterations(p) > INT32_MAX
        reason = xp.where((reason == 0.0) & too_many, float(Reason.INT32_OVERFLOW), reason)
    return reason


def _by_dataflow(p: Problem, faults: Faults) -> dict[str, Array]:
    """Runs the analysis of each dataflow on the rows that use it."""
    if p.flow.ndim == 0:
        flow = float(p.flow)
        known = flow in tuple(float(f) for f in Dataflow)
        return _one_dataflow(p, Dataflow(int(flow)) if known else Dataflow.DLA, faults)
    pieces = []
    for dataflow in Dataflow:
        mask = p.is_flow(dataflow)
        some = int(mask.sum())
        if some == p.K.shape[0]:
            return _one_dataflow(p, dataflow, faults)
        if some:
            pieces.append((mask, lambda part, dataflow=dataflow: _one_dataflow(part, dataflow, faults)))
    return _piecewise(p, pieces)


def _one_dataflow(p: Problem, dataflow: Dataflow, faults: Faults) -> dict[str, Array]:
    """Closed forms where the NoC cannot limit, the general rules elsewhere."""
    if p.bw is None:
        return _closed(p, dataflow, faults)
    wide = closed_form.transfer_bound(p) <= p.bw
    if bool(wide.all()):
        return _closed(p, dataflow, faults)
    if wide.ndim == 0 or not bool(wide.any()):
        return _general(p, dataflow, faults)
    return _piecewise(
        p,
        [
            (wide, lambda part: _closed(part, dataflow, faults)),
            (~wide, lambda part: _general(part, dataflow, faults)),
        ],
    )


def _piecewise(p: Problem, pieces: list[tuple[Array, Callable[[Problem], dict[str, Array]]]]) -> dict[str, Array]:
    """Evaluates disjoint sets of rows by different functions; rows in none of them are 0."""
    xp = p.xp
    columns = {name: xp.zeros_like(p.K) for name in _TRAFFIC}
    for mask, evaluate in pieces:
        rows = mask.nonzero()[0] if xp is np else mask.nonzero().reshape(-1)
        for name, column in evaluate(p.take(rows)).items():
            columns[name][rows] = column
    return columns


def _closed(p: Problem, dataflow: Dataflow, faults: Faults) -> dict[str, Array]:
    t = closed_form.traffic(p, dataflow, faults)
    cycles = closed_form.latency(p, faults, dataflow)
    return _columns(p, cycles, t.input_reads, t.filter_reads, t.output_writes, t.first_case, t.macs)


def _general(p: Problem, dataflow: Dataflow, faults: Faults) -> dict[str, Array]:
    t = analyse(p, dataflow, faults)
    return _columns(p, t.runtime, t.input_reads, t.filter_reads, t.output_writes, t.first_case, t.macs)


def _columns(
    p: Problem, cycles: Array, inputs: Array, filters: Array, outputs: Array, first_case: Array, macs: Any
) -> dict[str, Array]:
    """Names the columns; the first case is double buffered in L2."""
    counted = p.zero if macs is None else macs
    return dict(zip(_TRAFFIC, (cycles, inputs, filters, outputs, 2.0 * first_case, counted), strict=True))
