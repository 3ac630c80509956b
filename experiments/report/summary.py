"""The numbers of a benchmark: one row per agent and task, and one per agent over all tasks."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass, fields
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from accelgym.costmodels.files.csv_table import TableWriter
from accelgym.costmodels.files.json_file import write_json
from accelgym.costmodels.files.plain import plain
from accelgym.costmodels.files.whole_file import whole_file
from accelgym.envs.hardness import Audit
from accelgym.experiments.results import AgentRuns, BenchResults
from accelgym.experiments.statistics import expected_running_time, hitting_times, iqm_interval

__all__ = ["ALL_TASKS", "TARGETS", "SummaryRow", "summarise", "write_summary"]

ALL_TASKS = "all tasks"
"""Stands for the task in rows over all of them."""
TARGETS = (0.01, 0.001)
"""Regrets that count as success: 1 % and 0.1 %."""

FloatArray = npt.NDArray[np.float64]


@dataclass(frozen=True)
class SummaryRow:
    """How one agent did on one task, or over all tasks; figures are ``None`` without a finished run."""

    task: str
    task_id: str
    hardness: str | None
    """Class of the task, one of :data:`~accelgym.envs.hardness.HARDNESS`; ``None`` where it is not known."""
    flags: str
    """Flags of its audit, separated by commas."""
    agent: str
    budget: int
    """Evaluations allowed per run."""
    capped: bool
    """Whether that is less than the benchmark's budget."""
    runs: int
    failed: int
    missing: int
    regret_iqm: float | None
    """Interquartile mean of the final regret, ``None`` also when infinite."""
    regret_low: float | None
    """Lower end of its 95 % bootstrap interval."""
    regret_high: float | None
    regret_best: float | None
    """Of the best run."""
    success_1pct: float | None
    """Share of runs that came within 1 % of the optimum."""
    success_01pct: float | None
    """Share of runs that came within 0.1 %."""
    evaluations_to_1pct: float | None
    """Expected running time to 1 % in evaluations; ``None`` when no run got there."""
    cpu_s_to_1pct: float | None
    """The same in CPU seconds, agent and evaluation together."""
    feasible_fraction: float | None
    """Share of all evaluated designs that were feasible."""
    evaluations: float | None
    """Mean evaluations made per run."""
    distinct_designs: float | None
    """Mean number of different designs per run."""
    agent_cpu_s: float | None
    """Mean CPU seconds per run in the agent."""
    evaluation_cpu_s: float | None
    """Mean CPU seconds per run in evaluations."""
    agent_cpu_share: float | None


def summarise(results: BenchResults) -> list[SummaryRow]:
    """Returns the rows of every task in turn, and with several tasks those over all of them at the end.

    Agents that search some of the tasks only have no row over all.
    """
    budget = results.config.budget
    rows = [
        _row(task.title, str(task.record["id"]), task.audit, [runs], budget)
        for task in results.tasks
        for runs in task.agents
        if runs.planned
    ]
    if len(results.tasks) > 1:
        by_agent = zip(*(task.agents for task in results.tasks), strict=True)
        everywhere = (list(runs) for runs in by_agent if all(r.planned for r in runs))
        rows += [_row(ALL_TASKS, "", None, runs, budget) for runs in everywhere]
    return rows


def write_summary(results: BenchResults, rows: Sequence[SummaryRow], out: Path) -> None:
    """Writes ``summary.json`` and ``summary.csv``; an empty field is a figure that does not exist."""
    data: list[dict[str, Any]] = [plain(asdict(row)) for row in rows]
    tasks = [
        {key: task.record[key] for key in ("id", "title", "env", "arguments", "reference", "audit")}
        for task in results.tasks
    ]
    errors = [
        {"task": task.title, "agent": runs.agent.label, "seed": seed, "error": error}
        for task in results.tasks
        for runs in task.agents
        for seed, error in runs.errors.items()
    ]
    write_json(
        out / "summary.json",
        {"name": results.config.name, "config": results.config.identity(), "tasks": tasks, "rows": data}
        | {"failures": errors},
    )
    with whole_file(out / "summary.csv") as file:
        writer = TableWriter(file)
        names = [field.name for field in fields(SummaryRow)]
        writer.row(names)
        for row in data:
            writer.row([row[name] for name in names])


def _row(task: str, task_id: str, audit: Audit | None, strata: Sequence[AgentRuns], common_budget: int) -> SummaryRow:
    """Summarises the runs of one agent; each stratum is a task."""
    agent = strata[0].agent
    head: dict[str, Any] = {
        "task": task,
        "task_id": task_id,
        "hardness": None if audit is None else audit.hardness,
        "flags": "" if audit is None else ", ".join(audit.flags),
        "agent": agent.label,
        "budget": strata[0].budget,
        "capped": strata[0].budget < common_budget,
        "runs": sum(len(s.runs) for s in strata),
        "failed": sum(len(s.errors) for s in strata),
        "missing": sum(s.missing for s in strata),
    }
    done = [s for s in strata if s.runs]
    if not done:
        names = [field.name for field in fields(SummaryRow) if field.name not in head]
        return SummaryRow(**head | dict.fromkeys(names))
    runs = [run for s in done for run in s.runs]
    regret = iqm_interval([s.final_regret for s in done])
    curves = [curve for s in done for curve in s.regret_curves]
    times = {target: hitting_times(curves, target) for target in TARGETS}
    made = np.array([run.evaluations for run in runs], dtype=np.float64)
    agent_cpu = np.array([run.agent_cpu_s[-1] if len(run.agent_cpu_s) else 0.0 for run in runs])
    evaluation_cpu = np.array([run.evaluation_cpu_s[-1] if len(run.agent_cpu_s) else 0.0 for run in runs])
    cpu_times = np.concatenate([s.cpu_seconds_to(TARGETS[0]) for s in done])
    feasible = sum(int(run.feasible.sum()) for run in runs)
    return SummaryRow(
        **head,
        regret_iqm=_finite(regret.value),
        regret_low=_finite(regret.low),
        regret_high=_finite(regret.high),
        regret_best=_finite(min(float(s.final_regret.min()) for s in done)),
        success_1pct=float(np.isfinite(times[TARGETS[0]]).mean()),
        success_01pct=float(np.isfinite(times[TARGETS[1]]).mean()),
        evaluations_to_1pct=_finite(expected_running_time(times[TARGETS[0]], made)),
        cpu_s_to_1pct=_finite(expected_running_time(cpu_times, agent_cpu + evaluation_cpu)),
        feasible_fraction=feasible / made.sum() if made.sum() else None,
        evaluations=float(made.mean()),
        distinct_designs=float(np.mean([run.distinct_designs for run in runs])),
        agent_cpu_s=float(agent_cpu.mean()),
        evaluation_cpu_s=float(evaluation_cpu.mean()),
        agent_cpu_share=_finite(agent_cpu.sum() / max(agent_cpu.sum() + evaluation_cpu.sum(), 1e-12)),
    )


def _finite(value: Any) -> float | None:
    return float(value) if np.isfinite(value) else None
