"""The tables of the proxy study."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from accelgym.experiments.markdown import markdown_table
from accelgym.experiments.proxy.diversity import DiversityRow
from accelgym.experiments.proxy.few_shot import FewShotRow
from accelgym.experiments.proxy.learners import LEARNERS
from accelgym.experiments.proxy.measured import MeasuredRow

__all__ = ["format_diversity", "format_few_shot", "format_measured"]


def format_diversity(rows: Sequence[DiversityRow]) -> str:
    """Returns Markdown: errors by origin of the data, and what a design takes; means over the seeds."""
    heads = ["400 evaluations of", "distinct"]
    for test in ("random designs", "searched designs"):
        heads += [f"{test}: {learner}" for learner in LEARNERS]
    lines = []
    for data in dict.fromkeys(row.data for row in rows):
        mine = [row for row in rows if row.data == data]
        cells = [
            f"`{data}`" if data != "pooled" else "all four, 100 each",
            f"{np.mean([r.distinct for r in mine]):.0f}",
        ]
        for test in ("random", "searched"):
            for learner in LEARNERS:
                found = [row for row in mine if row.learner == learner]
                error = np.mean([getattr(row, f"{test}_rmse") for row in found])
                rank = np.mean([getattr(row, f"{test}_rank") for row in found])
                cells.append(f"{error:.3f} ({rank:.2f})")
        lines.append(cells)
    exact = f"{np.median([row.exact_s for row in rows]):.1e}"
    speed = [["exact model, arrays not counted before", exact, exact]]
    for learner in LEARNERS:
        found = [row for row in rows if row.learner == learner]
        single, batch = (np.median([getattr(row, name) for row in found]) for name in ("proxy_s", "proxy_batch_s"))
        speed.append([learner, f"{single:.1e}", f"{batch:.1e}"])
    times = markdown_table(["CPU-seconds a design", "one at a time", "4096 at a time"], speed)
    return f"{markdown_table(heads, lines)}\n\n{times}\n"


def format_measured(rows: Sequence[MeasuredRow]) -> str:
    """Returns Markdown: cross-validated errors by measured quantity."""
    predictors = list(dict.fromkeys(row.predictor for row in rows))
    heads, lines = [f"measured ({rows[0].rows} accelerators)", *predictors], []
    for target in dict.fromkeys(row.target for row in rows):
        found = {row.predictor: row for row in rows if row.target == target}
        cells = [f"{found[p].rmse:.4f} ({found[p].rank:.2f})" if p in found else "-" for p in predictors]
        lines.append([f"`{target}`", *cells])
    return f"{markdown_table(heads, lines)}\n"


def format_few_shot(rows: Sequence[FewShotRow]) -> str:
    """Returns Markdown: errors by what is new, method and number of samples; medians over the seeds."""
    samples = sorted({row.samples for row in rows})
    heads, lines = ["cost, and what is new", "method", *(f"{count} samples" for count in samples)], []
    for cost in dict.fromkeys(row.cost for row in rows):
        for target in dict.fromkeys(row.target for row in rows):
            for method in dict.fromkeys(row.method for row in rows):
                cells = []
                for count in samples:
                    mine = [r for r in rows if (r.cost, r.target, r.method, r.samples) == (cost, target, method, count)]
                    cells.append(f"{np.median([r.rmse for r in mine]):.2f} ({np.median([r.rank for r in mine]):.3f})")
                lines.append([f"`{cost}`, {target.split(' (')[0]}", method, *cells])
    return f"{markdown_table(heads, lines)}\n"
