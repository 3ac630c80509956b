"""One search as a benchmark of one job: the same folder, the same files, the same rules."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from accelgym.agents import Trajectory, make_agent
from accelgym.agents.search import MOST_EVALUATIONS
from accelgym.costmodels.certificate import Certificate
from accelgym.costmodels.errors import AccelGymError
from accelgym.costmodels.files.plain import count, native
from accelgym.envs.audits import known_audit
from accelgym.envs.hardness import Audit
from accelgym.envs.registration import named_task
from accelgym.envs.task import Task
from accelgym.experiments.config import BenchConfig
from accelgym.experiments.plan import Job, build_task
from accelgym.experiments.runner import BenchProgress, run_bench
from accelgym.experiments.store import load_run

__all__ = ["SearchResult", "run_search"]


@dataclass(frozen=True)
class SearchResult:
    """A search that is over."""

    folder: Path
    """Where its trajectory, its best design and what the task exports lie."""
    task: Task
    certificate: Certificate
    trajectory: Trajectory
    best: dict[str, Any]
    """``best.json``."""
    audit: Audit | None
    """How hard the task is; ``None`` where it has not been audited."""


def run_search(
    env: str,
    arguments: Mapping[str, Any],
    agent: str,
    *,
    budget: int,
    seed: int,
    out: Path | str,
    options: Mapping[str, Any] | None = None,
    progress: Callable[[BenchProgress], None] | None = None,
) -> SearchResult:
    """Lets an agent search a task, in this process, or goes on with a search that was killed.

    Args:
        env: Environment id.
        arguments: Arguments of the task, as plain data.
        agent: Name of a registered agent.
        budget: Evaluations allowed.
        seed: Seed of the agent.
        out: Folder of the results, as :func:`~accelgym.experiments.run_bench` writes it.
        options: Hyperparameters of the agent.
        progress: Called after every batch.

    Raises:
        InputError: A bad argument, or a folder with other results, of an older schema, or in use.
        BoundError: A feasible design is better than what is proved to be possible.
    """
    out, budget, seed = Path(out), count(budget, "budget", 1, MOST_EVALUATIONS), count(seed, "seed", 0)
    name, specification = named_task(env, arguments)
    settings: dict[str, Any] = native(dict(options or {}))
    # Here and not in the benchmark, whose messages would speak of a config that the caller has never seen.
    task = build_task(name, specification)
    make_agent(agent, task, seed=seed, **settings)
    config = BenchConfig.parse(
        {
            "name": f"{agent} on {name}",
            # A list in a config stands for several tasks.
            "tasks": [{"env": name, "arguments": {key: [value] for key, value in specification.items()}}],
            "agents": [{"name": agent, "label": re.sub(r"[^A-Za-z0-9_.+-]", "-", agent).lstrip("_.+-") or "agent"}],
            "budget": budget,
            "seeds": [seed],
        }
    )
    entry = config.agents[0].model_copy(update={"options": settings})
    config = config.model_copy(update={"agents": (entry,)})
    result = run_bench(config, out, progress=progress, executor="inline", audit=False)
    if result.failures:
        failure = result.failures[0]
        raise failure.cause or AccelGymError(failure.error)
    job = Job(task.id, name, specification, entry, budget, seed)
    reference = task.reference()
    found = load_run(job.folder(out), job, reference)
    if found is None:
        raise AccelGymError(f"{job.folder(out)}: the result is gone")
    return SearchResult(job.folder(out), task, reference, found.trajectory, found.best, known_audit(task))
