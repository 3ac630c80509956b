"""Finds the processing element and the step at which an array first left the golden."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from accelgym.costmodels.systolic.config import SystolicConfig, Template
from accelgym.hwgen.grid import Grid, im2col
from accelgym.hwgen.program import Program
from accelgym.hwgen.stimulus import Operands

__all__ = ["Mismatch", "first_mismatch", "read_trace"]

Codes = npt.NDArray[np.int64]


@dataclass(frozen=True)
class Mismatch:
    """The earliest partial sum that is wrong."""

    row: int
    column: int
    step: int
    """Operand word of the layer, counted from 0 in the order in which the array takes them."""
    cycle: int
    expected: int
    """Code of the partial sum."""
    found: int


def read_trace(data: bytes, config: SystolicConfig) -> tuple[npt.NDArray[np.bool_], Codes]:
    """Splits a trace into the step flag of every cycle and the partial sums, shape ``(cycles, rows, columns)``."""
    lanes, bits = config.rows * config.columns, config.psum.bits
    width = -(-lanes * bits // 8)
    frames = np.frombuffer(data, dtype=np.uint8).reshape(-1, width + 1)
    packed = np.unpackbits(frames[:, 1:], axis=1, bitorder="little")[:, : lanes * bits]
    psums = np.zeros((len(frames), lanes), dtype=np.int64)
    for bit in range(bits):
        psums |= packed[:, bit::bits].astype(np.int64) << bit
    return frames[:, 0] != 0, psums.reshape(-1, config.rows, config.columns)


def _tile_starts(grid: Grid) -> npt.NDArray[np.int64]:
    """Returns (group, n, p, q, k, c, r, s) of every tile in execution order."""
    pixels, channel = [grid.n, grid.p, grid.q], [grid.k]
    reduction = [grid.c, grid.r, grid.s]
    if grid.tile.pixels_inner:
        order, shape = [0, 2, 3, 4, 1, 5, 6, 7], [grid.groups, *channel, *pixels, *reduction]
    else:
        order, shape = [0, 1, 2, 3, 4, 5, 6, 7], [grid.groups, *pixels, *channel, *reduction]
    index = np.indices(shape).reshape(len(shape), -1)
    return index[order].T


def _steps(program: Program) -> tuple[Codes, Codes, Codes, Codes, npt.NDArray[np.bool_]]:
    """Returns (group, pixels, channels, reductions, first of pass) of every step.

    Indices of -1 are padded lanes. Shapes, with ``lanes`` 1 where all rows or all columns share the index: group
    ``(steps,)``, pixels ``(steps, rows or 1)``, channels ``(steps, columns)``, reductions ``(steps, rows or 1)``.
    """
    config, layer, grid = program.config, program.layer, program.grid
    t, rows, columns = grid.tile, config.rows, config.columns
    per_group, depth = layer.K // layer.groups, layer.C // layer.groups
    parts = []
    for group, n, p2, q2, k2, c2, r2, s2 in _tile_starts(grid):
        if config.template is Template.OUTPUT_STATIONARY:
            k1, m1, c1 = (a.ravel() for a in np.indices((t.k1, t.p1, t.c1)))
            pixel = ((p2 * t.p1 + m1) * rows)[:, None] + np.arange(rows)
            pixel = np.where(pixel < layer.N * layer.P * layer.Q, pixel, -1)
            step = (c2 * t.c1 + c1)[:, None]
            reduction = np.where(step < depth * layer.R * layer.S, step, -1)
            first = c1 == 0
        else:
            k1, c1, r1, s1, p1, q1 = (a.ravel() for a in np.indices((t.k1, t.c1, t.r1, t.s1, t.p1, t.q1)))
            p, q = p2 * t.p1 + p1, q2 * t.q1 + q1
            inside = (p < layer.P) & (q < layer.Q)
            pixel = np.where(inside, (n * layer.P + p) * layer.Q + q, -1)[:, None]
            c = ((c2 * t.c1 + c1) * rows)[:, None] + np.arange(rows)
            tap = ((r2 * t.r1 + r1) * layer.S + s2 * t.s1 + s1)[:, None]
            reduction = np.where(c < depth, c * layer.R * layer.S + tap, -1)
            first = (p1 == 0) & (q1 == 0)
        k = ((k2 * t.k1 + k1) * columns)[:, None] + np.arange(columns)
        channel = np.where(k < per_group, k, -1)
        parts.append((np.full(len(k1), group), pixel, channel, reduction, first))
    group, pixel, channel, reduction, first = (np.concatenate(column) for column in zip(*parts, strict=True))
    return group, pixel, channel, reduction, first


def first_mismatch(program: Program, operands: Operands, steps: npt.NDArray[np.bool_], psums: Codes) -> Mismatch | None:
    """Compares every partial sum of a traced run with the golden.

    Args:
        program: The layer that ran.
        operands: Its tensors.
        steps: Cycles in which the array took an operand word, shape ``(cycles,)``.
        psums: Partial sums of every processing element and cycle, shape ``(cycles, rows, columns)``.

    Returns:
        The earliest difference, or None when the array is right (the fault then lies behind it). Steps that read
        pixels beyond the output are not compared.
    """
    config, layer = program.config, program.layer
    x_zero, w_zero, multiply_add = config.input.zero(), config.weight.zero(), config.multiply_add
    matrix = im2col(layer, operands.inputs, x_zero)
    matrix = np.pad(matrix, ((0, 0), (0, 0), (0, 1)), constant_values=x_zero)
    kernel = operands.weights.reshape(layer.groups, layer.K // layer.groups, -1)
    kernel = np.pad(kernel, ((0, 0), (0, 1), (0, 1)), constant_values=w_zero)
    group, pixel, channel, reduction, first = _steps(program)
    taken = np.flatnonzero(steps)
    count = min(taken.size, group.size)
    group, pixel, channel, reduction = group[:count], pixel[:count], channel[:count], reduction[:count]
    x = matrix[group[:, None], pixel, reduction]
    w = kernel[group[:, None, None], channel[:, None, :], reduction[:, :, None]]
    shape = (count, config.rows, config.columns)
    expected = np.zeros(shape, dtype=np.int64)
    zero = config.psum.zero()
    if config.template is Template.OUTPUT_STATIONARY:
        total = np.full(shape[1:], zero)
        for i in range(count):
            total = np.full(shape[1:], zero) if first[i] else total
            total = multiply_add.step(total, x[i][:, None], w[i])
            expected[i] = total
    else:
        above = np.full((count, config.columns), zero)
        for row in range(config.rows):
            above = multiply_add.step(above, x[:, row, None], w[:, row])
            expected[:, row] = above
    rows, columns = np.arange(config.rows)[:, None], np.arange(config.columns)
    cycle = taken[:count, None, None] + 2 + rows * config.add_cycles + columns + config.pe_pipeline
    compared = np.broadcast_to((pixel >= 0)[:, :, None], shape) & (cycle < len(psums))
    found = psums[np.minimum(cycle, len(psums) - 1), rows, columns]
    wrong = np.flatnonzero(compared & (found != expected))
    if wrong.size == 0:
        return None
    earliest = wrong[np.argmin(cycle.ravel()[wrong])]
    step, row, column = (int(i) for i in np.unravel_index(earliest, shape))
    return Mismatch(
        row,
        column,
        step,
        int(cycle[step, row, column]),
        int(expected[step, row, column]),
        int(found[step, row, column]),
    )
