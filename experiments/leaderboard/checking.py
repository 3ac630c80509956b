"""Evaluates every design that a submission claims."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from accelgym.costmodels.errors import InputError, MissingExtraError, shown
from accelgym.costmodels.workloads import workload_names
from accelgym.envs.task import Task
from accelgym.experiments.leaderboard.submission import (
    Point,
    Run,
    Submission,
    SubmittedTask,
    encode_design,
    package_version,
)
from accelgym.experiments.plan import build_task

__all__ = ["SAME", "Check", "check_submission", "submitted_task"]

SAME = 1e-9
"""Largest relative difference between a claimed and an evaluated objective: what the order of a sum may change."""


@dataclass(frozen=True)
class Check:
    """What became of a submission."""

    designs: int
    """Designs that were evaluated."""
    reasons: tuple[str, ...]
    """Why it is rejected; empty where everything reproduces."""

    @property
    def passed(self) -> bool:
        """Whether everything reproduces."""
        return not self.reasons


def check_submission(submission: Submission) -> Check:
    """Evaluates every claimed design again.

    Raises:
        MissingExtraError: A task needs a package that is not installed.
    """
    reasons: list[str] = []
    if submission.accelgym != (here := package_version()):
        reasons.append(f"made with accelgym {submission.accelgym}, this is {here}: its results have to be made again")
    runs: dict[str, list[tuple[int, Run]]] = {}
    for number, run in enumerate(submission.runs):
        runs.setdefault(run.task, []).append((number, run))
    designs = 0
    for task in submission.tasks:
        try:
            built = submitted_task(task)
        except MissingExtraError:
            raise
        except InputError as error:
            reasons.append(f"task {task.id}: {error}")
            continue
        own = runs.get(task.id, [])
        designs += sum(len(run.points) for _, run in own)
        reasons += _differences(task, built, own)
    return Check(designs, tuple(reasons))


def submitted_task(task: SubmittedTask) -> Task:
    """Builds the task of a submission.

    Raises:
        InputError: Unknown task, a bad argument, one that names a file, or another task than the id says.
    """
    for text in _texts(task.arguments):
        if _names_a_file(text):
            raise InputError(f"argument {shown(text)} names a file, allowed: names that the package knows")
    built = build_task(task.env, task.arguments)
    if built.id != task.id:
        raise InputError(
            f"{task.env} with these arguments is the task {built.id}: another workload, cost model or version of them"
        )
    return built


def _differences(task: SubmittedTask, built: Task, runs: Sequence[tuple[int, Run]]) -> list[str]:
    """Returns in words what does not reproduce on one task."""
    reasons: list[str] = []
    rows: list[npt.NDArray[np.int64]] = []
    claims: list[tuple[str, Point]] = []
    for number, run in runs:
        for point in run.points:
            where = f"runs.{number} ({run.agent}, seed {run.seed}, task {task.id}), evaluation {point.evaluations}"
            try:
                rows.append(encode_design(built.space, task.parameters, point.design))
            except InputError as error:
                reasons.append(f"{where}: outside the space: {error}")
                continue
            claims.append((where, point))
    for start in range(0, len(rows), 1024):
        outcome = built.evaluate(np.stack(rows[start : start + 1024]))
        for (where, point), value, feasible in zip(
            claims[start : start + 1024], outcome.objective, outcome.feasible, strict=True
        ):
            reasons += _difference(where, point, float(value), bool(feasible))
    return reasons


def _difference(where: str, point: Point, value: float, feasible: bool) -> Iterator[str]:
    if not feasible:
        yield f"{where}: the design is not feasible"
    elif not math.isclose(point.objective, value, rel_tol=SAME, abs_tol=0.0):
        yield f"{where}: the objective is claimed to be {point.objective!r} and is {value!r}"


def _texts(value: Any) -> Iterator[str]:
    if isinstance(value, str):
        yield value
    elif isinstance(value, Mapping):
        for part in value.values():
            yield from _texts(part)
    elif isinstance(value, (list, tuple)):
        for part in value:
            yield from _texts(part)


def _names_a_file(text: str) -> bool:
    """Whether a text could make a task read a file: a submission comes from strangers."""
    if text in workload_names():
        return False
    path = text.partition("?")[0]
    if (
        "\0" in text
        or ":" in text
        or path.startswith(("/", ".", "~"))
        or ".." in path
        or Path(path).suffix[1:2].isalpha()
    ):
        return True
    try:
        return Path(text).exists()
    except OSError:
        return True
