"""What the counters and addresses of the generated hardware can carry: the one check of whether it runs a tiling.

The scheduler chooses among the tilings that pass, so cost model, timeline, verification and tasks never see another;
:func:`accelgym.hwgen.program.compile_layer` checks a tiling that a caller brings.
"""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from accelgym.costmodels.arrays import Array, array_namespace
from accelgym.costmodels.systolic.columns import Hardware, LayerColumns
from accelgym.costmodels.systolic.tile_grid import TileGrid

__all__ = ["ADDRESS_BITS", "COUNT_BITS", "LARGEST_IMAGE", "demands", "excess", "within_limits"]

COUNT_BITS = 16
"""Of a trip count in the loop nests; the register holds it less one."""
ADDRESS_BITS = 32
"""Of a memory address, in beats of its port."""
COORDINATE_BITS = 16
"""Of an image coordinate, modulo which coordinates are compared with the image."""
LARGEST_IMAGE = 1 << (COORDINATE_BITS - 1)
"""Rows or columns of an input of the weight-stationary template: the upper half of the coordinates stands for negative
ones."""


def demands(hardware: Hardware, problem: LayerColumns, grid: TileGrid) -> Iterator[tuple[str, Array, int]]:
    """Yields what a tiling asks of the hardware: name, amount and the most there is; all arguments broadcast."""
    hw, layer, g = hardware, problem, grid
    t, xp = grid.tile, array_namespace(grid.tile.p1)
    ws = hw.weight_stationary

    most = 1 << COUNT_BITS
    for name, count in (
        ("groups", layer.groups),
        ("images", g.n),
        ("tiles along output rows", g.p),
        ("tiles along output columns", g.q),
        ("tiles of output pixels", g.pixels),
        ("tiles of output channels", g.k),
        ("tiles of the reduction", g.reductions),
        ("passes of a tile", g.passes),
        ("weight words of a tile", g.tile_weight_words),
        ("pixels of a tile along an axis", g.tile_rows),
        ("beats of an input word", hw.input_beats),
        ("beats of a weight word", hw.weight_beats),
        ("beats of an output word", hw.output_beats),
    ):
        yield f"trip count of {name}", count, most

    # As floats, which do not overflow and are exact far beyond the limits.
    reduction = 1.0 * layer.groups * g.c * t.c1
    inputs = xp.where(ws, reduction * g.n * layer.input_height * layer.input_width, reduction * g.p * t.p1)
    weights = 1.0 * layer.groups * g.k * g.reductions * g.tile_weight_words
    outputs = 1.0 * layer.groups * g.k * t.k1 * g.n * g.p * t.p1 * g.q * t.q1 * xp.where(ws, 1, hw.rows)
    most = (1 << ADDRESS_BITS) - 1
    for name, beats in (
        ("beats of input in memory", inputs * hw.input_beats),
        ("beats of weights in memory", weights * hw.weight_beats),
        ("beats of output in memory", outputs * hw.output_beats),
    ):
        yield name, beats, most

    # From the first padding to the end of the last tile, no coordinate may wrap around into the image.
    for name, size, padding, stride, dilation, pixels, taps in (
        ("height", layer.input_height, layer.padding_y, layer.stride_y, layer.dilation_y, g.p * t.p1, g.r * t.r1),
        ("width", layer.input_width, layer.padding_x, layer.stride_x, layer.dilation_x, g.q * t.q1, g.s * t.s1),
    ):
        last = (pixels - 1.0) * stride + (taps - 1.0) * dilation - padding
        yield f"input {name}", xp.where(ws, size, 0), LARGEST_IMAGE
        yield f"input {name} with padding", xp.where(ws, size + padding, 0), 1 << COORDINATE_BITS
        yield f"input {name} under the windows of all tiles", xp.where(ws, last, 0), (1 << COORDINATE_BITS) - 1


def within_limits(hardware: Hardware, problem: LayerColumns, grid: TileGrid) -> Array:
    """Returns whether the hardware runs a tiling that fits its buffers, bool; all arguments broadcast."""
    fine = grid.tile.p1 > 0
    for _, amount, most in demands(hardware, problem, grid):
        fine = fine & (amount <= most)
    return fine


def excess(hardware: Hardware, problem: LayerColumns, grid: TileGrid) -> str:
    """Words the first limit that one tiling exceeds, arrays of one element; empty when it keeps within all of them."""
    for name, amount, most in demands(hardware, problem, grid):
        found = int(np.max(amount))
        if found > most:
            return f"{name} is {found}, allowed up to {most}"
    return ""
