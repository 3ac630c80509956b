"""Teams against a single learner: the same algorithm, task, observation and reward; only who decides what differs."""

from __future__ import annotations

import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from accelgym.agents import search
from accelgym.costmodels.files.csv_table import TableWriter
from accelgym.costmodels.files.plain import count
from accelgym.costmodels.files.whole_file import whole_file
from accelgym.envs.audits import known_audit
from accelgym.envs.multi_agent import Team
from accelgym.envs.registration import make_task
from accelgym.envs.task import Task
from accelgym.experiments.markdown import markdown_table
from accelgym.experiments.multi_agent.independent_ppo import IndependentPPO
from accelgym.experiments.statistics import iqm_interval
from accelgym.experiments.study_log import Row, StudyLog

__all__ = ["SEARCHERS", "TASKS", "format_table", "run_study", "write_csv"]

TASKS: dict[str, tuple[str, dict[str, Any]]] = {
    "assignment": (
        "accelgym/ResourceAssignment-v0",
        {"workload": "confuciux/resnet18", "model": "maestro", "dataflow": "dla", "budget": 0.05},
    ),
    "mapping": (
        "accelgym/Mapping-v0",
        {"workload": "thistle/resnet18", "layer": 9, "architecture": "eyeriss_thistle", "objective": "edp"},
    ),
}
"""An easy task and a hard one."""
SEARCHERS: dict[str, tuple[str, str] | None] = {
    "random": None,
    "one agent": ("design", "turns"),
    "an agent per group": ("group", "turns"),
    "an agent per knob": ("knob", "turns"),
    "per group, in rounds": ("group", "rounds"),
}
"""Division and order of each team; ``None`` draws feasible designs."""


def run_study(out: Path, *, seeds: int = 5, budget: int = 1000) -> list[Row]:
    """Runs every search that is not in the folder yet.

    Args:
        out: Folder of the results; ``runs.jsonl`` receives a line per search.
        seeds: Seeds, from 0.
        budget: Evaluations of each search.

    Raises:
        InputError: No seed, no budget, or a folder with searches of another budget.
    """
    seeds, budget = count(seeds, "seeds", 1, 1000), count(budget, "budget", 1, 10**6)
    built = {name: make_task(env, **arguments) for name, (env, arguments) in TASKS.items()}
    plan = {"budget": budget, "tasks": {name: task.id for name, task in built.items()}}
    log = StudyLog(out / "runs.jsonl", ("task", "searcher", "seed"), plan)
    return [
        log.find(task=name, searcher=searcher, seed=seed) or log.add(_run(name, task, searcher, seed, budget))
        for seed in range(seeds)
        for name, task in built.items()
        for searcher in SEARCHERS
    ]


def _run(name: str, task: Task, searcher: str, seed: int, budget: int) -> Row:
    division = SEARCHERS[searcher]
    certificate = task.reference()
    start = time.process_time()
    if division is None:
        agents = 0
        run = search(task, "random", budget=budget, seed=seed, certificate=certificate)
        score = np.where(run.feasible, run.objective, np.inf)
    else:
        team = Team(task, by=division[0], order=division[1])
        agents = len(team.agents)
        score = IndependentPPO(team, seed=seed).search(budget).score
    seconds = time.process_time() - start
    regret = certificate.regret(np.minimum.accumulate(score))
    audit = known_audit(task)
    return {
        "task": name,
        "task_id": task.id,
        "hardness": None if audit is None else audit.hardness,
        "searcher": searcher,
        "agents": agents,
        "seed": seed,
        "budget": budget,
        "regret_100": float(regret[min(100, len(regret)) - 1]),
        "regret": float(regret[-1]),
        "feasible": float(np.isfinite(score).mean()),
        "cpu_s": seconds,
    }


def write_csv(records: Sequence[Row], path: Path) -> None:
    """Writes a line per search."""
    with whole_file(path) as file:
        writer = TableWriter(file)
        writer.row(list(records[0]))
        for record in records:
            writer.row(list(record.values()))


def format_table(records: Sequence[Row]) -> str:
    """Returns the interquartile means over the seeds as a table in Markdown."""
    rows = []
    for name, searcher in dict.fromkeys((r["task"], r["searcher"]) for r in records):
        own = [r for r in records if (r["task"], r["searcher"]) == (name, searcher)]
        early, final = (np.array([r[key] for r in own]) for key in ("regret_100", "regret"))
        band = iqm_interval([final])
        rows.append(
            [
                f"{name} ({own[0]['hardness'] or 'not audited'})",
                searcher,
                str(own[0]["agents"] or "-"),
                _percent(iqm_interval([early]).value),
                f"{_percent(band.value)} [{_percent(band.low)}, {_percent(band.high)}]",
                f"{np.mean([r['feasible'] for r in own]):.0%}",
                f"{np.mean([r['cpu_s'] for r in own]):.1f}",
            ]
        )
    heads = ("task", "who decides", "agents", "regret at 100", "final regret [95 % CI]", "feasible", "CPU s")
    return markdown_table(heads, rows, left=(0, 1))


def _percent(regret: float) -> str:
    return f"{regret:.1%}" if np.isfinite(regret) else "∞"
