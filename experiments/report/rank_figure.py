"""The critical-difference picture: mean ranks of agents on a line, bars over those that are not told apart.

Drawn as in Demsar, "Statistical Comparisons of Classifiers over Multiple Data Sets", JMLR 7, 2006, figure 1.
"""

from __future__ import annotations

from collections.abc import Sequence

import plotly.graph_objects as go

from accelgym.experiments.comparison import compare_ranks
from accelgym.experiments.rank_tests import groups_alike
from accelgym.experiments.report.figures import drawn_agents, left_out
from accelgym.experiments.report.style import INK, Exhibit, finish, style_of
from accelgym.experiments.results import BenchResults

__all__ = ["rank_exhibit"]

_SIDE = 0.75
"""Room for names on either side, as a share of the axis."""
_BAR_STEP = 0.45
"""Distance of two bars; that of two names is one."""
_GREY = "#5b6876"


def rank_exhibit(results: BenchResults) -> Exhibit | None:
    """Draws the mean rank of every agent over the tasks, and which ranks lie within the critical difference.

    Returns:
        The figure; ``None`` where :func:`~accelgym.experiments.comparison.compare_ranks` has nothing to test.
    """
    found = compare_ranks(results)
    if found is None:
        return None
    places = {agent.label: place for place, agent in enumerate(results.config.agents)}
    drawn = drawn_agents(results)
    ranks = found.friedman.mean_ranks
    order = [i for i in sorted(range(len(ranks)), key=ranks.__getitem__) if places[found.agents[i]] in drawn]
    count, difference = len(ranks), found.friedman.critical_difference
    side = _SIDE * (count - 1)
    figure = go.Figure()
    _axis(figure, count)
    ruler_end = min(1 + difference, count + side)
    _line(figure, [1, 1, 1, ruler_end, ruler_end, ruler_end], [1.3, 1.6, 1.45, 1.45, 1.6, 1.3], INK, 1.2)
    _text(figure, 1, 1.6, f"critical difference {difference:.2f}", "top right", INK)
    shown = set(order)
    groups = [kept for group in groups_alike(ranks, difference) if len(kept := [i for i in group if i in shown]) > 1]
    for row, group in enumerate(groups, start=1):
        level = -_BAR_STEP * row
        names = ", ".join(found.agents[i] for i in group)
        _line(figure, [ranks[group[0]], ranks[group[-1]]], [level, level], INK, 5, hover=f"not told apart: {names}")
    top = -_BAR_STEP * (len(groups) + 1)
    left = (len(order) + 1) // 2
    for position, agent in enumerate(order):
        on_left = position < left
        row = position if on_left else len(order) - 1 - position
        level, edge = top - 0.6 - row, 1 - side if on_left else count + side
        colour, dash = style_of(places[found.agents[agent]])
        name = found.agents[agent]
        hover = f"{name}: mean rank {ranks[agent]:.2f}"
        _line(figure, [ranks[agent], ranks[agent], edge], [0, level, level], colour, 1.5, dash=dash, hover=hover)
        _text(figure, edge, level + 0.08, f"{name} {ranks[agent]:.2f}", "top right" if on_left else "top left", colour)
    bottom = top - 0.6 - left
    finish(figure, height=int(150 + 26 * (left + _BAR_STEP * len(groups))), legend=False)
    figure.update_layout(margin={"l": 12, "r": 12, "t": 16, "b": 10})
    figure.update_xaxes(visible=False, range=[1 - side, count + side])
    figure.update_yaxes(visible=False, range=[bottom + 0.4, 2.6])
    return Exhibit(
        "Mean ranks and the critical difference",
        figure,
        f"Mean rank of each agent's final regret (interquartile mean over the seeds) on {found.tasks} tasks; 1, on the "
        f"left, is best. Friedman's test that all agents are alike: p = {found.friedman.p_value:.2g} (form of Iman and "
        "Davenport). A thick bar joins agents whose mean ranks differ by less than Nemenyi's critical difference at "
        "the 5 % level: the tasks do not tell them apart. Only agents that search every task with the full budget take "
        "part; the table below tests each two of them by themselves." + left_out(len(results.config.agents), drawn),
    )


def _axis(figure: go.Figure, count: int) -> None:
    """The line of ranks with a tick at each whole one; of many only some are named."""
    x: list[float] = []
    y: list[float] = []
    for rank in range(1, count + 1):
        x += [rank, rank, rank]
        y += [0.0, 0.25, 0.0]
    _line(figure, x, y, INK, 1.2)
    step = 1 if count <= 8 else 2 if count <= 16 else 5
    for rank in range(1, count + 1, step):
        _text(figure, rank, 0.2, str(rank), "top center", _GREY)


def _line(
    figure: go.Figure,
    x: Sequence[float],
    y: Sequence[float],
    colour: str,
    width: float,
    *,
    dash: str = "solid",
    hover: str = "",
) -> None:
    shown = {"hovertemplate": hover + "<extra></extra>"} if hover else {"hoverinfo": "skip"}
    figure.add_scatter(x=x, y=y, mode="lines", line={"color": colour, "width": width, "dash": dash}, **shown)


def _text(figure: go.Figure, x: float, y: float, text: str, position: str, colour: str) -> None:
    font = {"color": colour, "size": 11}
    figure.add_scatter(x=[x], y=[y], mode="text", text=[text], textposition=position, textfont=font, hoverinfo="skip")
