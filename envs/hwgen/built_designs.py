"""Finished designs of a vector environment that are built, and what was proved of them."""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

from accelgym.costmodels.errors import unknown_name
from accelgym.envs.hwgen.proof import StagedRecord

__all__ = ["BuiltDesigns"]

Bools = npt.NDArray[np.bool_]
Floats = npt.NDArray[np.float64]
Ints = npt.NDArray[np.int64]

_UNVERIFIED = -1


class BuiltDesigns:
    """Chooses which designs of some lanes are built, and keeps the record of the last one of each.

    Args:
        verify: ``never``; ``best``: those better than all of their lane before; or ``always``.
        allowed: Those of them that an environment offers.
        lanes: Their number.

    Raises:
        InputError: ``verify`` is another.
    """

    def __init__(self, verify: str, allowed: Sequence[str], lanes: int) -> None:
        if verify not in allowed:
            raise unknown_name("verify", verify, allowed)
        self._verify = verify
        self._best = np.full(lanes, np.inf)
        self._level = np.full(lanes, _UNVERIFIED, dtype=np.int64)
        self._record = np.full(lanes, "", dtype=object)

    def choose(self, lanes: Ints, objectives: Floats) -> Ints:
        """Returns the positions in ``lanes`` whose designs are to be built.

        Args:
            lanes: Those with a finished design.
            objectives: Of these designs, ``inf`` where infeasible.
        """
        improves = objectives < self._best[lanes]
        self._best[lanes] = np.minimum(objectives, self._best[lanes])
        if self._verify == "always":
            return np.arange(len(lanes))
        return np.flatnonzero(improves & (self._verify == "best"))

    def note(self, lane: int | np.int64, record: StagedRecord) -> None:
        """Keeps what was proved of the design of a lane."""
        self._level[lane], self._record[lane] = record.level, json.dumps(record.as_json())

    def clear(self, lanes: Bools) -> None:
        """Forgets the records of lanes that begin anew, not how good their designs were."""
        self._level[lanes], self._record[lanes] = _UNVERIFIED, ""

    def columns(self) -> dict[str, Any]:
        """Returns ``level`` (-1 where not verified) and, unless nothing is built, ``record`` (JSON text) for infos."""
        columns: dict[str, Any] = {"level": self._level.copy()}
        # Texts are no tensors, which clients make of infos.
        return columns if self._verify == "never" else columns | {"record": self._record.copy()}
