"""Agents compared over all tasks of a benchmark, with what a reviewer asks for."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from accelgym.costmodels.errors import MissingExtraError
from accelgym.costmodels.files.json_file import write_json
from accelgym.costmodels.files.plain import plain
from accelgym.experiments.rank_tests import Friedman, PairedTest, friedman, wilcoxon_holm
from accelgym.experiments.results import AgentRuns, BenchResults
from accelgym.experiments.statistics import (
    curves_on_grid,
    hitting_times,
    iqm,
    iqm_interval,
    performance_profile,
    probability_of_improvement,
    success_rate,
    time_to_success,
)

__all__ = ["CHECKPOINTS", "AnytimeRow", "RankComparison", "anytime", "compare", "compare_ranks", "write_comparison"]

CHECKPOINTS = (100, 1_000, 10_000)
"""Evaluations at which agents are compared."""
_THRESHOLDS = tuple(float(x) for x in np.geomspace(1e-4, 1e1, 41))
"""Regrets of a performance profile."""
_TARGETS = (0.1, 0.01, 0.001)

FloatArray = npt.NDArray[np.float64]


@dataclass(frozen=True)
class AnytimeRow:
    """Regret of one agent after some evaluations, over the tasks of one class or over all."""

    agent: str
    hardness: str
    """A class, or ``all``."""
    evaluations: int
    tasks: int
    runs: int
    regret_iqm: float
    """``inf`` where more than a quarter of the runs had found nothing feasible."""
    regret_low: float
    regret_high: float


@dataclass(frozen=True)
class RankComparison:
    """Whether agents differ over the tasks, scores being the interquartile means of final regrets."""

    agents: tuple[str, ...]
    """Those that search every task with the budget of all, in the order of the config."""
    tasks: int
    friedman: Friedman
    pairs: tuple[PairedTest, ...]
    """Of every two agents, which they name by their places."""


def anytime(results: BenchResults) -> list[AnytimeRow]:
    """Returns the interquartile mean of regret at each of :data:`CHECKPOINTS` that a budget reaches.

    An agent has rows where all the tasks that it searches have runs; those that search some of the tasks only are to
    be read beside the number of tasks.
    """
    rows = []
    for place, agent in enumerate(results.config.agents):
        own = [(task, task.agents[place]) for task in results.tasks if task.agents[place].runs]
        classes = dict.fromkeys(task.audit.hardness for task, _ in own if task.audit)
        for hardness in ("all", *classes):
            chosen = [
                runs for task, runs in own if hardness == "all" or (task.audit and task.audit.hardness == hardness)
            ]
            for evaluations in (x for x in CHECKPOINTS if x <= results.config.budget_of(agent)):
                strata = [_regret_after(runs, evaluations) for runs in chosen]
                found = iqm_interval(strata)
                row = (float(found.value), float(found.low), float(found.high))
                rows.append(AnytimeRow(agent.label, hardness, evaluations, len(strata), sum(map(len, strata)), *row))
    return rows


def compare(results: BenchResults) -> dict[str, Any]:
    """Returns every statistic of the comparison as data.

    ``anytime``: :func:`anytime`. ``profiles``: share of runs at or below each regret. ``targets``: success rate, median
    evaluations and CPU seconds to 10 %, 1 % and 0.1 %, runs that missed it censored. ``improvement``: probability that
    an agent's run beats another's on a task. ``ranks``: Friedman's test over tasks with the critical difference, and
    Wilcoxon's of every pair after Holm; ``None`` with less than two tasks or agents, or without SciPy. The last two are
    over agents that search every task with the budget of all.
    """
    own = _runs_by_agent(results)
    equal = _equal_agents(results, own)
    labels = list(own)
    return {
        "anytime": [asdict(row) for row in anytime(results)],
        "profiles": _profiles({label: own[label] for label in labels if own[label]}),
        "targets": [entry for label in labels for entry in _targets(label, own[label])],
        "improvement": _improvement(own, equal),
        "ranks": _ranks(compare_ranks(results)),
    }


def compare_ranks(results: BenchResults) -> RankComparison | None:
    """Tests the agents' ranks over the tasks; ``None`` with less than two tasks or agents, or without SciPy."""
    own = _runs_by_agent(results)
    equal = _equal_agents(results, own)
    if len(equal) < 2 or len(results.tasks) < 2:
        return None
    table = np.array([[iqm(runs.final_regret) for runs in own[label]] for label in equal]).T
    try:
        found = friedman(table)
    except MissingExtraError:
        return None
    return RankComparison(tuple(equal), len(results.tasks), found, tuple(wilcoxon_holm(table)))


