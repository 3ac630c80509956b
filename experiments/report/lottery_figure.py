"""What tuning is worth, from the ``lottery.json`` that a sweep of hyperparameters leaves in its folder."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import plotly.graph_objects as go

from accelgym.costmodels.errors import DamagedFileError
from accelgym.costmodels.files.json_file import read_json
from accelgym.experiments.report.style import Exhibit, finish, on_axis, regret_axis, style_of

__all__ = ["LOTTERY", "lottery_exhibit"]

LOTTERY = "lottery.json"


def lottery_exhibit(folder: Path) -> Exhibit | None:
    """Draws the expected best of ``k`` random settings for every agent that was swept.

    Args:
        folder: Of the results. Its ``lottery.json`` holds ``agents``, each with its name as ``agent`` and ``best_of``,
            decimal logarithms of regrets for ``k`` = 1, 2, ...; the score of the default setting is the first entry of
            ``measured``.

    Returns:
        The figure; ``None`` where no sweep has been made.

    Raises:
        DamagedFileError: Not such a file.
    """
    path = folder / LOTTERY
    if not path.exists():
        return None
    data = read_json(path)
    try:
        curves = [(str(a["agent"]), _numbers(a["best_of"]), _numbers(a["measured"])[:1]) for a in data["agents"]]
    except (KeyError, TypeError, ValueError, IndexError) as error:
        raise DamagedFileError(f"{path}: no lottery of this version of accelgym ({error!r})") from error
    curves = [(name, curve, default) for name, curve, default in curves if len(curve) > 1]
    if not curves:
        return None
    figure = go.Figure()
    for index, (name, curve, default) in enumerate(curves):
        colour, dash = style_of(index)
        k = np.arange(1, len(curve) + 1)
        figure.add_scatter(
            x=k,
            y=on_axis(curve),
            name=name,
            legendgroup=name,
            mode="lines",
            line={"color": colour, "dash": dash, "width": 2.2},
            customdata=100 * curve,
            hovertemplate="best of %{x} settings: regret %{customdata:.4g} %<extra>" + name + "</extra>",
        )
        figure.add_scatter(
            x=[1] * len(default),
            y=on_axis(default),
            legendgroup=name,
            showlegend=False,
            mode="markers",
            marker={"color": colour, "size": 10, "symbol": "diamond"},
            customdata=100 * default,
            hovertemplate="default: regret %{customdata:.4g} %<extra>" + name + "</extra>",
        )
    drawn = np.concatenate([np.concatenate((curve, default)) for _, curve, default in curves])
    regret_axis(figure, float(drawn.min()), float(drawn.max()))
    longest = max(len(curve) for _, curve, _ in curves)
    figure.update_xaxes(type="log", title="settings tried (k)", range=[-0.03, float(np.log10(longest)) + 0.02])
    return Exhibit(
        "The hyperparameter lottery",
        finish(figure, height=480),
        "Expected regret of the best of k random settings of each agent's hyperparameters, chosen by some seeds and "
        "valued by others (geometric mean over the training tasks). At k = 1 a user's luck decides; how far a line "
        "falls is what tuning is worth, and k times the evaluations of a search is what it costs. Diamond: the default "
        "setting.",
    )


def _numbers(values: Any) -> np.ndarray[Any, np.dtype[np.float64]]:
    found = np.asarray(values, dtype=np.float64)
    if found.ndim != 1 or not np.isfinite(found).all():
        raise ValueError("not a list of numbers")
    return np.asarray(10.0**found)
