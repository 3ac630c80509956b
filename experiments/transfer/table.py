"""The tables of the transfer study."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from accelgym.experiments.markdown import markdown_table
from accelgym.experiments.transfer.study import AGENTS, TransferRun

__all__ = ["format_table"]

_GROUPS = (("held-out networks", False), ("trained networks at held-out budgets", True))


def format_table(runs: Sequence[TransferRun]) -> str:
    """Returns Markdown: by agent and number of evaluations, for held-out networks and held-out budgets; by member.

    A cell of the first tables is the median regret over members and seeds, the largest, and, where some searches found
    nothing feasible, the share of those that did; CPU seconds are the mean of the longest search.
    """
    lengths = sorted({run.evaluations for run in runs})
    tables = []
    for title, trained in _GROUPS:
        group = [run for run in runs if run.trained is trained]
        if not group:
            continue
        members, seeds = len({run.member for run in group}), len({run.seed for run in group})
        heads = [
            f"{title} ({members} tasks, {seeds} seeds)",
            *(_after(length) for length in lengths),
            f"CPU-s for {lengths[-1]}",
        ]
        tables.append(markdown_table(heads, [_row(agent, group, lengths) for agent in AGENTS]))
    longest = lengths[-1]
    heads = ["task", *(f"{agent}, {length}" for length in lengths[:2] for agent in ("pretrained_ppo", "nearest"))]
    heads += [f"{agent}, {longest}" for agent in AGENTS]
    rows = []
    for member in sorted({run.member for run in runs}):
        mine = [run for run in runs if run.member == member]
        row = [f"`{mine[0].workload}` {mine[0].budget:g}"]
        for length in lengths[:2]:
            row += [_median(mine, agent, length) for agent in ("pretrained_ppo", "nearest")]
        rows.append(row + [_median(mine, agent, longest) for agent in AGENTS])
    return "\n\n".join([*tables, markdown_table(heads, rows)]) + "\n"


def _after(length: int) -> str:
    return "1 evaluation" if length == 1 else f"{length} evaluations"


def _row(agent: str, runs: Sequence[TransferRun], lengths: Sequence[int]) -> list[str]:
    cells = [f"`{agent}`"]
    for length in lengths:
        regrets = np.array([run.regret for run in runs if (run.agent, run.evaluations) == (agent, length)])
        if not len(regrets):
            cells.append("-")
            continue
        good = np.isfinite(regrets)
        if not good.any():
            cells.append("nothing feasible")
            continue
        share = "" if good.all() else f", {good.mean():.0%} feasible"
        cells.append(f"{_percent(float(np.median(regrets)))} (at most {_percent(float(regrets[good].max()))}{share})")
    spent = [run.cpu_s for run in runs if (run.agent, run.evaluations) == (agent, lengths[-1])]
    return [*cells, f"{np.mean(spent):.1f}" if spent else "-"]


def _median(runs: Sequence[TransferRun], agent: str, length: int) -> str:
    regrets = [run.regret for run in runs if (run.agent, run.evaluations) == (agent, length)]
    return _percent(float(np.median(regrets))) if regrets else "-"


def _percent(regret: float) -> str:
    if not np.isfinite(regret):
        return "none"
    return f"{regret:.2%}" if regret < 0.1 else f"{regret:.1%}" if regret < 1 else f"{regret:.0%}"
