"""Accuracy against energy: the three searches, their fronts and what each chooses."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from accelgym.costmodels.files.pictures import empty_figure
from accelgym.experiments.codesign.study import MODES, Evaluation, chosen, front
from accelgym.experiments.markdown import markdown_table

if TYPE_CHECKING:
    from matplotlib.figure import Figure

__all__ = ["format_table", "pareto_figure"]

_STYLES = {"joint": ("o", "#0072B2"), "network": ("s", "#D55E00"), "accelerator": ("^", "#009E73")}
_WORDS = {"joint": "network and accelerator", "network": "network alone", "accelerator": "accelerator alone"}


def pareto_figure(rows: Sequence[Evaluation], floor: float, teacher: float) -> Figure:
    """Draws every candidate, the front of each search as steps, and the chosen ones ringed.

    Args:
        rows: The evaluations.
        floor: Least accuracy of a choice.
        teacher: Its accuracy.

    Raises:
        MissingExtraError: matplotlib is not installed (extra ``report``).
    """
    figure = empty_figure(9, 4.5)
    axes = figure.subplots()
    for mode in MODES:
        own = [row for row in rows if row.mode == mode]
        marker, colour = _STYLES[mode]
        axes.scatter(*_points(own), marker=marker, color=colour, s=22, alpha=0.55, label=_WORDS[mode])
        energies, accuracies = _points(front(own))
        axes.step(energies, accuracies, where="post", color=colour, linewidth=1)
        best = chosen(own, floor)
        if best is not None:
            ring: dict[str, Any] = {"facecolors": "none", "edgecolors": colour, "linewidths": 1.6}
            axes.scatter(*_points([best]), s=130, marker="o", **ring)
    axes.axhline(100 * floor, color="black", linestyle="--", linewidth=0.8, label=f"floor {floor:.0%}")
    axes.axhline(100 * teacher, color="grey", linestyle=":", linewidth=0.8, label=f"teacher {teacher:.1%}")
    axes.set_xlabel("energy of one image, uJ (best mapping found of every layer)")
    axes.set_ylabel("accuracy on validation images, %")
    # Outside: candidates may lie anywhere.
    words: dict[str, Any] = {"title": "ringed: least energy at the floor", "title_fontsize": 8}
    axes.legend(loc="upper left", bbox_to_anchor=(1.01, 1.0), fontsize=8, **words)
    return figure


def _points(rows: Sequence[Evaluation]) -> tuple[list[float], list[float]]:
    return [row.energy_pj / 1e6 for row in rows], [100 * row.accuracy for row in rows]


def format_table(rows: Sequence[Evaluation], floor: float) -> str:
    """Returns what each search chose, as a Markdown table.

    Args:
        rows: The evaluations.
        floor: Least accuracy of a choice.
    """
    heads = "search, evaluations, at the floor, blocks, channels, T, a, rate, epochs, machine, uJ, validation, test"
    lines: list[list[str]] = []
    for mode in MODES:
        own = [row for row in rows if row.mode == mode]
        good, best = [row for row in own if row.accuracy >= floor], chosen(own, floor)
        if best is None:
            lines.append([_WORDS[mode], str(len(own)), "0", f"none reaches {floor:.0%}", *[""] * 9])
            continue
        student, training = best.candidate.student, best.candidate.training
        cells = [
            *(_WORDS[mode], len(own), len(good)),
            *("-".join(map(str, part)) for part in (student.blocks, student.channels)),
            *(f"{x:g}" for x in (training.temperature, training.mixing, training.rate, training.epochs)),
            *(best.candidate.machine.name, f"{best.energy_pj / 1e6:.2f}"),
            *(f"{share:.1%}" for share in (best.accuracy, best.test_accuracy)),
        ]
        lines.append(list(map(str, cells)))
    return markdown_table(heads.split(", "), lines, left=(0, 3, 4, 9)) + "\n"
