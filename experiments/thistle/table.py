"""Proofs as CSV and as Markdown tables."""

from __future__ import annotations

import csv
import math
import statistics
from collections.abc import Sequence
from dataclasses import asdict, fields
from pathlib import Path

from accelgym.experiments.mapping_agents import MAPPER_PJ_PER_MAC
from accelgym.experiments.thistle.proofs import TOLERANCE, Proof

__all__ = ["MAPPED", "format_table", "write_csv"]

MAPPED = ("eyeriss", "energy")
"""Machine and objective that timeloop-mapper was run with."""


def write_csv(path: Path, proofs: Sequence[Proof]) -> None:
    """Writes one line per proof."""
    with path.open("w", newline="", encoding="utf-8") as file:
        writer = csv.DictWriter(file, [field.name for field in fields(Proof)])
        writer.writeheader()
        writer.writerows(asdict(proof) for proof in proofs)


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
    lines = [heads, ["---", *(["---:"] * (len(heads) - 1))]]
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
    table = "\n".join(f"| {' | '.join(line)} |" for line in lines)
    seconds = [proof.seconds for proof in proofs]
    proven = sum(proof.gap <= 1.001 * TOLERANCE for proof in proofs)
    return (
        f"**{machine}, {objective}** ({proofs[0].unit})\n\n{table}\n\n"
        f"{proven} of {len(proofs)} proven to {TOLERANCE:.1%}; seconds: median {statistics.median(seconds):.1f}, "
        f"largest {max(seconds):.1f}."
    )


def _number(value: float) -> str:
    return "" if math.isnan(value) else f"{value:.2f}"
