"""Runs a benchmark: all searches of a config, in parallel, resumable at any moment."""

from __future__ import annotations

import math
from collections import Counter, defaultdict
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

from accelgym.costmodels.errors import DamagedFileError, warn_input
from accelgym.costmodels.executors import Event, Executor, make_executor
from accelgym.costmodels.files.json_file import read_sealed, write_sealed
from accelgym.costmodels.files.lock import folder_lock
from accelgym.costmodels.files.plain import as_folder, count, plain
from accelgym.costmodels.files.yaml_source import YamlSource
from accelgym.envs.audits import known_audit
from accelgym.experiments.config import BenchConfig, load_config
from accelgym.experiments.manifest import Manifest
from accelgym.experiments.plan import Job, PlannedTask, check_agents, plan_jobs, plan_tasks, task_record
from accelgym.experiments.store import ERROR, load_run
from accelgym.experiments.worker import SEARCH_JOB

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
    cause: BaseException | None = None
    """The exception, where the search ran in this process."""


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
    out: Path | str,
    *,
    progress: Callable[[BenchProgress], None] | None = None,
    executor: str = "process",
    address: str | None = None,
    workers: int | None = None,
    cache: Path | str | None = None,
    audit: bool = True,
) -> BenchResult:
    """Runs all searches of a benchmark that are not over yet.

    Each search is a function of task, agent, budget and seed alone: neither the number of workers, nor the order
    of the jobs, nor a kill at any moment changes its evaluations. The folder receives ``manifest.json``,
    ``tasks/<task-id>.json`` and ``runs/<task-id>/<agent>/seed-<n>/``, the last with ``trajectory.npz`` and
    ``best.json``, or with ``error.json`` when the search failed. What is there counts only if it is whole and what
    is planned: a damaged search is made again, one of another plan is an error.

    Args:
        config: The benchmark, a YAML file with it, or the name of a shipped config.
        out: Folder of the results; the same call goes on with what is there.
        progress: Called when a search advances or is over.
        executor: ``"process"`` searches in other processes side by side, ``"inline"`` in this one, ``"ray"`` on a Ray
            cluster whose machines share ``out``.
        address: Of a running Ray cluster; without one it is started on this machine.
        workers: Searches running at a time, instead of the config's number.
        cache: Folder in which evaluations are kept and looked up by their content, for slow cost models, see
            :class:`~accelgym.experiments.evaluation_cache.EvaluationCache`.
        audit: Whether to audit tasks for the report of which no audit is known.

    Raises:
        InputError: A fault in the config, a folder that holds another benchmark or an older schema, or that another
            process uses. Raised before anything runs.
        BoundError: A stored objective lies below the certified bound of its task.
        MissingExtraError: An agent or the executor needs a package that is not installed.
    """
    source: YamlSource | None = None
    out = as_folder(out, "out")
    if not isinstance(config, BenchConfig):
        config, source = load_config(config)
    wanted = config.workers if workers is None else count(workers, "workers", 1)
    # An address where nobody answers is told before anything is proved or planned.
    pool = make_executor(
        executor,
        SEARCH_JOB,
        workers=wanted,
        address=address,
        log=out / "workers.log",
        progress=lambda event: bench.take(event),
    )
    planned = plan_tasks(config, source)
    jobs = plan_jobs(config, planned, source)
    with folder_lock(out):
        manifest = Manifest(out, config, planned)
        todo = _pending(out, jobs, planned)
        check_agents(todo, planned, config, source)
        _write_tasks(out, planned, audit=audit)
        bench = _Bench(out, jobs, todo, planned, manifest, progress, None if cache is None else Path(cache))
        if todo:
            with pool as ready:
                manifest.open_session(ready.size)
                try:
                    bench.run(ready)
                finally:
                    manifest.sessions.close()
        else:
            manifest.keep()
    return BenchResult(out, len(jobs), len(jobs) - len(todo), tuple(bench.failures))


def _pending(out: Path, jobs: Sequence[Job], planned: Sequence[PlannedTask]) -> list[Job]:
    """Returns the jobs without a whole result; a damaged one is said."""
    references = {p.task.id: p.task.reference() for p in planned}
    todo = []
    for job in jobs:
        try:
            found = load_run(job.folder(out), job, references[job.task_id])
        except DamagedFileError as error:
            warn_input(f"{error}; it is made again")
            found = None
        if found is None:
            todo.append(job)
    return todo


def _write_tasks(out: Path, planned: Sequence[PlannedTask], *, audit: bool) -> None:
    """Writes the record of each task that has none, a damaged one, or one with another certificate or title."""
    for p in planned:
        path = out / "tasks" / f"{p.task.id}.json"
        reference = plain(p.task.reference().to_json())
        try:
            stored = read_sealed(path) if path.exists() else {}
        except DamagedFileError as error:
            warn_input(f"{error}; it is made again")
            stored = {}
        known = stored.get("reference", {})
        changed = any(known.get(key) != reference[key] for key in ("value", "design", "lower_bound", "method"))
        changed = changed or (stored.get("title"), stored.get("split")) != (p.title, p.split)
        if changed or (stored["audit"] is None and (audit or known_audit(p.task) is not None)):
            write_sealed(path, task_record(p, audit=audit))


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
        cache: Path | None,
    ) -> None:
        self._cache = cache
        self.failures: list[JobFailure] = []
        self._out = out
        self._jobs = jobs
        self._pending = list(todo)
        self._titles = {p.task.id: p.title for p in planned}
        self._references = {p.task.id: p.task.reference() for p in planned}
        self._manifest = manifest
        self._progress = progress
        self._over = len(jobs) - len(todo)
        self._by_key = {str(job): job for job in jobs}
        self._evaluations = {str(job): job.budget for job in jobs} | {str(job): 0 for job in todo}
        self._durations = _Durations()

    def run(self, pool: Executor) -> None:
        """Runs the pending jobs."""
        while self._pending or pool.running:
            while self._pending and pool.has_room:
                job = self._durations.longest(self._pending)
                self._pending.remove(job)
                pool.start(str(job), job.order(self._out, self._cache))
            self.take(pool.next_event())

    def take(self, event: Event) -> None:
        """Takes note of news of a job."""
        job = self._by_key[event.key]
        note = f"{job.agent.label} seed {job.seed} on {self._titles[job.task_id]}"
        if event.kind == "progress":
            self._evaluations[event.key] = event.data["evaluations"]
            best = event.data["best"]
            found = best is not None and math.isfinite(best)
            note += f": regret {self._references[job.task_id].regret(best):.3%}" if found else ": nothing feasible"
        else:
            self._over += 1
            self._evaluations[event.key] = job.budget
            self._manifest.sessions.add(event.cpu_s, jobs=1)
            if event.kind == "failed":
                self._fail(job, event)
                note += f" failed: {event.error}"
            else:
                self._durations.add(job, event.cpu_s)
        if self._progress is not None:
            total = sum(job.budget for job in self._jobs)
            done = sum(self._evaluations.values())
            self._progress(BenchProgress(self._over, len(self._jobs), done, total, len(self.failures), note))

    def _fail(self, job: Job, event: Event) -> None:
        self.failures.append(JobFailure(job, event.error, event.cause))
        write_sealed(job.folder(self._out) / ERROR, {"error": event.error, "traceback": event.traceback})


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
