"""Tensors in the memory of the accelerator.

A tensor element is its bit pattern, a non-negative integer. Memory is addressed in beats of the port that reads or
writes it; a buffer word takes a whole number of beats, its element 0 lowest, and elements follow each other without
gaps whatever lanes the buffer has. With block scales, an input word ends in the scale of its block, and a block of
weight words is followed by words that carry the scales of its columns, as many bits of each in a lane as the narrowest
weight has, the lowest first. A scale that several passes share is there for each of them.
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from accelgym.costmodels.systolic.config import SystolicConfig, Template
from accelgym.costmodels.workloads.layer import Layer
from accelgym.hwgen.beats import from_beats, to_beats
from accelgym.hwgen.grid import Grid, im2col
from accelgym.hwgen.stimulus import Operands

__all__ = ["input_image", "read_outputs", "weight_image"]

Codes = npt.NDArray[np.int64]
Bytes = npt.NDArray[np.uint8]


def input_image(config: SystolicConfig, layer: Layer, grid: Grid, operands: Operands) -> Bytes:
    """Returns the inputs and their scales in memory, shape ``(beats, bytes per beat)``."""
    rows, t, zero = config.rows, grid.tile, config.input.zero()
    channels = layer.C // layer.groups
    inputs = operands.inputs
    if config.template is Template.OUTPUT_STATIONARY:
        columns = im2col(layer, inputs, zero)
        full = np.full((layer.groups, grid.p * t.p1 * rows, grid.c * t.c1), zero, dtype=np.int64)
        full[:, : columns.shape[1], : columns.shape[2]] = columns
        words = full.reshape(layer.groups, grid.p * t.p1, rows, grid.c * t.c1).transpose(0, 1, 3, 2)
        return to_beats([(words.reshape(-1, rows), config.input.bits)], config.input_port_bits)
    height, width = layer.input_height, layer.input_width

    def blocks(tensor: Codes, depth: int, lanes: int, filler: int) -> Codes:
        """Orders (N, groups * depth, H, W) as words of (group, image, block, row, column)."""
        shape = (layer.N, layer.groups, grid.c * t.c1 * lanes, height, width)
        padded = np.full(shape, filler, dtype=np.int64)
        padded[:, :, :depth] = tensor.reshape(layer.N, layer.groups, depth, height, width)
        ordered = padded.reshape(*shape[:2], grid.c * t.c1, lanes, height, width).transpose(1, 0, 2, 4, 5, 3)
        return ordered.reshape(-1, lanes)

    fields = [(blocks(inputs, channels, rows, zero), config.input.bits)]
    if config.scale is not None and operands.input_scales is not None:
        depth = -(-channels // rows)
        stored = operands.input_scales.reshape(layer.N, layer.groups, -1, height, width)
        scales = _for_every_pass(config, stored, depth)
        fields.append((blocks(scales, depth, 1, config.unit_scale), config.scale.bits))
    return to_beats(fields, config.input_port_bits)


def weight_image(config: SystolicConfig, layer: Layer, grid: Grid, operands: Operands) -> Bytes:
    """Returns the weights and their scales in the order in which the array takes them."""
    t, columns, g, zero = grid.tile, config.columns, layer.groups, config.weight.zero()
    tensor = operands.weights.reshape(g, layer.K // g, layer.C // g, layer.R, layer.S)
    if config.template is Template.OUTPUT_STATIONARY:
        steps = tensor[0, 0].size
        full = np.full((g, grid.k * t.k1 * columns, grid.c * t.c1), zero, dtype=np.int64)
        full[:, : layer.K // g, :steps] = tensor.reshape(g, layer.K // g, steps)
        words = full.reshape(g, grid.k, t.k1, columns, grid.c, t.c1).transpose(0, 1, 4, 2, 5, 3)
        return to_beats([(words.reshape(-1, columns), config.weight.bits)], config.weight_port_bits)

    def blocks(values: Codes, depth: int, lanes: int, filler: int) -> Codes:
        """Orders (group, K, depth, R, S) as blocks of ``lanes`` words, shape ``(blocks, lanes, columns)``."""
        shape = (g, grid.k * t.k1 * columns, grid.c * t.c1 * lanes, grid.r * t.r1, grid.s * t.s1)
        padded = np.full(shape, filler, dtype=np.int64)
        padded[:, : layer.K // g, :depth, : layer.R, : layer.S] = values
        tiled = padded.reshape(g, grid.k, t.k1, columns, grid.c, t.c1, lanes, grid.r, t.r1, grid.s, t.s1)
        return tiled.transpose(0, 1, 4, 7, 9, 2, 5, 8, 10, 6, 3).reshape(-1, lanes, columns)

    words = blocks(tensor, layer.C // g, config.rows, zero)
    if config.scale is not None and operands.weight_scales is not None:
        depth = -(-(layer.C // g) // config.rows)
        stored = operands.weight_scales.reshape(g, layer.K // g, -1, layer.R, layer.S)
        codes = blocks(_for_every_pass(config, stored, depth), depth, 1, config.unit_scale)
        bits = config.scale_part_bits
        parts = [(codes >> (i * bits)) & ((1 << bits) - 1) for i in range(config.scale_words)]
        words = np.concatenate([words, *parts], axis=1)
    return to_beats([(words.reshape(-1, columns), config.weight.bits)], config.weight_port_bits)


def _for_every_pass(config: SystolicConfig, scales: Codes, depth: int) -> Codes:
    """Repeats the scales along axis 2 for the passes of their blocks, ``depth`` passes in all."""
    return np.repeat(scales, config.scale_block_size // config.rows, axis=2)[:, :, :depth]


def read_outputs(config: SystolicConfig, layer: Layer, grid: Grid, image: Bytes) -> Codes:
    """Reads the output tensor back, bit patterns of shape ``(N, K, P, Q)``."""
    t, g = grid.tile, layer.groups
    words = from_beats(image, config.columns, config.accumulation.bits, config.output_port_bits)
    per_group = layer.K // g
    if config.template is Template.OUTPUT_STATIONARY:
        pixels = grid.p * t.p1 * config.rows
        tensor = words.reshape(g, grid.k * t.k1, pixels, config.columns).transpose(0, 1, 3, 2)
        flat = tensor.reshape(g, -1, pixels)[:, :per_group, : layer.N * layer.P * layer.Q]
        shaped = flat.reshape(g * per_group, layer.N, layer.P, layer.Q)
        return np.ascontiguousarray(shaped.transpose(1, 0, 2, 3))
    tensor = words.reshape(g, grid.k * t.k1, layer.N, grid.p * t.p1, grid.q * t.q1, config.columns)
    ordered = tensor.transpose(2, 0, 1, 5, 3, 4).reshape(layer.N, g, -1, grid.p * t.p1, grid.q * t.q1)
    cropped = ordered[:, :, :per_group, : layer.P, : layer.Q]
    return np.ascontiguousarray(cropped.reshape(layer.N, layer.K, layer.P, layer.Q))
