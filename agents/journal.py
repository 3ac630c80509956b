"""Append-only record of a running search, so that a killed one resumes without repeating an evaluation."""

from __future__ import annotations

import io
import json
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, BinaryIO

import numpy as np

from accelgym.costmodels.errors import InputError
from accelgym.costmodels.files.records import RecordFile
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
    """A file of batches, each with a checksum; its first record says which search it belongs to.

    Args:
        path: The file; it comes into being with the first batch.
        identity: What the search is a function of (task id, agent, seed, budget, options), as plain data.

    Raises:
        InputError: The identity is no plain data.
    """

    def __init__(self, path: Path, identity: dict[str, Any]) -> None:
        self.path = path
        try:
            text = json.dumps(identity, sort_keys=True)
        except TypeError as error:
            raise InputError(f"{path}: a search with a journal needs options that are plain data: {error}") from error
        self._file = RecordFile(path, text.encode())

    def replay(self) -> Iterator[Batch]:
        """Yields the whole batches on file and cuts off what follows them.

        Raises:
            InputError: The file holds batches of another search, or is no journal.
        """
        return map(_unpack, self._file.replay())

    def append(self, batch: Batch) -> None:
        """Writes one batch; it survives the process from here on."""
        self._file.append(_pack(batch))

    def remove(self) -> None:
        """Deletes the file, once the trajectory is saved."""
        self.path.unlink(missing_ok=True)


def _pack(batch: Batch) -> bytes:
    outcome = batch.outcome
    times = np.array([batch.agent_cpu_s, batch.evaluation_cpu_s, batch.wall_s])
    names = sorted(outcome.costs)
    arrays = [times, np.array(json.dumps(names)), batch.designs]
    arrays += [outcome.objective, outcome.feasible, outcome.violation, outcome.valid]
    arrays += [outcome.costs[name] for name in names]
    buffer = io.BytesIO()
    for array in arrays:
        np.save(buffer, array, allow_pickle=False)
    return buffer.getvalue()


def _unpack(record: bytes) -> Batch:
    file: BinaryIO = io.BytesIO(record)

    def load() -> Any:
        return np.load(file, allow_pickle=False)

    times = load()
    names = json.loads(str(load()))
    designs = load()
    outcome = Outcome(load(), load(), load(), load(), {name: load() for name in names})
    return Batch(designs, outcome, *(float(t) for t in times))
