"""Reads the folder of a benchmark, whole or unfinished."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from accelgym.agents import Trajectory
from accelgym.experiments.config import AgentEntry, BenchConfig
from accelgym.experiments.files import read_json

__all__ = ["AgentRuns", "BenchResults", "TaskResults"]

FloatArray = npt.NDArray[np.float64]

EXACT_GAP = 1e-9
"""Largest relative gap of a reference that counts as the optimum, and largest regret that counts as none."""


@dataclass(frozen=True)
class AgentRuns:
    """All searches of one agent on one task."""

    agent: AgentEntry
    budget: int
    yardstick: float
    """Objective that regrets are measured against."""
    runs: tuple[Trajectory, ...]
    """Searches that are over, by seed."""
    best_designs: tuple[dict[str, Any] | None, ...]
    """Details of each run's best design; ``None`` where nothing feasible was found."""
    errors: dict[int, str]
    """Failed searches: seed to message."""
    missing: int
    """Searches that have not run."""

    @cached_property
    def regret_curves(self) -> list[FloatArray]:
        """Best-so-far regret after each evaluation, one array per run."""
        return [self._regret(run.best_so_far) for run in self.runs]

    @cached_property
    def final_regret(self) -> FloatArray:
        """Regret at the end, shape ``(runs,)``; ``inf`` where nothing feasible was found."""
        return self._regret(np.array([run.best for run in self.runs], dtype=np.float64))

    def _regret(self, objective: FloatArray) -> FloatArray:
        regret = objective / self.yardstick - 1
        # The order of a sum is no regret.
        return np.where(np.abs(regret) <= EXACT_GAP, 0.0, regret)

    def best(self) -> int | None:
        """Index of the run that found the best design, ``None`` when none found any."""
        if not len(self.final_regret) or not np.isfinite(self.final_regret).any():
            return None
        return int(self.final_regret.argmin())


@dataclass(frozen=True)
class TaskResults:
    """One task: what is known about it and how the agents did."""

    record: dict[str, Any]
    agents: tuple[AgentRuns, ...]
    """In the order of the config."""

    @property
    def title(self) -> str:
        """Name in reports."""
        return str(self.record["title"])

    @property
    def exact(self) -> bool:
        """Whether regrets are measured against a proved optimum."""
        return float(self.record["reference"]["gap"]) <= EXACT_GAP


@dataclass(frozen=True)
class BenchResults:
    """Everything in a benchmark's folder."""

    config: BenchConfig
    manifest: dict[str, Any]
    tasks: tuple[TaskResults, ...]
    """In the order of the config."""

    @classmethod
    def load(cls, out: Path) -> BenchResults:
        """Reads a folder that :func:`accelgym.experiments.run_bench` has written, finished or not.

        Raises:
            InputError: Not such a folder, or a damaged file in it.
        """
        manifest = read_json(out / "manifest.json")
        config = BenchConfig.parse(manifest["config"])
        return cls(config, manifest, tuple(_task(out, config, task_id) for task_id in manifest["tasks"]))


def _task(out: Path, config: BenchConfig, task_id: str) -> TaskResults:
    record = read_json(out / "tasks" / f"{task_id}.json")
    reference = record["reference"]
    yardstick = reference["value"] if reference["gap"] <= EXACT_GAP else reference["lower_bound"]
    return TaskResults(record, tuple(_agent(out, config, task_id, agent, yardstick) for agent in config.agents))


def _agent(out: Path, config: BenchConfig, task_id: str, agent: AgentEntry, yardstick: float) -> AgentRuns:
    runs, designs, errors, missing = [], [], {}, 0
    for seed in config.seeds:
        folder = out / "runs" / task_id / agent.label / f"seed-{seed}"
        if (folder / "trajectory.npz").exists():
            runs.append(Trajectory.load(folder / "trajectory.npz"))
            designs.append(read_json(folder / "best.json"))
        elif (folder / "error.json").exists():
            errors[seed] = str(read_json(folder / "error.json")["error"])
        else:
            missing += 1
    return AgentRuns(agent, config.budget_of(agent), yardstick, tuple(runs), tuple(designs), errors, missing)
