"""All figures of a report, by the name that the page and the files know them by."""

from __future__ import annotations

from pathlib import Path

from accelgym.experiments.report.design_figure import design_exhibit, designs_exhibit
from accelgym.experiments.report.figures import (
    cost_exhibit,
    drawn_agents,
    ecdf_exhibit,
    improvement_exhibit,
    profile_exhibit,
    regret_exhibit,
)
from accelgym.experiments.report.lottery_figure import lottery_exhibit
from accelgym.experiments.report.rank_figure import rank_exhibit
from accelgym.experiments.report.style import Exhibit
from accelgym.experiments.results import BenchResults

__all__ = ["OVERALL", "all_exhibits"]

OVERALL = ("lottery", "ecdf", "profile", "improvement", "ranks")
"""Figures over all tasks; the name of any other ends with the id of its task."""


def all_exhibits(results: BenchResults, folder: Path) -> dict[str, Exhibit]:
    """Returns the figures that the results have data for, in the order of the page.

    Args:
        results: What was run.
        folder: Where it lies.

    Raises:
        DamagedFileError: The folder holds a ``lottery.json`` that is none.
    """
    found: dict[str, Exhibit | None] = {"lottery": lottery_exhibit(folder)}
    if any(agent.runs for task in results.tasks for agent in task.agents):
        found["ecdf"] = ecdf_exhibit(results)
        found["profile"] = profile_exhibit(results)
        found["improvement"] = improvement_exhibit(results)
        found["ranks"] = rank_exhibit(results)
    budget, drawn = results.config.budget, drawn_agents(results)
    for task in results.tasks:
        own = str(task.record["id"])
        if any(agent.runs for agent in task.agents):
            found[f"regret-{own}"] = regret_exhibit(task, budget, drawn)
            found[f"cost-{own}"] = cost_exhibit(task, budget, drawn)
            found[f"design-{own}"] = design_exhibit(task, drawn)
            found[f"designs-{own}"] = designs_exhibit(task, drawn)
    return {name: exhibit for name, exhibit in found.items() if exhibit is not None}
