"""A picture of the engines of an accelerator at work on its layers."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import fields
from itertools import takewhile
from pathlib import Path

from accelgym.costmodels.errors import InputError
from accelgym.costmodels.files.pictures import empty_figure, save_figure
from accelgym.costmodels.systolic.columns import Hardware, LayerColumns
from accelgym.costmodels.systolic.config import SystolicConfig
from accelgym.costmodels.systolic.operand_types import OperandTypes
from accelgym.costmodels.systolic.scheduler import schedule
from accelgym.costmodels.systolic.tiling import TileTerms, Tilings, tile_terms
from accelgym.costmodels.systolic.timeline import ENGINES, Span, timeline
from accelgym.costmodels.workloads.layer import Layer

__all__ = ["FORMATS", "draw_timeline"]

FORMATS = (".png", ".svg", ".pdf")
_SHADES = (("#1b6ca8", "#8fbfe0"), ("#2f7d4f", "#98cfae"), ("#b3541e", "#efb48f"), ("#5f4b8b", "#bdb0d9"))
"""By engine; tiles alternate."""
_ROW_HEIGHT = 1.9


def draw_timeline(
    config: SystolicConfig,
    layers: Sequence[Layer],
    path: Path,
    cycles: int | None = None,
    types: Sequence[OperandTypes] | None = None,
) -> dict[str, int]:
    """Draws the schedule of layers, each with its fastest tiling.

    Args:
        config: The accelerator.
        layers: Convolutions and matrix products.
        path: Picture to write; its suffix is one of :data:`FORMATS`.
        cycles: How much of each layer to show; all of it when None.
        types: Number formats of each layer; what is open, or None, is the first one of the accelerator.

    Returns:
        Cycles of every layer by name.

    Raises:
        InputError: The suffix is another, or a layer has no tile that fits, or a number format that is not of the
            accelerator.
        MissingExtraError: matplotlib is not installed.
    """
    if path.suffix not in FORMATS:
        raise InputError(f"picture {str(path)!r}: allowed suffixes are {', '.join(FORMATS)}")
    figure = empty_figure(11, 0.4 + _ROW_HEIGHT * len(layers))
    found = {}
    plots = figure.subplots(len(layers), 1, squeeze=False)[:, 0]
    for axes, layer, wanted in zip(plots, layers, types or [OperandTypes()] * len(layers), strict=True):
        run = config.with_types(*wanted)
        chosen = schedule(run, layer)
        found[layer.name] = chosen.cycles
        shown = min(chosen.cycles, cycles or chosen.cycles)
        spans = _visible(run, layer, chosen.tiling.arrays(), shown)
        for row, engine in enumerate(ENGINES):
            bars = [(span.start, span.end - span.start) for span in spans if span.engine == engine]
            colours = [_SHADES[row][index % 2] for index in range(len(bars))]
            axes.broken_barh(bars, (row - 0.38, 0.76), facecolors=colours, linewidth=0)
        axes.set_yticks(range(len(ENGINES)), ENGINES)
        axes.set_ylim(len(ENGINES) - 0.5, -0.5)
        axes.set_xlim(0, shown)
        axes.spines[["top", "right", "left"]].set_visible(False)
        axes.tick_params(left=False)
        axes.grid(axis="x", color="#dddddd", linewidth=0.6)
        axes.set_axisbelow(True)
        share = layer.macs / (chosen.cycles * config.rows * config.columns)
        axes.set_title(f"{layer.name}: {chosen.cycles:,} cycles, array used {share:.1%}", loc="left", fontsize=10)
    axes.set_xlabel("cycle (tiles alternate in shade)")
    save_figure(figure, path, dpi=130)
    return found


def _visible(config: SystolicConfig, layer: Layer, tiling: Tilings, shown: int) -> list[Span]:
    terms = tile_terms(Hardware.of([config]), LayerColumns.of([layer]), tiling)
    one = TileTerms(*(getattr(terms, field.name)[0] for field in fields(TileTerms)))
    spans = takewhile(lambda span: span.engine != "array" or span.start < shown, timeline(one))
    return [span for span in spans if span.start < shown]
