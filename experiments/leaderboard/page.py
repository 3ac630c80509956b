"""The leaderboard as one HTML page without scripts."""

from __future__ import annotations

from collections.abc import Sequence
from html import escape
from importlib.resources import files
from math import isinf

from accelgym.experiments.leaderboard.board import Board, BoardRow, BoardTask
from accelgym.experiments.report.numbers import NOTHING, percent, quantity
from accelgym.experiments.report.summary import ALL_TASKS

__all__ = ["render_board"]

_ABOUT = (
    "Every design behind these numbers was evaluated again before this page was made. Regret is a design's objective "
    "over the proved optimum of its task (or, where the proof leaves a gap, its certified lower bound), minus one: an "
    "interquartile mean over the runs, with the 95 % percentile interval of 2,000 bootstrap samples of the seeds "
    "within each task. ∞: more than a quarter of the runs had found nothing feasible by then. "
    f"{NOTHING}: the budget is smaller. Numbers of evaluations, seeds and processor seconds are the submissions' own "
    "statements: designs can be checked, how they were found cannot."
)
_HEADS = (
    "agent",
    "rank",
    "regret at 100<br>evaluations",
    "at 1,000",
    "at 10,000",
    "final regret<br>[95 % CI]",
    "within<br>1 %",
    "budget",
    "runs",
    "CPU s<br>per run",
)


def render_board(board: Board) -> str:
    """Returns the page."""
    css = files("accelgym.experiments.report").joinpath("page.css").read_text()
    parts = []
    overall = [row for row in board.rows if row.task == ALL_TASKS]
    if overall:
        note = "Rank: mean of the places over the tasks. Entrants with a run on every task."
        if board.incomplete:
            named = ", ".join(f"{agent} ({name})" for agent, name in board.incomplete)
            note += f" Left out, since some task is missing: {named}."
        parts.append(_card("Over all tasks", _table(overall), note))
    for task in board.tasks:
        rows = [row for row in board.rows if row.task_id == task.id]
        parts.append(_card(_task_title(task), _table(rows), _reference(task)))
    parts += [_card("How to read it", f"<p>{escape(_ABOUT)}</p>", ""), _submissions(board)]
    chips = {
        "tasks": len(board.tasks),
        "entrants": len({(row.submission, row.agent) for row in board.rows}),
        "submissions": len(board.submissions),
        "searches": sum(len(submission.runs) for submission in board.submissions),
        "designs checked": sum(len(run.points) for submission in board.submissions for run in submission.runs),
    }
    facts = "".join(f"<div><b>{value:,}</b>{name}</div>" for name, value in chips.items())
    return (
        "<!DOCTYPE html>\n<html lang='en'><head><meta charset='utf-8'>"
        "<meta name='viewport' content='width=device-width, initial-scale=1'>"
        f"<title>AccelGym leaderboard</title><style>{css}</style></head><body>"
        "<header><div><h1>AccelGym leaderboard</h1><p>Search algorithms for the design of DNN accelerators, by their "
        f"regret to proved optima.</p><div class='facts'>{facts}</div></div></header><main>{''.join(parts)}</main>"
        "</body></html>\n"
    )


def _task_title(task: BoardTask) -> str:
    return f"{escape(task.title)}<span class='tag class'>{escape(task.hardness)}</span>"


def _reference(task: BoardTask) -> str:
    found = task.certificate
    kind = (
        "the proved optimum" if found.exact else f"a certified lower bound, {percent(found.gap)} below the best known"
    )
    return f"Task {task.id}. Regrets refer to {found.yardstick:.9g}, {kind} ({found.method})."


def _table(rows: Sequence[BoardRow]) -> str:
    best = min(row.regret for row in rows)
    lines = "".join(f"<tr>{_cells(row, best)}</tr>" for row in rows)
    head = "".join(f"<th>{heading}</th>" for heading in _HEADS)
    return f"<div class='scroll'><table><thead><tr>{head}</tr></thead><tbody>{lines}</tbody></table></div>"


def _cells(row: BoardRow, best: float) -> str:
    interval = f"<span class='ci'>[{_regret(row.regret_low)}, {_regret(row.regret_high)}]</span>"
    name = f"{escape(row.agent)}<span class='ci'>{escape(row.submission)}</span>"
    cells = [f"<td class='name'>{name}</td><td>{row.rank:.3g}</td>"]
    cells += [f"<td>{_regret(value)}</td>" for value in (row.regret_100, row.regret_1000, row.regret_10000)]
    mark = " class='best'" if row.regret == best else ""
    cells.append(f"<td{mark} title='{row.regret!r}'>{_regret(row.regret)} {interval}</td>")
    cells += [
        f"<td>{text}</td>"
        for text in (percent(row.success_1pct), f"{row.budget:,}", f"{row.runs:,}", quantity(row.cpu_s))
    ]
    return "".join(cells)


def _regret(value: float | None) -> str:
    return "∞" if value is not None and isinf(value) else percent(value)


def _submissions(board: Board) -> str:
    lines = []
    for own in board.submissions:
        title = escape(own.name)
        if own.link:
            title = f"<a href='{escape(own.link, quote=True)}' rel='nofollow noopener'>{title}</a>"
        software = ", ".join(f"{escape(key)} {escape(value)}" for key, value in own.software.items()) or NOTHING
        lines.append(
            f"<tr><th>{title}<span class='ci'>{escape(own.author)}</span></th><td>accelgym {escape(own.accelgym)}; "
            f"{len(own.runs):,} searches; {software}</td></tr>"
        )
    return _card("Submissions", f"<table class='facts-table'>{''.join(lines)}</table>", "")


def _card(title: str, content: str, note: str) -> str:
    """Returns a boxed section; ``title`` and ``content`` are HTML, the note is text."""
    foot = f"<p class='how'>{escape(note)}</p>" if note else ""
    return f"<section class='card'><h3>{title}</h3>{content}{foot}</section>"
