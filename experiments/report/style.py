"""What the figures share: colours, axes, and the shape of a figure with its explanation."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import plotly.graph_objects as go

__all__ = ["INK", "MUTED", "Exhibit", "evaluation_axis", "finish", "on_axis", "regret_axis", "style_of", "transparent"]

REGRET_FLOOR = 1e-5
"""Smallest regret that a logarithmic axis shows; the optimum is drawn here."""
INK = "#1d2733"
MUTED = "#c3cad3"

# Okabe and Ito's palette without its yellow, which white paper swallows; dashes tell further agents apart.
_COLOURS = ("#0072B2", "#D55E00", "#009E73", "#CC79A7", "#E69F00", "#56B4E9", "#000000")
_DASHES = ("solid", "dash", "dot", "dashdot")

FloatArray = npt.NDArray[np.float64]


@dataclass(frozen=True)
class Exhibit:
    """A figure and how it was made."""

    title: str
    figure: go.Figure
    caption: str


def style_of(index: int) -> tuple[str, str]:
    """Returns colour and dash of the agent at a position of the config."""
    return _COLOURS[index % len(_COLOURS)], _DASHES[index // len(_COLOURS) % len(_DASHES)]


def transparent(colour: str, opacity: float) -> str:
    """Returns ``#rrggbb`` as ``rgba(...)``."""
    red, green, blue = (int(colour[i : i + 2], 16) for i in (1, 3, 5))
    return f"rgba({red},{green},{blue},{opacity})"


def on_axis(regret: FloatArray) -> FloatArray:
    """Lifts regrets to the bottom of the logarithmic axis."""
    return np.maximum(regret, REGRET_FLOOR)


def regret_axis(figure: go.Figure, bottom: float, top: float) -> None:
    """Makes the vertical axis one of regrets, in percent, over the range of the data.

    Args:
        figure: The figure.
        bottom: Smallest finite regret drawn.
        top: Largest finite regret drawn.
    """
    low, high = np.log10(max(bottom, REGRET_FLOOR)), np.log10(max(top, 10 * REGRET_FLOOR))
    span = high - low
    steps = (1, 1.5, 2, 3, 4, 5, 7) if span < 0.8 else (1, 2, 5) if span < 1.7 else (1,)
    ticks = [step * 10.0**power for power in range(round(np.log10(REGRET_FLOOR)), 7) for step in steps]
    labels = [f"{100 * tick:,.6g} %" for tick in ticks]
    labels[0] = f"≤ {labels[0]}"
    limits = [low - 0.12, high + 0.12]
    figure.update_yaxes(type="log", title="regret to the optimum", tickvals=ticks, ticktext=labels, range=limits)


def evaluation_axis(figure: go.Figure, budget: int) -> None:
    """Makes the horizontal axis one of evaluations."""
    figure.update_xaxes(type="log", title="evaluations", dtick=1, range=[0, float(np.log10(budget)) + 0.02])


def finish(figure: go.Figure, *, height: int, legend: bool = True) -> go.Figure:
    """Gives a figure the look of the report."""
    figure.update_layout(
        template="simple_white",
        height=height,
        margin={"l": 80, "r": 20, "t": 24, "b": 55},
        font={"family": "system-ui, sans-serif", "size": 13, "color": INK},
        paper_bgcolor="rgba(0,0,0,0)",
        plot_bgcolor="rgba(0,0,0,0)",
        showlegend=legend,
        hovermode="closest",
        modebar={"bgcolor": "rgba(0,0,0,0)", "color": MUTED, "activecolor": INK},
        legend={"itemclick": "toggle", "itemdoubleclick": "toggleothers"},
    )
    figure.update_xaxes(showgrid=True, gridcolor="#e7eaee")
    figure.update_yaxes(showgrid=True, gridcolor="#e7eaee")
    return figure
