"""What the array must compute, bit for bit: the passes of a layer in the order in which the hardware makes them."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import numpy.typing as npt

from accelgym.costmodels.systolic.config import SystolicConfig, Template
from accelgym.costmodels.workloads.layer import Layer
from accelgym.hwgen.program import Grid, im2col

__all__ = ["golden_outputs", "pass_steps"]

Codes = npt.NDArray[np.int64]


def pass_steps(config: SystolicConfig, layer: Layer, grid: Grid) -> Iterator[npt.NDArray[np.int64]]:
    """Yields the reduction indices ``(c * R + r) * S + s`` of every pass of an output, in order.

    Within a pass the products are added one after the other; an index of -1 is a padded lane (zero operands).
    """
    t = grid.tile
    channels, taps = layer.C // layer.groups, layer.R * layer.S
    if config.template is Template.OUTPUT_STATIONARY:
        steps = np.arange(grid.c * t.c1)
        yield from np.where(steps < channels * taps, steps, -1).reshape(grid.c, t.c1)
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
    for block, r, s in order:
        c = block * config.rows + np.arange(config.rows)
        real = (c < channels) & (r < layer.R) & (s < layer.S)
        yield np.where(real, (c * layer.R + r) * layer.S + s, -1)


def golden_outputs(config: SystolicConfig, layer: Layer, grid: Grid, inputs: Codes, weights: Codes) -> Codes:
    """Computes a layer.

    Args:
        config: The accelerator.
        layer: The layer.
        grid: Its tiles: with rounding types the result depends on them.
        inputs: Bit patterns, shape ``(N, C, H, W)``.
        weights: Bit patterns, shape ``(K, C / groups, R, S)``.

    Returns:
        Bit patterns of the accumulation type, shape ``(N, K, P, Q)``.
    """
    g = layer.groups
    x_zero, w_zero = config.input.zero(), config.weight.zero()
    x = im2col(layer, inputs, x_zero)
    w = weights.reshape(g, layer.K // g, -1)
    # A padded lane reads the appended zero.
    x = np.concatenate([x, np.full_like(x[:, :, :1], x_zero)], axis=2)
    w = np.concatenate([w, np.full_like(w[:, :, :1], w_zero)], axis=2)
    multiply_add, accumulator = config.multiply_add, config.pass_accumulator
    groups = []
    for left, right in zip(x, w, strict=True):
        total: Codes | None = None
        for steps in pass_steps(config, layer, grid):
            psum = multiply_add.matmul(left[:, steps], right[:, steps].T)
            total = accumulator.add(total, psum)
        assert total is not None  # a layer has at least one pass
        groups.append(total)
    shaped = np.stack(groups).reshape(g, layer.N, layer.P, layer.Q, layer.K // g).transpose(1, 0, 4, 2, 3)
    return np.ascontiguousarray(shaped.reshape(layer.N, layer.K, layer.P, layer.Q))
