"""Compiles a layer and a tiling to the run-time parameters of the accelerator."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from accelgym.costmodels.errors import InputError
from accelgym.costmodels.systolic.columns import Hardware, LayerColumns
from accelgym.costmodels.systolic.config import SystolicConfig, Template
from accelgym.costmodels.systolic.limits import excess
from accelgym.costmodels.systolic.scheduler import Tiling
from accelgym.costmodels.systolic.tile_grid import TileGrid
from accelgym.costmodels.workloads.layer import Layer
from accelgym.hwgen.grid import Grid
from accelgym.hwgen.images import input_image, read_outputs, weight_image
from accelgym.hwgen.stimulus import Operands

__all__ = ["Program", "compile_layer"]

Codes = npt.NDArray[np.int64]
Bytes = npt.NDArray[np.uint8]

_REGISTERS = {
    "input_last_index": 0,
    "input_address_increment": 16,
    "input_y_increment": 32,
    "input_x_increment": 48,
    "input_image": 64,
    "input_base": 72,
    "weight_last_index": 80,
    "weight_address_increment": 96,
    "pass_last_index": 112,
    "input_read_address_increment": 128,
    "weight_read_address_increment": 144,
    "result_last_index": 160,
    "result_address_increment": 176,
    "reduce_mask": 192,
    "holds": 208,
    "output_last_index": 224,
    "output_address_increment": 240,
    "rectify": 256,
    "input_mode": 272,
    "weight_mode": 273,
}
"""Addresses of the configuration bus, as in ``rtl/accelerator.v``."""


@dataclass(frozen=True)
class Program:
    """A compiled layer."""

    config: SystolicConfig
    """The accelerator, with the number formats of the layer at hand."""
    layer: Layer
    grid: Grid
    registers: tuple[tuple[int, int], ...]
    """(address, value) pairs for the configuration bus."""
    output_beats: int
    cycle_limit: int

    def input_image(self, operands: Operands) -> Bytes:
        """Returns the inputs in memory, shape ``(beats, bytes per beat)``."""
        return input_image(self.config, self.layer, self.grid, operands)

    def weight_image(self, operands: Operands) -> Bytes:
        """Returns the weights in memory, shape ``(beats, bytes per beat)``."""
        return weight_image(self.config, self.layer, self.grid, operands)

    def outputs(self, image: Bytes) -> Codes:
        """Reads the output tensor back from memory, bit patterns of shape ``(N, K, P, Q)``."""
        return read_outputs(self.config, self.layer, self.grid, image)


@dataclass(frozen=True)
class _Loop:
    """One slot of a loop nest: trip count and what one step adds to each address."""

    trips: int
    strides: tuple[int, ...] = (0,)


def _address_increment(loops: Sequence[_Loop], axis: int) -> list[int]:
    """Returns the increment of every slot: its stride, less what the restarted inner slots had added."""
    inner, increments = 0, []
    for loop in loops:
        increments.append(loop.strides[axis] - inner)
        inner += (loop.trips - 1) * loop.strides[axis]
    return increments


def _order(grid: Grid, inner: Sequence[_Loop], channel: _Loop, pixels: Sequence[_Loop], group: _Loop) -> list[_Loop]:
    """Puts the loops over tiles in the order the tiling asks for; ``inner`` are the reduction loops."""
    if grid.tile.pixels_inner:
        return [*inner, *pixels, channel, group]
    return [*inner, channel, *pixels, group]


def compile_layer(config: SystolicConfig, layer: Layer, tile: Tiling, *, rectify: bool = False) -> Program:
    """Compiles one layer.

    Args:
        config: The accelerator; the layer runs with its formats at hand.
        layer: A convolution or a matrix product.
        tile: Its tiling; it must fit the buffers.
        rectify: Replace negative outputs by zero.

    Raises:
        InputError: The layer exceeds the counters and addresses of the hardware.
    """
    hardware, problem = Hardware.of([config]), LayerColumns.of([layer])
    beyond = excess(hardware, problem, TileGrid.of(hardware, problem, tile.arrays()))
    if beyond:
        raise InputError(f"layer {layer.name!r} with {tile}: {beyond}")
    grid = Grid.of(config, layer, tile)
    if config.template is Template.OUTPUT_STATIONARY:
        values = _output_stationary(config, layer, grid)
    else:
        values = _weight_stationary(config, layer, grid)
    values["rectify"] = [int(rectify)]
    for name, formats, chosen in (
        ("input_mode", config.inputs, config.input),
        ("weight_mode", config.weights, config.weight),
    ):
        if len(formats) > 1:
            values[name] = [formats.index(chosen)]
    registers = tuple(
        (_REGISTERS[name] + i, value % 2**32) for name, entries in values.items() for i, value in enumerate(entries)
    )
    words = layer.groups * grid.k * tile.k1 * grid.n * grid.p * tile.p1 * grid.q * tile.q1
    if config.template is Template.OUTPUT_STATIONARY:
        words *= config.rows
    return Program(config, layer, grid, registers, words * config.output_beats, 2**40)


def _nest(values: dict[str, list[int]], prefix: str, loops: Sequence[_Loop], names: Sequence[str]) -> None:
    values[f"{prefix}_last_index"] = [loop.trips - 1 for loop in loops]
    for axis, name in enumerate(names):
        values[name] = _address_increment(loops, axis)


def _holds(grid: Grid, passes: int) -> list[int]:
    reduces = grid.reductions > 1
    pixel_tiles = grid.n * grid.p * grid.q
    hold_weights = pixel_tiles if not reduces and grid.tile.pixels_inner else 1
    hold_inputs = grid.k if not reduces and not grid.tile.pixels_inner else 1
    return [grid.reductions - 1, hold_inputs - 1, hold_weights - 1, passes - 1]


def _weight_loops(grid: Grid, tile_words: int, beats: int) -> list[_Loop]:
    """Weights lie in memory as the array takes them, one tile after the other; pixels do not move the address."""
    tile = tile_words * beats
    reduces = grid.reductions > 1
    pixels = grid.n * grid.p * grid.q
    if not reduces and grid.tile.pixels_inner:
        pixels = 1
    reduction = _Loop(grid.reductions, (tile,))
    channel = _Loop(grid.k, (tile * grid.reductions,))
    group = _Loop(grid.groups, (tile * grid.reductions * grid.k,))
    return [
        _Loop(beats, (1,)),
        _Loop(tile_words, (beats,)),
        *_order(grid, [reduction], channel, [_Loop(pixels)], group),
    ]


@dataclass(frozen=True)
class _Window:
    """What a weight-stationary tile reads of an image."""

    height: int
    """Rows in the buffer."""
    width: int
    step_y: int
    """Rows of the image from one in the buffer to the next."""
    step_x: int
    read_y: int
    """Rows of the buffer from one output to the next."""
    read_x: int

    @classmethod
    def of(cls, layer: Layer, tile: Tiling) -> _Window:
        """Returns the window of a tile."""
        (sy, sx), (dy, dx) = layer.stride, layer.dilation
        # One filter tap needs no halo: the loader steps from used pixel to used pixel.
        halo_y, halo_x = tile.r1 > 1, tile.s1 > 1
        return cls(
            height=(tile.p1 - 1) * sy + (tile.r1 - 1) * dy + 1 if halo_y else tile.p1,
            width=(tile.q1 - 1) * sx + (tile.s1 - 1) * dx + 1 if halo_x else tile.q1,
            step_y=1 if halo_y else sy,
            step_x=1 if halo_x else sx,
            read_y=sy if halo_y else 1,
            read_x=sx if halo_x else 1,
        )


def _weight_stationary(config: SystolicConfig, layer: Layer, grid: Grid) -> dict[str, list[int]]:
    t, window = grid.tile, _Window.of(layer, grid.tile)
    passes = t.k1 * t.c1 * t.r1 * t.s1
    values = _image_loader(config, layer, grid, window)
    words = passes * (config.rows + config.scale_words)
    _nest(values, "weight", _weight_loops(grid, words, config.weight_beats), ["weight_address_increment"])
    values |= _tap_passes(layer, grid, window)
    values["holds"] = _holds(grid, passes)
    _nest(values, "output", _image_drain(config, layer, grid), ["output_address_increment"])
    return values


def _image_loader(config: SystolicConfig, layer: Layer, grid: Grid, window: _Window) -> dict[str, list[int]]:
    """Inputs lie in memory as (group, image, block of channels, row, column)."""
    t, beats = grid.tile, config.input_beats
    (sy, sx), (dy, dx) = layer.stride, layer.dilation
    height, width = layer.input_height, layer.input_width
    # Strides of the input in memory, in beats: column, row, channel block, image, group.
    mx = beats
    my = width * mx
    mc = height * my
    mn = grid.c * t.c1 * mc
    mg = layer.N * mn

    def spatial(trips: int, y: int, x: int) -> _Loop:
        return _Loop(trips, (y * my + x * mx, y, x))

    reduction = [spatial(grid.s, 0, t.s1 * dx), spatial(grid.r, t.r1 * dy, 0), _Loop(grid.c, (t.c1 * mc, 0, 0))]
    pixels = [spatial(grid.q, 0, t.q1 * sx), spatial(grid.p, t.p1 * sy, 0), _Loop(grid.n, (mn, 0, 0))]
    reloads = grid.k if grid.reductions > 1 or t.pixels_inner else 1
    tiles = _order(grid, reduction, _Loop(reloads, (0, 0, 0)), pixels, _Loop(grid.groups, (mg, 0, 0)))
    inside = [
        _Loop(beats, (1, 0, 0)),
        spatial(window.width, 0, window.step_x),
        spatial(window.height, window.step_y, 0),
        _Loop(t.c1, (mc, 0, 0)),
    ]
    values: dict[str, list[int]] = {}
    _nest(values, "input", inside + tiles, ["input_address_increment", "input_y_increment", "input_x_increment"])
    y0, x0 = -layer.padding[0], -layer.padding[1]
    values["input_image"] = [width, x0, height, y0]
    values["input_base"] = [y0 * my + x0 * mx]
    return values


def _tap_passes(layer: Layer, grid: Grid, window: _Window) -> dict[str, list[int]]:
    """The array takes the pixels of a tile, then taps, channel blocks and output blocks."""
    t, (dy, dx) = grid.tile, layer.dilation
    array = [
        _Loop(t.q1, (window.read_x, 1)),
        _Loop(t.p1, (window.read_y * window.width, t.q1)),
        _Loop(t.s1, (dx, 0)),
        _Loop(t.r1, (dy * window.width, 0)),
        _Loop(t.c1, (window.height * window.width, 0)),
        _Loop(t.k1, (0, t.p1 * t.q1)),
    ]
    values: dict[str, list[int]] = {}
    _nest(values, "pass", array, ["input_read_address_increment", "result_address_increment"])
    values["weight_read_address_increment"] = [0] * len(array)
    values["result_last_index"] = values["pass_last_index"]
    values["result_address_increment"] = [*values["result_address_increment"], 0]
    values["reduce_mask"] = [0, 0, 1, 1, 1, 0]
    return values


def _image_drain(config: SystolicConfig, layer: Layer, grid: Grid) -> list[_Loop]:
    """Outputs lie in memory as (group, block of channels, image, row, column)."""
    t, beats = grid.tile, config.output_beats
    ox = beats
    oy = grid.q * t.q1 * ox
    on = grid.p * t.p1 * oy
    ok = layer.N * on
    og = grid.k * t.k1 * ok
    inside = [_Loop(beats, (1,)), _Loop(t.q1, (ox,)), _Loop(t.p1, (oy,)), _Loop(t.k1, (ok,))]
    pixels = [_Loop(grid.q, (t.q1 * ox,)), _Loop(grid.p, (t.p1 * oy,)), _Loop(grid.n, (on,))]
    return inside + _order(grid, [], _Loop(grid.k, (t.k1 * ok,)), pixels, _Loop(grid.groups, (og,)))


def _output_stationary(config: SystolicConfig, layer: Layer, grid: Grid) -> dict[str, list[int]]:
    t, rows = grid.tile, config.rows
    in_beats, w_beats, out_beats = config.input_beats, config.weight_beats, config.output_beats
    values: dict[str, list[int]] = {}
    # Inputs lie in memory as (group, block of pixels, step).
    row = grid.c * t.c1 * in_beats
    group = grid.p * t.p1 * row
    none = _Loop(1)
    inside = [_Loop(in_beats, (1,)), _Loop(t.c1, (in_beats,)), _Loop(t.p1, (row,)), none]
    reloads = grid.k if grid.reductions > 1 or t.pixels_inner else 1
    tiles = _order(
        grid,
        [_Loop(grid.c, (t.c1 * in_beats,)), none, none],
        _Loop(reloads),
        [_Loop(grid.p, (t.p1 * row,)), none, none],
        _Loop(grid.groups, (group,)),
    )
    _nest(values, "input", inside + tiles, ["input_address_increment"])
    values["input_y_increment"] = values["input_x_increment"] = [0] * len(values["input_last_index"])
    values["input_image"] = [1, 0, 1, 0]
    values["input_base"] = [0]
    _nest(values, "weight", _weight_loops(grid, t.k1 * t.c1, w_beats), ["weight_address_increment"])

    array = [_Loop(t.c1, (1, 1)), _Loop(1, (0, 0)), _Loop(t.p1, (t.c1, 0)), _Loop(t.k1, (0, t.c1))]
    array += [_Loop(1, (0, 0))] * 2
    _nest(values, "pass", array, ["input_read_address_increment", "weight_read_address_increment"])
    # Results of a pass arrive bottom row first.
    results = [_Loop(rows, (-1,)), none, _Loop(t.p1, (rows,)), _Loop(t.k1, (t.p1 * rows,)), none, none]
    _nest(values, "result", results, ["result_address_increment"])
    values["result_address_increment"] = [*values["result_address_increment"], rows - 1]
    values["reduce_mask"] = [0] * len(results)
    values["holds"] = _holds(grid, t.p1 * t.k1)

    # Outputs lie in memory as (group, block of channels, pixel).
    pixel = out_beats
    ok = grid.p * t.p1 * rows * pixel
    og = grid.k * t.k1 * ok
    inside = [_Loop(out_beats, (1,)), _Loop(t.p1 * rows, (pixel,)), none, _Loop(t.k1, (ok,))]
    tiles = _order(
        grid,
        [],
        _Loop(grid.k, (t.k1 * ok,)),
        [_Loop(grid.p, (t.p1 * rows * pixel,)), none, none],
        _Loop(grid.groups, (og,)),
    )
    _nest(values, "output", inside + tiles, ["output_address_increment"])
    return values
