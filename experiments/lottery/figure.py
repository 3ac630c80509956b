"""Draws the lottery: expected best of k settings, and what settings are worth on training and on held-out tasks."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np

from accelgym.costmodels.files.pictures import empty_figure
from accelgym.experiments.lottery.analysis import AgentLottery

if TYPE_CHECKING:
    from matplotlib.figure import Figure

__all__ = ["lottery_figure"]

_COLOURS = ("#0072B2", "#D55E00", "#009E73", "#CC79A7", "#E69F00", "#56B4E9", "#7F4FA8", "#333333")
"""Okabe and Ito's, which colour-blind people tell apart, and two more."""


def lottery_figure(agents: Sequence[AgentLottery]) -> Figure:
    """Draws two panels: regret over the number of settings tried, and all settings on both kinds of task.

    Args:
        agents: Of :func:`~accelgym.experiments.lottery.analysis.analyse`; those without settings are left out.

    Raises:
        MissingExtraError: matplotlib is not installed (extra ``report``).
    """
    figure = empty_figure(10, 4)
    from matplotlib.ticker import FuncFormatter, LogLocator, NullFormatter

    left, right = figure.subplots(1, 2)
    for place, agent in enumerate(a for a in agents if len(a.settings) > 1):
        colour = _COLOURS[place % len(_COLOURS)]
        curve = 10**agent.best_of
        left.plot(np.arange(1, len(curve) + 1), curve, color=colour, marker=".", label=agent.agent)
        left.axhline(10 ** agent.measured[0], color=colour, linestyle=":", linewidth=1)
        if agent.held_out is not None:
            x, y = 10 ** ((agent.tuning + agent.measured) / 2), 10**agent.held_out
            right.plot(x[1:], y[1:], ".", color=colour, alpha=0.6, label=agent.agent)
            right.plot(x[:1], y[:1], "D", color=colour, markeredgecolor="black")
            right.plot(x[[agent.chosen]], y[[agent.chosen]], "*", color=colour, markeredgecolor="black", markersize=12)
    left.set(xscale="log", yscale="log", xlabel="random settings tried", ylabel="regret, geometric mean")
    left.set_title("Expected best of k (dotted: default)")
    right.set(xscale="log", yscale="log", xlabel="regret on training tasks", ylabel="regret on held-out tasks")
    right.set_title("Every setting (diamond: default, star: tuned)")
    for axis, ticks in ((left.yaxis, (1, 2, 5)), (right.xaxis, (1, 3)), (right.yaxis, (1, 2, 5))):
        axis.set_major_locator(LogLocator(subs=ticks))
        axis.set_major_formatter(FuncFormatter(lambda regret, _: f"{100 * regret:.3g} %"))
        axis.set_minor_formatter(NullFormatter())
    left.xaxis.set_major_locator(LogLocator(subs=(1, 2, 5)))
    left.xaxis.set_major_formatter(FuncFormatter(lambda settings, _: f"{settings:g}"))
    for axes in (left, right):
        axes.grid(alpha=0.3)
        if axes.get_legend_handles_labels()[0]:
            axes.legend(fontsize="small")
    return figure
