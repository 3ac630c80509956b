"""The best designs found, layer by layer, against the optimum."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import plotly.graph_objects as go
from plotly.subplots import make_subplots

from accelgym.experiments.report.style import MUTED, Exhibit, finish, style_of
from accelgym.experiments.results import TaskResults

__all__ = ["design_exhibit", "designs_exhibit"]


@dataclass(frozen=True)
class _Panel:
    """One row of the figure: a figure of every slot."""

    title: str
    values: list[Any]
    ordered: bool = True
    percent: bool = False
    choices: tuple[str, ...] = ()
    """Names whose places are the values, where a knob's values are no numbers."""

    def words(self, slot: str, value: Any) -> str:
        """What is said of a point."""
        said = f"{value:.1%}" if self.percent else self.choices[value] if self.choices else str(value)
        return f"{slot}: {said}"


_MOST_PARAMETERS = 300
"""Columns of the picture of all best designs."""


def designs_exhibit(task: TaskResults, drawn: frozenset[int]) -> Exhibit | None:
    """Draws the best design of every agent and the reference, value by value: a row each, a column per parameter.

    Returns:
        The figure; ``None`` with more parameters than a picture shows, or when nothing feasible was found.
    """
    parameters = task.record["parameters"]
    designs = [] if task.record["reference_design"] is None else [("reference", task.record["reference_design"])]
    for index, runs in enumerate(task.agents):
        best = runs.best()
        if index in drawn and best is not None:
            regret = float(runs.final_regret[best])
            designs.append((f"{runs.agent.label} ({regret:.2%})", runs.best_designs[best] or {}))
    if not designs or designs[-1][0] == "reference" or len(parameters) > _MOST_PARAMETERS:
        return None
    shade = np.full((len(designs), len(parameters)), np.nan)
    words = np.full(shade.shape, "", dtype=object)
    for row, (_, design) in enumerate(designs):
        for column, parameter in enumerate(parameters):
            value, values = design["design"][parameter["name"]], parameter["values"]
            shade[row, column] = values.index(value) / max(len(values) - 1, 1)
            words[row, column] = f"{parameter['name']} = {value}"
    heat = go.Heatmap(
        z=shade,
        x=[parameter["name"] for parameter in parameters],
        y=[name for name, _ in designs],
        customdata=words,
        hovertemplate="%{y}: %{customdata}<extra></extra>",
        colorscale="Cividis",
        zmin=0,
        zmax=1,
        ygap=2,
        colorbar={"title": "value", "tickvals": [0, 1], "ticktext": ["first", "last"], "thickness": 14},
    )
    figure = finish(go.Figure(heat), height=190 + 24 * len(designs), legend=False)
    figure.update_yaxes(autorange="reversed", showgrid=False)
    figure.update_xaxes(showgrid=False, tickangle=-60, tickfont={"size": 9}, nticks=40)
    figure.update_layout(margin={"b": 110, "l": 150})
    return Exhibit(
        "Best designs, value by value",
        figure,
        "A row per design: the reference, then the best one of each agent over all its seeds with its regret. A column "
        "per parameter; the shade is the place of the chosen value among the parameter's values, the value itself "
        "appears on hover. Rows that differ in shade and hardly in regret show how flat the landscape is there.",
    )


def design_exhibit(task: TaskResults, drawn: frozenset[int]) -> Exhibit | None:
    """Draws each agent's best design against the reference, per slot.

    Returns:
        The figure, with a menu of agents; ``None`` when the groups of the task's parameters do not have the same
        knobs, or no agent has found a feasible design.
    """
    knobs = _knobs(task)
    found = [(index, runs.best()) for index, runs in enumerate(task.agents) if index in drawn]
    shown = [(index, best) for index, best in found if best is not None]
    reference = task.record["reference_design"]
    if not knobs or not shown or reference is None:
        return None
    slots = list(dict.fromkeys(parameter["group"] for parameter in task.record["parameters"]))
    optimum = _panels(task, knobs, reference)
    figure = make_subplots(rows=len(optimum), shared_xaxes=True, vertical_spacing=0.04)
    x = list(range(1, len(slots) + 1))
    for row, panel in enumerate(optimum, start=1):
        _draw_optimum(figure, row, panel, x, slots)
    winner = min(shown, key=lambda pair: float(task.agents[pair[0]].final_regret[pair[1]]))[0]
    for index, best in shown:
        runs = task.agents[index]
        for row, panel in enumerate(_panels(task, knobs, runs.best_designs[best]), start=1):
            _draw_agent(figure, row, panel, x, slots, index, runs.agent.label, visible=index == winner)
    figure = finish(figure, height=180 + 150 * len(optimum))
    _add_menu(figure, task, shown, len(optimum), winner)
    for row, panel in enumerate(optimum, start=1):
        axis: dict[str, Any] = {"rangemode": "tozero", "tickformat": ".0%" if panel.percent else None}
        if panel.choices:
            places = list(range(len(panel.choices)))
            axis = {"tickvals": places, "ticktext": list(panel.choices), "range": [-0.5, len(places) - 0.5]}
        figure.update_yaxes(row=row, title=panel.title, **axis)
    figure.update_xaxes(showgrid=False, range=[0.3, len(slots) + 0.7])
    figure.update_xaxes(tickvals=x, ticktext=slots, tickangle=-60, tickfont={"size": 10}, row=len(optimum))
    figure.update_layout(
        bargap=0.25,
        margin={"t": 70, "b": 110},
        legend={"orientation": "h", "y": 1.0, "yanchor": "bottom", "itemclick": False, "itemdoubleclick": False},
    )
    return Exhibit(
        "Best design against the optimum",
        figure,
        "Bars: the reference design. Dots: the best design of the agent chosen in the menu, over all its seeds. Budget "
        "share: what a layer takes of the budget. Cost share: the layer's objective over the optimum's sum, so "
        "that the dots add up to one plus the regret where layers add up.",
    )


