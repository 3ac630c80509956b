"""Measurements of the study of the joint space."""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import asdict, dataclass
from functools import cache
from itertools import product
from pathlib import Path
from typing import Any

import numpy as np

from accelgym.agents import search
from accelgym.agents.adapters.nsga2 import nsga2_front
from accelgym.costmodels.workloads import load_workload
from accelgym.envs.joint import JointTask
from accelgym.envs.joint.fronts import exact_front, figures_of, objective_names
from accelgym.envs.pareto import relative_hypervolume
from accelgym.experiments.study_log import Row, StudyLog

__all__ = ["BUDGETS", "LEARNED_BUDGETS", "SETTINGS", "SMALL_FRONT", "Job", "jobs", "run_study", "small_front"]

SETTINGS: dict[str, dict[str, Any]] = {
    "CNN": {},
    "transformer": {"network": "glyph_vit", "max_loss": 0.01, "area_budget": 250_000},
    "language model": {"network": "text_lm", "objective": "energy", "max_loss": 0.02, "area_budget": 300_000},
    "GPT-2 decode": {"workload": "gpt2/decode_block", "max_loss": 0.04, "area_budget": 400_000},
}
"""Arguments of ``accelgym/Joint-v0`` by a short name."""
SMALL_FRONT: dict[str, Any] = {
    "machines": "standard",
    "types": ["int4/int8"],
    "max_loss": 0.03,
    "area_budget": 400_000,
}
"""Arguments of a task whose front is enumerated: both layers of the feed-forward part of GPT-2's block, one token."""
BUDGETS = (100, 1000, 10_000)
"""Evaluations at which regrets are taken."""
LEARNED_BUDGETS = (1000, 10_000)
"""Evaluations that policy gradients are given."""
_FAST = ("random", "ga", "annealing")
_FEED_FORWARD = ("up", "act", "down")
_FRONT_BUDGETS = (200, 1000, 5000)


@dataclass(frozen=True)
class Job:
    """One measurement."""

    kind: str
    """``search`` or ``front``."""
    setting: str
    agent: str
    budget: int
    seed: int
    order: str = "machine_first"


def jobs(
    fast_seeds: int = 5, learned_seeds: int = 5, learned_budgets: Sequence[int] = LEARNED_BUDGETS
) -> Iterator[Job]:
    """Yields the measurements, the cheap ones first.

    Args:
        fast_seeds: Seeds of random search, GA and annealing, 10,000 evaluations each.
        learned_seeds: Seeds of the policy gradients.
        learned_budgets: Their evaluations. A policy gradient lays out its rollouts for the budget it is given.
    """
    for seed in range(fast_seeds):
        for setting in SETTINGS:
            for agent in _FAST:
                yield Job("search", setting, agent, BUDGETS[-1], seed)
        for budget in _FRONT_BUDGETS:
            yield Job("front", "small", "nsga2", budget, seed)
            yield Job("front", "small", "random", budget, seed)
    for budget, seed in product(learned_budgets, range(learned_seeds)):
        for setting in SETTINGS:
            yield Job("search", setting, "maskable_ppo", budget, seed)
        for setting in SETTINGS:
            yield Job("search", setting, "maskable_ppo", budget, seed, "machine_last")
        for setting in SETTINGS:
            yield Job("search", setting, "ppo", budget, seed)


def run_study(
    out: Path, planned: Iterator[Job], progress: Callable[[str], None], cpu_limit_s: float = float("inf")
) -> list[Row]:
    """Makes the measurements that are not in a folder yet, and returns all of them.

    Args:
        out: The folder; ``measurements.jsonl`` receives them.
        planned: The measurements.
        progress: Called with each measurement and its CPU seconds.
        cpu_limit_s: No measurement begins after so many CPU seconds, those of earlier calls included.
    """
    log = StudyLog(out / "measurements.jsonl", ("job",))
    for job in planned:
        if log.find(job=asdict(job)):
            continue
        if sum(row["cpu_s"] for row in log.rows) >= cpu_limit_s:
            break
        measure = _search if job.kind == "search" else _front
        task = _task(job)
        task.reference()
        start = time.process_time()
        found = measure(task, job)
        row = log.add({"job": asdict(job), **found, "cpu_s": time.process_time() - start})
        progress(f"{job.setting}, {job.agent}, {job.budget:,}, seed {job.seed}, {job.order}: {row['cpu_s']:.1f} s")
    return log.rows


def _task(job: Job) -> JointTask:
    if job.kind == "front":
        return small_front()
    return _made(json.dumps(SETTINGS[job.setting] | {"order": job.order}))


@cache
def small_front() -> JointTask:
    """Returns the task of :data:`SMALL_FRONT`."""
    block = load_workload("gpt2/decode_block")
    part = block.select([layer.name for layer in block.layers if layer.name in _FEED_FORWARD], name="feed-forward")
    return JointTask(workload_object=part, **SMALL_FRONT)


@cache
def _made(arguments: str) -> JointTask:
    return JointTask(**json.loads(arguments))


def _search(task: JointTask, job: Job) -> Row:
    """Regrets at the budgets that the search reaches."""
    found = search(task, job.agent, budget=job.budget, seed=job.seed)
    best = found.best_so_far
    regrets = {
        str(budget): float(task.reference().regret(float(best[min(budget, len(best)) - 1])))
        for budget in BUDGETS
        if budget <= job.budget
    }
    return {"regret": regrets}


def _front(task: JointTask, job: Job) -> Row:
    """Share of the exact front's hypervolume that a set of evaluated designs covers."""
    _, front = _exact(task)
    if job.agent == "random":
        designs = task.sample_feasible(np.random.default_rng(job.seed), job.budget)
    else:
        designs, _ = nsga2_front(task, objective_names(task), job.budget, job.seed)
    return {"hypervolume": relative_hypervolume(figures_of(task, designs), front), "points": len(front)}


@cache
def _exact(task: JointTask) -> Any:
    return exact_front(task)
