"""Draws the sweeps of :mod:`accelgym.experiments.memory_access.scaling`."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from accelgym.costmodels.files.pictures import empty_figure
from accelgym.experiments.memory_access.scaling import Sweep

if TYPE_CHECKING:
    from matplotlib.figure import Figure

__all__ = ["scaling_figure"]

_COLOURS = {"sram": "#0072B2", "regfile": "#D55E00", "dram": "#009E73", "intmac": "#7F4FA8"}


def scaling_figure(sweeps: Sequence[Sweep], title: str) -> Figure:
    """Draws one panel per size swept and kind of component; memories on chip share a panel.

    Raises:
        MissingExtraError: matplotlib is not installed (extra ``report``).
    """
    panels: dict[tuple[str, str], list[Sweep]] = {}
    for sweep in sweeps:
        panels.setdefault((sweep.along, sweep.fixed or sweep.component), []).append(sweep)
    rows = (len(panels) + 1) // 2
    figure = empty_figure(11, 4 * rows)
    grid = np.ravel(figure.subplots(rows, 2, squeeze=False))
    for axes in grid[len(panels) :]:
        axes.set_visible(False)
    for axes, shown in zip(grid, panels.values(), strict=False):
        _draw_panel(axes, shown)
    figure.suptitle(title)
    return figure


def _draw_panel(axes: Any, sweeps: Sequence[Sweep]) -> None:
    first = sweeps[0]
    for sweep in sweeps:
        for (actions, energies), style in zip(_distinct(sweep).items(), ("o-", "s--"), strict=False):
            exponent = sweep.laws[actions.split(" ")[0]].exponent
            label = f"{sweep.component} {actions}: ~ {sweep.along}^{exponent:.2f}"
            axes.plot(sweep.sizes, energies, style, color=_COLOURS[sweep.component], label=label, markersize=4)
    axes.set_xscale("log", base=2)
    axes.set_yscale("log")
    axes.set_xticks(first.sizes, [str(size) for size in first.sizes], minor=False)
    axes.set_xlabel("width (bits)" if first.along == "width" else "depth (words)")
    axes.set_ylabel("pJ per operation" if "compute" in first.energies_pj else "pJ per access")
    names = ", ".join(dict.fromkeys(sweep.component for sweep in sweeps))
    axes.set_title(f"{names}, {first.fixed}" if first.fixed else names)
    axes.grid(alpha=0.3)
    axes.legend(fontsize="small")


def _distinct(sweep: Sweep) -> dict[str, Any]:
    """Joins read and write where they cost the same."""
    energies = dict(sweep.energies_pj)
    if "write" in energies and np.array_equal(energies["read"], energies["write"]):
        return {"read and write": energies["read"]}
    return energies