def write_comparison(results: BenchResults, out: Path) -> Path:
    """Writes ``comparison.json`` of a benchmark's folder; infinite figures are ``null``."""
    path = out / "comparison.json"
    write_json(path, _finite(plain(compare(results))))
    return path


def _runs_by_agent(results: BenchResults) -> dict[str, list[AgentRuns]]:
    """The runs of each agent on the tasks where it has some."""
    return {
        agent.label: [task.agents[place] for task in results.tasks if task.agents[place].runs]
        for place, agent in enumerate(results.config.agents)
    }


def _equal_agents(results: BenchResults, own: dict[str, list[AgentRuns]]) -> list[str]:
    """Agents that have runs on every task and the budget of all."""
    config = results.config
    return [
        agent.label
        for agent in config.agents
        if len(own[agent.label]) == len(results.tasks) and config.budget_of(agent) == config.budget
    ]


def _regret_after(runs: AgentRuns, evaluations: int) -> FloatArray:
    return curves_on_grid(runs.regret_curves, np.array([evaluations]))[:, 0]


def _profiles(own: dict[str, list[AgentRuns]]) -> dict[str, Any]:
    thresholds = np.array(_THRESHOLDS)
    agents = {}
    for label, strata in own.items():
        found = performance_profile([runs.final_regret for runs in strata], thresholds)
        agents[label] = {"value": found.value, "low": found.low, "high": found.high}
    return {"regret": list(_THRESHOLDS), "agents": agents}


def _targets(label: str, strata: Sequence[AgentRuns]) -> list[dict[str, Any]]:
    entries = []
    curves = [curve for runs in strata for curve in runs.regret_curves]
    if not curves:
        return []
    made, spent = (np.concatenate(parts) for parts in zip(*(runs.given_up_after for runs in strata), strict=True))
    for target in _TARGETS:
        times = hitting_times(curves, target)
        seconds = np.concatenate([runs.cpu_seconds_to(target) for runs in strata])
        rate = success_rate(int(np.isfinite(times).sum()), len(times))
        entries.append(
            {
                "agent": label,
                "regret": target,
                "success": rate.value,
                "success_low": rate.low,
                "success_high": rate.high,
                "median_evaluations": time_to_success(times, made),
                "median_cpu_s": time_to_success(seconds, spent),
            }
        )
    return entries


def _improvement(own: dict[str, list[AgentRuns]], equal: Sequence[str]) -> list[dict[str, Any]]:
    entries = []
    for x in equal:
        for y in equal:
            if x != y:
                ours, theirs = ([runs.final_regret for runs in own[label]] for label in (x, y))
                found = probability_of_improvement(ours, theirs, repeats=500)
                entries.append({"agent": x, "other": y, "value": found.value, "low": found.low, "high": found.high})
    return entries


def _ranks(found: RankComparison | None) -> dict[str, Any] | None:
    if found is None:
        return None
    names = found.agents
    pairs = [{**asdict(pair), "first": names[pair.first], "second": names[pair.second]} for pair in found.pairs]
    return {"agents": list(names), **asdict(found.friedman), "pairs": pairs}


def _finite(value: Any) -> Any:
    if isinstance(value, dict):
        return {key: _finite(entry) for key, entry in value.items()}
    if isinstance(value, (list, tuple)):
        return [_finite(entry) for entry in value]
    if isinstance(value, float) and not np.isfinite(value):
        return None
    return value
