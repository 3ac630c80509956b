"""Tables of the study in Markdown."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from accelgym.experiments.joint.study import BUDGETS, SETTINGS
from accelgym.experiments.markdown import markdown_table
from accelgym.experiments.study_log import Row

__all__ = ["format_study"]


def format_study(records: Sequence[Row]) -> str:
    """Returns regret by evaluations, and hypervolumes; medians over the seeds, with their number."""
    searches = [record for record in records if record["job"]["kind"] == "search"]
    rows = []
    keys = ("agent", "order", "budget")
    kinds = dict.fromkeys(tuple(record["job"][key] for key in keys) for record in searches)
    for kind in kinds:
        agent, order, given = kind
        for budget in BUDGETS:
            cells: list[str] = []
            seeds: list[int] = []
            for setting in SETTINGS:
                found = [
                    record["regret"][str(budget)]
                    for record in searches
                    if (*(record["job"][key] for key in keys), record["job"]["setting"]) == (*kind, setting)
                    and str(budget) in record["regret"]
                ]
                seeds += [len(found)] if found else []
                middle = float(np.median(found)) if found else np.nan
                cells.append("-" if np.isnan(middle) else "none fits" if np.isinf(middle) else f"{middle:.1%}")
            if seeds:
                name = agent if order == "machine_first" else f"{agent}, machine last"
                name += "" if given == BUDGETS[-1] else f", given {given:,}"
                rows.append([name, f"{budget:,}", _range(seeds), *cells])
    tables = [markdown_table(["agent", "evaluations", "seeds", *SETTINGS], rows)]
    fronts = [record for record in records if record["job"]["kind"] == "front"]
    budgets = sorted({record["job"]["budget"] for record in fronts})
    lines = []
    for agent in dict.fromkeys(record["job"]["agent"] for record in fronts):
        by_budget = [
            [r["hypervolume"] for r in fronts if (r["job"]["agent"], r["job"]["budget"]) == (agent, budget)]
            for budget in budgets
        ]
        lines.append(
            [agent, _range([len(found) for found in by_budget]), *(f"{np.median(found):.3f}" for found in by_budget)]
        )
    if lines:
        tables.append(markdown_table(["set", "seeds", *(f"{budget:,}" for budget in budgets)], lines))
    return "\n\n".join(tables) + "\n"


def _range(counts: Sequence[int]) -> str:
    """Returns ``5``, or ``1-2`` where cells of a line rest on different numbers of seeds."""
    return str(min(counts)) if min(counts) == max(counts) else f"{min(counts)}-{max(counts)}"
