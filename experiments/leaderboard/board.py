"""Ranks the entrants of submissions."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from accelgym.costmodels.certificate import Certificate
from accelgym.costmodels.errors import InputError
from accelgym.envs.audits import audit_and_keep, known_audit
from accelgym.experiments.leaderboard.checking import submitted_task
from accelgym.experiments.leaderboard.submission import Run, Submission
from accelgym.experiments.report.summary import ALL_TASKS, TARGETS
from accelgym.experiments.statistics import iqm_interval

__all__ = ["CHECKPOINTS", "Board", "BoardRow", "BoardTask", "build_board", "regret_at"]

CHECKPOINTS = (100, 1_000, 10_000)
"""Evaluations at which regrets are compared."""

FloatArray = npt.NDArray[np.float64]


@dataclass(frozen=True)
class BoardTask:
    """A task of the leaderboard."""

    id: str
    title: str
    hardness: str
    """Class of the task."""
    certificate: Certificate
    """What regrets are measured against."""


@dataclass(frozen=True)
class BoardRow:
    """How an entrant did on one task, or over all tasks.

    A regret is an interquartile mean over the runs; ``None`` where the budget is smaller, ``inf`` where more than a
    quarter of the runs had found nothing feasible.
    """

    task: str
    task_id: str
    hardness: str
    rank: float
    """Place by the final regret, ties share one; over all tasks the mean of the places."""
    agent: str
    submission: str
    runs: int
    budget: int
    """Evaluations allowed per run, the smallest over the tasks."""
    regret_100: float | None
    regret_1000: float | None
    regret_10000: float | None
    regret: float
    """At the end."""
    regret_low: float
    """Lower end of its 95 % bootstrap interval."""
    regret_high: float
    success_1pct: float
    """Share of runs that came within 1 % of the optimum."""
    cpu_s: float | None
    """Mean processor seconds of a run as the submission states them."""


@dataclass(frozen=True)
class Board:
    """The leaderboard."""

    submissions: tuple[Submission, ...]
    tasks: tuple[BoardTask, ...]
    rows: tuple[BoardRow, ...]
    """Those over all tasks first, then task by task; best first."""
    incomplete: tuple[tuple[str, str], ...]
    """Entrants without a run on some task, with their submission: they have no row over all tasks."""


Entrant = tuple[str, str]
"""Submission and agent."""
_Strata = dict[str, list[Run]]


def build_board(submissions: Sequence[Submission]) -> Board:
    """Ranks the entrants of submissions that have been checked.

    Tasks without a certificate or an audit, shipped or kept, are solved and audited, which may take its time.

    Raises:
        InputError: No submission, or an entrant that stands in two of the same title.
        BoundError: A claimed objective lies below what is proved to be possible.
    """
    if not submissions:
        raise InputError("no submission is given")
    titles = [submission.name for submission in submissions]
    if repeated := next((title for title in titles if titles.count(title) > 1), None):
        raise InputError(f"two submissions have the name {repeated!r}; give one of them another")
    tasks = _tasks(submissions)
    runs: dict[Entrant, _Strata] = {}
    for submission in submissions:
        for run in submission.runs:
            runs.setdefault((submission.name, run.agent), {}).setdefault(run.task, []).append(run)
    by_task = [row for task in tasks for row in _ranked(task, runs)]
    complete = {entrant: own for entrant, own in runs.items() if len(own) == len(tasks)}
    overall: list[BoardRow] = []
    if len(tasks) > 1:
        overall = [_overall(entrant, own, tasks, by_task) for entrant, own in complete.items()]
        overall.sort(key=lambda row: (row.rank, row.regret))
    missing = tuple((agent, name) for name, agent in runs if (name, agent) not in complete)
    return Board(tuple(submissions), tasks, (*overall, *by_task), missing)


def _tasks(submissions: Sequence[Submission]) -> tuple[BoardTask, ...]:
    found: dict[str, BoardTask] = {}
    for submission in submissions:
        used = {run.task for run in submission.runs}
        for task in submission.tasks:
            if task.id in found or task.id not in used:
                continue
            built = submitted_task(task)
            words = [task.env.split("/")[-1], *(f"{key}={value}" for key, value in task.arguments.items())]
            hardness = (known_audit(built) or audit_and_keep(built)).hardness
            found[task.id] = BoardTask(task.id, " ".join(words), hardness, built.reference())
    return tuple(found.values())


def regret_at(run: Run, certificate: Certificate, evaluations: int) -> float | None:
    """Returns the regret of a run after some evaluations, ``None`` where its budget is smaller."""
    return None if run.budget < evaluations else certificate.regret(run.best_within(evaluations))


def _ranked(task: BoardTask, runs: dict[Entrant, _Strata]) -> list[BoardRow]:
    """Returns the rows of one task, best first."""
    certificates = {task.id: task.certificate}
    rows = [
        _row(task.title, task.id, task.hardness, 0.0, entrant, {task.id: own[task.id]}, certificates)
        for entrant, own in runs.items()
        if task.id in own
    ]
    finals = np.array([row.regret for row in rows])
    better = (finals[None] < finals[:, None]).sum(axis=1)
    equal = (finals[None] == finals[:, None]).sum(axis=1)
    places = 1 + better + (equal - 1) / 2
    ranked = [BoardRow(**asdict(row) | {"rank": float(place)}) for row, place in zip(rows, places, strict=True)]
    return sorted(ranked, key=lambda row: row.rank)


def _overall(entrant: Entrant, own: _Strata, tasks: Sequence[BoardTask], by_task: Sequence[BoardRow]) -> BoardRow:
    ranks = [row.rank for row in by_task if (row.submission, row.agent) == entrant]
    certificates = {task.id: task.certificate for task in tasks}
    return _row(ALL_TASKS, "", "", float(np.mean(ranks)), entrant, own, certificates)


def _row(
    task: str,
    task_id: str,
    hardness: str,
    rank: float,
    entrant: Entrant,
    strata: _Strata,
    certificates: dict[str, Certificate],
) -> BoardRow:
    runs = [run for own in strata.values() for run in own]
    finals = [
        np.array([certificates[name].regret(run.best_within(run.evaluations)) for run in own])
        for name, own in strata.items()
    ]
    band = iqm_interval(finals)
    budget = min(run.budget for run in runs)
    at: dict[str, Any] = {}
    for mark in CHECKPOINTS:
        there = [np.array([regret_at(run, certificates[k], mark) for run in own]) for k, own in strata.items()]
        at[f"regret_{mark}"] = None if budget < mark else float(iqm_interval(there, repeats=1).value)
    seconds = [run.cpu_s for run in runs if run.cpu_s is not None]
    return BoardRow(
        task=task,
        task_id=task_id,
        hardness=hardness,
        rank=rank,
        agent=entrant[1],
        submission=entrant[0],
        runs=len(runs),
        budget=budget,
        regret=float(band.value),
        regret_low=float(band.low),
        regret_high=float(band.high),
        success_1pct=float(np.mean(np.concatenate(finals) <= TARGETS[0])),
        cpu_s=math.fsum(seconds) / len(seconds) if seconds else None,
        **at,
    )
