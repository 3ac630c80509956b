"""Tables of the fidelity ladder."""

from __future__ import annotations

import csv
import io
from collections.abc import Sequence
from dataclasses import asdict, fields

import numpy as np

from accelgym.envs.multi_fidelity.levels import LEVELS
from accelgym.experiments.fidelity.study import LadderRow, ToolRow
from accelgym.experiments.markdown import markdown_table

__all__ = ["format_ladder", "format_rules", "format_tools", "ladder_csv"]


def format_rules() -> str:
    """Returns how each level translates a design, and what it cannot express."""
    rows = [[f"`{level.name}`", level.rule, level.cannot] for level in LEVELS.values()]
    return markdown_table(["level", "rule", "what it cannot express"], rows, left=(0, 1, 2)) + "\n"


def format_ladder(rows: Sequence[LadderRow]) -> str:
    """Returns a table for every set of cases."""
    parts = []
    for cases in dict.fromkeys(row.cases for row in rows):
        mine = [row for row in rows if row.cases == cases]
        figures = list(dict.fromkeys(row.figure for row in mine))
        heads = ["level", "designs", "CPU-s a call"]
        for figure in figures:
            heads += [f"{figure}: error", "median ratio", "rank", "first pick"]
        lines = []
        for level in dict.fromkeys(row.level for row in mine):
            found = {row.figure: row for row in mine if row.level == level}
            some = next(iter(found.values()))
            cells = [f"`{level}`", str(some.designs), f"{some.cpu_s:.1e}"]
            for figure in figures:
                row = found.get(figure)
                cells += ["-"] * 4 if row is None else [*_errors(row), f"{row.rank:.2f}", f"{row.pick:+.1%}"]
            lines.append(cells)
        parts.append(f"{cases}\n\n{markdown_table(heads, lines)}\n")
    return "\n".join(parts)


def _errors(row: LadderRow) -> list[str]:
    if row.error is None or row.ratio is None:
        return ["other unit", ""]
    return [f"{row.error:.3f}", f"{row.ratio:.3g}"]


def format_tools(rows: Sequence[ToolRow]) -> str:
    """Returns what the tools cost, and whether they agree with the model."""
    heads = [
        "array",
        "cycles: model",
        "Verilog",
        "area (NAND2): model",
        "synthesis",
        "CPU-s: Verilog",
        "CPU-s: synthesis",
    ]
    lines = [
        [
            f"{row.rows} x {row.columns}",
            str(row.cycles_model),
            str(row.cycles_rtl),
            f"{row.area_estimated:,.0f}",
            f"{row.area_synthesised:,.0f}",
            f"{row.rtl_cpu_s:.1f}",
            f"{row.synthesis_cpu_s:.1f}",
        ]
        for row in rows
    ]
    medians = [float(np.median([getattr(row, name) for row in rows])) for name in ("rtl_cpu_s", "synthesis_cpu_s")]
    lines.append(["median", "", "", "", "", *(f"{value:.1f}" for value in medians)])
    return markdown_table(heads, lines) + "\n"


def ladder_csv(rows: Sequence[LadderRow]) -> str:
    """Returns all figures as CSV."""
    out = io.StringIO()
    writer = csv.DictWriter(out, [field.name for field in fields(LadderRow)], lineterminator="\n")
    writer.writeheader()
    writer.writerows(asdict(row) for row in rows)
    return out.getvalue()
