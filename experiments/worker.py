"""The job that an executor runs: one search, into its folder."""

from __future__ import annotations

import json
from collections.abc import Mapping
from functools import lru_cache
from pathlib import Path
from typing import Any

from accelgym.agents import make_agent, search
from accelgym.costmodels.errors import DamagedFileError
from accelgym.costmodels.executors import Report
from accelgym.costmodels.files.lock import folder_lock
from accelgym.envs.task import Task
from accelgym.experiments.evaluation_cache import EvaluationCache
from accelgym.experiments.plan import Job, build_task
from accelgym.experiments.store import ERROR, JOURNAL, load_trajectory, save_run

__all__ = ["SEARCH_JOB", "search_job"]

SEARCH_JOB = "accelgym.experiments.worker:search_job"


def search_job(order: Mapping[str, Any], report: Report) -> dict[str, Any]:
    """Runs one search to its end, or goes on with one that was killed.

    Args:
        order: A job and its folder, see :meth:`~accelgym.experiments.plan.Job.order`.
        report: Told, after every batch, the ``evaluations`` made and the ``best`` feasible objective (``None``
            before there is one).

    Returns:
        Nothing; the results are in the folder.
    """
    job, out = Job.from_order(order)
    folder = job.folder(out)
    # Waits for a worker whose benchmark was killed and which has not noticed yet.
    with folder_lock(folder, wait=True):
        (folder / ERROR).unlink(missing_ok=True)
        task = build_task(job.env, job.arguments)
        # No search pays for tabulating its task, nor for the imports of its agent.
        certificate = task.reference()
        notes: dict[str, Any] = {}
        try:
            trajectory = load_trajectory(folder, job, certificate)
        except DamagedFileError:
            trajectory = None
        if trajectory is None:
            reproducible = _warm_up(job.agent.name, task, json.dumps(job.agent.options, sort_keys=True))
            cached = EvaluationCache(Path(order["cache"]), task) if "cache" in order else None
            trajectory = search(
                task,
                job.agent.name,
                budget=job.budget,
                seed=job.seed,
                options=job.agent.options,
                journal=folder / JOURNAL,
                progress=lambda made, best: report({"evaluations": made, "best": best}),
                certificate=certificate,
                evaluate=None if cached is None else cached.evaluate,
            )
            if not reproducible:
                notes["reproducible"] = False
            if cached is not None:
                notes["cached_evaluations"] = cached.hits
        save_run(folder, job, task, trajectory, notes)
        (folder / JOURNAL).unlink(missing_ok=True)
    return {}


@lru_cache(maxsize=256)
def _warm_up(agent: str, task: Task, options: str) -> bool:
    return make_agent(agent, task, seed=0, **json.loads(options)).reproducible
