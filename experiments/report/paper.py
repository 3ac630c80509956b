"""The report for a paper: tables in Markdown, every figure as a PNG of the same data."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

import numpy as np

from accelgym.costmodels.files.pictures import empty_figure, save_figure
from accelgym.costmodels.files.whole_file import write_whole
from accelgym.experiments.comparison import compare_ranks
from accelgym.experiments.markdown import markdown_table
from accelgym.experiments.report.numbers import NOTHING, percent, quantity, regret
from accelgym.experiments.report.style import Exhibit
from accelgym.experiments.report.summary import ALL_TASKS, SummaryRow
from accelgym.experiments.report.tables import PAIR_NOTE, pair_cells
from accelgym.experiments.results import BenchResults, TaskResults

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

__all__ = ["write_paper"]

_HEADS = ("agent", "final regret [95 % CI]", "best run", "to 1 %", "evaluations to 1 %", "CPU s per run", "runs")
_DASHES = {"solid": "-", "dash": "--", "dot": ":", "dashdot": "-."}
_WIDTH, _DPI = 8.0, 150
"""Inches, and dots per inch."""
_TEXT_PLACES = {
    "middle right": ((6, 0), "left", "center"),
    "top right": ((0, 2), "left", "bottom"),
    "top left": ((0, 2), "right", "bottom"),
    "top center": ((0, 2), "center", "bottom"),
}
"""Places of texts beside their points: shift in typographic points, horizontal and vertical alignment."""


def write_paper(results: BenchResults, rows: Sequence[SummaryRow], exhibits: Mapping[str, Exhibit], out: Path) -> Path:
    """Writes ``report.md`` and ``figures/NAME.png`` into a folder.

    Returns:
        Path of the Markdown file.

    Raises:
        MissingExtraError: Matplotlib is not installed.
    """
    for name, exhibit in exhibits.items():
        figure = empty_figure(_WIDTH, exhibit.figure.layout.height / 100)
        _draw(figure, exhibit.figure)
        save_figure(figure, out / "figures" / f"{name}.png", dpi=_DPI)
    path = out / "report.md"
    write_whole(path, _markdown(results, rows, exhibits))
    return path


# -- text --------------------------------------------------------------------------------------------------------


def _markdown(results: BenchResults, rows: Sequence[SummaryRow], exhibits: Mapping[str, Exhibit]) -> str:
    parts = [f"# {results.config.name}", results.config.description, _what_was_run(results)]
    overall = [row for row in rows if row.task == ALL_TASKS]
    if overall:
        parts += ["## Over all tasks", _table(overall)]
    parts += [_picture(name, exhibit) for name, exhibit in exhibits.items() if "-" not in name]
    if (ranks := compare_ranks(results)) is not None:
        names, tests = pair_cells(ranks)
        lines = [[name, *(text for text, _ in row)] for name, row in zip(names, tests, strict=True)]
        parts += [markdown_table(("agent", *names), lines), f"*Every two agents.* {PAIR_NOTE}"]
    for task in results.tasks:
        own = str(task.record["id"])
        parts += [f"## {task.title}", _about(task), _table([row for row in rows if row.task_id == own])]
        parts += [_picture(name, exhibit) for name, exhibit in exhibits.items() if name.endswith(f"-{own}")]
    return "\n\n".join(part for part in parts if part) + "\n"


def _what_was_run(results: BenchResults) -> str:
    runs = [run for task in results.tasks for agent in task.agents for run in agent.runs]
    sessions = results.manifest["sessions"]
    made = sum(run.evaluations for run in runs)
    words = [
        f"{len(runs):,} searches of {len(results.config.agents)} agents on {len(results.tasks)} tasks",
        f"{made:,} evaluations",
        f"{quantity(sum(session['cpu_s'] for session in sessions))} CPU seconds in {len(sessions)} sessions",
    ]
    if sessions:
        last = sessions[-1]
        words.append(f"on {last['processor']}, Python {last['python']}, commit {last['commit'] or 'unknown'}")
    return ", ".join(words) + "."


def _about(task: TaskResults) -> str:
    reference = task.record["reference"]
    kind = "the proved optimum" if task.exact else "a certified lower bound"
    arguments = ", ".join(f"{key}={value}" for key, value in task.record["arguments"].items())
    words = "not audited" if task.audit is None else task.audit.words
    value = reference["value"] if task.exact else reference["lower_bound"]
    return (
        f"{task.record['env']} ({arguments}), id `{task.record['id']}`: {words}. Regrets refer to {kind}, {value:.10g} "
        f"({reference['method']})."
    )


def _table(rows: Sequence[SummaryRow]) -> str:
    ordered = sorted(rows, key=lambda row: (row.regret_iqm is None, row.regret_iqm or 0.0))
    return markdown_table(_HEADS, [_cells(row) for row in ordered])


def _cells(row: SummaryRow) -> list[str]:
    low, value, high = map(regret, (row.regret_low, row.regret_iqm, row.regret_high))
    spent = None if row.agent_cpu_s is None else row.agent_cpu_s + (row.evaluation_cpu_s or 0.0)
    return [
        f"{row.agent} (capped at {row.budget:,})" if row.capped else row.agent,
        f"{value} [{low}, {high}]" if row.runs else NOTHING,
        percent(row.regret_best),
        percent(row.success_1pct),
        quantity(row.evaluations_to_1pct),
        quantity(spent),
        str(row.runs),
    ]


def _picture(name: str, exhibit: Exhibit) -> str:
    return f"![{exhibit.title}](figures/{name}.png)\n\n*{exhibit.title}.* {exhibit.caption}"


# -- pictures ----------------------------------------------------------------------------------------------------


def _draw(figure: Figure, plot: Any) -> None:
    """Draws the traces of a Plotly figure; every vertical axis of it gets a panel."""
    traces = [trace for trace in plot.data if trace.visible is not False]
    names = sorted({_axis_of(trace) for trace in traces}, key=lambda name: int(name[1:] or 1)) or ["y"]
    panels = figure.subplots(len(names), 1, sharex=True, squeeze=False)[:, 0]
    for name, panel in zip(names, panels, strict=True):
        own = [trace for trace in traces if _axis_of(trace) == name]
        for trace in own:
            {"scatter": _scatter, "bar": _bar, "heatmap": _heat}[trace.type](panel, trace)
        _axis(panel, "y", plot.layout[f"yaxis{name[1:]}"])
        labels = panel.get_legend_handles_labels()[1]
        if name == names[0] and labels and plot.layout.showlegend:
            panel.legend(fontsize=7, frameon=False, loc="upper left", bbox_to_anchor=(1.0, 1.0))
    _axis(panels[-1], "x", plot.layout[f"xaxis{names[-1][1:]}"])


def _axis_of(trace: Any) -> str:
    return str(trace.yaxis or "y")


def _scatter(panel: Axes, trace: Any) -> None:
    x, y = np.asarray(trace.x, dtype=np.float64), np.asarray(trace.y, dtype=np.float64)
    mode, colour = trace.mode or "lines", trace.line.color or trace.marker.color
    label = trace.name if trace.showlegend is not False else None
    if trace.fill == "toself":
        red, green, blue, opacity = (float(part) for part in trace.fillcolor[5:-1].split(","))
        panel.fill(x, y, color=(red / 255, green / 255, blue / 255), alpha=opacity, linewidth=0)
        return
    if "lines" in mode:
        style = "steps-post" if trace.line.shape == "hv" else "default"
        width = 0.73 * (trace.line.width or 2.2)
        panel.plot(
            x, y, _DASHES[trace.line.dash or "solid"], color=colour, drawstyle=style, linewidth=width, label=label
        )
    if "markers" in mode:
        face = "none" if trace.marker.symbol == "circle-open" else colour
        shape = {"square": "s", "diamond": "D"}.get(trace.marker.symbol, "o")
        panel.scatter(x, y, s=28, marker=shape, facecolors=face, edgecolors=colour, label=label, zorder=3)
    if trace.error_y.array is not None:
        spread = np.array([trace.error_y.arrayminus, trace.error_y.array], dtype=np.float64)
        panel.errorbar(x, y, yerr=spread, fmt="none", ecolor=trace.error_y.color, elinewidth=1.2)
    colour = trace.textfont.color or colour
    shift, across, along = _TEXT_PLACES[trace.textposition or "middle right"]
    for place, text in zip(zip(x, y, strict=True), trace.text or (), strict=False):
        how: dict[str, Any] = {"xytext": shift, "textcoords": "offset points", "ha": across, "va": along, "fontsize": 8}
        panel.annotate(text, place, color=colour, **how)


def _bar(panel: Axes, trace: Any) -> None:
    panel.bar(trace.x, np.asarray(trace.y, dtype=np.float64), color=trace.marker.color, label=trace.name)


def _heat(panel: Axes, trace: Any) -> None:
    from matplotlib.colors import LinearSegmentedColormap

    shade = np.asarray(trace.z, dtype=np.float64)
    colours = LinearSegmentedColormap.from_list("report", [(float(at), colour) for at, colour in trace.colorscale])
    panel.imshow(shade, aspect="auto", vmin=0, vmax=1, cmap=colours, interpolation="nearest")
    step = max(1, shade.shape[1] // 40)
    panel.set_xticks(range(0, shade.shape[1], step), list(trace.x)[::step], rotation=60, ha="right", fontsize=6)
    panel.set_yticks(range(len(shade)), list(trace.y), fontsize=7)
    if trace.texttemplate:
        for (row, column), value in np.ndenumerate(shade):
            if np.isfinite(value):
                panel.text(column, row, f"{value:.0%}", ha="center", va="center", fontsize=6)


def _axis(panel: Axes, which: Literal["x", "y"], axis: Any) -> None:
    own = panel.xaxis if which == "x" else panel.yaxis
    if axis.visible is False:
        own.set_visible(False)
        panel.spines[:].set_visible(False)
    logarithmic = axis.type == "log"
    if logarithmic:
        getattr(panel, f"set_{which}scale")("log")
    if axis.range is not None and axis.autorange != "reversed":
        low, high = axis.range
        getattr(panel, f"set_{which}lim")(*((10.0**low, 10.0**high) if logarithmic else (low, high)))
    if axis.tickvals is not None:
        own.set_ticks(list(axis.tickvals), labels=list(axis.ticktext or axis.tickvals))
        own.set_minor_locator(_no_ticks())
        if axis.tickangle:
            panel.tick_params(axis=which, rotation=60, labelsize=6)
        if axis.range is not None:  # Ticks outside of the range would widen it.
            low, high = axis.range
            getattr(panel, f"set_{which}lim")(*((10.0**low, 10.0**high) if logarithmic else (low, high)))
    elif axis.tickformat == ".0%":
        own.set_major_formatter(_percent())
    if axis.title.text:
        own.set_label_text(axis.title.text)
    panel.tick_params(labelsize=7)


def _no_ticks() -> Any:
    from matplotlib.ticker import NullLocator

    return NullLocator()


def _percent() -> Any:
    from matplotlib.ticker import PercentFormatter

    return PercentFormatter(1.0)
