"""Reads the folder of a benchmark, whole or unfinished."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from accelgym.agents import Trajectory
from accelgym.costmodels.certificate import Certificate
from accelgym.costmodels.errors import DamagedFileError, InputError, warn_input
from accelgym.costmodels.files.json_file import read_sealed
from accelgym.envs.hardness import Audit
from accelgym.experiments.config import AgentEntry, BenchConfig
from accelgym.experiments.manifest import load_manifest, stored_config
from accelgym.experiments.plan import Job
from accelgym.experiments.sessions import software_changes
from accelgym.experiments.store import ERROR, load_run

__all__ = ["AgentRuns", "BenchResults", "TaskResults"]

FloatArray = npt.NDArray[np.float64]


@dataclass(frozen=True)
class AgentRuns:
    """All searches of one agent on one task."""

    agent: AgentEntry
    budget: int
    certificate: Certificate
    """What regrets are measured against."""
    runs: tuple[Trajectory, ...]
    """Searches that are over, by seed."""
    best_designs: tuple[dict[str, Any] | None, ...]
    """``best.json`` of each run; ``None`` where nothing feasible was found."""
    errors: dict[int, str]
    """Failed searches, and those whose files are damaged: seed to message."""
    missing: int
    """Searches that have not run."""
    planned: bool = True
    """Whether the agent searches this task at all."""

    @cached_property
    def regret_curves(self) -> list[FloatArray]:
        """Best-so-far regret after each evaluation, one array per run."""
        return [self.certificate.regret(run.best_so_far) for run in self.runs]

    @cached_property
    def final_regret(self) -> FloatArray:
        """Regret at the end, shape ``(runs,)``; ``inf`` where nothing feasible was found."""
        return self.certificate.regret(np.array([run.best for run in self.runs], dtype=np.float64))

    def cpu_seconds_to(self, target: float) -> FloatArray:
        """CPU seconds (agent and evaluation) of each run until its regret was at most ``target``, else ``inf``."""
        found = []
        for run, curve in zip(self.runs, self.regret_curves, strict=True):
            hit = np.flatnonzero(curve <= target)
            found.append(run.cpu_seconds_after(int(hit[0]) + 1) if len(hit) else np.inf)
        return np.array(found, dtype=np.float64)

    @property
    def given_up_after(self) -> tuple[FloatArray, FloatArray]:
        """Evaluations and CPU seconds after which each run was given up, shape ``(runs,)`` each.

        ``inf`` where a run had nothing left to propose: a larger budget would not have got it further.
        """
        over = [run.evaluations < run.budget for run in self.runs]
        made = [run.evaluations for run in self.runs]
        spent = [run.cpu_seconds_after(run.evaluations) if run.evaluations else 0.0 for run in self.runs]
        return np.where(over, np.inf, made), np.where(over, np.inf, spent)

    @property
    def reproducible(self) -> bool:
        """Whether each run is a function of task, seed and options; not where searches share what they learn."""
        return all(design is None or design.get("reproducible", True) for design in self.best_designs)

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
    """In the order of the config, those that do not search it included."""

    @property
    def audit(self) -> Audit | None:
        """How hard it is; ``None`` where it has not been audited."""
        stored = self.record["audit"]
        return None if stored is None else Audit.from_json(stored)

    @property
    def title(self) -> str:
        """Name in reports."""
        return str(self.record["title"])

    @property
    def split(self) -> str | None:
        """``train`` where it may be tuned on, ``test`` where it was kept aside, ``None`` where nothing is said."""
        stored: str | None = self.record.get("split")
        return stored

    @property
    def exact(self) -> bool:
        """Whether regrets are measured against a proved optimum."""
        return Certificate.from_json(self.record["reference"]).exact


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
            InputError: Not such a folder, one of another schema, a damaged file that all results need, or a search
                that is not of the plan.
            BoundError: An objective lies below the certified bound of its task.
        """
        manifest = load_manifest(out)
        config = stored_config(manifest, out)
        for words in software_changes(manifest["sessions"]):
            warn_input(f"{out}: its searches were made with different software: {words}")
        return cls(config, manifest, tuple(_task(out, config, task_id) for task_id in manifest["tasks"]))


def _task(out: Path, config: BenchConfig, task_id: str) -> TaskResults:
    path = out / "tasks" / f"{task_id}.json"
    try:
        record = read_sealed(path)
    except InputError as error:
        raise InputError(f"{error}; the command that made the folder makes it again") from error
    if record.get("id") != task_id:
        raise InputError(f"{path}: is the record of task {record.get('id')!r}")
    certificate = Certificate.from_json(record["reference"])
    agents = (_agent(out, config, record, agent, certificate) for agent in config.agents)
    return TaskResults(record, tuple(agents))


def _agent(
    out: Path, config: BenchConfig, record: dict[str, Any], agent: AgentEntry, certificate: Certificate
) -> AgentRuns:
    runs, designs, errors, missing = [], [], {}, 0
    budget = config.budget_of(agent)
    if not agent.searches(record["env"]):
        return AgentRuns(agent, budget, certificate, (), (), {}, 0, planned=False)
    for seed in config.seeds_of(agent):
        job = Job(record["id"], record["env"], record["arguments"], agent, budget, seed)
        folder = job.folder(out)
        try:
            found = load_run(folder, job, certificate)
            if found is not None:
                runs.append(found.trajectory)
                designs.append(None if found.best["design"] is None else found.best)
            elif (folder / ERROR).exists():
                errors[seed] = str(read_sealed(folder / ERROR).get("error"))
            else:
                missing += 1
        except DamagedFileError as error:
            errors[seed] = f"{error}; the command that made the folder makes it again"
    return AgentRuns(agent, budget, certificate, tuple(runs), tuple(designs), errors, missing)
