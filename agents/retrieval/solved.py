"""A table of solved tasks, decision by decision: what a layer looked like and what was chosen for it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from accelgym.agents.interface import interface_names, interface_of, require_interface, warn_outside
from accelgym.costmodels.errors import DamagedFileError, InputError
from accelgym.costmodels.files.arrays import read_arrays, write_arrays
from accelgym.envs.task import Task

__all__ = ["SolvedDecisions"]

FloatArray = npt.NDArray[np.float64]
IntArray = npt.NDArray[np.int64]

_KIND, _SCHEMA = "solved decisions", 1
_SLACK = 1e-9


@dataclass(frozen=True)
class SolvedDecisions:
    """Features and actions of all decisions of some solved tasks."""

    interface: Any
    """Knobs and their values; the table serves tasks that have the same."""
    features: FloatArray
    """:meth:`~accelgym.envs.Task.decision_features`, shape ``(decisions, features)``."""
    actions: IntArray
    """What was decided, shape ``(decisions,)``."""
    tasks: tuple[str, ...]
    """Ids of the solved tasks."""

    @classmethod
    def of(cls, solved: Sequence[tuple[Task, Sequence[int]]]) -> SolvedDecisions:
        """Tabulates solved tasks of one kind.

        Args:
            solved: Tasks, each with a good design of it; of one that is there twice the first counts.

        Raises:
            InputError: None, one without features, or tasks of different knobs.
        """
        if not solved:
            raise InputError("there is no solved task to learn from")
        first = interface_of(solved[0][0])
        features, actions, ids = [], [], []
        for task, design in solved:
            if task.id in ids:
                continue
            found = task.decision_features()
            if not found.shape[1]:
                raise InputError(
                    f"{task!r} has no decision features: {task.env_id} says of no decision what it is like"
                )
            if interface_of(task) != first:
                raise InputError(
                    f"{task!r} has {interface_names(interface_of(task))}, {solved[0][0]!r} {interface_names(first)}"
                )
            features.append(found)
            actions.append(task.actions(task.space.check(np.array([design])))[0])
            ids.append(task.id)
        return cls(first, np.concatenate(features), np.concatenate(actions).astype(np.int64), tuple(ids))

    def nearest(self, task: Task, count: int) -> tuple[IntArray, FloatArray]:
        """Returns the nearest solved decisions of every decision of a task.

        Features are scaled by their spread in the table. Inputs outside of its range are a warning.

        Args:
            task: The task; it has the table's knobs.
            count: Neighbours, at most the decisions in the table.

        Returns:
            Numbers of the neighbours, nearest first, shape ``(decisions, count)``, and their distances.

        Raises:
            InputError: The task has other knobs or features.
        """
        require_interface(self.interface, task, "the solved tasks have")
        query = task.decision_features()
        if query.shape[1] != self.features.shape[1]:
            raise InputError(
                f"{task!r} has {query.shape[1]} decision features, the solved tasks {self.features.shape[1]}"
            )
        warn_outside(task, self.features.min(axis=0), self.features.max(axis=0), "the solved tasks", slack=_SLACK)
        spread = self.features.std(axis=0)
        scale = np.where(spread > _SLACK, spread, 1.0)
        gaps = (query[:, None, :] - self.features[None]) / scale
        distance = np.sqrt((gaps**2).sum(axis=2))
        order = np.argsort(distance, axis=1, kind="stable")[:, :count]
        return order, np.take_along_axis(distance, order, axis=1)

    def save(self, path: Path) -> None:
        """Writes ``.npz`` with a checksum."""
        header = {"kind": _KIND, "schema": _SCHEMA, "interface": self.interface, "tasks": list(self.tasks)}
        write_arrays(path, header, {"features": self.features, "actions": self.actions})

    @classmethod
    def load(cls, path: Path | str) -> SolvedDecisions:
        """Reads a table.

        Raises:
            InputError: There is none, or one of another kind or schema.
            DamagedFileError: It was changed.
        """
        header, arrays = read_arrays(Path(path))
        if (header.get("kind"), header.get("schema")) != (_KIND, _SCHEMA):
            raise InputError(
                f"{path}: holds {header.get('kind')!r} of schema {header.get('schema')!r}, "
                f"allowed: {_KIND!r} of schema {_SCHEMA}, as accelgym train solved writes it"
            )
        try:
            found = cls(header["interface"], arrays["features"], arrays["actions"], tuple(header["tasks"]))
        except (KeyError, TypeError) as error:
            raise DamagedFileError(f"{path}: a part is missing ({error})") from error
        if found.features.ndim != 2 or found.actions.shape != found.features.shape[:1]:
            raise DamagedFileError(f"{path}: features have shape {found.features.shape}, actions {found.actions.shape}")
        return found
