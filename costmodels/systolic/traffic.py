"""Words moved between memory, buffers and array, counted from the tile grid."""

from __future__ import annotations

from dataclasses import dataclass

from accelgym.costmodels.arrays import Array, array_namespace
from accelgym.costmodels.systolic.columns import Hardware
from accelgym.costmodels.systolic.tiling import TileTerms

__all__ = ["Traffic", "traffic"]


@dataclass(frozen=True)
class Traffic:
    """Counts of a whole layer, int64 arrays of one shape, in buffer words unless said otherwise."""

    input_loads: Array
    """Words from memory into the input buffer."""
    weight_loads: Array
    outputs: Array
    """Words from the accumulation buffer to memory."""
    input_reads: Array
    """Reads of the input buffer by the array."""
    weight_reads: Array
    accumulation_writes: Array
    """Writes of partial sums."""
    accumulation_reads: Array
    """Reads to add a partial sum or to drain: as many as writes, since a word's first sum reads nothing."""
    array_steps: Array
    """Operand words streamed through the array; times ``rows * columns`` multiply-accumulates."""
    inside: Array
    """Multiply-accumulates on operands inside the image; the array's others multiply padding."""


def traffic(hardware: Hardware, terms: TileTerms) -> Traffic:
    """Counts the words every memory moves; arguments broadcast."""
    xp = array_namespace(terms.stream)
    ws = terms.preload > 0
    tiles = terms.outer * terms.inner
    output_tiles = xp.where(terms.reduces, terms.outer, tiles)
    steps = tiles * terms.passes * terms.stream
    outputs = output_tiles * terms.accumulation_words
    writes = tiles * terms.passes * xp.where(ws, terms.stream, hardware.rows + terms.stream * 0)
    return Traffic(
        input_loads=xp.where(terms.reduces | terms.holds_weights, tiles, terms.outer) * terms.input_words,
        weight_loads=xp.where(terms.holds_weights, terms.outer, tiles) * terms.weight_words,
        outputs=outputs,
        input_reads=steps,
        weight_reads=xp.where(ws, tiles * terms.weight_words, steps),
        accumulation_writes=writes,
        accumulation_reads=writes,
        array_steps=steps,
        inside=terms.inside,
    )
