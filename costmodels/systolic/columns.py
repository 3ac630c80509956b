"""Layers and hardware as arrays: what the cycle and traffic formulas are written in."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, fields

import numpy as np

from accelgym.costmodels.arrays import Array
from accelgym.costmodels.errors import InputError
from accelgym.costmodels.systolic.config import LANE_GROUP, SystolicConfig, Template
from accelgym.costmodels.workloads.layer import Layer

__all__ = ["CONVERSION_ADDITIONS", "Hardware", "LayerColumns", "release_cycles"]

CONVERSION_ADDITIONS = 2
"""Rounded additions one after the other in the block-scale dequantiser."""


@dataclass(frozen=True)
class Hardware:
    """Configurations as int64 (or bool) arrays of one shape, shape ``(configs,)``."""

    rows: Array
    columns: Array
    weight_stationary: Array
    """bool; output stationary elsewhere."""
    pe_pipeline: Array
    input_depth: Array
    weight_depth: Array
    accumulation_depth: Array
    accumulation_banks: Array
    memory_latency: Array
    input_beats: Array
    """Cycles the input port needs for one word of the format at hand."""
    weight_beats: Array
    output_beats: Array
    weight_words: Array
    """Buffer words of one weight block, its scales included (weight stationary)."""
    add_cycles: Array
    """Cycles of a rounded addition, and from one row to the next."""
    conversion: Array
    """Cycles between array and accumulation, for scaling and conversion of the results."""
    input_release: Array
    """Of an input bank, see :func:`release_cycles`."""
    weight_release: Array

    @classmethod
    def of(cls, configs: Sequence[SystolicConfig]) -> Hardware:
        """Gathers configurations, shape ``(len(configs),)``."""

        def column(values: list[int]) -> Array:
            return np.array(values, dtype=np.int64)

        latency = column([c.memory_latency for c in configs])
        add_cycles = column([c.add_cycles for c in configs])
        return cls(
            rows=column([c.rows for c in configs]),
            columns=column([c.columns for c in configs]),
            weight_stationary=np.array([c.template is Template.WEIGHT_STATIONARY for c in configs]),
            pe_pipeline=column([c.pe_pipeline for c in configs]),
            input_depth=column([c.input_buffer_depth for c in configs]),
            weight_depth=column([c.weight_buffer_depth for c in configs]),
            accumulation_depth=column([c.accumulation_buffer_depth for c in configs]),
            accumulation_banks=column([2 if c.double_buffered_accumulation else 1 for c in configs]),
            memory_latency=latency,
            input_beats=column([c.input_beats for c in configs]),
            weight_beats=column([c.weight_beats for c in configs]),
            output_beats=column([c.output_beats for c in configs]),
            weight_words=column([c.rows + c.scale_words for c in configs]),
            add_cycles=add_cycles,
            conversion=column([CONVERSION_ADDITIONS * c.converts * c.add_cycles for c in configs]),
            input_release=release_cycles(column([c.rows for c in configs]), add_cycles, latency),
            weight_release=release_cycles(column([c.columns for c in configs]), 1, latency),
        )


def release_cycles(lanes: Array, hop: Array | int, memory_latency: Array) -> Array:
    """Returns the cycles from the last read of an operand bank in its first macro until the loader may have it.

    The macro of the last lanes is read later, ``hop`` cycles a lane, but no beat arrives before ``memory_latency``.
    """
    return np.maximum((lanes - 1) // LANE_GROUP * LANE_GROUP * hop - memory_latency, 0)


@dataclass(frozen=True)
class LayerColumns:
    """Layers as int64 arrays, shape ``(layers,)``; ``K`` and ``C`` are counted per group."""

    groups: Array
    N: Array
    K: Array
    C: Array
    P: Array
    Q: Array
    R: Array
    S: Array
    stride_y: Array
    stride_x: Array
    dilation_y: Array
    dilation_x: Array
    taps_y: Array
    """Pairs of an output row and a filter row that meet a row of the input, not padding."""
    taps_x: Array
    padding_y: Array
    padding_x: Array
    input_height: Array
    """Rows of the input, padding apart."""
    input_width: Array

    @classmethod
    def of(cls, layers: Sequence[Layer]) -> LayerColumns:
        """Gathers compute layers.

        Raises:
            InputError: A layer is a vector operation.
        """
        rows = []
        for layer in layers:
            if not layer.is_compute:
                raise InputError(f"layer {layer.name!r}: {layer.kind} does not run on the array, allowed conv and gemm")
            g = layer.groups
            sizes = (g, layer.N, layer.K // g, layer.C // g, layer.P, layer.Q, layer.R, layer.S)
            taps = (
                _taps(layer, 0, layer.P, layer.R, layer.input_height),
                _taps(layer, 1, layer.Q, layer.S, layer.input_width),
            )
            image = (layer.input_height, layer.input_width)
            rows.append((*sizes, *layer.stride, *layer.dilation, *taps, *layer.padding, *image))
        return cls(*np.array(rows, dtype=np.int64).reshape(-1, len(fields(cls))).T)


def _taps(layer: Layer, axis: int, outputs: int, kernel: int, size: int) -> int:
    """Returns how many pairs of an output and a filter position along an axis lie inside the input."""
    stride, padding = layer.stride[axis], layer.padding[axis]
    starts = (tap * layer.dilation[axis] - padding for tap in range(kernel))
    # Outputs p with 0 <= p * stride + start < size.
    return sum(max(min(-(-(size - start) // stride), outputs) - max(-(start // stride), 0), 0) for start in starts)
