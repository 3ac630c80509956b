"""The tables of a report, as HTML."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from html import escape
from typing import Any

from accelgym.experiments.comparison import RankComparison
from accelgym.experiments.report.numbers import NOTHING, percent, quantity, regret
from accelgym.experiments.report.style import style_of
from accelgym.experiments.report.summary import SummaryRow

__all__ = [
    "PAIR_NOTE",
    "class_tags",
    "facts_table",
    "matrix_table",
    "pair_cells",
    "pair_table",
    "summary_table",
]

PAIR_NOTE = (
    "Two-sided p-value of Wilcoxon's signed ranks over the tasks, corrected after Holm for the number of pairs, and on "
    "how many tasks the row's agent is better and worse than the column's. Bold is below 5 %. With few tasks no "
    "difference can be shown: n tasks give no p-value below 2 to the power of 1 - n, before the correction."
)


@dataclass(frozen=True)
class _Column:
    """A column of the summary: heading, cell and what counts as good."""

    heading: str
    cell: Callable[[SummaryRow], str]
    key: Callable[[SummaryRow], float | None]
    best: Callable[[Iterable[float]], float] | None = None


def _regret(row: SummaryRow) -> str:
    if row.runs == 0:
        return NOTHING
    if row.regret_best is None:
        return "nothing feasible"
    return f"{regret(row.regret_iqm)} <span class='ci'>[{regret(row.regret_low)}, {regret(row.regret_high)}]</span>"


def _distinct(row: SummaryRow) -> str:
    return NOTHING if row.runs == 0 else f"{quantity(row.distinct_designs)} of {quantity(row.evaluations)}"


def _runs(row: SummaryRow) -> str:
    text = str(row.runs)
    if row.failed:
        text += f"<span class='tag bad'>{row.failed} failed</span>"
    if row.missing:
        text += f"<span class='tag'>{row.missing} not run</span>"
    return text


def _split(row: SummaryRow) -> str:
    if row.agent_cpu_share is None:
        return NOTHING
    bar = f"<span class='split'><i style='width:{100 * row.agent_cpu_share:.0f}%'></i></span>"
    return f"{quantity(row.agent_cpu_s)} + {quantity(row.evaluation_cpu_s)}{bar}"


_COLUMNS = (
    _Column("final regret<br>IQM [95 % CI]", _regret, lambda r: r.regret_iqm, min),
    _Column("best<br>run", lambda r: percent(r.regret_best), lambda r: r.regret_best, min),
    _Column("success<br>to&nbsp;1&nbsp;%", lambda r: percent(r.success_1pct), lambda r: r.success_1pct, max),
    _Column("success<br>to&nbsp;0.1&nbsp;%", lambda r: percent(r.success_01pct), lambda r: r.success_01pct, max),
    _Column("evaluations<br>to 1 %", lambda r: quantity(r.evaluations_to_1pct), lambda r: r.evaluations_to_1pct, min),
    _Column("CPU&nbsp;s<br>to&nbsp;1&nbsp;%", lambda r: quantity(r.cpu_s_to_1pct), lambda r: r.cpu_s_to_1pct, min),
    _Column("feasible<br>designs", lambda r: percent(r.feasible_fraction), lambda r: r.feasible_fraction),
    _Column("distinct of<br>evaluated", _distinct, lambda r: r.distinct_designs),
    _Column("CPU s per run<br>agent + evaluation", _split, lambda r: r.agent_cpu_s),
    _Column("runs", _runs, lambda r: float(r.runs)),
)


def summary_table(rows: Sequence[SummaryRow], positions: Mapping[str, int]) -> str:
    """Returns one table of agents, best first.

    Args:
        rows: Rows of one task, or of all.
        positions: Position of each agent in the config, which decides its colour.
    """
    winners = [_winner(column, rows) for column in _COLUMNS]
    lines = []
    for row in sorted(rows, key=_rank):
        cells = [f"<td>{_agent(row, positions)}</td>"]
        for column, winner in zip(_COLUMNS, winners, strict=True):
            key = column.key(row)
            mark = " class='best'" if key is not None and key == winner else ""
            exact = "" if key is None else f" title='{key!r}'"
            cells.append(f"<td{mark}{exact}>{column.cell(row)}</td>")
        lines.append(f"<tr>{''.join(cells)}</tr>")
    return _table(["agent", *(column.heading for column in _COLUMNS)], lines)


def matrix_table(rows: Sequence[SummaryRow], tasks: Sequence[str], positions: Mapping[str, int]) -> str:
    """Returns final regrets, agents by tasks; agents that search all of them first, best on average rank first."""
    columns = {task: sorted((row for row in rows if row.task == task), key=_rank) for task in tasks}
    best = {task: _winner(_COLUMNS[0], column) for task, column in columns.items()}
    places: dict[str, dict[str, tuple[int, SummaryRow]]] = {}
    for task, column in columns.items():
        for rank, row in enumerate(column):
            places.setdefault(row.agent, {})[task] = rank, row
    order = sorted(places, key=lambda a: (-len(places[a]), sum(rank for rank, _ in places[a].values()), positions[a]))
    lines = []
    for agent in order:
        searched = places[agent]
        cells = [f"<td>{_agent(next(iter(searched.values()))[1], positions)}</td>"]
        for task in tasks:
            if task not in searched:
                cells.append(f"<td>{NOTHING}</td>")
                continue
            _, row = searched[task]
            mark = " class='best'" if row.regret_iqm is not None and row.regret_iqm == best[task] else ""
            cells.append(f"<td{mark} title='{row.regret_iqm!r}'>{_regret(row)}</td>")
        lines.append(f"<tr>{''.join(cells)}</tr>")
    headings = [f"{escape(task)}<br>{class_tags(column[0]) if column else ''}" for task, column in columns.items()]
    return _table(["agent", *headings], lines)


def pair_cells(found: RankComparison) -> tuple[list[str], list[list[tuple[str, float | None]]]]:
    """Returns the tests of every two agents, best mean rank first.

    Returns:
        The agents; for each a row of texts ``p (wins:losses)`` with the corrected p-value, and that value; the
        diagonal is empty.
    """
    ranks = found.friedman.mean_ranks
    order = sorted(range(len(ranks)), key=ranks.__getitem__)
    known = {}
    for pair in found.pairs:
        p = f"{pair.corrected:.2g}" if pair.corrected >= 1e-4 else f"{pair.corrected:.0e}"
        known[pair.first, pair.second] = f"{p} ({pair.wins}:{pair.losses})", pair.corrected
        known[pair.second, pair.first] = f"{p} ({pair.losses}:{pair.wins})", pair.corrected
    empty: tuple[str, float | None] = "", None
    return [found.agents[i] for i in order], [[known.get((i, j), empty) for j in order] for i in order]


def pair_table(found: RankComparison, *, level: float = 0.05) -> str:
    """Returns the tests of every two agents as a table; pairs that differ at a level are bold."""
    names, rows = pair_cells(found)
    lines = []
    for name, row in zip(names, rows, strict=True):
        cells = []
        for text, p in row:
            mark = " class='best'" if p is not None and p < level else ""
            exact = "" if p is None else f" title='{p!r}'"
            cells.append(f"<td{mark}{exact}>{text}</td>")
        lines.append(f"<tr><td class='name'>{escape(name)}</td>{''.join(cells)}</tr>")
    return _table(["agent", *map(escape, names)], lines)


def class_tags(row: SummaryRow) -> str:
    """Returns class and flags of the task of a row."""
    flags = [flag for flag in row.flags.split(", ") if flag]
    tags = f"<span class='tag class'>{escape(row.hardness or 'not audited')}</span>"
    return tags + "".join(f"<span class='tag bad'>{escape(flag)}</span>" for flag in flags)


def facts_table(facts: Mapping[str, Any]) -> str:
    """Returns a table of names and values."""
    lines = [f"<tr><th>{escape(name)}</th><td>{escape(_plain(value))}</td></tr>" for name, value in facts.items()]
    return f"<table class='facts-table'>{''.join(lines)}</table>"


def _plain(value: Any) -> str:
    if value is None:
        return NOTHING
    if isinstance(value, float):
        return f"{value:,.0f}" if 1e4 <= abs(value) < 1e15 else f"{value:.6g}"
    return ", ".join(map(str, value)) if isinstance(value, (list, tuple)) else str(value)


def _table(headings: Sequence[str], lines: Sequence[str]) -> str:
    head = "".join(f"<th>{heading}</th>" for heading in headings)
    return f"<div class='scroll'><table><thead><tr>{head}</tr></thead><tbody>{''.join(lines)}</tbody></table></div>"


def _agent(row: SummaryRow, positions: Mapping[str, int]) -> str:
    colour, dash = style_of(positions[row.agent])
    line = {"solid": "solid", "dash": "dashed", "dot": "dotted", "dashdot": "double"}[dash]
    tag = f"<span class='tag' title='fewer evaluations than the others'>capped {row.budget:,}</span>"
    return f"<span class='swatch' style='border-top-style:{line};border-color:{colour}'></span>{escape(row.agent)}" + (
        tag if row.capped else ""
    )


def _rank(row: SummaryRow) -> tuple[bool, float]:
    regret = row.regret_best if row.regret_iqm is None else row.regret_iqm
    return row.regret_iqm is None, float("inf") if regret is None else regret


def _winner(column: _Column, rows: Iterable[SummaryRow]) -> float | None:
    found = [key for key in map(column.key, rows) if key is not None]
    # Where all are alike, none is best.
    return column.best(found) if column.best and len(set(found)) > 1 else None
