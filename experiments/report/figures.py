"""The figures that compare agents."""

from __future__ import annotations

import numpy as np
import plotly.graph_objects as go

from accelgym.experiments.report.style import (
    REGRET_FLOOR,
    Exhibit,
    FloatArray,
    evaluation_axis,
    finish,
    on_axis,
    regret_axis,
    style_of,
    transparent,
)
from accelgym.experiments.results import AgentRuns, BenchResults, TaskResults
from accelgym.experiments.statistics import (
    curves_on_grid,
    ecdf,
    evaluation_grid,
    hitting_times,
    iqm,
    iqm_interval,
    performance_profile,
    probability_of_improvement,
)

__all__ = [
    "MOST_DRAWN",
    "cost_exhibit",
    "drawn_agents",
    "ecdf_exhibit",
    "improvement_exhibit",
    "left_out",
    "profile_exhibit",
    "regret_exhibit",
]

_ECDF_TARGETS = np.geomspace(1.0, 1e-3, 31)
_PROFILE_REGRETS = np.concatenate((np.geomspace(REGRET_FLOOR, 1.0, 51), np.geomspace(1.2, 100.0, 25)))
MOST_DRAWN = 16
"""Agents in one figure; more cannot be told apart. Tables and files hold all."""


def drawn_agents(results: BenchResults) -> frozenset[int]:
    """Returns the positions of the agents that figures show: all, or the best by their mean rank over the tasks."""
    count = len(results.config.agents)
    if count <= MOST_DRAWN:
        return frozenset(range(count))
    places = np.full((len(results.tasks), count), np.nan)
    for row, task in zip(places, results.tasks, strict=True):
        final = np.array([iqm(runs.final_regret) if runs.runs else np.nan for runs in task.agents])
        known = np.flatnonzero(~np.isnan(final))
        row[known] = (final[known][None] < final[known][:, None]).sum(axis=1)
    whole = np.where(np.isnan(places).all(axis=0), np.inf, np.nan_to_num(places, nan=float(count)).mean(axis=0))
    return frozenset(int(i) for i in np.argsort(whole, kind="stable")[:MOST_DRAWN])


def left_out(agents: int, drawn: frozenset[int]) -> str:
    """Says that figures do not show all agents, where that is so."""
    if len(drawn) == agents:
        return ""
    return f" Of {agents} agents the {len(drawn)} best by their mean rank are drawn."


def regret_exhibit(task: TaskResults, budget: int, drawn: frozenset[int]) -> Exhibit:
    """Best-so-far regret over evaluations: interquartile mean and bootstrap band per agent."""
    figure = go.Figure()
    shown: list[FloatArray] = []
    for index, runs in enumerate(task.agents):
        if not runs.runs or index not in drawn:
            continue
        colour, dash = style_of(index)
        grid = evaluation_grid(runs.budget)
        band = iqm_interval([curves_on_grid(runs.regret_curves, grid)], repeats=1000)
        seen = np.isfinite(band.value)
        x, value, low = grid[seen], on_axis(band.value[seen]), on_axis(band.low[seen])
        # A band that reaches to infinity, since some run has found nothing feasible, leaves the picture at its top.
        high = np.where(np.isfinite(band.high[seen]), on_axis(band.high[seen]), 1e9)
        shown += [value, low]
        figure.add_scatter(
            x=np.concatenate((x, x[::-1])),
            y=np.concatenate((high, low[::-1])),
            fill="toself",
            fillcolor=transparent(colour, 0.11),
            line={"width": 0},
            hoverinfo="skip",
            legendgroup=runs.agent.label,
            showlegend=False,
        )
        figure.add_scatter(
            x=x,
            y=value,
            name=_name(runs, budget),
            legendgroup=runs.agent.label,
            mode="lines",
            line={"color": colour, "dash": dash, "width": 2.2},
            customdata=100 * band.value[seen],
            hovertemplate="%{x:,} evaluations: regret %{customdata:.4g} %<extra>" + runs.agent.label + "</extra>",
        )
    _fit_regret_axis(figure, shown)
    evaluation_axis(figure, budget)
    return Exhibit(
        "Best-so-far regret",
        finish(figure, height=540),
        "Regret is the best feasible objective so far over the optimum, minus one. Line: interquartile mean over the "
        "seeds at each number of evaluations. Band: 95 % percentile interval of 1,000 bootstrap samples of the seeds. "
        "A line starts where most runs have found a feasible design, stays level after a search has ended early, and "
        f"ends at a capped agent's budget; regrets below {REGRET_FLOOR:.3%} are drawn at the bottom. Click an agent in "
        "the legend to hide it, double-click to see it alone." + left_out(len(task.agents), drawn),
    )


