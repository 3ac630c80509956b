"""What a run says of its layers and of the network as a whole."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from accelgym.costmodels.certificate import relative_gap, rounded_down
from accelgym.costmodels.files.csv_table import TableWriter
from accelgym.costmodels.files.whole_file import whole_file

__all__ = ["PROVEN", "layer_entry", "network_totals", "write_table"]

PROVEN = 1.001e-3
"""Gap of all its metrics up to which a layer counts as proven to 0.1 %."""
_FIGURES = ("value", "lower_bound", "gap", "cycles", "energy_pj", "utilization")
_COLUMNS = ("name", "same_as", "macs", *_FIGURES, "largest_gap", "seconds", "folder", "error")
_ROUNDING = 1e-12
"""Relative difference of sums that should be equal."""


def layer_entry(name: str, same_as: str | None, folder: str, result: Mapping[str, Any]) -> dict[str, Any]:
    """Returns what the summary says of a layer.

    Args:
        name: Of the layer.
        same_as: The equal layer that was mapped in its place, if another one.
        folder: Where its files are.
        result: See :meth:`~accelgym.costmodels.mapper.LayerMapping.to_json`.
    """
    costs = result["costs"]
    return {
        "name": name,
        "same_as": same_as,
        **{key: result[key] for key in _FIGURES},
        "macs": result["macs"],
        "seconds": 0.0 if same_as else result["seconds"],
        "nodes": 0 if same_as else result["certificate"]["nodes"],
        "limited_by": result["certificate"]["limited_by"],
        "proofs": result["proofs"],
        "largest_gap": max(proof["gap"] for proof in result["proofs"]),
        "energy_pj_by_part": {key: value for key, value in costs["energy_pJ"].items() if key != "total"},
        "cycles_by_level": costs["cycles_per_level"],
        "compute_cycles": math.ceil(result["macs"] / costs["utilized_pes"]),
        "timeloop": result["timeloop"],
        "folder": folder,
    }


def network_totals(layers: Sequence[Mapping[str, Any]], metric: str) -> dict[str, Any]:
    """Returns the figures of all layers one after another; all ``None`` where one has no mapping.

    Energy and cycles add up, and so do their bounds. The energy-delay product of a network is the product of both sums;
    with ``e_i d_i >= b_i`` for each layer it is at least ``(sum of sqrt(b_i))**2`` (Cauchy and Schwarz).

    Args:
        layers: See :func:`layer_entry`.
        metric: What was minimised first.
    """
    seconds = sum(layer.get("seconds", 0.0) for layer in layers)
    proven = sum(layer.get("largest_gap", math.inf) <= PROVEN for layer in layers)
    counts = {"seconds": seconds, "proven": proven, "layers_total": len(layers)}
    if any("error" in layer for layer in layers):
        return dict.fromkeys(_FIGURES) | counts
    energy, cycles = (math.fsum(layer[key] for layer in layers) for key in ("energy_pj", "cycles"))
    if len(layers) == 1:
        return {key: layers[0][key] for key in _FIGURES} | counts
    if metric == "edp":
        value = energy * cycles
        bound = math.fsum(math.sqrt(layer["lower_bound"]) for layer in layers) ** 2
    else:
        value, bound = (math.fsum(layer[key] for layer in layers) for key in ("value", "lower_bound"))
    bound = value if bound >= value * (1 - _ROUNDING) else rounded_down(bound)
    used = math.fsum(layer["utilization"] * layer["cycles"] for layer in layers)
    totals = (value, bound, relative_gap(value, bound), int(cycles), energy, used / cycles)
    return dict(zip(_FIGURES, totals, strict=True)) | counts


def write_table(path: Path, layers: Sequence[Mapping[str, Any]]) -> None:
    """Writes one row per layer as CSV: its figures, and the energy of every part."""
    parts = list(dict.fromkeys(part for layer in layers for part in layer.get("energy_pj_by_part", ())))
    with whole_file(path) as file:
        writer = TableWriter(file, line_end="\n")
        writer.row([*_COLUMNS, *(f"{part}_pj" for part in parts)])
        for layer in layers:
            energies = layer.get("energy_pj_by_part", {})
            cells = [layer.get(key) for key in _COLUMNS] + [energies.get(part) for part in parts]
            writer.row(cells)
