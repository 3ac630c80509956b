"""Agents that choose the fidelity beside agents that do not, at equal cost."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from accelgym.agents.fidelity_search import search_at_fidelities
from accelgym.envs.multi_fidelity import hwgen_at_fidelities
from accelgym.experiments.markdown import markdown_table

__all__ = ["AGENTS", "BUDGETS", "WORKLOADS", "ComparedRow", "compare", "format_comparison"]

WORKLOADS = ("gpt2/prefill_block", "gpt2/decode_block")
"""Transformer blocks under the default limits, whose exact counts take seconds to a minute in all."""
AGENTS = ("random", "annealing", "ga", "successive_halving")
BUDGETS = (8, 16, 32, 64)
"""Evaluations of the last fidelity."""


@dataclass(frozen=True)
class ComparedRow:
    """One search."""

    workload: str
    fidelities: str
    agent: str
    seed: int
    regrets: tuple[float, ...]
    """To the proven optimum, after each of :data:`BUDGETS`."""


def compare(
    workload: str, seeds: Sequence[int], fidelities: Sequence[str] = ("roofline", "systolic")
) -> list[ComparedRow]:
    """Searches accelerators for a workload with every agent.

    Args:
        workload: Name in the zoo.
        seeds: Of the agents.
        fidelities: The cheapest first.
    """
    task = hwgen_at_fidelities(workload=workload, fidelities=fidelities)
    reference = task.reference()
    rows = []
    for agent in AGENTS:
        for seed in seeds:
            found = search_at_fidelities(task, agent, budget=max(BUDGETS), seed=seed)
            regrets = tuple(float(reference.regret(found.best_within(budget))) for budget in BUDGETS)
            rows.append(ComparedRow(workload, ", ".join(fidelities), agent, seed, regrets))
    return rows


def format_comparison(rows: Sequence[ComparedRow]) -> str:
    """Returns median regrets by workload, agent and budget."""
    lines = []
    for workload in dict.fromkeys(row.workload for row in rows):
        for agent in dict.fromkeys(row.agent for row in rows):
            mine = [row.regrets for row in rows if (row.workload, row.agent) == (workload, agent)]
            found = np.array(mine, dtype=np.float64)  # what JSON holds as null was infinite
            medians = np.median(np.where(np.isfinite(found), found, np.inf), axis=0)
            lines.append([f"`{workload}`", f"`{agent}`", *(f"{value:.1%}" for value in medians)])
    heads = ["workload", "agent", *(f"{budget} evaluations" for budget in BUDGETS)]
    return markdown_table(heads, lines, left=(0, 1)) + "\n"
