"""How often a layer reads its memory images, counted from its tiles."""

from __future__ import annotations

import numpy as np

from accelgym.costmodels.systolic.columns import Hardware, LayerColumns
from accelgym.costmodels.systolic.config import SystolicConfig, Template
from accelgym.costmodels.systolic.scheduler import Tiling
from accelgym.costmodels.systolic.tiling import tile_terms
from accelgym.costmodels.systolic.traffic import traffic
from accelgym.costmodels.workloads.layer import Layer

__all__ = ["memory_reads"]


def memory_reads(config: SystolicConfig, layer: Layer, tiling: Tiling) -> tuple[int, int]:
    """Returns the beats that a layer reads of its inputs and of its weights.

    The words of the cost model's traffic, less those of the input beyond the image: the loader makes them up.
    """
    hardware = Hardware.of([config])
    terms = tile_terms(hardware, LayerColumns.of([layer]), tiling.arrays())
    moved = traffic(hardware, terms)
    inputs, weights = int(moved.input_loads[0]), int(moved.weight_loads[0])
    if config.template is Template.WEIGHT_STATIONARY:
        t = tiling
        (sy, sx), (dy, dx), (py, px) = layer.stride, layer.dilation, layer.padding
        rows, rows_inside = _lines(layer.P, layer.R, t.p1, t.r1, sy, dy, py, layer.input_height)
        columns, columns_inside = _lines(layer.Q, layer.S, t.q1, t.s1, sx, dx, px, layer.input_width)
        inputs = inputs * rows_inside * columns_inside // (rows * columns)
    return inputs * config.input_beats, weights * config.weight_beats


def _lines(
    outputs: int, taps: int, tile: int, tile_taps: int, stride: int, dilation: int, padding: int, size: int
) -> tuple[int, int]:
    """Returns how many rows (or columns) the tiles of an image load, and how many of them lie inside it."""
    halo = tile_taps > 1
    length = (tile - 1) * stride + (tile_taps - 1) * dilation + 1 if halo else tile
    first = np.arange(-(-outputs // tile))[:, None, None] * tile * stride
    tap = np.arange(-(-taps // tile_taps))[:, None] * tile_taps * dilation
    lines = first + tap + np.arange(length) * (1 if halo else stride) - padding
    return lines.size, int(((lines >= 0) & (lines < size)).sum())