def ecdf_exhibit(results: BenchResults) -> Exhibit:
    """Share of (run, target) pairs solved within a number of evaluations, over all tasks."""
    figure = go.Figure()
    budget, drawn = results.config.budget, drawn_agents(results)
    for index, strata in enumerate(_by_agent(results)):
        if index not in drawn:
            continue
        curves = [curve for runs in strata for curve in runs.regret_curves]
        if not curves or not all(runs.planned for runs in strata):
            continue
        colour, dash = style_of(index)
        grid = evaluation_grid(strata[0].budget)
        share = ecdf(np.array([hitting_times(curves, target) for target in _ECDF_TARGETS]), grid)
        figure.add_scatter(
            x=grid,
            y=share,
            name=_name(strata[0], budget),
            mode="lines",
            line={"color": colour, "dash": dash, "width": 2.2, "shape": "hv"},
            hovertemplate="%{x:,} evaluations: %{y:.1%} of the targets<extra>" + strata[0].agent.label + "</extra>",
        )
    figure.update_yaxes(title="share of targets reached", tickformat=".0%", range=[-0.02, 1.02])
    evaluation_axis(figure, budget)
    return Exhibit(
        "Targets reached, over all tasks",
        finish(figure, height=440),
        f"Empirical distribution of hitting times. Targets are {len(_ECDF_TARGETS)} regrets, evenly spread on a "
        f"logarithmic scale from {_ECDF_TARGETS[0]:.0%} to {_ECDF_TARGETS[-1]:.1%}; the height is the share of all "
        "pairs of a run and a target, over all tasks and seeds, where the run has reached the target. Higher and "
        "further left is better. A capped agent's line ends at its budget; agents that search some of the tasks only "
        "are left out." + left_out(len(results.config.agents), drawn),
    )


def profile_exhibit(results: BenchResults) -> Exhibit | None:
    """Share of runs whose final regret is at most a threshold, over all tasks.

    Returns:
        The figure, or ``None`` when no agent has runs on every task.
    """
    figure = go.Figure()
    drawn = drawn_agents(results)
    for index, strata in enumerate(_by_agent(results)):
        if index not in drawn or not all(runs.runs for runs in strata):
            continue
        colour, dash = style_of(index)
        band = performance_profile([runs.final_regret for runs in strata], _PROFILE_REGRETS, repeats=1000)
        label = strata[0].agent.label
        figure.add_scatter(
            x=np.concatenate((_PROFILE_REGRETS, _PROFILE_REGRETS[::-1])),
            y=np.concatenate((band.high, band.low[::-1])),
            fill="toself",
            fillcolor=transparent(colour, 0.11),
            line={"width": 0},
            hoverinfo="skip",
            legendgroup=label,
            showlegend=False,
        )
        figure.add_scatter(
            x=_PROFILE_REGRETS,
            y=band.value,
            name=_name(strata[0], results.config.budget),
            legendgroup=label,
            mode="lines",
            line={"color": colour, "dash": dash, "width": 2.2},
            hovertemplate="%{y:.1%} of the runs end within %{x:.3%}<extra>" + label + "</extra>",
        )
    if not figure.data:
        return None
    ticks = [10.0**power for power in range(-5, 3)]
    labels = [f"{100 * tick:,.6g} %" for tick in ticks]
    figure.update_xaxes(type="log", title="final regret at most", tickvals=ticks, ticktext=labels)
    figure.update_yaxes(title="share of runs", tickformat=".0%", range=[-0.02, 1.02])
    return Exhibit(
        "Performance profiles",
        finish(figure, height=440),
        "For every regret the share of runs that end at or below it; all tasks weigh the same. Higher and further left "
        "is better, and lines that cross say that neither agent is better throughout. Band: 95 % percentile interval "
        "of 1,000 bootstrap samples of the seeds within each task. Capped agents stand with their own, smaller budget; "
        "agents without a finished run on some task are left out." + left_out(len(results.config.agents), drawn),
    )


