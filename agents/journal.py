"""Append-only record of a running search, so that a killed one resumes without repeating an evaluation."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from accelgym.costmodels.errors import InputError
from accelgym.envs.space import Designs
from accelgym.envs.task import Outcome

__all__ = ["Batch", "Journal"]


@dataclass(frozen=True)
class Batch:
    """One ask, its outcome and what both took."""

    designs: Designs
    outcome: Outcome
    agent_cpu_s: float
    evaluation_cpu_s: float
    wall_s: float


class Journal:
    """A file of batches; the first line says which search it belongs to.

    Args:
        path: The file; created when missing.
        identity: What the search is a function of (task id, agent, seed, options). A journal of another search
            is refused.

    Raises:
        InputError: The file belongs to another search.
    """

    def __init__(self, path: Path, identity: dict[str, Any]) -> None:
        self.path = path
        line = (json.dumps(identity, sort_keys=True) + "\n").encode()
        self._end = len(line)
        head = b""
        if path.exists():
            with path.open("rb") as file:
                head = file.read(len(line))
        if len(head) < len(line) and line.startswith(head):  # new, or killed while it was begun
            path.write_bytes(line)
        elif head != line:
            raise InputError(f"{path}: journal of another search; remove it or choose another folder")

    def replay(self) -> Iterator[Batch]:
        """Yields the complete batches on file; a torn last one is cut off."""
        with self.path.open("rb") as file:
            file.seek(self._end)
            while True:
                try:
                    batch = _read(file)
                except (ValueError, EOFError, OSError):
                    break
                self._end = file.tell()
                yield batch
        with self.path.open("rb+") as file:
            file.truncate(self._end)

    def append(self, batch: Batch) -> None:
        """Writes one batch; it survives the process from here on."""
        with self.path.open("ab") as file:
            _write(file, batch)

    def remove(self) -> None:
        """Deletes the file, once the trajectory is saved."""
        self.path.unlink(missing_ok=True)


def _write(file: Any, batch: Batch) -> None:
    outcome = batch.outcome
    times = np.array([batch.agent_cpu_s, batch.evaluation_cpu_s, batch.wall_s])
    names = sorted(outcome.costs)
    arrays = [times, np.array(json.dumps(names)), batch.designs]
    arrays += [outcome.objective, outcome.feasible, outcome.violation, outcome.valid]
    arrays += [outcome.costs[name] for name in names]
    for array in arrays:
        np.save(file, array, allow_pickle=False)


def _read(file: Any) -> Batch:
    def load() -> Any:
        return np.load(file, allow_pickle=False)

    times = load()
    names = json.loads(str(load()))
    designs = load()
    outcome = Outcome(load(), load(), load(), load(), {name: load() for name in names})
    return Batch(designs, outcome, *(float(t) for t in times))
