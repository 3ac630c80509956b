"""Voyager's published accelerator: cycles of a layer, by the class of what it exercises.

The array takes one word of ``rows`` inputs a cycle and hides weight loads and memory, so a plain layer costs its words
plus, once, what nothing can hide: a first bank of the double-buffered input or weight memory must be full before it
is read, and the last word crosses control, memories, skewed array and vector unit.

The constants below were found on the published tables of six networks at 16 x 16 and 32 x 32; all other numbers follow
from the structure (array latency, the tiler's weight-load time, port widths). Classes other than ``plain`` are coarser;
their errors are stated at :data:`CLASSES`.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

from accelgym.costmodels.errors import InputError
from accelgym.costmodels.systolic.presets import voyager_vector

__all__ = ["CLASSES", "UNITS", "Cost", "VoyagerLayer", "layer_cost"]

UNITS = ("matrix", "dwc", "vector")
"""Parts of the accelerator: the array, the depthwise unit, and the vector unit with its matrix-vector part."""

CLASSES = {
    "plain": "matrix product or convolution: words and one fill; within 1 %",
    "wide output": "bfloat16 result, two port cycles a word and no credit for FIFOs: within 4 %",
    "window": "few input channels, packed by the window buffer: within 1 %",
    "patch": "few input channels, filter as large as its stride: within 0.2 %",
    "unpacked": "few input channels, filter too small to pack: not understood, up to 52 % too low",
    "gemv": "one input row, on the matrix-vector unit: within 0.1 % from 24 blocks of outputs, 1 % below",
    "depthwise": "depthwise unit, one padded input pixel a cycle: 4.4 % too low on average, 24 % on 7 x 7",
    **voyager_vector.CLASSES,
}
"""Class of a layer to what its count is worth."""

_CONTROL = 42
"""Cycles of control, memories and vector unit around a layer."""
_WEIGHT_SWAP = 2
"""The tiler counts a weight load as ``rows + 2`` cycles."""
_SMALL_CHANNELS = 4
"""Layers with no more input channels than this are tiled by hand."""
_WINDOW_FILTER = 4
"""Narrowest filter that the window buffer packs."""
_WINDOW_CONTROL, _WINDOW_PIXELS, _WINDOW_START = 70, 16, 5
_PATCH_PIXELS = 28
_GEMV_BLOCK, _GEMV_CONTROL = 23, 76
"""Found on the published tables, like all constants above; the errors left are those of :data:`CLASSES`."""


@dataclass(frozen=True)
class VoyagerLayer:
    """A row of the published tables."""

    name: str
    unit: str
    """One of :data:`UNITS`."""
    input_shape: tuple[int, ...]
    """Height, width, channels of a convolution; rows, columns of a matrix, with a batch in front of them."""
    weight_shape: tuple[int, ...]
    """Filter width and height, input and output channels; or input and output channels; empty without weights."""
    stride: int = 1


@dataclass(frozen=True)
class Cost:
    """Cycles of a layer, None with a reason when the preset has no rule for it."""

    cycles: int | None
    layer_class: str
    reason: str = ""


def layer_cost(layer: VoyagerLayer, rows: int, columns: int) -> Cost:
    """Returns the cycles of a layer on an array of ``rows`` (reduction) by ``columns`` (output channels).

    Raises:
        InputError: Shapes that do not fit each other.
    """
    if layer.unit == "vector" and len(layer.weight_shape) != 2:
        found = voyager_vector.vector_cycles(layer.name, layer.input_shape, columns)
        if found is None:
            return Cost(None, "unknown", f"no rule for the vector operation {layer.name!r}")
        return Cost(*found)
    if layer.unit == "vector" or (layer.unit == "matrix" and _is_vector(layer)):
        # The tables print a classifier's weights as (outputs, inputs).
        inputs = math.prod(layer.input_shape)
        if inputs not in layer.weight_shape:
            raise InputError(f"weight_shape {layer.weight_shape} does not fit {inputs} inputs")
        outputs = math.prod(layer.weight_shape) // inputs
        return Cost(-(-outputs // columns) * (2 * inputs + _GEMV_BLOCK) + _GEMV_CONTROL, "gemv")
    if layer.unit == "dwc":
        height, width, channels = _image(layer)
        return Cost(-(-channels // columns) * (height + 2) * (width + 2), "depthwise")
    return _matrix(layer, rows, columns)


def _is_vector(layer: VoyagerLayer) -> bool:
    return len(layer.weight_shape) == 2 and math.prod(layer.input_shape[:-1]) == 1


def _image(layer: VoyagerLayer) -> tuple[int, int, int]:
    if len(layer.input_shape) != 3:
        raise InputError(f"input_shape {layer.input_shape}: a convolution needs height, width and channels")
    height, width, channels = layer.input_shape
    return height, width, channels


def _matrix(layer: VoyagerLayer, rows: int, columns: int) -> Cost:
    if len(layer.weight_shape) == 2:
        inputs, outputs = layer.weight_shape
        elements = math.prod(layer.input_shape)
        if elements % inputs:
            raise InputError(f"input_shape {layer.input_shape} is no matrix with {inputs} columns")
        pixels, filters = (elements // inputs, 1), (1, 1)
    elif len(layer.weight_shape) == 4:
        height, width, _ = _image(layer)  # The printed channels are not always those of the weights.
        *kernel, inputs, outputs = layer.weight_shape
        filters = (kernel[0], kernel[1])
        pixels = (-(-height // layer.stride), -(-width // layer.stride))
        if inputs <= _SMALL_CHANNELS and max(filters) > 1:
            return _few_channels(layer, pixels, rows, columns)
    else:
        raise InputError(f"weight_shape {layer.weight_shape}: allowed are two or four extents")
    blocks = -(-inputs // rows) * -(-outputs // columns)
    tile = _first_tile(pixels, filters, layer.stride, rows)
    # A tile that is too small to hide the next weights waits for them.
    words = pixels[0] * pixels[1] // math.prod(tile) * max(math.prod(tile), rows + _WEIGHT_SWAP)
    cycles = words * math.prod(filters) * blocks + _CONTROL + 3 * rows + columns
    cycles += _fill(tile, filters, layer.stride, rows)
    if _is_wide(layer.name, inputs, outputs):
        return Cost(cycles + math.prod(pixels) * -(-outputs // columns), "wide output")
    return Cost(cycles, "plain")


def _divisors(number: int) -> list[int]:
    return [d for d in range(1, number + 1) if number % d == 0]


def _input_words(tile: tuple[int, int], filters: tuple[int, int], stride: int) -> int:
    """Words of an input tile with its halo."""
    if max(filters) == 1:
        return math.prod(tile)
    return math.prod(t * stride + f - 1 for t, f in zip(tile, filters, strict=True))


def _first_tile(pixels: tuple[int, int], filters: tuple[int, int], stride: int, rows: int) -> tuple[int, int]:
    """Returns the pixels of the first tile, (height, width).

    Its pixels must hide a weight load. Of those tiles the tiler takes the quickest to fill: one filter tap needs the
    smallest; several taps need their weights anyway, and the largest tile that loads no longer than they do.
    """
    whole = pixels
    tiles = [(y, x) for y in _divisors(whole[0]) for x in _divisors(whole[1]) if y * x >= rows + _WEIGHT_SWAP]
    if not tiles:
        return whole
    limit = math.prod(filters) * rows
    hidden = [tile for tile in tiles if math.prod(tile) <= limit]
    if max(filters) == 1 or not hidden:
        return min(tiles, key=math.prod)
    return min(hidden, key=lambda tile: (-math.prod(tile), _input_words(tile, filters, stride)))


def _fill(tile: tuple[int, int], filters: tuple[int, int], stride: int, rows: int) -> int:
    """Words of the first bank to be full; one a cycle."""
    weights = math.prod(filters) * rows + (max(filters) > 1)
    return max(_input_words(tile, filters, stride), weights)


def _is_wide(name: str, inputs: int, outputs: int) -> bool:
    """Whether the result stays in bfloat16: attention scores, and projections added to a residual."""
    if name.startswith("matmul"):
        return outputs > inputs
    return any(part in name for part in ("output_dense", "output_bottleneck_dense", "bottleneck_input_dense"))


def _few_channels(layer: VoyagerLayer, pixels: tuple[int, int], rows: int, columns: int) -> Cost:
    """First layers: neighbouring pixels share the rows that channels leave free."""
    fx, fy, inputs, outputs = layer.weight_shape
    packed = 1 << max(rows // inputs, 1).bit_length() - 1
    passes = fy * -(-fx // packed)
    blocks = -(-outputs // columns)
    count = math.prod(pixels)
    if fx == layer.stride:
        tiles = -(-count // _PATCH_PIXELS)
        cycles = tiles * passes * blocks * max(_PATCH_PIXELS, rows)
        return Cost(cycles + _WINDOW_CONTROL + 3 * rows + columns, "patch")
    if fx < _WINDOW_FILTER:
        return Cost(count * fx * fy * blocks + _CONTROL + 3 * rows + columns, "unpacked")
    groups = -(-count // _WINDOW_PIXELS)
    one = _WINDOW_PIXELS + _WINDOW_START
    # The last pass of a block writes bfloat16, two cycles a pixel.
    cycles = groups * blocks * (passes * one + 2 * _WINDOW_PIXELS - one)
    return Cost(cycles + _WINDOW_CONTROL + 3 * rows + columns, "window")