def improvement_exhibit(results: BenchResults) -> Exhibit | None:
    """Probability that a run of the agent in the row beats one of the agent in the column.

    Returns:
        The figure, or ``None`` with fewer than two agents that have runs on every task.
    """
    drawn = drawn_agents(results)
    complete = [s for i, s in enumerate(_by_agent(results)) if i in drawn and all(runs.runs for runs in s)]
    if len(complete) < 2:
        return None
    names = [strata[0].agent.label for strata in complete]
    regrets = [[runs.final_regret for runs in strata] for strata in complete]
    chance = np.full((len(names), len(names)), np.nan)
    hover = np.full(chance.shape, "", dtype=object)
    for i, j in zip(*np.nonzero(~np.eye(len(names), dtype=bool)), strict=True):
        found = probability_of_improvement(regrets[i], regrets[j], repeats=500)
        chance[i, j] = found.value
        hover[i, j] = f"{names[i]} beats {names[j]}: {found.value:.1%} [{found.low:.1%}, {found.high:.1%}]"
    order = np.argsort(-np.nansum(chance, axis=1), kind="stable")
    names = [names[i] for i in order]
    chance, hover = chance[np.ix_(order, order)], hover[np.ix_(order, order)]
    heat = go.Heatmap(
        z=chance,
        x=names,
        y=names,
        texttemplate="%{z:.0%}",
        customdata=hover,
        hovertemplate="%{customdata}<extra></extra>",
        # Orange to blue: told apart with every kind of colour vision.
        colorscale=[[0, "#e58a4e"], [0.5, "#f7f7f7"], [1, "#4d9fd0"]],
        zmin=0,
        zmax=1,
        xgap=2,
        ygap=2,
        colorbar={"title": "probability", "tickformat": ".0%", "thickness": 14},
    )
    figure = finish(go.Figure(heat), height=130 + 36 * len(names), legend=False)
    figure.update_yaxes(autorange="reversed", title="this agent", showgrid=False)
    figure.update_xaxes(title="beats this one", showgrid=False)
    return Exhibit(
        "Who beats whom",
        figure,
        "Probability that a run of the row's agent ends with a smaller regret than a run of the column's agent on the "
        "same task, averaged over the tasks; ties count half. The interval on hover is the 95 % percentile interval "
        "of 500 bootstrap samples of the seeds within each task. Capped agents are compared at their own, smaller "
        "budget. Agents stand in the order of their average chance; one without a finished run on some task is left "
        "out." + left_out(len(results.config.agents), drawn),
    )


def cost_exhibit(task: TaskResults, budget: int, drawn: frozenset[int]) -> Exhibit:
    """Final regret against the CPU seconds of a run."""
    figure = go.Figure()
    shown: list[FloatArray] = []
    times: list[float] = []
    for index, runs in enumerate(task.agents):
        band = iqm_interval([runs.final_regret]) if runs.runs and index in drawn else None
        if band is None or not np.isfinite(band.value):
            continue
        colour, _ = style_of(index)
        value, low = on_axis(band.value), on_axis(band.low)
        high = on_axis(band.high) if np.isfinite(band.high) else value
        shown.append(np.array([low, high]))
        times.append(float(np.mean([run.agent_cpu_s[-1] + run.evaluation_cpu_s[-1] for run in runs.runs])))
        figure.add_scatter(
            x=times[-1:],
            y=[value],
            error_y={"array": [high - value], "arrayminus": [value - low], "color": colour, "thickness": 1.4},
            mode="markers+text",
            text=[runs.agent.label],
            textposition="middle right",
            textfont={"color": colour},
            marker={"color": colour, "size": 11, "symbol": "circle-open" if runs.budget < budget else "circle"},
            hovertemplate=f"{runs.agent.label}: %{{x:.3g}} CPU s per run, regret {band.value:.4%}<extra></extra>",
            cliponaxis=False,
        )
    _fit_regret_axis(figure, shown)
    figure.update_xaxes(type="log", title="CPU seconds per run, agent and evaluation")
    if times:  # room for the names on the right
        low, high = np.log10(min(times)) - 0.25, np.log10(max(times)) + 0.5
        figure.update_xaxes(range=[low, high], dtick="D2" if high - low < 3 else 1)
    return Exhibit(
        "What the result costs",
        finish(figure, height=440, legend=False),
        "Final regret (interquartile mean, bar: 95 % bootstrap interval) against the mean CPU seconds of one run on "
        "one thread. Hollow marks are capped agents. Tabulating the task and importing libraries is charged to nobody."
        + left_out(len(task.agents), drawn),
    )


def _by_agent(results: BenchResults) -> list[tuple[AgentRuns, ...]]:
    """Regroups the results: for each agent of the config its runs on every task."""
    return list(zip(*(task.agents for task in results.tasks), strict=True))


def _name(runs: AgentRuns, budget: int) -> str:
    return runs.agent.label + (f" (capped at {runs.budget:,})" if runs.budget < budget else "")


def _fit_regret_axis(figure: go.Figure, drawn: list[FloatArray]) -> None:
    values = np.concatenate([np.zeros(0), *drawn])
    regret_axis(figure, float(values.min()), float(values.max())) if len(values) else regret_axis(figure, 1e-2, 1)
