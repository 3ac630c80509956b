"""Cycles of whole workloads on many configurations: the scheduler's best tiling of every layer, in batches.

Configurations that share array, template and beats a word share their candidate tilings and the cycles of each; how
deep their buffers are only says which of them fit. The result equals
:func:`accelgym.costmodels.systolic.scheduler.schedule`.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import fields
from typing import Any

import numpy as np
import numpy.typing as npt

from accelgym.costmodels.systolic.columns import Hardware, LayerColumns
from accelgym.costmodels.systolic.config import SystolicConfig
from accelgym.costmodels.systolic.scheduler import candidate_tilings, cycles_lower_bound
from accelgym.costmodels.systolic.steady import steady_layer_cycles
from accelgym.costmodels.systolic.tiling import TileTerms, Tilings, tile_terms
from accelgym.costmodels.workloads.layer import Layer

__all__ = ["NO_TILING", "cycles_by_depth", "distinct_layers", "least_cycles"]

Ints = npt.NDArray[np.int64]

NO_TILING = np.iinfo(np.int64).max
"""Cycles of a configuration that runs no tiling of a layer."""

_CELLS = 400_000
"""Tilings times configurations at once."""
_MOST = 4000
"""Tilings that go through the recurrence at once, so that later ones profit from what earlier ones found."""


def distinct_layers(layers: Sequence[Layer]) -> list[tuple[Layer, int]]:
    """Returns the compute layers that differ in shape, and how often each occurs."""
    found: dict[bytes, tuple[Layer, int]] = {}
    for layer in layers:
        if layer.is_compute:
            problem = LayerColumns.of([layer])
            key = b"".join(getattr(problem, field.name).tobytes() for field in fields(LayerColumns))
            first, count = found.get(key, (layer, 0))
            found[key] = (first, count + 1)
    return list(found.values())


def cycles_by_depth(
    widest: SystolicConfig, hardware: Hardware, layer: Layer, depths: tuple[Sequence[int], ...]
) -> Ints:
    """Returns the cycles of one layer with the best tiling, for every combination of buffer depths.

    A tiling belongs to the smallest buffers that hold it. The one of the least bound in each combination of buffers is
    counted first; then every other whose bound is below the best count in the smallest buffers that hold it.

    Args:
        widest: A configuration of the same array and template with the deepest buffers.
        hardware: Configurations that differ from it in the beats of their words alone, arrays of shape ``(n,)``.
        layer: The layer.
        depths: Ascending words of the input, weight and accumulation buffer.

    Returns:
        Cycles, shape ``(n, input depths, weight depths, accumulation depths)``; :data:`NO_TILING` where no tiling fits
        the buffers and counters.
    """
    count, sizes = len(hardware.rows), tuple(len(levels) for levels in depths)
    best = np.full((count, *sizes), NO_TILING, dtype=np.int64)
    tilings = candidate_tilings(widest, layer)
    step = max(1, _CELLS // max(1, len(tilings.p1)))
    for begin in range(0, count if len(tilings.p1) else 0, step):
        rows = slice(begin, begin + step)
        terms = tile_terms(_column(hardware, rows), LayerColumns.of([layer]), _row(tilings))
        best[rows] = _fastest(terms, depths, best[rows])
    return best


def least_cycles(widest: SystolicConfig, hardware: Hardware, layer: Layer) -> int:
    """Returns a bound on the cycles of a layer on any of some configurations, :data:`NO_TILING` where no tiling fits.

    Args:
        widest: A configuration of the same array and template with the deepest buffers.
        hardware: Configurations that differ from it in the beats of their words alone, arrays of shape ``(n,)``.
        layer: The layer.
    """
    fewest = {name: getattr(hardware, name).min(keepdims=True) for name in _BEATS}
    first = {field.name: getattr(hardware, field.name)[:1] for field in fields(Hardware)}
    terms = tile_terms(Hardware(**first | fewest), LayerColumns.of([layer]), candidate_tilings(widest, layer))
    return int(np.where(terms.valid, cycles_lower_bound(terms), NO_TILING).min(initial=NO_TILING))


def _fastest(terms: TileTerms, depths: tuple[Sequence[int], ...], best: Ints) -> Ints:
    """Returns the least cycles by depths, ``(n, *depths)``, of a table of tilings, ``(n, tilings)``."""
    shape = np.broadcast_shapes(terms.valid.shape, terms.input_load.shape)
    words = (terms.input_words, terms.weight_words, terms.accumulation_words)
    level = [np.searchsorted(d, np.asarray(w)[0]) for d, w in zip(depths, words, strict=True)]
    holds = np.all([a < len(d) for a, d in zip(level, depths, strict=True)], axis=0)
    cell = np.ravel_multi_index(tuple(np.where(holds, a, 0) for a in level), tuple(len(d) for d in depths))
    bound = np.broadcast_to(np.where(terms.valid & holds, cycles_lower_bound(terms), NO_TILING), shape).copy()
    flat = best.reshape(shape[0], -1)

    def count(rows: Ints, columns: Ints) -> None:
        cycles = steady_layer_cycles(_gather(terms, shape, rows, columns))
        np.minimum.at(flat, (rows, cell[columns]), cycles)
        bound[rows, columns] = NO_TILING
        for axis in (1, 2, 3):
            np.minimum.accumulate(best, axis=axis, out=best)

    least, which = np.full_like(flat, NO_TILING), np.zeros_like(flat)
    for number in np.unique(cell[holds]):
        members = np.flatnonzero(holds & (cell == number))
        which[:, number] = members[bound[:, members].argmin(axis=1)]
        least[:, number] = bound[np.arange(shape[0]), which[:, number]]
    for axis in (1, 2, 3):
        _spread(least.reshape(best.shape), which.reshape(best.shape), axis)
    rows, cells = np.nonzero(least < NO_TILING)
    if len(rows) == 0:
        return best
    count(*np.unique((rows, which[rows, cells]), axis=1))
    while True:
        rows, columns = np.nonzero(bound < flat[:, cell])
        if len(rows) == 0:
            return best
        if len(rows) > _MOST:
            promise = bound[rows, columns] / flat[rows, cell[columns]]
            lowest = np.argpartition(promise, _MOST)[:_MOST]
            rows, columns = rows[lowest], columns[lowest]
        count(rows, columns)


def _spread(least: Ints, which: Ints, axis: int) -> None:
    """Along an axis of growing buffers, lets each take over a smaller one's least value and whose it is, in place."""
    values, owners = np.moveaxis(least, axis, 0), np.moveaxis(which, axis, 0)
    for level in range(1, len(values)):
        lower = values[level - 1] < values[level]
        values[level] = np.where(lower, values[level - 1], values[level])
        owners[level] = np.where(lower, owners[level - 1], owners[level])


def _gather(terms: TileTerms, shape: tuple[int, ...], rows: Ints, columns: Ints) -> TileTerms:
    def take(array: Any) -> Any:
        return np.broadcast_to(array, shape)[rows, columns]

    return TileTerms(*(take(getattr(terms, field.name)) for field in fields(TileTerms)))


_BEATS = ("input_beats", "weight_beats", "output_beats")


def _column(hardware: Hardware, rows: slice) -> Hardware:
    """Configurations as a column; what they share stands once, so that terms which depend on it are counted once."""
    picked = {f.name: getattr(hardware, f.name)[rows if f.name in _BEATS else slice(1)] for f in fields(Hardware)}
    return Hardware(**{name: np.asarray(array)[:, None] for name, array in picked.items()})


def _row(tilings: Tilings) -> Tilings:
    return Tilings(*(getattr(tilings, field.name)[None] for field in fields(Tilings)))
