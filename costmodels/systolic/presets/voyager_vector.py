"""Voyager's vector unit: operations on words of ``columns`` bfloat16 values, two port cycles a word."""

from __future__ import annotations

import math

from accelgym.costmodels.errors import InputError

__all__ = ["CLASSES", "vector_cycles"]

CLASSES = {
    "stream": "one pass over the tensor: two cycles a word; within 0.3 %",
    "softmax": "three passes: six cycles a word; within 0.1 %",
    "layer norm": "four passes: eight cycles a word; within 0.1 %",
    "pooling": "two cycles for every window element inside the image; within 0.3 %",
}

_START = 75
_SOFTMAX_START = 234
_NORM_START = 309
_POOL_START = 400
"""Cycles before the first word, found on the published tables; the errors left are those of :data:`CLASSES`."""
_POOL_WINDOW = 3
"""Filter of the only windowed pooling in the published networks (stride 2, padding 1); the tables do not print it."""

_STREAMS = ("quantize", "add", "mul", "tanh", "relu", "gelu", "silu", "adaptive_avg_pool")


def vector_cycles(name: str, shape: tuple[int, ...], columns: int) -> tuple[int, str] | None:
    """Returns (cycles, class) of an operation known by the start of its name, None for others.

    Args:
        name: Name of the layer in the published tables.
        shape: Shape of the input, channels last.
        columns: Values of a word.

    Raises:
        InputError: A pooling whose input is no image.
    """
    words = math.prod(shape[:-1]) * -(-shape[-1] // columns)
    if name.startswith("softmax"):
        return 6 * words + _SOFTMAX_START, "softmax"
    if name.startswith("layer_norm"):
        return 8 * words + _NORM_START, "layer norm"
    if name.startswith("max_pool"):
        if len(shape) != 3:
            raise InputError(f"input_shape {shape}: pooling needs height, width and channels")
        inside = math.prod(_window_elements(extent) for extent in shape[:2])
        return 2 * inside * -(-shape[2] // columns) + _POOL_START, "pooling"
    if name.startswith(_STREAMS):
        return 2 * words + _START, "stream"
    return None


def _window_elements(extent: int) -> int:
    """Elements of all windows along an axis, those outside the image left out."""
    outputs = (extent + 2 - _POOL_WINDOW) // 2 + 1
    return sum(0 <= 2 * i + tap - 1 < extent for i in range(outputs) for tap in range(_POOL_WINDOW))
