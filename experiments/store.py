"""The folder of one search: written in one way, and believed only when it is whole and what was planned."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from accelgym.agents import Trajectory
from accelgym.costmodels.certificate import Certificate
from accelgym.costmodels.errors import AccelGymError, BoundError, DamagedFileError, InputError
from accelgym.costmodels.files.json_file import read_sealed, write_sealed
from accelgym.costmodels.files.whole_file import write_whole
from accelgym.envs.task import Task
from accelgym.experiments.plan import Job, design_details

__all__ = ["BEST", "ERROR", "JOURNAL", "TRAJECTORY", "StoredRun", "load_run", "load_trajectory", "save_run"]

TRAJECTORY, BEST, ERROR, JOURNAL = "trajectory.npz", "best.json", "error.json", "journal"
_OWN = (TRAJECTORY, BEST, ERROR, JOURNAL, "lock")


@dataclass(frozen=True)
class StoredRun:
    """A search that is over."""

    trajectory: Trajectory
    best: dict[str, Any]
    """``best.json``: what was searched, and the best design with its values, costs and regret."""


def save_run(
    folder: Path, job: Job, task: Task, trajectory: Trajectory, notes: Mapping[str, Any] | None = None
) -> None:
    """Writes ``best.json``, the best design in other tools' formats, and last ``trajectory.npz``.

    Args:
        folder: Of the search.
        job: What was planned.
        task: Its task.
        trajectory: What was done.
        notes: Further entries of ``best.json``.

    Raises:
        AccelGymError: The best design is worth something else when it is evaluated alone, or the task tells of it under
            a name that is taken.
    """
    design = trajectory.best_design
    details = design_details(task, design) or {"design": None, "objective": None, "costs": {}}
    if design is not None and details["objective"] != trajectory.best:
        raise AccelGymError(
            f"{folder}: the best design had the objective {trajectory.best!r} in the search and has "
            f"{details['objective']!r} alone: the cost model has changed, or depends on what else is in a batch"
        )
    reference = task.reference()
    best = job.identity() | {
        "evaluations": trajectory.evaluations,
        "distinct_designs": trajectory.distinct_designs,
        **details,
        "regret": None if design is None else reference.regret(trajectory.best),
        "proven": reference.exact,
        "lower_bound": reference.lower_bound,
    }
    best |= notes or {}
    if convention := task.convention():
        best["convention"] = convention
    if design is not None:
        row = np.array(design)
        told = task.report(row)
        if taken := (best.keys() - {"costs"}) & told.keys():
            raise AccelGymError(f"{type(task).__name__}.report has {min(taken)!r}, which every {BEST} has")
        best |= told
        for name, text in task.artifacts(row).items():
            if name in _OWN or Path(name).is_absolute() or ".." in Path(name).parts:
                raise AccelGymError(
                    f"{type(task).__name__}.artifacts has {name!r}, allowed names of new files in {folder}"
                )
            write_whole(folder / name, text)
    write_sealed(folder / BEST, best)
    trajectory.save(folder / TRAJECTORY)


def load_run(folder: Path, job: Job, certificate: Certificate) -> StoredRun | None:
    """Reads a search that is over; ``None`` where there is none.

    Raises:
        DamagedFileError: A file is missing or damaged, or the two contradict each other.
        InputError: The trajectory is that of another search.
        BoundError: An objective lies below the certified bound.
    """
    trajectory = load_trajectory(folder, job, certificate)
    if trajectory is None:
        return None
    path = folder / BEST
    if not path.exists():
        raise DamagedFileError(f"{path}: is missing")
    best = read_sealed(path)
    found = None if trajectory.best_design is None else trajectory.best
    if {key: best.get(key) for key in job.identity()} != job.identity() or best.get("objective") != found:
        raise DamagedFileError(f"{path}: is not of the trajectory beside it")
    return StoredRun(trajectory, best)


def load_trajectory(folder: Path, job: Job, certificate: Certificate) -> Trajectory | None:
    """Reads the trajectory alone; see :func:`load_run`."""
    path = folder / TRAJECTORY
    if not path.exists():
        return None
    trajectory = Trajectory.load(path)
    if other := trajectory.differs(**job.identity()):
        raise InputError(f"{path}: holds another search: {other}; move it away to run the planned one")
    try:
        trajectory.check(certificate)
    except BoundError as error:
        raise BoundError(f"{path}: {error}") from error
    return trajectory
