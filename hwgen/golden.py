"""What the array must compute, bit for bit: the passes of a layer in the order in which the hardware makes them."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import numpy.typing as npt

from accelgym.costmodels.systolic.config import SystolicConfig, Template
from accelgym.costmodels.workloads.layer import Layer
from accelgym.hwgen.program import Grid, im2col

__all__ = ["golden_outputs", "pass_steps", "signed", "wrap"]

Codes = npt.NDArray[np.int64]


def wrap(values: Codes, bits: int) -> Codes:
    """Returns the bit patterns of integers modulo ``2**bits``."""
    return values & ((1 << bits) - 1)


def signed(codes: Codes, bits: int) -> Codes:
    """Returns the two's-complement values of bit patterns."""
    return codes - ((codes >> (bits - 1)) << bits)


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
    x = signed(im2col(layer, inputs), config.input.bits)
    w = signed(weights.reshape(g, layer.K // g, -1), config.weight.bits)
    # A padded lane reads the appended zero.
    x = np.concatenate([x, np.zeros_like(x[:, :, :1])], axis=2)
    w = np.concatenate([w, np.zeros_like(w[:, :, :1])], axis=2)
    total = np.zeros((g, x.shape[1], w.shape[1]), dtype=np.int64)
    for steps in pass_steps(config, layer, grid):
        psum = np.matmul(x[:, :, steps], w[:, :, steps].transpose(0, 2, 1))
        total = wrap(total + signed(wrap(psum, config.psum.bits), config.psum.bits), config.accumulation.bits)
    shaped = total.reshape(g, layer.N, layer.P, layer.Q, layer.K // g).transpose(1, 0, 4, 2, 3)
    return shaped.reshape(layer.N, layer.K, layer.P, layer.Q)
