"""Where solved tasks come from: references of a family, folders of results, datasets."""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

from accelgym.agents import Trajectory
from accelgym.costmodels.errors import InputError
from accelgym.dse_dataset.load import load_dataset
from accelgym.envs.family import Family
from accelgym.envs.registration import make_task
from accelgym.envs.task import Task
from accelgym.experiments.labelling import task_of
from accelgym.experiments.store import TRAJECTORY

__all__ = ["solved_by_proof", "solved_in_datasets", "solved_in_runs"]

Solved = tuple[Task, tuple[int, ...]]
_Found = dict[tuple[str, str], tuple[float, tuple[int, ...]]]
_COLUMNS = ["env", "arguments_json", "design", "feasible", "objective"]


def solved_by_proof(family: Family, split: str = "train") -> list[Solved]:
    """Returns the members of a split with the designs of their references; members without a design are left out."""
    references = [(family.tasks[i], family.reference(i).design) for i in family.members(split)]
    return [(task, design) for task, design in references if design is not None]


def solved_in_runs(folders: Sequence[Path]) -> list[Solved]:
    """Returns the tasks of finished searches, each with the best feasible design that any search found.

    Raises:
        InputError: A folder without a finished search, or searches that do not say which task they are of.
    """
    best: _Found = {}
    for folder in folders:
        paths = sorted(folder.rglob(TRAJECTORY))
        if not paths:
            raise InputError(f"{folder}: holds no finished search (no {TRAJECTORY})")
        for path in paths:
            run = Trajectory.load(path)
            env, arguments = task_of(path, run.task_id)
            if not env:
                raise InputError(f"{path}: no record of task {run.task_id} stands beside it")
            if run.best_design is not None:
                _keep(best, (env, arguments), run.best, run.best_design)
    return _tasks(best)


def solved_in_datasets(folders: Sequence[Path]) -> list[Solved]:
    """Returns the tasks of datasets whose rows name a task and a design: preset ``searched`` and pooled runs.

    Only the split ``train`` is read.

    Raises:
        InputError: No dataset, or one of another kind.
    """
    best: _Found = {}
    for folder in folders:
        data = load_dataset(folder)
        names = {column.name for column in data.columns}
        for name in _COLUMNS:
            if name not in names:
                raise InputError(
                    f"{folder}: has no column {name!r}; allowed: datasets of tasks and designs, as accelgym label "
                    "--preset searched and accelgym dataset from-runs make them"
                )
        for row in _rows(data.table("train", _COLUMNS)):
            if row["feasible"] and row["env"]:
                design = tuple(int(index) for index in row["design"])
                _keep(best, (row["env"], row["arguments_json"]), float(row["objective"]), design)
    return _tasks(best)


def _rows(table: Any) -> Iterator[dict[str, Any]]:
    for batch in table.to_batches(max_chunksize=4096):
        yield from batch.to_pylist()


def _keep(best: _Found, key: tuple[str, str], objective: float, design: tuple[int, ...]) -> None:
    if key not in best or objective < best[key][0]:
        best[key] = objective, design


def _tasks(best: _Found) -> list[Solved]:
    return [(make_task(env, **json.loads(text)), design) for (env, text), (_, design) in sorted(best.items())]
