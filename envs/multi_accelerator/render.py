"""Pictures of a schedule: a text table and a Gantt chart."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from accelgym.costmodels.errors import MissingExtraError
from accelgym.costmodels.files.pictures import as_image, empty_figure

if TYPE_CHECKING:
    from accelgym.envs.multi_accelerator.task import MultiAcceleratorTask

__all__ = ["draw_gantt", "format_schedule"]

_ROOM_FOR_TEXT = 0.045
"""Share of the makespan from which an operation is labelled."""


def format_schedule(task: MultiAcceleratorTask, design: npt.NDArray[np.integer[Any]]) -> str:
    """Returns the choices so far, and the schedule in order of start when all are made.

    Args:
        task: The task.
        design: Value indices, -1 where open.
    """
    decided = design >= 0
    lines = [f"{int(decided.sum())} of {len(design)} decisions"]
    choices = list(zip(task.space.parameters, design, strict=True))[: task.choices]
    width = max(len(parameter.name) for parameter, _ in choices) + 2
    for parameter, index in choices:
        lines.append(f"{parameter.name:<{width}}{'open' if index < 0 else parameter.values[index]}")
    if decided.all():
        row = design[None].astype(np.int64)
        outcome, run = task.evaluate(row), task.schedules(row)
        where, tick = task.parts(row).assignment[0], task.spec.tick_cycles
        names = task.space.parameters[len(task.problem.accelerators)].values
        order = np.argsort(run.start[0].ravel(), kind="stable")
        lines.append(f"{'start':>14}{'end':>14}  accelerator  batch  layer")
        for layer, batch in zip(*np.divmod(order, task.problem.batches), strict=True):
            begin = int(run.start[0, layer, batch])
            end = begin + int(run.duration[0, layer])
            name = task.problem.layers[layer]
            lines.append(f"{begin * tick:>14,}{end * tick:>14,}  {names[where[layer]]:<11}  {batch + 1:>5}  {name}")
        lines.append(f"makespan {outcome.costs['makespan_cycles'][0]:,.0f} cycles")
        lines.append(f"energy {outcome.costs['energy_pj'][0]:.4g} pJ")
        lines.append("feasible" if outcome.feasible[0] else "NOT FEASIBLE")
    return "\n".join(lines)


def draw_gantt(task: MultiAcceleratorTask, design: npt.NDArray[np.integer[Any]]) -> npt.NDArray[np.uint8]:
    """Draws when each accelerator runs which layer, one colour a network, batches in shades (extra ``report``).

    Args:
        task: The task.
        design: Value indices, -1 where open; nothing is drawn before all are decided.

    Returns:
        RGB image, shape ``(height, width, 3)``, uint8.
    """
    try:
        from matplotlib import colormaps
    except ImportError as error:
        raise MissingExtraError("drawing", "matplotlib", "report") from error

    problem = task.problem
    figure = empty_figure(10, 1.2 + 0.9 * len(problem.accelerators))
    axes = figure.subplots()
    names = task.space.parameters[len(problem.accelerators)].values
    labels = list(names)
    if (design >= 0).all():
        row = design[None].astype(np.int64)
        run, parts, outcome = task.schedules(row), task.parts(row), task.evaluate(row)
        labels = [
            f"{name}\n{sizes[index]}" for name, sizes, index in zip(names, task.sizes, parts.sizes[0], strict=True)
        ]
        networks = list(dict.fromkeys(name.rsplit("/", 1)[0] if "/" in name else "" for name in problem.layers))
        shade = np.linspace(1.0, 0.45, problem.batches)
        scale = task.spec.tick_cycles / 1e6
        for layer, name in enumerate(problem.layers):
            network = networks.index(name.rsplit("/", 1)[0] if "/" in name else "")
            colour = np.array(colormaps["tab10"](network % 10))[:3]
            for batch in range(problem.batches):
                begin, length = run.start[0, layer, batch] * scale, run.duration[0, layer] * scale
                face = 1 - shade[batch] * (1 - colour)
                y = int(parts.assignment[0, layer])
                axes.barh(y, length, left=begin, height=0.8, color=face, edgecolor="black", linewidth=0.4)
                if length > _ROOM_FOR_TEXT * run.makespan[0] * scale:
                    text = f"{name.rsplit('/', 1)[-1][:14]}\n{batch + 1}"
                    axes.text(begin + length / 2, y, text, ha="center", va="center", fontsize=6)
        for number, label in enumerate(networks):
            if label:
                axes.barh(0, 0, color=colormaps["tab10"](number % 10), label=label)
        if len(networks) > 1:
            axes.legend(loc="upper center", bbox_to_anchor=(0.5, -0.3), ncols=len(networks), fontsize=7, frameon=False)
        axes.set_title(
            f"{outcome.costs['makespan_cycles'][0] / 1e6:.3f} Mcycles, {outcome.costs['energy_pj'][0] / 1e9:.3f} mJ, "
            f"{outcome.costs['area_um2'][0] / 1e6:.2f} mm2 of {problem.area_limit_um2 / 1e6:.2f}",
            fontsize=9,
        )
    axes.set_yticks(range(len(labels)), labels, fontsize=8)
    axes.invert_yaxis()
    axes.set_xlabel("million cycles; numbers are batches")
    return as_image(figure)
