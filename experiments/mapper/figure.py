"""A picture of where energy and cycles go, by layer and level."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from accelgym.costmodels.files.pictures import empty_figure, save_figure

__all__ = ["save_picture"]

_COLOURS = ("#0072B2", "#E69F00", "#009E73", "#CC79A7", "#56B4E9", "#D55E00", "#7F4FA8", "#999933", "#882255")
"""Okabe and Ito's, and further ones that stay apart for colour-blind eyes."""
_COMPUTE, _LEAKAGE = "#4D4D4D", "#BBBBBB"
_MOST_LABELS = 120


def save_picture(summary: Mapping[str, Any], path: Path) -> None:
    """Draws the energy of every layer by level, and its cycles with the level that sets them.

    Args:
        summary: See :class:`~accelgym.experiments.mapper.MapResult`.
        path: PNG to write. Nothing is written where no layer has a mapping.

    Raises:
        MissingExtraError: matplotlib is not installed (extra ``report``).
        InputError: The file cannot be written.
    """
    layers = [layer for layer in summary["layers"] if "error" not in layer]
    if not layers:
        return
    width = min(30.0, max(7.0, 2.5 + 0.28 * len(layers)))
    figure = empty_figure(width, 7.5)
    above, below = figure.subplots(2, 1, sharex=True)
    colours = _palette(layers)
    _draw_energy(above, layers, colours)
    _draw_cycles(below, layers, colours)
    metrics = ", then ".join(summary["metrics"])
    figure.suptitle(f"{summary['workload']} on {summary['architecture']}: least {metrics}")
    save_figure(figure, path)


def _palette(layers: Sequence[Mapping[str, Any]]) -> dict[str, str]:
    """A colour for every level, by its place, and for the multipliers and leakage."""
    levels = list(layers[0]["cycles_by_level"])
    parts = dict.fromkeys(part for layer in layers for part in layer["energy_pj_by_part"])
    colours = {name: _COLOURS[i % len(_COLOURS)] for i, name in enumerate(levels)}
    return colours | {part: _LEAKAGE if part == "leakage" else _COMPUTE for part in parts if part not in colours}


def _draw_energy(axes: Any, layers: Sequence[Mapping[str, Any]], colours: Mapping[str, str]) -> None:
    scale, unit = _scale(max(layer["energy_pj"] for layer in layers))
    floor = [0.0] * len(layers)
    for part, colour in colours.items():
        heights = [layer["energy_pj_by_part"].get(part, 0.0) / scale for layer in layers]
        axes.bar(range(len(layers)), heights, 0.8, bottom=floor, color=colour, label=part)
        floor = [low + height for low, height in zip(floor, heights, strict=True)]
    axes.set_ylabel(f"energy, {unit}")
    axes.grid(axis="y", alpha=0.3)
    axes.set_axisbelow(True)
    axes.legend(fontsize="small", loc="center left", bbox_to_anchor=(1.0, 0.5), title="energy of")


def _draw_cycles(axes: Any, layers: Sequence[Mapping[str, Any]], colours: Mapping[str, str]) -> None:
    """Bars are cycles, coloured by what sets them; ticks across show what every level would need alone."""
    compute = next(part for part in colours if part not in layers[0]["cycles_by_level"] and part != "leakage")
    shown = set()
    for x, layer in enumerate(layers):
        needs = {compute: layer["compute_cycles"], **layer["cycles_by_level"]}
        # A level whose bandwidth does not limit needs no more than the multipliers.
        slowest = max(needs, key=lambda name: needs[name])
        label = None if slowest in shown else slowest
        shown.add(slowest)
        axes.bar([x], [layer["cycles"]], 0.8, color=colours[slowest], label=label)
        if layer["compute_cycles"] < layer["cycles"]:
            axes.hlines(layer["compute_cycles"], x - 0.4, x + 0.4, color=_COMPUTE, linewidth=2.0)
    axes.hlines([], 0, 0, color=_COMPUTE, linewidth=2.0, label=f"{compute} alone")
    axes.set_ylabel("cycles")
    axes.grid(axis="y", alpha=0.3)
    axes.set_axisbelow(True)
    axes.set_xlim(-0.6, len(layers) - 0.4)
    if len(layers) <= _MOST_LABELS:
        names = [_short(layer["name"]) for layer in layers]
        axes.set_xticks(range(len(layers)), names, rotation=90 if len(layers) > 3 else 0, fontsize="small")
    axes.legend(fontsize="small", loc="center left", bbox_to_anchor=(1.0, 0.5), title="cycles set by")


def _short(name: str) -> str:
    return name if len(name) <= 28 else f"{name[:12]}...{name[-13:]}"


def _scale(most_pj: float) -> tuple[float, str]:
    for scale, unit in ((1e12, "J"), (1e9, "mJ"), (1e6, "µJ"), (1e3, "nJ")):
        if most_pj >= scale:
            return scale, unit
    return 1.0, "pJ"
