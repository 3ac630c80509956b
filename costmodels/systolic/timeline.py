"""When each engine works: the cycle recurrence as spans of time."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from accelgym.costmodels.systolic.cycles import iterate
from accelgym.costmodels.systolic.tiling import TileTerms

__all__ = ["ENGINES", "Span", "timeline"]

ENGINES = ("input port", "weight port", "array", "output port")


@dataclass(frozen=True)
class Span:
    """An engine works on a tile from ``start`` to ``end`` (exclusive), cycles from the start of the layer."""

    engine: str
    """One of :data:`ENGINES`."""
    tile: int
    """Tile of the layer, in the order of execution."""
    start: int
    end: int


def timeline(terms: TileTerms) -> Iterator[Span]:
    """Yields the spans of a layer, tile by tile.

    The array is at work from the first operand word of a tile to the last; with a pass longer than its words it waits
    in between. The output port is at work for the tile that completes an output.

    Args:
        terms: Terms of one tiling, shape ``()``.
    """
    for tile, (role, state) in enumerate(iterate(terms)):
        if role.loads_input:
            yield Span("input port", tile, int(state.input_loaded - terms.input_load), int(state.input_loaded))
        if role.loads_weights:
            yield Span("weight port", tile, int(state.weight_loaded - terms.weight_load), int(state.weight_loaded))
        first = state.last_pass - (terms.passes - 1) * terms.pass_length
        yield Span("array", tile, int(first), int(state.last_pass + terms.stream))
        if role.closes_output:
            yield Span("output port", tile, int(state.drained - terms.drain), int(state.drained))
