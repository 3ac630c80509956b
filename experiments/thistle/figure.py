"""Draws proofs per layer: the optimum, its certified bound, and what heuristics reach."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from accelgym.costmodels.errors import MissingExtraError
from accelgym.experiments.mapping_agents import MAPPER_PJ_PER_MAC
from accelgym.experiments.thistle.proofs import Proof
from accelgym.experiments.thistle.table import MAPPED

if TYPE_CHECKING:
    from matplotlib.figure import Figure

__all__ = ["layers_figure"]

_LABELS = {"pj_per_mac": "pJ per MAC", "ipc": "MACs per cycle", "pj_cycles_per_mac2": "pJ cycles per MAC²"}
_MARKERS = {"thistle": ("D", "#009E73"), "random_pruned": ("x", "#7F4FA8")}


def layers_figure(proofs: Sequence[Proof]) -> Figure:
    """Draws one panel per machine and objective, layers along x.

    Raises:
        MissingExtraError: matplotlib is not installed (extra ``report``).
    """
    try:
        from matplotlib.backends.backend_agg import FigureCanvasAgg
        from matplotlib.figure import Figure
    except ImportError as error:
        raise MissingExtraError("drawing", "matplotlib", "report") from error
    groups: dict[tuple[str, str], list[Proof]] = {}
    for proof in proofs:
        groups.setdefault((proof.machine, proof.objective), []).append(proof)
    figure = Figure(figsize=(12, 3.6 * len(groups)), layout="constrained")
    FigureCanvasAgg(figure)
    panels = figure.subplots(len(groups), 1, squeeze=False)[:, 0]
    for axes, ((machine, objective), rows) in zip(panels, groups.items(), strict=True):
        _draw(axes, rows)
        axes.set_title(f"{machine}: {objective}")
    return figure


def _draw(axes: Any, proofs: Sequence[Proof]) -> None:
    places = range(len(proofs))
    axes.bar(places, [proof.value for proof in proofs], color="#A6CEE3", label="best mapping")
    bounds = [proof.lower_bound for proof in proofs]
    axes.hlines(bounds, [x - 0.4 for x in places], [x + 0.4 for x in places], color="#D55E00", label="certified bound")
    for agent, (marker, colour) in _MARKERS.items():
        reached = [getattr(proof, agent) for proof in proofs]
        if not all(math.isnan(x) for x in reached):
            axes.plot(places, reached, marker, color=colour, label=agent, markersize=5)
    if (proofs[0].machine, proofs[0].objective) == MAPPED:
        mapper = [MAPPER_PJ_PER_MAC.get((proof.workload, proof.layer), math.nan) for proof in proofs]
        if not all(math.isnan(x) for x in mapper):
            axes.plot(places, mapper, "^", color="#222222", label="timeloop-mapper", markersize=5)
    axes.set_xticks(list(places), [_short(proof) for proof in proofs])
    axes.set_ylabel(_LABELS[proofs[0].unit])
    axes.set_ylim(bottom=0)
    axes.grid(axis="y", alpha=0.3)
    axes.legend(fontsize="small", ncols=5, loc="upper center", bbox_to_anchor=(0.5, -0.1))


def _short(proof: Proof) -> str:
    """R1 for the first layer of ResNet-18."""
    if "/" not in proof.workload:
        return proof.workload
    return f"{proof.workload.split('/')[-1][0].upper()}{proof.layer[1:]}"
