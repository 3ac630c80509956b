"""Writes the leaderboard: a page that needs nothing else, and its numbers as CSV."""

from __future__ import annotations

from dataclasses import asdict, fields
from pathlib import Path
from typing import Any

from accelgym.costmodels.files.csv_table import TableWriter
from accelgym.costmodels.files.whole_file import whole_file, write_whole
from accelgym.experiments.leaderboard.board import CHECKPOINTS, Board, BoardRow, regret_at
from accelgym.experiments.leaderboard.page import render_board

__all__ = ["write_board"]


def write_board(board: Board, out: Path | str) -> Path:
    """Writes ``index.html``, ``leaderboard.csv`` (the tables) and ``runs.csv`` (a line per search) into a folder.

    Returns:
        Path of the page.
    """
    out = Path(out)
    page = render_board(board)
    write_whole(out / "index.html", page)
    with whole_file(out / "leaderboard.csv") as file:
        _write_rows(TableWriter(file), [field.name for field in fields(BoardRow)], map(asdict, board.rows))
    certificates = {task.id: task.certificate for task in board.tasks}
    with whole_file(out / "runs.csv") as file:
        lines = [
            {
                "submission": submission.name,
                "agent": run.agent,
                "task_id": run.task,
                "seed": run.seed,
                "budget": run.budget,
                "evaluations": run.evaluations,
                "cpu_s": run.cpu_s,
            }
            | {f"regret_{n}": regret_at(run, certificates[run.task], n) for n in CHECKPOINTS}
            | {"regret": certificates[run.task].regret(run.best_within(run.evaluations))}
            for submission in board.submissions
            for run in submission.runs
        ]
        _write_rows(TableWriter(file), list(lines[0]), lines)
    return out / "index.html"


def _write_rows(writer: TableWriter, names: list[str], rows: Any) -> None:
    writer.row(names)
    for row in rows:
        writer.row([row[name] for name in names])
