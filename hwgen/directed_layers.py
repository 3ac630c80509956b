"""Small layers of our own that every verification adds to the user's: a fault must not hide behind a simple layer.

They reach what a layer can leave out: padding, stride, dilation, groups, batches, the rectifier; blocks of channels
that are not full; tiles that are not full, many small tiles and few large ones; banks that are held and banks that are
reloaded; passes shorter than a weight block; the corners of the arithmetic; layers that follow each other with and
without a reset, at once and after a pause; ``start`` in mid-layer; and resets of one cycle at many moments of a layer
that then starts again.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, fields, replace

import numpy as np

from accelgym.costmodels.datatypes import IntegerFormat
from accelgym.costmodels.systolic.columns import Hardware, LayerColumns
from accelgym.costmodels.systolic.config import SystolicConfig
from accelgym.costmodels.systolic.cycles import layer_cycles
from accelgym.costmodels.systolic.scheduler import Tiling, candidate_tilings
from accelgym.costmodels.systolic.tiling import tile_terms
from accelgym.costmodels.workloads.layer import Layer, LayerKind
from accelgym.hwgen.simulator import Protocol
from accelgym.hwgen.stimulus import Stimulus

__all__ = ["DirectedRun", "directed_runs"]

_MOST_IDLE = 20
_RESET_TILINGS = 3
_MOMENTS = 12
"""Resets in the course of a layer."""
_FURTHER_TILINGS = 2
_ROUNDINGS = 3
"""Tilings of the layer for the arithmetic."""
_LONG_SILENCE = 2048
_MOST_PRODUCTS = 5_000_000
"""Multiply-adds of the array in the course of the deepest layer."""
_PROTOCOLS = (
    Protocol(reset=0, idle=1),
    Protocol(reset=0, repeats=1),
    Protocol(reset=1, idle=7, silence=8),
    Protocol(reset=0, late_start=1),
)


@dataclass(frozen=True)
class DirectedRun:
    """A layer and the ways in which it runs."""

    layer: Layer
    tiling: Tiling
    stimulus: Stimulus
    rectify: bool
    protocols: tuple[Protocol, ...]


def directed_runs(config: SystolicConfig, generator: np.random.Generator, *, first: bool) -> Iterator[DirectedRun]:
    """Yields the runs for an accelerator, of the layers that fit its buffers.

    Args:
        config: The accelerator with the formats at hand.
        generator: Chooses pauses and moments.
        first: Whether these are the first formats of the accelerator. Further ones meet fewer tilings, and no resets in
            mid-layer: control depends on no format.
    """
    stimuli = (Stimulus.DIRECTED, Stimulus.CODES, Stimulus.EXTREMES)
    count = 0
    for layer in _layers(config):
        for tiling, cycles in _tilings(config, layer)[: None if first else _FURTHER_TILINGS]:
            protocol = _PROTOCOLS[count % len(_PROTOCOLS)]
            late = int(generator.integers(1, cycles)) if protocol.late_start and cycles > 1 else 0
            idle = protocol.idle and int(generator.integers(1, _MOST_IDLE))
            chosen = Protocol(protocol.reset, idle, repeats=protocol.repeats, late_start=late, silence=protocol.silence)
            named = replace(layer, name=f"{layer.name} {count}")  # Operands depend on the name.
            yield DirectedRun(named, tiling, stimuli[count % len(stimuli)], count % 2 == 1, (chosen,))
            count += 1
    rounding = _rounding_layer(config)
    for index, (tiling, _) in enumerate(_tilings(config, rounding)[: _ROUNDINGS if first else 1]):
        named = replace(rounding, name=f"{rounding.name} {index}")
        yield DirectedRun(named, tiling, Stimulus.DIRECTED, False, (Protocol(reset=0),))
    deep = _deep_layer(config)
    if deep is not None:
        for tiling, _ in _tilings(config, deep)[1:2]:
            yield DirectedRun(deep, tiling, Stimulus.EXTREMES, True, (Protocol(reset=0),))
    for layer in _short_layers(config) if first else ():
        for tiling, cycles in _tilings(config, layer)[:_RESET_TILINGS]:
            moments = np.unique(np.linspace(1, cycles - 1, _MOMENTS).astype(int)).tolist() if cycles > 2 else []
            idles = generator.integers(0, 3, size=len(moments))
            aborts = (Protocol(0, int(i), abort=int(moment)) for moment, i in zip(moments, idles, strict=True))
            yield DirectedRun(layer, tiling, Stimulus.RANDOM, False, (*aborts, Protocol(0, silence=_LONG_SILENCE)))


def _layers(config: SystolicConfig) -> tuple[Layer, ...]:
    rows, columns = config.rows, config.columns
    conv = LayerKind.CONV
    return (
        Layer(
            "directed convolution",
            conv,
            N=2,
            K=columns + 1,
            C=rows + 1,
            P=5,
            Q=3,
            R=2,
            S=3,
            stride=(2, 1),
            padding=(1, 2),
            dilation=(1, 2),
        ),
        Layer(
            "directed groups",
            conv,
            K=2 * (2 * columns + 1),
            C=2 * max(rows - 1, 1),
            P=3,
            Q=5,
            R=3,
            S=1,
            stride=(1, 2),
            padding=(2, 0),
            dilation=(2, 1),
            groups=2,
        ),
        Layer.gemm("directed product", M=24, K=2 * columns + 1, C=rows + 1, batch=2),
        Layer.gemm("directed outputs", M=24, K=2 * columns + 1, C=max(rows - 1, 1)),
        Layer.gemm("directed short product", M=1, K=columns, C=4 * rows, batch=3),
    )


def _rounding_layer(config: SystolicConfig) -> Layer:
    """Returns a product without padded lanes, whose zeros would hide negative ones, that meets every scenario twice."""
    return Layer.gemm("directed rounding", M=32, K=18, C=config.rows * -(-4 // config.rows))


def _deep_layer(config: SystolicConfig) -> Layer | None:
    """Returns a product with a sum whose two top bits differ, None where that takes too many terms.

    Without it the sign of an integer could as well be read from the bit below.
    """
    total = config.accumulation
    if not isinstance(total, IntegerFormat):
        return None
    largest = 1.0
    for datatype in (config.input, config.weight):
        largest *= float(np.abs(datatype.values[np.isfinite(datatype.values)]).max())
    terms = int(2.0 ** (total.bits - 2 - total.fraction_bits) / largest) + 1
    if terms * config.rows * config.columns > _MOST_PRODUCTS:
        return None
    return Layer.gemm("directed depth", M=3, K=1, C=terms)


def _short_layers(config: SystolicConfig) -> tuple[Layer, ...]:
    """Layers in which results leave the array most of the time, for resets at any moment."""
    rows, columns = config.rows, config.columns
    return (
        Layer("reset convolution", LayerKind.CONV, K=columns + 1, C=rows + 1, P=2, Q=3, R=1, S=2, padding=(0, 1)),
        Layer.gemm("reset product", M=2 * rows + 1, K=columns + 1, C=2),
    )


def _tilings(config: SystolicConfig, layer: Layer) -> list[tuple[Tiling, int]]:
    """Returns tilings that fit, and their cycles: that with the most tiles, that with the fewest, and others.

    The third has several tiles of several passes of several words; of the rest, each order of the tiles is there, with
    tiles that are not full.
    """
    tilings = candidate_tilings(config, layer)
    hardware, problem = Hardware.of([config]), LayerColumns.of([layer])
    terms = tile_terms(hardware, problem, tilings)
    fitting = np.flatnonzero(terms.valid)
    if fitting.size == 0:
        return []
    tiles = (terms.outer * terms.inner)[fitting]
    by_tiles = fitting[np.lexsort((fitting, -tiles))]
    wanted = [by_tiles[0], by_tiles[-1]]
    busy = by_tiles[((terms.passes > 1) & (terms.stream > 1) & (terms.outer > 1))[by_tiles]]
    wanted += list(busy[:1])
    reduces, inner = terms.reduces[by_tiles], tilings.pixels_inner[by_tiles]
    for some in (reduces, ~reduces & inner, ~reduces & ~inner):
        among = by_tiles[some]
        if among.size:
            wanted += [among[0], among[among.size // 2], among[-1]]
    chosen = [
        Tiling(*(getattr(tilings, field.name)[index].item() for field in fields(Tiling)))
        for index in dict.fromkeys(wanted)
    ]
    return [(t, int(layer_cycles(tile_terms(hardware, problem, t.arrays()))[0])) for t in chosen]
