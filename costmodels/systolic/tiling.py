"""Tilings of a layer on a systolic array, and how many cycles each part of a tile takes.

A layer runs as a grid of equal tiles (the last ones are padded with zeros). The buffers hold one tile each and
are filled while the previous tile computes. Inside a tile the array makes *passes*:

- weight stationary: one pass is one block of ``rows x columns`` weights (one filter tap), past which the
  ``p1 * q1`` pixels of the tile stream, one a cycle; the partial sums of a pass are added to the accumulation
  buffer.
- output stationary: the layer is the product of its im2col matrix (``N*P*Q`` pixels by ``C*R*S``) with the
  weights; one pass is one block of ``rows`` pixels by ``columns`` channels, for which ``c1`` steps stream.
"""

from __future__ import annotations

from dataclasses import dataclass

from accelgym.costmodels.arrays import Array, array_namespace
from accelgym.costmodels.costs import Reason
from accelgym.costmodels.systolic.columns import Hardware, LayerColumns
from accelgym.costmodels.systolic.limits import within_limits
from accelgym.costmodels.systolic.tile_grid import TileGrid, Tilings

__all__ = ["MINIMUM_PASS", "TileTerms", "Tilings", "tile_terms"]

EXACT_LIMIT = 2**53
"""Cycles up to which counts are exact in float64."""
MINIMUM_PASS = 3
"""Cycles between two additions to one accumulation word, besides those of the addition: read, hold, write."""


@dataclass(frozen=True)
class TileTerms:
    """Durations and counts of a tile grid, int64 arrays of one shape; cycles unless said otherwise."""

    input_load: Array
    """Address cycles to fill an input bank."""
    weight_load: Array
    drain: Array
    """Cycles to send one tile of outputs."""
    stream: Array
    """Operand words of one pass, one a cycle."""
    spacing: Array
    """From the start of a tile's last pass to the earliest start of the next."""
    pass_length: Array
    """Between the starts of two passes of a tile."""
    passes: Array
    """Passes of a tile (count)."""
    preload: Array
    """Cycles to shift a weight block in ahead of its pass; 0 when output stationary."""
    latency: Array
    """From the last operand word to the accumulated result."""
    input_release: Array
    """From the last operand word of a bank until its loader may fill it."""
    weight_release: Array
    memory_latency: Array
    accumulation_banks: Array
    outer: Array
    """Groups of tiles that share an operand tile or an output tile (count)."""
    inner: Array
    """Tiles of a group (count)."""
    reduces: Array
    """bool. The tiles of a group add up to one output tile."""
    holds_weights: Array
    """bool. The tiles of a group share their weights (else their inputs, unless ``reduces``)."""
    input_words: Array
    """Buffer words of an input tile (count)."""
    weight_words: Array
    accumulation_words: Array
    inside: Array
    """Multiply-adds of the layer on operands inside the image (count); all others of the array multiply padding."""
    valid: Array
    """bool."""
    reason: Array
    """int8, values of :class:`~accelgym.costmodels.costs.Reason`."""


def tile_terms(hardware: Hardware, problem: LayerColumns, tilings: Tilings) -> TileTerms:
    """Returns the terms of the cycle recurrence; all arguments broadcast against each other."""
    hw, layer, t = hardware, problem, tilings
    xp = array_namespace(t.p1)
    ws = hw.weight_stationary

    def choose(a: Array, b: Array) -> Array:
        return xp.where(ws, a, b)

    grid = TileGrid.of(hardware, problem, tilings)
    pixels = t.p1 * t.q1
    stream = choose(pixels, t.c1)
    input_words = choose(t.c1 * grid.tile_height * grid.tile_width, t.p1 * t.c1)
    weight_words = grid.tile_weight_words
    accumulation_words = choose(t.k1 * pixels, t.k1 * t.p1 * hw.rows)

    pixel_tiles, channel_tiles, reduction_tiles = grid.pixels, grid.k, grid.reductions
    reduces = grid.reduces
    holds_weights = ~reduces & t.pixels_inner
    inner = xp.where(reduces, reduction_tiles, xp.where(t.pixels_inner, pixel_tiles, channel_tiles))
    outer = layer.groups * xp.where(
        reduces, pixel_tiles * channel_tiles, xp.where(t.pixels_inner, channel_tiles, pixel_tiles)
    )

    at_least = xp.maximum(stream, MINIMUM_PASS + hw.add_cycles)
    pass_length = xp.maximum(at_least, choose(hw.weight_words, hw.rows))
    fits = (
        (input_words <= hw.input_depth)
        & (weight_words <= hw.weight_depth)
        & (accumulation_words <= hw.accumulation_depth)
    )
    positive = (t.p1 > 0) & (t.q1 > 0) & (t.k1 > 0) & (t.c1 > 0) & (t.r1 > 0) & (t.s1 > 0)
    runs = within_limits(hardware, problem, grid)
    # Every engine busy one after the other, as a float, which does not overflow.
    drain, load = accumulation_words * hw.output_beats, input_words * hw.input_beats + weight_words * hw.weight_beats
    exact = 1.0 * outer * inner * (load + drain + grid.passes * pass_length) <= EXACT_LIMIT
    reason = xp.where(exact, int(Reason.OK), int(Reason.OVERFLOW))
    reason = xp.where(runs, reason, int(Reason.COUNTER))
    reason = xp.where(positive, xp.where(fits, reason, int(Reason.CAPACITY)), int(Reason.BAD_VALUE))
    zero = stream * 0
    return TileTerms(
        input_load=input_words * hw.input_beats,
        weight_load=weight_words * hw.weight_beats,
        drain=accumulation_words * hw.output_beats,
        stream=stream,
        spacing=choose(at_least, pass_length),
        pass_length=pass_length,
        passes=grid.passes,
        preload=choose(hw.weight_words, zero),
        latency=choose(hw.add_cycles * (hw.rows - 1) + 1, 2 * hw.rows)
        + hw.columns
        + hw.pe_pipeline
        + hw.conversion
        + hw.add_cycles
        + zero,
        input_release=hw.input_release + zero,
        weight_release=hw.weight_release + zero,
        memory_latency=hw.memory_latency + zero,
        accumulation_banks=hw.accumulation_banks + zero,
        outer=outer,
        inner=inner,
        reduces=reduces,
        holds_weights=holds_weights,
        input_words=input_words,
        weight_words=weight_words,
        accumulation_words=accumulation_words,
        inside=layer.groups * layer.N * layer.K * layer.C * layer.taps_y * layer.taps_x + zero,
        valid=fits & positive & runs & exact,
        reason=reason,
    )
