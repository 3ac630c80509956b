"""Evaluations kept on disk by their content: the task, the version of the software, and the design."""

from __future__ import annotations

import hashlib
import json
import sqlite3
from importlib.metadata import version
from pathlib import Path
from typing import Any

import numpy as np

from accelgym.costmodels.errors import InputError
from accelgym.envs.space import Designs
from accelgym.envs.task import Outcome, Task
from accelgym.hwgen.cache import content_key

__all__ = ["EvaluationCache"]

_WAIT_S = 120.0
"""For another process that writes; decides no result."""
_FIELDS = ("objective", "feasible", "violation", "valid")
_CHECK = 8


class EvaluationCache:
    """Outcomes of designs of one task, in a database that several processes of a machine share.

    Worth its while where a design takes a millisecond and more, as simulators do; the analytic models are faster than
    a look-up. What is found is what was stored, bit by bit, and counts as an evaluation; :attr:`hits` says how many.
    Every row carries a checksum; one that does not match is evaluated again.

    Args:
        folder: Of the databases, one per task and version; on a disk of this machine, for SQLite's locks.
        task: The task; its :attr:`~accelgym.envs.Task.id` covers everything that defines it.

    Raises:
        InputError: The folder cannot be made, or its database is none.
    """

    def __init__(self, folder: Path, task: Task) -> None:
        self.hits = 0
        """Designs that were found."""
        self._task = task
        release = f"{version('accelgym')} {getattr(task, 'proof', '')}"
        self.path = folder / f"{content_key(task.id, release)[:32]}.sqlite"
        try:
            folder.mkdir(parents=True, exist_ok=True)
            self._rows = sqlite3.connect(self.path, timeout=_WAIT_S, isolation_level=None)
            self._rows.execute(
                "create table if not exists outcomes (design blob primary key, outcome blob) without rowid"
            )
        except (OSError, sqlite3.Error) as error:
            raise InputError(f"{self.path}: cannot be used as a cache of evaluations: {error}") from error

    def evaluate(self, designs: Designs) -> Outcome:
        """Returns what the task's own ``evaluate`` returns.

        Args:
            designs: Value indices, shape ``(n, parameters)``.

        Raises:
            InputError: The array does not fit the space.
        """
        rows = self._task.space.check(designs)
        keys = [hashlib.sha256(np.ascontiguousarray(row, dtype="<i8").tobytes()).digest() for row in rows]
        known = self._find(keys)
        missing = np.array([i for i, key in enumerate(keys) if key not in known], dtype=np.int64)
        self.hits += len(rows) - len(missing)
        fresh = self._task.evaluate(rows[missing]) if len(missing) or not len(rows) else None
        if fresh is not None and len(missing) == len(rows):
            self._store(keys, fresh)
            return fresh
        found = [_unpack(known[key]) if key in known else None for key in keys]
        if fresh is not None:
            self._store([keys[i] for i in missing], fresh)
            for place, i in enumerate(missing):
                found[i] = _row(fresh, place)
        return _join([row for row in found if row is not None])

    def _find(self, keys: list[bytes]) -> dict[bytes, bytes]:
        found = {}
        for key in dict.fromkeys(keys):
            row = self._rows.execute("select outcome from outcomes where design = ?", (key,)).fetchone()
            if row is not None and _seal(key, row[0][_CHECK:]) == row[0][:_CHECK]:
                found[key] = row[0][_CHECK:]
        return found

    def _store(self, keys: list[bytes], outcome: Outcome) -> None:
        packed = [(key, _pack(_row(outcome, i))) for i, key in enumerate(keys)]
        with self._rows:
            self._rows.execute("begin immediate")
            self._rows.executemany(
                "insert or replace into outcomes values (?, ?)",
                [(key, _seal(key, data) + data) for key, data in packed],
            )


_Row = dict[str, np.ndarray[Any, Any]]


def _row(outcome: Outcome, place: int) -> _Row:
    """Returns one design's figures, arrays without the leading axis."""
    own = {name: np.asarray(getattr(outcome, name))[place] for name in _FIELDS}
    return own | {f"cost.{name}": np.asarray(figure)[place] for name, figure in outcome.costs.items()}


def _pack(row: _Row) -> bytes:
    head = [[name, value.dtype.str, list(value.shape)] for name, value in row.items()]
    return json.dumps(head).encode() + b"\n" + b"".join(np.ascontiguousarray(value).tobytes() for value in row.values())


def _unpack(data: bytes) -> _Row:
    head, _, body = data.partition(b"\n")
    row: _Row = {}
    begin = 0
    for name, kind, shape in json.loads(head):
        dtype = np.dtype(kind)
        size = dtype.itemsize * int(np.prod(shape, dtype=np.int64))
        row[name] = np.frombuffer(body[begin : begin + size], dtype).reshape(shape)
        begin += size
    return row


def _join(rows: list[_Row]) -> Outcome:
    columns = {name: np.stack([row[name] for row in rows]) for name in rows[0]}
    costs = {name[5:]: values for name, values in columns.items() if name.startswith("cost.")}
    return Outcome(columns["objective"], columns["feasible"], columns["violation"], columns["valid"], costs)


def _seal(key: bytes, data: bytes) -> bytes:
    return hashlib.sha256(key + data).digest()[:_CHECK]
