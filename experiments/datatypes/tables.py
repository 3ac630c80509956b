"""Tables of the study in Markdown."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from accelgym.costmodels.datatypes import get_datatype
from accelgym.costmodels.systolic.area import area_table
from accelgym.costmodels.systolic.config import make_config
from accelgym.costmodels.systolic.format_kinds import FORMATS
from accelgym.costmodels.systolic.model import SystolicDesigns, SystolicModel
from accelgym.costmodels.workloads import Layer
from accelgym.envs.accuracy.schemes import SCHEMES
from accelgym.experiments.datatypes.front import BUDGETS
from accelgym.experiments.datatypes.published import PUBLISHED, PUBLISHED_TYPES
from accelgym.experiments.datatypes.study import TYPES
from accelgym.experiments.markdown import markdown_table
from accelgym.experiments.statistics import rank_correlation
from accelgym.experiments.study_log import Row

__all__ = ["format_study"]

_GEMM = Layer.gemm("gemm", M=256, K=256, C=256)


def format_study(records: Sequence[Row]) -> str:
    """Returns all tables that the records suffice for."""
    by_name = {record["name"]: record for record in records}
    networks = sorted({name.split("/")[1] for name in by_name if name.startswith("accuracy/")})
    parts = [_accuracies(by_name, networks), _order(by_name, networks), _single(by_name, networks)]
    return "\n\n".join(part for part in parts if part) + "\n"


def _accuracies(by_name: dict[str, Row], networks: Sequence[str]) -> str:
    head = ["type", "bits"]
    for network in networks:
        head += [f"{network} {scheme}" for scheme in SCHEMES]
    head += ["PE, NAND2", "array, pJ/MAC"]
    rows = []
    for datatype in ("fp32", *TYPES):
        row = [datatype, str(get_datatype(datatype).bits)]
        for network in networks:
            for scheme in SCHEMES:
                found = by_name.get(f"accuracy/{network}/{datatype}/{scheme}")
                row.append("" if found is None else f"{found['value']:.{1 if 'top1' in found['metric'] else 3}f}")
        rows.append([*row, *_hardware(datatype)])
    return markdown_table(head, rows)


def _hardware(datatype: str) -> tuple[str, str]:
    """Area of a processing element and energy of the array, for types that were synthesised."""
    key = {"posit8_1": "posit8"}.get(datatype, datatype)
    if key not in FORMATS:
        return "", ""
    config = make_config(rows=16, columns=16, **FORMATS[key])
    kinds = {(k.template, k.input_type, k.weight_type, k.pe_pipeline): k for k in area_table().kinds}
    kind = kinds[config.template.value, config.input.name, config.weight.name, config.pe_pipeline]
    costs = SystolicModel().evaluate(SystolicDesigns([config], [_GEMM]))
    return f"{kind.element_area:.0f}", f"{float(costs.breakdown['energy_array_pj'][0, 0]) / _GEMM.macs:.3f}"


def _loss(by_name: dict[str, Row], network: str, datatype: str, scheme: str) -> float:
    """Cross-entropy that a type costs."""
    scheme = "tensor" if datatype in ("bf16", "fp16") else scheme
    found = by_name[f"accuracy/{network}/{datatype}/{scheme}"]
    return float(found["cross_entropy"] - by_name[f"accuracy/{network}/fp32/tensor"]["cross_entropy"])


def _order(by_name: dict[str, Row], networks: Sequence[str]) -> str:
    """The published order of five types beside ours."""
    published = np.array(list(PUBLISHED.values()))
    theirs = (published[:, :1] - published[:, 1:]).mean(axis=0)
    needed = [*PUBLISHED_TYPES.values(), ("fp32", "tensor")]
    whole = [n for n in networks if all(f"accuracy/{n}/{d}/{s}" in by_name for d, s in needed)]
    if not whole:
        return ""
    rows, ours = [], []
    for position, (name, (datatype, scheme)) in enumerate(PUBLISHED_TYPES.items()):
        losses = [_loss(by_name, network, datatype, scheme) for network in whole]
        ours.append(float(np.mean(losses)))
        cells = [f"{loss:+.4f}" for loss in losses]
        rows.append([name, f"{datatype} {scheme}", f"{theirs[position]:+.2f}", *cells])
    head = ["published type", "ours", "published, points lost (mean of 6)", *(f"{n}, nats lost" for n in whole)]
    correlation = rank_correlation(list(theirs), ours)
    table = markdown_table(head, rows)
    return f"{table}\n\nRank correlation of the two orders (means, five types): {correlation:.2f}."


def _single(by_name: dict[str, Row], networks: Sequence[str]) -> str:
    """Everything else, a table each."""
    found = [(name.split("/"), record) for name, record in by_name.items()]
    rows: dict[str, list[list[str]]] = {kind: [] for kind in _HEADS}
    for (kind, *rest), record in found:
        if kind in rows and rest[0] in networks:
            rows[kind].append([*rest, *_ROWS[kind](record)])
    parts = [markdown_table(_HEADS[kind], lines) for kind, lines in rows.items() if lines]
    parts += [_enumeration(record) for (kind, *_), record in found if kind == "enumeration"]
    return "\n\n".join(parts)


_HEADS = {
    "winner": (
        *("network", "hardware", "limit", "table", "measured", "value", "float32", "within the limit"),
        "energy saved",
    ),
    "front": ("network", "hardware", "points of the front", *(f"NSGA-II, {n:,} evaluations" for n in BUDGETS)),
    "proxies": ("network", "table", "Fisher", "SQNR", "assignments", "assignments a CPU-second"),
    "exact": ("network", "formats", "fast to bit-exact", "fast to float32", "same class"),
    "option": ("network", "option", "w4a8", "w4a8 without", "w4a4", "w4a4 without"),
}
_ROWS: dict[str, Callable[[Row], list[str]]] = {
    "winner": lambda r: [
        *(f"{r[key]:.4f}" for key in ("limit", "table_loss", "measured_loss")),
        *(f"{r[key]:.2f}" for key in ("value", "float_value")),
        "yes" if r["meets_floor"] else "no",
        f"{r['energy_saved']:.1%}",
    ],
    "front": lambda r: [
        str(r["points"]),
        *(f"{np.mean(r[f'nsga2_{n}']):.1%} ({min(r[f'nsga2_{n}']):.1%})" for n in BUDGETS),
    ],
    "proxies": lambda r: [
        *(f"{r['rank_correlation'][key]:.3f}" for key in ("table", "fisher", "sqnr")),
        str(r["assignments"]),
        f"{r['assignments_per_second']:.2f}",
    ],
    "exact": lambda r: [f"{r[key]:.2%}" for key in ("deviation", "quantisation", "same_class")],
    "option": lambda r: [f"{r[key]:.2f}" for key in ("w4a8", "plain_w4a8", "w4a4", "plain_w4a4")],
}


def _enumeration(found: dict[str, Any]) -> str:
    excess = found["table_optimum"] / found["measured_optimum"] - 1
    count = f"{found['designs']} assignments to blocks, all measured ({found['designs_per_second']:.0f} a CPU-second)"
    loses = f"loses {found['table_optimum_loss']:.4f} nats (limit {found['limit']})"
    network = found["name"].split("/")[1]
    return f"{network}, {count}: the table's optimum costs {excess:+.2%} against the measured one, and {loses}."
