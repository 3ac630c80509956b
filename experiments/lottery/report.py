"""The lottery in words and tables: Markdown for people, JSON and CSV for programs."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import groupby
from pathlib import Path
from typing import Any

import numpy as np

from accelgym.costmodels.errors import MissingExtraError
from accelgym.costmodels.files.csv_table import TableWriter
from accelgym.costmodels.files.json_file import write_json
from accelgym.costmodels.files.plain import plain
from accelgym.costmodels.files.whole_file import whole_file, write_whole
from accelgym.experiments.lottery.analysis import AgentLottery, variance_between_agents
from accelgym.experiments.lottery.config import LotteryConfig
from accelgym.experiments.markdown import markdown_table
from accelgym.experiments.rank_tests import friedman
from accelgym.experiments.results import TaskResults

__all__ = ["lottery_markdown", "write_lottery"]

_LEARNING = ("ppo", "maskable_ppo", "a2c", "confuciux")
"""Agents that learn by reinforcement."""


def write_lottery(config: LotteryConfig, agents: Sequence[AgentLottery], out: Path) -> list[Path]:
    """Writes ``lottery.md``, ``lottery.json`` and ``lottery.csv`` and returns their paths.

    Args:
        config: The lottery.
        agents: Of :func:`~accelgym.experiments.lottery.analysis.analyse`.
        out: Folder of the results.
    """
    importances = {agent.agent: agent.importance() for agent in agents}
    paths = [out / f"lottery.{kind}" for kind in ("md", "json", "csv")]
    write_whole(paths[0], lottery_markdown(config, agents, importances))
    write_json(paths[1], plain({"name": config.name, "agents": [_data(a, importances[a.agent]) for a in agents]}))
    with whole_file(paths[2]) as file:
        writer = TableWriter(file)
        writer.row(["agent", "setting", "task", "task_id", "split", "hardness", "seed", "regret", "options"])
        for agent in agents:
            for s, setting in enumerate(agent.settings):
                for t, task in enumerate(agent.tasks):
                    words = [task.title, task.record["id"], task.split, task.audit.hardness if task.audit else ""]
                    for seed, value in enumerate(agent.scores[s, t]):
                        regret = float(10**value)
                        writer.row([agent.agent, s, *words, seed, regret, json.dumps(setting, sort_keys=True)])
    return paths


def lottery_markdown(
    config: LotteryConfig, agents: Sequence[AgentLottery], importances: dict[str, dict[str, float] | None]
) -> str:
    """Returns the answers and their tables.

    Args:
        config: The lottery.
        agents: Of :func:`~accelgym.experiments.lottery.analysis.analyse`.
        importances: Of :meth:`AgentLottery.importance`, by agent.
    """
    learnt = _learnt(agents)
    parts = [f"# {config.name}", config.description.strip(), _sizes(config, agents)]
    parts += ["## Answers", *_answers(config, agents, learnt)]
    parts += ["## Default against tuned", _TUNED_WORDS, _tuned_table(agents)]
    parts += ["## Expected best of k settings", _BEST_WORDS, _best_table(agents)]
    parts += ["## By task", _task_table(agents)]
    parts += ["## Chosen settings", _CHOSEN_WORDS, _chosen_table(agents)]
    if table := _learning_table(learnt):
        parts += ["## Learning against the fastest other agent", _LEARNING_WORDS, table]
    parts += ["## Which hyperparameters matter", _IMPORTANCE_WORDS, _importance_table(importances)]
    return "\n\n".join(part for part in parts if part) + "\n"


_TUNED_WORDS = (
    "Geometric means of final regrets, clipped to 0.01 % and 10,000 %. A setting is chosen by the tuning seeds on "
    "training tasks and valued by the other seeds, and on held-out tasks; quartiles are over random settings."
)
_BEST_WORDS = (
    "Chosen by the tuning seeds among k random settings, valued by the other ones: free of the luck of a minimum."
)
_CHOSEN_WORDS = "By the tuning seeds, options as `--option` of `accelgym search` takes them; 0 is the default setting."
_LEARNING_WORDS = (
    "Regret of a tuned agent that learns by reinforcement, and the median evaluations after which another kind of "
    "agent, tuned, is as good; - where none was."
)
_IMPORTANCE_WORDS = (
    "Share of the variance over settings that a hyperparameter explains (fANOVA), the largest four; random forests on "
    "so few settings rank the first ones, no more."
)


def _sizes(config: LotteryConfig, agents: Sequence[AgentLottery]) -> str:
    searches = sum(int(agent.scores.size) for agent in agents)
    spent = sum(int(agent.evaluations.sum()) for agent in agents)
    left = [f"{a.agent} {len(a.settings)} of {a.planned}" for a in agents if len(a.settings) < a.planned]
    fewer = "".join(f", {a.agent} {n}" for a in agents if (n := a.scores.shape[2]) < config.seeds)
    words = (
        f"{searches:,} searches, {spent:,} evaluations; {config.seeds} seeds{fewer}, of which {config.tuning_seeds} to "
        "tune."
    )
    return words + (f" Settings that are over: {', '.join(left)}." if left else "")


def _answers(config: LotteryConfig, agents: Sequence[AgentLottery], learnt: Sequence[_Learnt]) -> list[str]:
    everywhere = _comparable(agents)
    everywhere = [a for a in everywhere if a.budget == config.budget]
    parts = [_equal_when_tuned(everywhere), _luck(everywhere), _hardness(agents), _carries_over(agents)]
    return [part for part in [*parts, _learning(learnt)] if part]


def _comparable(agents: Sequence[AgentLottery]) -> list[AgentLottery]:
    """Those that search every task and have something to tune."""
    most = max((len(agent.tasks) for agent in agents), default=0)
    return [agent for agent in agents if len(agent.tasks) == most and len(agent.settings) > 1]


def _equal_when_tuned(agents: Sequence[AgentLottery]) -> str:
    if len(agents) < 2:
        return ""
    words = []
    for name, settings in (("defaults", [0] * len(agents)), ("tuned settings", [a.chosen for a in agents])):
        values = {a.agent: float(10 ** a.measured[s]) for a, s in zip(agents, settings, strict=True)}
        best, worst = min(values, key=values.__getitem__), max(values, key=values.__getitem__)
        table = [
            [a.task_score(t, s) for a, s in zip(agents, settings, strict=True)] for t in range(len(agents[0].tasks))
        ]
        test = _friedman_words(table)
        words.append(
            f"with {name} the best agent ({best}, {values[best]:.1%}) and the worst ({worst}, {values[worst]:.1%}) are "
            f"a factor {values[worst] / values[best]:.1f} apart{test}"
        )
    names = ", ".join(a.agent for a in agents)
    head = f"**Are agents equal when tuned?** Of those that search every task at the full budget ({names}),"
    return f"{head} {'; '.join(words)}."


def _friedman_words(table: list[list[float]]) -> str:
    if len(table) < 2:
        return ""
    try:
        found = friedman(table)
    except MissingExtraError:
        return ""
    return f" (Friedman over {len(table)} tasks: p = {found.p_value:.2g})"


def _luck(agents: Sequence[AgentLottery]) -> str:
    if len(agents) < 2:
        return ""
    share = variance_between_agents(agents)
    spread = ", ".join(f"{a.agent} {10 ** (a.quartiles[2] - a.quartiles[0]):.1f}" for a in agents)
    ordered = sorted(agents, key=lambda a: a.quartiles[1])
    best, second = ordered[0], ordered[1]
    wins = float((best.measured[1:, None] < second.measured[None, 1:]).mean())
    rest = ""
    if len(agents) > 2:
        rest = f" (without {ordered[-1].agent}, the last by its median: {variance_between_agents(ordered[:-1]):.0%})"
    return (
        f"**How much is luck?** {share:.0%} of the variance of log-regret over random settings lies between "
        f"agents{rest}, the others between settings of one agent. Upper over lower quartile of regret: {spread}. "
        f"With one random setting each, {best.agent}, the best by its median, beats {second.agent} in {wins:.0%} of "
        "the pairs."
    )


def _hardness(agents: Sequence[AgentLottery]) -> str:
    lines = []
    classes = dict.fromkeys(task.audit.hardness for a in agents for task in a.tasks if task.audit is not None)
    for name in ("easy", "medium", "hard"):
        if name not in classes:
            continue
        best = []
        for tuned in (False, True):
            values = {}
            for a in agents:
                own = [i for i, task in enumerate(a.tasks) if task.audit is not None and task.audit.hardness == name]
                if own:
                    values[a.agent] = np.mean([a.task_score(i, a.chosen if tuned else 0) for i in own])
            first = min(values, key=values.__getitem__)
            best.append(f"{first} ({10 ** values[first]:.1%})")
        lines.append(f"{name}: {best[0]} by default, {best[1]} tuned")
    if not lines:
        return ""
    return f"**Does the answer change with hardness?** The best agent by class: {'; '.join(lines)}."


def _carries_over(agents: Sequence[AgentLottery]) -> str:
    parts = []
    for a in agents:
        if a.held_out is None or len(a.settings) < 2:
            continue
        gain = 10 ** (a.held_out[0] - a.held_out[a.chosen])
        kept = f", rank correlation {a.transfer:.2f}" if a.transfer is not None else ""
        parts.append(f"{a.agent} {gain:.2f}x{kept}")
    if not parts:
        return ""
    return (
        "**Does tuning carry over to held-out tasks?** Regret of the default over that of the tuned setting there "
        f"(above 1: tuning helps), and how alike settings rank on both: {'; '.join(parts)}."
    )


@dataclass(frozen=True)
class _Learnt:
    """A tuned agent that learns by reinforcement, on one task."""

    agent: AgentLottery
    task: TaskResults
    regret: float
    evaluations: dict[str, float]
    """Median evaluations after which each other kind of agent, tuned, is as good; ``inf`` where it is not."""

    @property
    def fastest(self) -> str:
        """The other agent that is as good first."""
        return min(self.evaluations, key=self.evaluations.__getitem__)


def _learnt(agents: Sequence[AgentLottery]) -> list[_Learnt]:
    found = []
    others = [a for a in agents if a.agent not in _LEARNING]
    for a in agents:
        if a.agent not in _LEARNING:
            continue
        for t, task in enumerate(a.tasks):
            regret = float(10 ** a.task_score(t, a.chosen))
            needed = {}
            for other in others:
                places = [i for i, x in enumerate(other.tasks) if x.record["id"] == task.record["id"]]
                if places:
                    needed[other.agent] = other.evaluations_to(places[0], other.chosen, regret)
            if needed:
                found.append(_Learnt(a, task, regret, needed))
    return found


def _learning(learnt: Sequence[_Learnt]) -> str:
    parts = []
    for name, group in groupby(learnt, key=lambda row: row.agent.agent):
        rows = list(group)
        needed = [row.evaluations[row.fastest] for row in rows]
        wins = sum(evaluations > row.agent.budget for evaluations, row in zip(needed, rows, strict=True))
        parts.append(
            f"tuned {name} is ahead of every other kind of agent on {wins} of {len(rows)} tasks after "
            f"{rows[0].agent.budget:,} evaluations; what it reaches takes the fastest of them {np.median(needed):,.0f} "
            "in the median over tasks"
        )
    if not parts:
        return ""
    return f"**What does reinforcement learning need to win?** {_sentence('; '.join(parts))} (table below)."


def _sentence(text: str) -> str:
    return text[:1].upper() + text[1:]


def _learning_table(learnt: Sequence[_Learnt]) -> str:
    rows = []
    for row in learnt:
        needed = row.evaluations[row.fastest]
        evaluations = f"{needed:,.0f}" if np.isfinite(needed) else "-"
        rows.append([row.task.title, row.agent.agent, f"{row.regret:.1%}", row.fastest, evaluations])
    heads = ["task", "agent", "regret", "fastest other", "evaluations"]
    return markdown_table(heads, rows, left=(0, 1, 3)) if rows else ""


def _tuned_table(agents: Sequence[AgentLottery]) -> str:
    rows = []
    for a in agents:
        low, middle, high = (f"{10**x:.1%}" for x in a.quartiles)
        held = a.held_out
        rows.append(
            [
                a.agent,
                f"{a.budget:,}",
                str(len(a.settings) - 1),
                f"{10 ** a.measured[0]:.1%}",
                f"{10 ** a.measured[a.chosen]:.1%}",
                f"{low} / {middle} / {high}" if len(a.settings) > 1 else "-",
                "-" if held is None else f"{10 ** held[0]:.1%}",
                "-" if held is None else f"{10 ** held[a.chosen]:.1%}",
                "-" if held is None else f"{10 ** held.min():.1%}",
                "-" if a.transfer is None else f"{a.transfer:.2f}",
                f"{a.tuning_evaluations:,}" if len(a.settings) > 1 else "0",
            ]
        )
    heads = ["agent", "evaluations", "settings", "default", "tuned", "quartiles", "held-out default", "held-out tuned"]
    return markdown_table([*heads, "held-out best", "rank correlation", "evaluations to tune"], rows)


def _best_table(agents: Sequence[AgentLottery]) -> str:
    ks = (1, 2, 3, 5, 10, 20, 30)
    rows = []
    for a in agents:
        curve = a.best_of
        if len(a.settings) < 2:
            continue
        cells = [f"{10 ** curve[k - 1]:.1%}" if k <= len(curve) else "-" for k in ks]
        rows.append([a.agent, f"{10 ** a.measured[0]:.1%}", *cells])
    return markdown_table(["agent", "default", *(f"k = {k}" for k in ks)], rows)


def _chosen_table(agents: Sequence[AgentLottery]) -> str:
    rows = []
    for a in agents:
        options = " ".join(f"{name}={_short(value)}" for name, value in a.settings[a.chosen].items())
        if len(a.settings) > 1:
            rows.append([a.agent, str(a.places[a.chosen] - a.places[0]), f"`{options}`" if options else "the default"])
    return markdown_table(["agent", "setting", "options"], rows, left=(0, 2))


def _short(value: Any) -> str:
    return f"{value:.3g}" if isinstance(value, float) else str(value)


def _task_table(agents: Sequence[AgentLottery]) -> str:
    titles: dict[str, list[str]] = {}
    for a in agents:
        for task in a.tasks:
            hardness = task.audit.hardness if task.audit else "-"
            titles.setdefault(str(task.record["id"]), [task.title, str(task.split), hardness])
    rows = []
    for key, head in titles.items():
        cells = []
        for a in agents:
            own = [i for i, task in enumerate(a.tasks) if task.record["id"] == key]
            values = [float(10 ** a.task_score(own[0], s)) for s in (0, a.chosen)] if own else []
            cells.append(" / ".join(f"{v:.1%}" for v in values) if values else "-")
        rows.append([*head, *cells])
    heads = ["task (default / tuned)", "split", "class", *(a.agent for a in agents)]
    return markdown_table(heads, rows, left=(0, 1, 2))


def _importance_table(importances: dict[str, dict[str, float] | None]) -> str:
    rows = [
        [agent, ", ".join(f"{name} {share:.0%}" for name, share in list(found.items())[:4])]
        for agent, found in importances.items()
        if found
    ]
    return markdown_table(["agent", "hyperparameters"], rows, left=(0, 1)) if rows else "Not computed."


def _data(agent: AgentLottery, importance: dict[str, float] | None) -> dict[str, Any]:
    held = agent.held_out
    return {
        "agent": agent.agent,
        "budget": agent.budget,
        "settings": list(agent.settings),
        "planned": agent.planned,
        "tasks": [task.record["id"] for task in agent.tasks],
        "chosen": agent.chosen,
        "tuning_evaluations": agent.tuning_evaluations,
        "tuning": agent.tuning,
        "measured": agent.measured,
        "held_out": held,
        "best_of": agent.best_of,
        "quartiles": agent.quartiles,
        "transfer": agent.transfer,
        "importance": importance,
    }
