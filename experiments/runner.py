"""Runs a benchmark: all searches of a config, in parallel, resumable at any moment."""

from __future__ import annotations

import math
import os
from collections import Counter, defaultdict
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from accelgym.costmodels.workloads.yaml_source import YamlSource
from accelgym.experiments.config import BenchConfig, load_config
from accelgym.experiments.files import write_json
from accelgym.experiments.manifest import Manifest
from accelgym.experiments.plan import Job, PlannedTask, check_agents, plan_jobs, plan_tasks, task_record
from accelgym.experiments.pool import WorkerPool

__all__ = ["BenchProgress", "BenchResult", "JobFailure", "run_bench"]


@dataclass(frozen=True)
class BenchProgress:
    """How far a benchmark is."""

    jobs_done: int
    """Searches that are over, failed ones included."""
    jobs_total: int
    evaluations_done: int
    """Evaluations of searches that are over or under way."""
    evaluations_total: int
    failures: int
    note: str
    """The search that the news is about."""


@dataclass(frozen=True)
class JobFailure:
    """A search that ended in an error."""

    job: Job
    error: str


@dataclass(frozen=True)
class BenchResult:
    """What a run of the benchmark did."""

    out: Path
    jobs: int
    """Searches of the benchmark."""
    skipped: int
    """Searches that were over before."""
    failures: tuple[JobFailure, ...]
    """Searches that failed now; the same call tries them again."""


def run_bench(
    config: BenchConfig | Path | str,
    out: Path,
    *,
    progress: Callable[[BenchProgress], None] | None = None,
) -> BenchResult:
    """Runs all searches of a benchmark that are not over yet.

    Each search is a function of task, agent, budget and seed alone: neither the number of workers, nor the order
    of the jobs, nor a kill at any moment changes its evaluations. The folder receives ``manifest.json``,
    ``tasks/<task-id>.json`` and ``runs/<task-id>/<agent>/seed-<n>/``, the last with ``trajectory.npz`` and
    ``best.json``, or with ``error.json`` when the search failed.

    Args:
        config: The benchmark, a YAML file with it, or the name of a shipped config.
        out: Folder of the results; the same call goes on with what is there.
        progress: Called when a search advances or is over.

    Raises:
        InputError: A fault in the config, or a folder that holds another benchmark. Raised before anything runs.
        MissingExtraError: An agent needs a package that is not installed.
    """
    source: YamlSource | None = None
    if not isinstance(config, BenchConfig):
        config, source = load_config(config)
    planned = plan_tasks(config, source)
    jobs = plan_jobs(config, planned)
    manifest = Manifest(out, config, planned)
    todo = [job for job in jobs if not (job.folder(out) / "trajectory.npz").exists()]
    check_agents(todo, planned, config, source)
    _write_tasks(out, planned)
    workers = config.workers or min(2, os.cpu_count() or 1)
    bench = _Bench(out, jobs, todo, planned, manifest, progress)
    if todo:
        manifest.open_session(workers)
        try:
            bench.run(min(workers, len(todo)))
        finally:
            manifest.close_session()
    return BenchResult(out, len(jobs), len(jobs) - len(todo), tuple(bench.failures))


def _write_tasks(out: Path, planned: Sequence[PlannedTask]) -> None:
    for p in planned:
        path = out / "tasks" / f"{p.task.id}.json"
        if not path.exists():
            write_json(path, task_record(p))


class _Bench:
    """The loop over jobs, and what is known about those under way."""

    def __init__(
        self,
        out: Path,
        jobs: Sequence[Job],
        todo: Sequence[Job],
        planned: Sequence[PlannedTask],
        manifest: Manifest,
        progress: Callable[[BenchProgress], None] | None,
    ) -> None:
        self.failures: list[JobFailure] = []
        self._out = out
        self._jobs = jobs
        self._pending = list(todo)
        self._titles = {p.task.id: p.title for p in planned}
        self._optimum = {p.task.id: p.task.reference().value for p in planned}
        self._manifest = manifest
        self._progress = progress
        self._over = len(jobs) - len(todo)
        self._evaluations = {str(job): job.budget for job in jobs} | {str(job): 0 for job in todo}
        self._durations = _Durations()

    def run(self, workers: int) -> None:
        """Runs the pending jobs."""
        with WorkerPool(workers, self._out) as pool:
            while self._pending or pool.running:
                while self._pending and pool.has_room:
                    job = self._durations.longest(self._pending)
                    self._pending.remove(job)
                    pool.start(job)
                self._take(*pool.next_event())

    def _take(self, job: Job, event: dict[str, Any]) -> None:
        note = f"{job.agent.label} seed {job.seed} on {self._titles[job.task_id]}"
        if event["event"] == "progress":
            self._evaluations[str(job)] = event["evaluations"]
            found = math.isfinite(event["best"])
            note += f": regret {event['best'] / self._optimum[job.task_id] - 1:.3%}" if found else ": nothing feasible"
        else:
            self._over += 1
            self._evaluations[str(job)] = job.budget
            self._manifest.add_job(event["cpu_s"])
            if event["event"] == "failed":
                self._fail(job, event)
                note += f" failed: {event['error']}"
            else:
                self._durations.add(job, event["cpu_s"])
        if self._progress is not None:
            total = sum(job.budget for job in self._jobs)
            done = sum(self._evaluations.values())
            self._progress(BenchProgress(self._over, len(self._jobs), done, total, len(self.failures), note))

    def _fail(self, job: Job, event: dict[str, Any]) -> None:
        self.failures.append(JobFailure(job, event["error"]))
        record = {"error": event["error"], "traceback": event["traceback"]}
        write_json(job.folder(self._out) / "error.json", record)


class _Durations:
    """Guesses how long jobs take, so that long ones start first and all workers end together."""

    def __init__(self) -> None:
        self._cpu_s: defaultdict[tuple[str, str], float] = defaultdict(float)
        self._over: Counter[tuple[str, str]] = Counter()
        self._started: Counter[str] = Counter()

    def longest(self, jobs: Sequence[Job]) -> Job:
        """Returns the job with the longest guess; agents not seen yet come first, one by one."""
        job = max(jobs, key=lambda job: (self._guess(job), -self._started[job.agent.label]))
        self._started[job.agent.label] += 1
        return job

    def add(self, job: Job, cpu_s: float) -> None:
        """Takes note of what a job took."""
        for key in ((job.agent.label, job.task_id), (job.agent.label, "")):
            self._cpu_s[key] += cpu_s
            self._over[key] += 1

    def _guess(self, job: Job) -> float:
        for key in ((job.agent.label, job.task_id), (job.agent.label, "")):
            if self._over[key]:
                return self._cpu_s[key] / self._over[key]
        return math.inf