def _knobs(task: TaskResults) -> dict[str, list[tuple[str, bool]]]:
    """Returns the parameters by knob: knob to (parameter, ordered) of every group; nothing where groups differ."""
    groups: dict[str, list[tuple[str, bool]]] = {}
    parameters = task.record["parameters"]
    for parameter in parameters:
        groups.setdefault(parameter["knob"], []).append((parameter["name"], bool(parameter["ordered"])))
    count = len({parameter["group"] for parameter in parameters})
    return groups if all(len(names) == count for names in groups.values()) and len(groups) < len(parameters) else {}


def _panels(task: TaskResults, knobs: dict[str, list[tuple[str, bool]]], design: Any) -> list[_Panel]:
    """Returns the figures of a design per slot: its knobs, then its shares of budget and objective."""
    options = {parameter["name"]: parameter["values"] for parameter in task.record["parameters"]}
    panels = []
    for knob, names in knobs.items():
        values = [design["design"][name] for name, _ in names]
        choices: tuple[str, ...] = ()
        if not all(isinstance(value, int | float) for name, _ in names for value in options[name]):
            choices = tuple(dict.fromkeys(str(value) for name, _ in names for value in options[name]))
            values = [choices.index(str(value)) for value in values]
        ordered = not choices and all(ordered for _, ordered in names)
        panels.append(_Panel(knob.replace("_", " "), values, ordered, choices=choices))
    reference = task.record["reference_design"]["costs"]
    used = (task.record["audit"] or {}).get("budget_used")
    if "slot_resource" in reference and used:
        capacity = sum(reference["slot_resource"]) / used
        panels.append(_Panel("budget share", _shares(design, "slot_resource", capacity), percent=True))
    if "slot_cost" in reference:
        whole = sum(reference["slot_cost"]) or 1.0
        panels.append(_Panel("cost share", _shares(design, "slot_cost", whole), percent=True))
    return panels


def _shares(design: Any, name: str, whole: float) -> list[float]:
    return [float(value) for value in np.asarray(design["costs"][name], dtype=np.float64) / whole]


def _draw_optimum(figure: go.Figure, row: int, panel: _Panel, x: list[int], slots: list[str]) -> None:
    common = {
        "x": x,
        "y": panel.values,
        "name": "optimum",
        "legendgroup": "optimum",
        "showlegend": row == 1,
        "customdata": [panel.words(*pair) for pair in zip(slots, panel.values, strict=True)],
        "hovertemplate": "%{customdata}<extra>optimum</extra>",
    }
    if panel.ordered:
        figure.add_bar(**common, marker_color=MUTED, row=row, col=1)
    else:
        marker = {"symbol": "square", "size": 11, "color": MUTED}
        figure.add_scatter(**common, mode="markers", marker=marker, row=row, col=1)


def _draw_agent(
    figure: go.Figure, row: int, panel: _Panel, x: list[int], slots: list[str], index: int, name: str, *, visible: bool
) -> None:
    colour, _ = style_of(index)
    figure.add_scatter(
        x=x,
        y=panel.values,
        name=name,
        legendgroup=name,
        showlegend=row == 1,
        visible=visible,
        mode="markers",
        marker={"color": colour, "size": 7, "line": {"color": "white", "width": 0.8}},
        customdata=[panel.words(*pair) for pair in zip(slots, panel.values, strict=True)],
        hovertemplate="%{customdata}<extra>" + name + "</extra>",
        row=row,
        col=1,
    )


def _add_menu(figure: go.Figure, task: TaskResults, shown: list[tuple[int, int]], panels: int, winner: int) -> None:
    """Adds the menu that shows one agent at a time; the first ``panels`` traces are the reference."""
    buttons = []
    for position, (index, best) in enumerate(shown):
        visible = [True] * panels + [False] * (panels * len(shown))
        first = panels * (position + 1)
        visible[first : first + panels] = [True] * panels
        runs = task.agents[index]
        label = f"{runs.agent.label}: regret {runs.final_regret[best]:.3%}"
        buttons.append({"label": label, "method": "restyle", "args": [{"visible": visible}]})
    active = [index for index, _ in shown].index(winner)
    menu = {"buttons": buttons, "active": active, "x": 1, "xanchor": "right", "y": 1.0, "yanchor": "bottom"}
    figure.update_layout(updatemenus=[menu | {"pad": {"b": 12}}])
