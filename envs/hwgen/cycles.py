"""Cycles of whole workloads on many configurations: the scheduler's best tiling of every layer, in batches.

Configurations that share array and template share their candidate tilings. For each layer they form a table
(configuration x tiling) of lower bounds; tilings go through the exact recurrence in the order of their bounds until
the next bound is no better than the best count found. The result equals
:func:`accelgym.costmodels.systolic.scheduler.schedule`.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import fields
from typing import Any

import numpy as np
import numpy.typing as npt

from accelgym.costmodels.systolic.config import SystolicConfig
from accelgym.costmodels.systolic.cycles import layer_cycles
from accelgym.costmodels.systolic.problem import Hardware, Problem
from accelgym.costmodels.systolic.scheduler import candidate_tilings, cycles_lower_bound
from accelgym.costmodels.systolic.tiling import TileTerms, Tilings, tile_terms
from accelgym.costmodels.workloads.layer import Layer

__all__ = ["NO_TILING", "distinct_layers", "fastest_cycles"]

Ints = npt.NDArray[np.int64]

NO_TILING = np.iinfo(np.int64).max
"""Cycles of a configuration that runs no tiling of a layer."""

_CELLS = 200_000
_WINDOW = 32


def distinct_layers(layers: Sequence[Layer]) -> list[tuple[Layer, int]]:
    """Returns the compute layers that differ in shape, and how often each occurs."""
    found: dict[bytes, tuple[Layer, int]] = {}
    for layer in layers:
        if layer.is_compute:
            problem = Problem.of([layer])
            key = b"".join(getattr(problem, field.name).tobytes() for field in fields(Problem))
            first, count = found.get(key, (layer, 0))
            found[key] = (first, count + 1)
    return list(found.values())


def fastest_cycles(widest: SystolicConfig, hardware: Hardware, layer: Layer) -> Ints:
    """Returns the cycles of one layer with the best tiling of every configuration.

    Args:
        widest: A configuration of the same array and template with the deepest of their buffers.
        hardware: The configurations, arrays of shape ``(n,)``.
        layer: The layer.

    Returns:
        Cycles, shape ``(n,)``; :data:`NO_TILING` where no tiling fits the buffers and counters.
    """
    problem = Problem.of([layer])
    tilings = candidate_tilings(widest, layer)
    fits = tile_terms(Hardware.of([widest]), problem, tilings).valid
    tilings = _pick(tilings, fits)
    count = len(hardware.rows)
    result = np.full(count, NO_TILING, dtype=np.int64)
    step = max(1, _CELLS // max(1, len(tilings.p1)))
    for begin in range(0, count if len(tilings.p1) else 0, step):
        rows = slice(begin, begin + step)
        part = Hardware(*(np.asarray(getattr(hardware, field.name)[rows])[:, None] for field in fields(Hardware)))
        result[rows] = _search(tile_terms(part, problem, _pick(tilings, None)))
    return result


def _search(terms: TileTerms) -> Ints:
    """Returns the least cycles of every row of a table of tilings, shape ``(rows,)``."""
    shape = terms.valid.shape
    bound = np.where(terms.valid, cycles_lower_bound(terms), NO_TILING)
    order = np.argsort(bound, axis=1, kind="stable")
    bound = np.take_along_axis(bound, order, axis=1)
    best = np.full(shape[0], NO_TILING, dtype=np.int64)
    for begin in range(0, shape[1], _WINDOW):
        open_ = np.flatnonzero(bound[:, begin] < best)
        if len(open_) == 0:
            break
        window = order[open_, begin : begin + _WINDOW]
        rows = np.broadcast_to(open_[:, None], window.shape)
        chosen = _gather(terms, shape, rows, window)
        cycles = np.where(chosen.valid, layer_cycles(chosen), NO_TILING)
        best[open_] = np.minimum(best[open_], cycles.reshape(window.shape).min(axis=1))
    return best


def _gather(terms: TileTerms, shape: tuple[int, ...], rows: Ints, columns: Ints) -> TileTerms:
    def take(array: Any) -> Any:
        return np.broadcast_to(array, shape)[rows, columns].reshape(-1)

    return TileTerms(*(take(getattr(terms, field.name)) for field in fields(TileTerms)))


def _pick(tilings: Tilings, keep: Any) -> Tilings:
    """Selects tilings, or turns them into a row."""
    index = np.newaxis if keep is None else keep
    return Tilings(*(getattr(tilings, field.name)[index] for field in fields(Tilings)))
