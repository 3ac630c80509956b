"""The process that searches: jobs arrive as JSON lines on standard input, events leave on standard output."""

from __future__ import annotations

import json
import os
import sys
import time
import traceback
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import lru_cache
from pathlib import Path
from typing import IO, Any

from accelgym.agents import make_agent, search
from accelgym.costmodels.errors import AccelGymError
from accelgym.envs.registration import make_task
from accelgym.envs.task import Task
from accelgym.experiments.config import AgentEntry
from accelgym.experiments.files import write_json
from accelgym.experiments.plan import Job, design_details

__all__ = ["main", "run_job"]

_SECONDS_BETWEEN_EVENTS = 0.2

Report = Callable[[int, float], None]


def run_job(job: Job, out: Path, report: Report) -> float:
    """Runs one search to its end, or goes on with one that was killed.

    Args:
        job: The search.
        out: Folder of the benchmark.
        report: Called after every batch with the evaluations made and the best feasible objective.

    Returns:
        CPU seconds spent; 0 when the search was over already.
    """
    folder = job.folder(out)
    folder.mkdir(parents=True, exist_ok=True)
    with _exclusive(folder / "lock"):
        if (folder / "trajectory.npz").exists():
            return 0.0
        (folder / "error.json").unlink(missing_ok=True)
        task = _task(job.env, json.dumps(job.arguments, sort_keys=True))
        _warm_up(job.agent.name, task, json.dumps(job.agent.options, sort_keys=True))
        start = time.process_time()
        journal = folder / "journal"
        trajectory = search(
            task,
            job.agent.name,
            budget=job.budget,
            seed=job.seed,
            options=dict(job.agent.options),
            journal=journal,
            progress=report,
        )
        cpu_s = time.process_time() - start
        write_json(folder / "best.json", design_details(task, trajectory.best_design))
        trajectory.save(folder / "trajectory.npz")
        journal.unlink()
    return cpu_s


def main() -> None:
    """Serves jobs until standard input closes."""
    # What agents print must not mix with the events: standard output becomes the log, the pipe gets a new name.
    with os.fdopen(os.dup(1), "w", buffering=1) as channel:
        os.dup2(2, 1)
        for line in sys.stdin:
            _serve(json.loads(line), channel)


def _serve(order: dict[str, Any], channel: IO[str]) -> None:
    out = Path(order.pop("out"))
    job = Job(**(order | {"agent": AgentEntry(**order["agent"])}))
    start = time.process_time()
    try:
        _send(channel, {"event": "done", "cpu_s": run_job(job, out, _reporter(channel))})
    except Exception as error:
        known = isinstance(error, AccelGymError)
        text = str(error) if known else f"{type(error).__name__}: {error}"
        cpu_s = time.process_time() - start
        failure = {"error": text, "traceback": traceback.format_exc()}
        _send(channel, {"event": "failed", "cpu_s": cpu_s, **failure})


def _reporter(channel: IO[str]) -> Report:
    """Returns a callback that tells the parent how the search goes, and ends the process when it has none.

    A search whose parent was killed would go on writing to a journal that the resumed benchmark replays.
    """
    parent = os.getppid()
    last = 0.0

    def report(evaluations: int, best: float) -> None:
        nonlocal last
        if os.getppid() != parent:
            os._exit(1)
        now = time.monotonic()
        if now - last >= _SECONDS_BETWEEN_EVENTS:
            last = now
            _send(channel, {"event": "progress", "evaluations": evaluations, "best": best})

    return report


def _send(channel: IO[str], event: dict[str, Any]) -> None:
    try:
        channel.write(json.dumps(event) + "\n")
        channel.flush()
    except BrokenPipeError:
        os._exit(1)


@lru_cache(maxsize=8)
def _task(env: str, arguments: str) -> Task:
    """Builds and tabulates a task once per process, so that no search pays for it."""
    task = make_task(env, **json.loads(arguments))
    task.reference()
    return task


@lru_cache(maxsize=256)
def _warm_up(agent: str, task: Task, options: str) -> None:
    """Builds the agent once and drops it, so that no search pays for its imports."""
    make_agent(agent, task, seed=0, **json.loads(options))


@contextmanager
def _exclusive(path: Path) -> Iterator[None]:
    """Holds a lock that the kernel releases when the process ends, however it ends."""
    import fcntl

    with path.open("w") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        yield


if __name__ == "__main__":
    main()
