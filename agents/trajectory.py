"""What a search leaves behind."""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from accelgym.costmodels.errors import InputError

__all__ = ["Trajectory"]

_ARRAYS = ("objective", "feasible", "batch_evaluations", "agent_cpu_s", "evaluation_cpu_s", "wall_s")


@dataclass(frozen=True)
class Trajectory:
    """Every evaluation of one search, in order, and the best design found."""

    agent: str
    task_id: str
    seed: int
    budget: int
    objective: npt.NDArray[np.float64]
    """Objective of each evaluation, shape ``(evaluations,)``; ``inf`` where invalid."""
    feasible: npt.NDArray[np.bool_]
    """Shape ``(evaluations,)``."""
    batch_evaluations: npt.NDArray[np.int64]
    """Evaluations made when each batch was over, shape ``(batches,)``."""
    agent_cpu_s: npt.NDArray[np.float64]
    """CPU seconds the agent had used by then, shape ``(batches,)``."""
    evaluation_cpu_s: npt.NDArray[np.float64]
    """CPU seconds the evaluations had used by then, shape ``(batches,)``."""
    wall_s: npt.NDArray[np.float64]
    """Wall seconds by then, shape ``(batches,)``."""
    best_design: tuple[int, ...] | None
    """Best feasible design, ``None`` when none was found."""
    distinct_designs: int
    """Different designs among the evaluations; repeats count towards the budget all the same."""
    options: dict[str, Any] = field(default_factory=dict)

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

    def evaluations_to(self, target: float) -> int | None:
        """Evaluations until the best feasible objective was at most ``target``."""
        hit = np.flatnonzero(self.best_so_far <= target)
        return int(hit[0]) + 1 if len(hit) else None

    def cpu_seconds_to(self, target: float) -> float | None:
        """CPU seconds (agent and evaluation) until then, to the end of the batch."""
        count = self.evaluations_to(target)
        if count is None:
            return None
        batch = int(np.searchsorted(self.batch_evaluations, count))
        return float(self.agent_cpu_s[batch] + self.evaluation_cpu_s[batch])

    def save(self, path: Path) -> None:
        """Writes ``.npz``."""
        header = {
            "agent": self.agent,
            "task_id": self.task_id,
            "seed": self.seed,
            "budget": self.budget,
            "best_design": self.best_design,
            "distinct_designs": self.distinct_designs,
            "options": self.options,
        }
        temporary = path.with_suffix(".tmp")
        with temporary.open("wb") as file:
            arrays = {name: getattr(self, name) for name in _ARRAYS}
            np.savez_compressed(file, allow_pickle=False, header=np.array(json.dumps(header)), **arrays)
        temporary.replace(path)

    @classmethod
    def load(cls, path: Path) -> Trajectory:
        """Reads ``.npz``.

        Raises:
            InputError: Not a trajectory file.
        """
        try:
            with np.load(path, allow_pickle=False) as data:
                header = json.loads(str(data["header"]))
                arrays = {name: data[name] for name in _ARRAYS}
        except (OSError, KeyError, ValueError) as error:
            raise InputError(f"{path}: not a trajectory file ({error})") from error
        best = header.pop("best_design")
        return cls(**header, **arrays, best_design=None if best is None else tuple(best))
