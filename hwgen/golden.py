"""What the array must compute, bit for bit: the passes of a layer in the order in which the hardware makes them."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from accelgym.costmodels.systolic.config import SystolicConfig, Template
from accelgym.costmodels.workloads.layer import Layer
from accelgym.hwgen.grid import Grid, im2col
from accelgym.hwgen.stimulus import Operands

__all__ = ["Pass", "golden_outputs", "passes"]

Codes = npt.NDArray[np.int64]


@dataclass(frozen=True)
class Pass:
    """What one pass adds to an output."""

    steps: Codes
    """Reduction indices ``(c * R + r) * S + s`` in the order of addition; -1 is a padded lane (zero operands)."""
    block: int
    """Index ``(block of channels * R + r) * S + s`` of its scales; -1 is a padded pass (scale one)."""


def passes(config: SystolicConfig, layer: Layer, grid: Grid) -> Iterator[Pass]:
    """Yields the passes of an output in order."""
    t = grid.tile
    channels, taps = layer.C // layer.groups, layer.R * layer.S
    if config.template is Template.OUTPUT_STATIONARY:
        steps = np.arange(grid.c * t.c1)
        for part in np.where(steps < channels * taps, steps, -1).reshape(grid.c, t.c1):
            yield Pass(part, -1)
        return
    order = (
        (c2 * t.c1 + c1, r2 * t.r1 + r1, s2 * t.s1 + s1)
        for c2 in range(grid.c)
        for r2 in range(grid.r)
        for s2 in range(grid.s)
        for c1 in range(t.c1)
        for r1 in range(t.r1)
        for s1 in range(t.s1)
    )
    for index, r, s in order:
        first = index * config.rows
        c = first + np.arange(config.rows)
        inside = r < layer.R and s < layer.S
        tap = r * layer.S + s
        steps = np.where((c < channels) & inside, c * taps + tap, -1)
        block = first // config.scale_block_size
        yield Pass(steps, block * taps + tap if inside and first < channels else -1)


def golden_outputs(
    config: SystolicConfig, layer: Layer, grid: Grid, operands: Operands, *, rectify: bool = False
) -> Codes:
    """Computes a layer.

    Args:
        config: The accelerator.
        layer: The layer.
        grid: Its tiles: with rounding types the result depends on them.
        operands: Its tensors.
        rectify: Replace negative outputs, negative zeros among them, by zero.

    Returns:
        Bit patterns of the accumulation type, shape ``(N, K, P, Q)``.
    """
    g = layer.groups
    # A padded lane reads the appended zero, a padded block the appended scale.
    x, w = _matrices(layer, operands.inputs, operands.weights, config.input.zero(), config.weight.zero())
    scales: tuple[Codes, Codes] | None = None
    if operands.input_scales is not None and operands.weight_scales is not None:
        one = config.unit_scale
        scales = _matrices(layer, operands.input_scales, operands.weight_scales, one, one)
    multiply_add, accumulator = config.multiply_add, config.pass_accumulator
    groups = []
    for group in range(g):
        total: Codes | None = None
        for step in passes(config, layer, grid):
            psum = multiply_add.matmul(x[group][:, step.steps], w[group][:, step.steps].T)
            if scales is None or config.scale is None:
                total = accumulator.add(total, psum)
            else:
                left, right = (side[group][:, step.block] for side in scales)
                total = accumulator.add(total, psum, ((config.scale, left[:, None]), (config.scale, right)))
        assert total is not None  # a layer has at least one pass
        groups.append(total)
    shaped = np.stack(groups).reshape(g, layer.N, layer.P, layer.Q, layer.K // g).transpose(1, 0, 4, 2, 3)
    outputs = np.ascontiguousarray(shaped.reshape(layer.N, layer.K, layer.P, layer.Q))
    return np.where(np.signbit(config.accumulation.decode(outputs)), 0, outputs) if rectify else outputs


def _matrices(layer: Layer, inputs: Codes, weights: Codes, x_zero: int, w_zero: int) -> tuple[Codes, Codes]:
    """Returns the im2col matrix and the weight matrix of every group, with a column of zeros behind the last."""
    x = im2col(layer, inputs, x_zero)
    w = weights.reshape(layer.groups, layer.K // layer.groups, -1)
    x = np.concatenate([x, np.full_like(x[:, :, :1], x_zero)], axis=2)
    return x, np.concatenate([w, np.full_like(w[:, :, :1], w_zero)], axis=2)
