"""Makes submissions from folders of results."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from accelgym.agents import Trajectory
from accelgym.costmodels.errors import InputError, warn_input
from accelgym.experiments.leaderboard.submission import (
    FORMAT,
    FORMAT_VERSION,
    MARKS,
    Point,
    Run,
    Submission,
    SubmittedTask,
    decode_design,
    package_version,
)
from accelgym.experiments.plan import build_task
from accelgym.experiments.results import AgentRuns, BenchResults, TaskResults

__all__ = ["pack_runs"]


def pack_runs(folders: Sequence[Path | str], *, name: str = "", author: str = "", link: str = "") -> Submission:
    """Makes a submission from the finished searches in folders of ``accelgym bench`` or ``accelgym search``.

    Every run states its best design after 1, 2, 5, 10, 20, ... evaluations and at its end.

    Args:
        folders: The folders.
        name: Title of the submission; that of the first benchmark when left out.
        author: Who submits.
        link: An https address that describes the agents.

    Raises:
        InputError: No folder of results, no finished search, results of another version of the package or of its
            cost models, or the same search twice.
    """
    if not folders:
        raise InputError("no folder of results is given")
    tasks: dict[str, SubmittedTask] = {}
    runs: dict[tuple[str, str, int], Run] = {}
    agents: dict[str, dict[str, Any]] = {}
    software: dict[str, str] = {}
    titles = []
    for folder in map(Path, folders):
        results = BenchResults.load(folder)
        titles.append(results.config.name)
        software |= _software(folder, results.manifest["sessions"])
        for task in results.tasks:
            submitted = _task(folder, task)
            for searches in task.agents:
                _warn_of_gaps(folder, task, searches)
                if searches.runs:
                    label = searches.agent.label
                    about = {"name": searches.agent.name, "options": dict(searches.agent.options)}
                    if agents.setdefault(label, about) != about:
                        raise InputError(f"{folder}: agent {label!r} has other hyperparameters than in another folder")
                    tasks[submitted.id] = submitted
                for run in _runs(task, submitted, searches):
                    if runs.setdefault(key := (run.task, run.agent, run.seed), run) is not run:
                        raise InputError(f"{folder}: agent {key[1]!r}, seed {key[2]} on task {key[0]} is given twice")
    if not runs:
        raise InputError(f"{', '.join(map(str, folders))}: no search has finished")
    data = {
        "format": FORMAT,
        "format_version": FORMAT_VERSION,
        "accelgym": package_version(),
        "name": name or titles[0][:100],
        "author": author,
        "link": link,
        "software": software,
        "agents": agents,
        "tasks": tuple(tasks.values()),
        "runs": tuple(runs.values()),
    }
    return Submission.parse(data, "submission")


def _software(folder: Path, sessions: Sequence[dict[str, Any]]) -> dict[str, str]:
    """Returns what the last session ran with.

    Raises:
        InputError: A session ran with another version of this package.
    """
    here = package_version()
    for session in sessions:
        if (was := session.get("packages", {}).get("accelgym")) not in (None, here):
            raise InputError(f"{folder}: results of accelgym {was}, this is {here}: run the command again elsewhere")
    if not sessions:
        return {}
    last = sessions[-1]
    found = {key: last.get(key) for key in ("python", "platform", "processor", "commit")} | dict(last["packages"])
    return {str(key): str(value)[:100] for key, value in found.items() if value}


def _task(folder: Path, task: TaskResults) -> SubmittedTask:
    record = task.record
    built = build_task(record["env"], record["arguments"])
    if built.id != record["id"]:
        raise InputError(
            f"{folder}: its task {record['id']} ({task.title}) is now {built.id}: the workload or the cost model has "
            "changed since"
        )
    names = tuple(parameter.name for parameter in built.space.parameters)
    return SubmittedTask(id=built.id, env=record["env"], arguments=record["arguments"], parameters=names)


def _warn_of_gaps(folder: Path, task: TaskResults, searches: AgentRuns) -> None:
    lost = len(searches.errors) + searches.missing
    if lost:
        warn_input(f"{folder}: {lost} searches of {searches.agent.label} on {task.title} are left out: not finished")


def _runs(task: TaskResults, submitted: SubmittedTask, searches: AgentRuns) -> list[Run]:
    built = build_task(submitted.env, submitted.arguments)
    found = []
    for run in searches.runs:
        points = tuple(
            Point(
                evaluations=at + 1,
                objective=float(run.objective[at]),
                design=decode_design(built.space, run.designs[at]),
            )
            for at in _improvements(run)
        )
        cpu = float(run.agent_cpu_s[-1] + run.evaluation_cpu_s[-1]) if run.evaluations else 0.0
        found.append(
            Run(
                task=submitted.id,
                agent=searches.agent.label,
                seed=run.seed,
                budget=run.budget,
                evaluations=run.evaluations,
                cpu_s=cpu,
                points=points,
            )
        )
    return found


def _improvements(run: Trajectory) -> list[int]:
    """Returns the indices of the best designs at the marks and at the end, without repeats."""
    best = run.best_so_far
    score = np.where(run.feasible, run.objective, np.inf)
    found = []
    for mark in (*(mark for mark in MARKS if mark < run.evaluations), run.evaluations):
        if mark and np.isfinite(best[mark - 1]):
            found.append(int(score[:mark].argmin()))
    return list(dict.fromkeys(found))
