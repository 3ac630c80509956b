"""Draws proofs per layer: the optimum, its certified bound, what heuristics reach, and machines side by side."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from accelgym.costmodels.files.pictures import empty_figure
from accelgym.experiments.mapping_agents import MAPPER_PJ_PER_MAC
from accelgym.experiments.thistle.codesign import Study
from accelgym.experiments.thistle.proofs import Proof
from accelgym.experiments.thistle.table import MAPPED, sizes

if TYPE_CHECKING:
    from matplotlib.figure import Figure

__all__ = ["layers_figure", "study_figure"]

_LABELS = {"pj_per_mac": "pJ per MAC", "ipc": "MACs per cycle", "pj_cycles_per_mac2": "pJ cycles per MAC²"}
_COLOURS = ("#A6CEE3", "#33A02C", "#FDBF6F")
_MARKERS = {"thistle": ("D", "#009E73"), "random_pruned": ("x", "#7F4FA8")}


def layers_figure(proofs: Sequence[Proof]) -> Figure:
    """Draws one panel per machine and objective, layers along x.

    Raises:
        MissingExtraError: matplotlib is not installed (extra ``report``).
    """
    groups: dict[tuple[str, str], list[Proof]] = {}
    for proof in proofs:
        groups.setdefault((proof.machine, proof.objective), []).append(proof)
    figure, panels = _panels(len(groups))
    for axes, ((machine, objective), rows) in zip(panels, groups.items(), strict=True):
        _draw(axes, rows)
        axes.set_title(f"{machine}: {objective}")
    return figure


def study_figure(studies: Sequence[Study]) -> Figure:
    """Draws one panel per objective: each layer on Eyeriss, on its own machine and on the shared one.

    Raises:
        MissingExtraError: matplotlib is not installed (extra ``report``).
    """
    figure, panels = _panels(len(studies))
    for axes, study in zip(panels, studies, strict=True):
        width = 0.8 / len(study.groups)
        for k, (name, proofs) in enumerate(study.groups.items()):
            places = [x + (k - 1) * width for x in range(len(proofs))]
            axes.bar(places, [proof.value for proof in proofs], width, color=_COLOURS[k], label=name)
            _draw_bounds(axes, proofs, places, width / 2, "certified bound" if k == 0 else None)
        _finish(axes, study.layerwise)
        axes.set_title(
            f"{study.layerwise[0].objective}, equal area; one machine: {sizes(study.shared[0].architecture)}"
        )
    return figure


def _panels(count: int) -> tuple[Figure, Any]:
    figure = empty_figure(12, 3.6 * count)
    return figure, figure.subplots(count, 1, squeeze=False)[:, 0]


def _draw(axes: Any, proofs: Sequence[Proof]) -> None:
    places = range(len(proofs))
    axes.bar(places, [proof.value for proof in proofs], color=_COLOURS[0], label="best mapping")
    _draw_bounds(axes, proofs, places, 0.4, "certified bound")
    for agent, (marker, colour) in _MARKERS.items():
        reached = [getattr(proof, agent) for proof in proofs]
        if not all(math.isnan(x) for x in reached):
            axes.plot(places, reached, marker, color=colour, label=agent, markersize=5)
    if (proofs[0].machine, proofs[0].objective) == MAPPED:
        mapper = [MAPPER_PJ_PER_MAC.get((proof.workload, proof.layer), math.nan) for proof in proofs]
        if not all(math.isnan(x) for x in mapper):
            axes.plot(places, mapper, "^", color="#222222", label="timeloop-mapper", markersize=5)
    _finish(axes, proofs)


def _draw_bounds(axes: Any, proofs: Sequence[Proof], places: Sequence[float], half: float, label: str | None) -> None:
    bounds = [proof.lower_bound for proof in proofs]
    axes.hlines(bounds, [x - half for x in places], [x + half for x in places], color="#D55E00", label=label)


def _finish(axes: Any, proofs: Sequence[Proof]) -> None:
    axes.set_xticks(list(range(len(proofs))), [_short(proof) for proof in proofs])
    axes.set_ylabel(_LABELS[proofs[0].unit])
    axes.set_ylim(bottom=0)
    axes.grid(axis="y", alpha=0.3)
    axes.legend(fontsize="small", ncols=5, loc="upper center", bbox_to_anchor=(0.5, -0.1))


def _short(proof: Proof) -> str:
    """R1 for the first layer of ResNet-18."""
    if "/" not in proof.workload:
        return proof.workload
    return f"{proof.workload.split('/')[-1][0].upper()}{proof.layer[1:]}"
