"""Proofs as CSV and as Markdown tables."""

from __future__ import annotations

import math
import statistics
from collections.abc import Sequence

from accelgym.costmodels.files.csv_table import write_records
from accelgym.costmodels.files.plain import Place
from accelgym.experiments.mapping_agents import MAPPER_PJ_PER_MAC
from accelgym.experiments.markdown import markdown_table
from accelgym.experiments.thistle.codesign import SHARED, Study
from accelgym.experiments.thistle.proofs import TOLERANCE, Proof

__all__ = ["MAPPED", "format_study", "format_table", "sizes", "write_csv"]

MAPPED = ("eyeriss", "energy")
"""Machine and objective that timeloop-mapper was run with."""


def write_csv(path: Place, proofs: Sequence[Proof]) -> None:
    """Writes one line per proof."""
    write_records(path, Proof, proofs)


def format_table(proofs: Sequence[Proof]) -> str:
    """Returns a Markdown table per machine and objective, each with a line that sums it up."""
    groups: dict[tuple[str, str], list[Proof]] = {}
    for proof in proofs:
        groups.setdefault((proof.machine, proof.objective), []).append(proof)
    return "\n\n".join(_table(*key, rows) for key, rows in groups.items())


def _table(machine: str, objective: str, proofs: Sequence[Proof]) -> str:
    heads = ["layer", "best", "certified bound", "gap", "nodes", "seconds", "thistle", "random_pruned"]
    with_mapper = (machine, objective) == MAPPED
    if with_mapper:
        heads.append("timeloop-mapper")
    lines = []
    for proof in proofs:
        line = [
            " ".join(dict.fromkeys((proof.workload, proof.layer))),
            f"{proof.value:.4f}",
            f"{proof.lower_bound:.4f}",
            f"{proof.gap:.2%}",
            str(proof.nodes),
            f"{proof.seconds:.1f}",
            *(_number(x) for x in (proof.thistle, proof.random_pruned)),
        ]
        if with_mapper:
            line.append(_number(MAPPER_PJ_PER_MAC.get((proof.workload, proof.layer), math.nan)))
        lines.append(line)
    table = markdown_table(heads, lines)
    seconds = [proof.seconds for proof in proofs]
    proven = sum(proof.gap <= 1.001 * TOLERANCE for proof in proofs)
    return (
        f"**{machine}, {objective}** ({proofs[0].unit})\n\n{table}\n\n"
        f"{proven} of {len(proofs)} proven to {TOLERANCE:.1%}; seconds: median {statistics.median(seconds):.1f}, "
        f"largest {max(seconds):.1f}."
    )


def format_study(study: Study) -> str:
    """Returns a Markdown table of the three kinds of machine side by side, and their sums."""
    heads = ["layer"]
    for name in study.groups:
        heads += [name, "bound"]
    heads += ["largest gap", "machine of the layer"]
    lines = []
    for fixed, own, shared in zip(*study.groups.values(), strict=True):
        cells = [f"{x:.4f}" for proof in (fixed, own, shared) for x in (proof.value, proof.lower_bound)]
        worst = max(proof.gap for proof in (fixed, own, shared))
        lines.append([f"{own.workload} {own.layer}", *cells, f"{worst:.2%}", sizes(own.architecture)])
    table = markdown_table(heads, lines, left=(0, -1))
    sums = {name: sum(proof.total for proof in proofs) for name, proofs in study.groups.items()}
    macs = sum(proof.macs for proof in study.layerwise)
    unit = study.layerwise[0].unit
    means = ", ".join(f"{name} {_mean(total, macs, unit):.4f}" for name, total in sums.items())
    excess = sums[SHARED] / study.shared_bound - 1
    seconds = [proof.seconds for proof in study.layerwise]
    return (
        f"**{study.layerwise[0].objective}** ({unit})\n\n{table}\n\n"
        f"All layers together: {means}. One machine: {sizes(study.shared[0].architecture)} ({study.chosen_for}), at "
        f"most {excess:.2%} above the best single machine (certified). Seconds of a co-design: median "
        f"{statistics.median(seconds):.1f}, largest {max(seconds):.1f}."
    )


def sizes(architecture: str) -> str:
    """Registers, SRAM words and PEs in the name of a family's machine: R4-S16384-P896."""
    return "-".join(architecture.split("-")[-3:])


def _mean(total: float, macs: int, unit: str) -> float:
    return total / macs if unit == "pj_per_mac" else macs / total


def _number(value: float) -> str:
    return "" if math.isnan(value) else f"{value:.2f}"
