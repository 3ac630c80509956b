"""What a search leaves behind."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from accelgym.costmodels.certificate import Certificate
from accelgym.costmodels.errors import DamagedFileError
from accelgym.costmodels.files.arrays import read_arrays, write_arrays
from accelgym.costmodels.files.packing import pack, unpack
from accelgym.costmodels.files.plain import as_path, plain

__all__ = ["Trajectory"]

_PER_EVALUATION = ("objective", "feasible", "violation", "valid")
_PER_BATCH = ("batch_evaluations", "agent_cpu_s", "evaluation_cpu_s", "wall_s")
_KINDS = {"feasible": "b", "valid": "b", "designs": "u", "batch_evaluations": "i"}
"""Kind of each array's type; the others are floating-point numbers."""


@dataclass(frozen=True)
class Trajectory:
    """Every evaluation of one search, in order: the design, what it was worth, and what it took."""

    agent: str
    task_id: str
    seed: int
    budget: int
    designs: npt.NDArray[Any]
    """Value indices, shape ``(evaluations, parameters)``, in the smallest unsigned integer type that holds them."""
    objective: npt.NDArray[np.float64]
    """Objective of each evaluation, shape ``(evaluations,)``; ``inf`` where invalid."""
    feasible: npt.NDArray[np.bool_]
    """Shape ``(evaluations,)``."""
    violation: npt.NDArray[np.float64]
    """Shape ``(evaluations,)``; 0 where feasible."""
    valid: npt.NDArray[np.bool_]
    """Shape ``(evaluations,)``."""
    batch_evaluations: npt.NDArray[np.int64]
    """Evaluations made when each batch was over, shape ``(batches,)``."""
    agent_cpu_s: npt.NDArray[np.float64]
    """CPU seconds the agent had used by then, shape ``(batches,)``."""
    evaluation_cpu_s: npt.NDArray[np.float64]
    """CPU seconds the evaluations had used by then, shape ``(batches,)``."""
    wall_s: npt.NDArray[np.float64]
    """Wall seconds by then, shape ``(batches,)``."""
    costs: Mapping[str, npt.NDArray[Any]] = field(default_factory=dict)
    """The task's further figures that are one number per design, shape ``(evaluations,)``, units in the names."""
    options: Mapping[str, Any] = field(default_factory=dict)

    @property
    def evaluations(self) -> int:
        """Evaluations made."""
        return len(self.objective)

    @property
    def best_so_far(self) -> npt.NDArray[np.float64]:
        """Best feasible objective after each evaluation, shape ``(evaluations,)``; ``inf`` before the first."""
        return np.minimum.accumulate(np.where(self.feasible, self.objective, np.inf))

    @property
    def best(self) -> float:
        """Best feasible objective, ``inf`` when none was found."""
        return float(self.best_so_far[-1]) if self.evaluations else float("inf")

    @cached_property
    def best_design(self) -> tuple[int, ...] | None:
        """Best feasible design, ``None`` when none was found."""
        if not np.isfinite(self.best):
            return None
        score = np.where(self.feasible, self.objective, np.inf)
        return tuple(int(index) for index in self.designs[int(score.argmin())])

    @cached_property
    def distinct_designs(self) -> int:
        """Different designs among the evaluations; repeats count towards the budget all the same."""
        return len({row.tobytes() for row in self.designs})

    def evaluations_to(self, target: float) -> int | None:
        """Evaluations until the best feasible objective was at most ``target``."""
        hit = np.flatnonzero(self.best_so_far <= target)
        return int(hit[0]) + 1 if len(hit) else None

    def cpu_seconds_to(self, target: float) -> float | None:
        """CPU seconds (agent and evaluation) until then, to the end of the batch."""
        count = self.evaluations_to(target)
        return None if count is None else self.cpu_seconds_after(count)

    def cpu_seconds_after(self, evaluations: int) -> float:
        """CPU seconds (agent and evaluation) until the end of the batch with that evaluation, counted from 1."""
        batch = int(np.searchsorted(self.batch_evaluations, evaluations))
        return float(self.agent_cpu_s[batch] + self.evaluation_cpu_s[batch])

    def check(self, certificate: Certificate) -> None:
        """Checks the objectives of feasible designs against a certified bound.

        Raises:
            BoundError: One lies below it.
        """
        certificate.check(self.objective[self.feasible])

    def save(self, path: Path | str) -> None:
        """Writes ``.npz`` in one step, with a checksum of every byte."""
        header = {name: getattr(self, name) for name in ("agent", "task_id", "seed", "budget", "options")}
        arrays = {name: getattr(self, name) for name in (*_PER_EVALUATION, *_PER_BATCH)}
        arrays |= {f"cost.{name}": values for name, values in self.costs.items()}
        packed, sizes = pack(self.designs)
        write_arrays(as_path(path), header, arrays | {"packed_designs": packed, "design_sizes": sizes})

    @classmethod
    def load(cls, path: Path | str) -> Trajectory:
        """Reads ``.npz``.

        Raises:
            InputError: Cannot be read; a :class:`~accelgym.costmodels.errors.DamagedFileError` if it is no whole
                trajectory file.
        """
        path = as_path(path)
        header, arrays = read_arrays(path)
        costs = {name[5:]: arrays.pop(name) for name in list(arrays) if name.startswith("cost.")}
        try:
            designs = unpack(arrays.pop("packed_designs"), arrays.pop("design_sizes"))
            fields: dict[str, Any] = {**header, **arrays, "designs": designs, "costs": costs}
            found = cls(**fields)
        except (KeyError, TypeError, ValueError) as error:
            raise DamagedFileError(f"{path}: not a trajectory of this version of accelgym ({error})") from error
        found._check_shapes(path)
        return found

    def _check_shapes(self, path: Path) -> None:
        n, batches = self.evaluations, len(self.batch_evaluations)
        expected = dict.fromkeys(_PER_EVALUATION, (n,)) | dict.fromkeys(_PER_BATCH, (batches,))
        arrays = {name: getattr(self, name) for name in expected} | dict(self.costs)
        for name, array in arrays.items():
            if array.shape != expected.get(name, (n,)) or (
                name in expected and array.dtype.kind != _KINDS.get(name, "f")
            ):
                raise DamagedFileError(f"{path}: array {name!r} has shape {array.shape} and type {array.dtype}")
        if self.designs.ndim != 2 or len(self.designs) != n or self.designs.dtype.kind != "u":
            raise DamagedFileError(f"{path}: designs have shape {self.designs.shape} and type {self.designs.dtype}")

    def differs(self, **plan: Any) -> str:
        """Returns in words how the search differs from a plan, empty if it does not.

        Args:
            **plan: Any of ``agent``, ``task_id``, ``seed``, ``budget`` and ``options``.
        """
        for name, wanted in plan.items():
            if plain(getattr(self, name)) != plain(wanted):
                return f"{name} is {getattr(self, name)!r}, planned {wanted!r}"
        return "" if self.evaluations <= self.budget else f"it has {self.evaluations} evaluations of {self.budget}"
