"""Pictures of a mapping: its loop nest as text; data movement and a roofline as a figure."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from accelgym.costmodels.architecture.machine import Architecture
from accelgym.costmodels.costs import Costs
from accelgym.costmodels.files.pictures import as_image, empty_figure
from accelgym.costmodels.loopnest import Mappings
from accelgym.costmodels.loopnest.nest_text import format_nest

if TYPE_CHECKING:
    from matplotlib.figure import Figure

    from accelgym.envs.mapping.task import MappingTask

__all__ = ["draw_mapping", "format_mapping", "mapping_figure"]

Ints = npt.NDArray[np.int64]

_COLOURS = ("tab:blue", "tab:orange", "tab:green", "tab:red", "tab:purple")
_COUNTERS = ("reads", "fills", "updates")


def format_mapping(task: MappingTask, choices: Ints) -> str:
    """Returns the loop nest with the tiles each level holds, and what it costs.

    Args:
        task: The task.
        choices: Choice per decision, -1 where open; what is open is shown outermost.
    """
    mappings, costs = _evaluate(task, choices)
    problem, lines = task.problem, format_nest(mappings).splitlines()
    undecided = int((np.asarray(choices) < 0).sum())
    if undecided:
        lines.append(f"{undecided} of {len(choices)} decisions open; shown with their loops outermost")
    if costs.valid[0]:
        lines.append(
            f"{costs.energy_pj[0] / problem.macs:.4g} pJ/MAC, {costs.latency_cycles[0]:.0f} cycles, "
            f"{costs.breakdown['utilisation'][0]:.1%} of the multipliers busy, bound by {_bottleneck(task, costs)}"
        )
    else:
        lines.append("does not fit")
    return "\n".join(lines)


def mapping_figure(task: MappingTask, choices: Ints) -> Figure:
    """Draws words moved and energy per level, and the roofline (extra ``report``).

    Args:
        task: The task.
        choices: Choice per decision, -1 where open; what is open is drawn outermost.
    """
    mappings, costs = _evaluate(task, choices)
    architecture = mappings.architecture
    figure = empty_figure(11, 4)
    words, energy, roof = figure.subplots(1, 3)
    _draw_words(task, costs, words)
    names = [*architecture.level_names, architecture.compute.name]
    energy.barh(names, [costs.breakdown[f"{name}.energy_pj"][0] / task.problem.macs for name in names], color="grey")
    energy.invert_yaxis()
    energy.set_xlabel("pJ/MAC")
    _draw_roofline(task, architecture, costs, roof)
    undecided = int((np.asarray(choices) < 0).sum())
    state = f"{undecided} decisions open" if undecided else f"bound by {_bottleneck(task, costs)}"
    figure.suptitle(f"{task.problem.name} on {architecture.name}: {state}")
    return figure


def draw_mapping(task: MappingTask, choices: Ints) -> npt.NDArray[np.uint8]:
    """Returns :func:`mapping_figure` as an RGB image, shape ``(height, width, 3)``, uint8."""
    return as_image(mapping_figure(task, choices))


def _draw_words(task: MappingTask, costs: Costs, axes: Any) -> None:
    names, tensors = task.architecture.level_names, task.problem.tensor_names
    height = 0.8 / len(tensors)
    for i, (tensor, colour) in enumerate(zip(tensors, _COLOURS, strict=False)):
        moved = [sum(_counts(costs, name, tensor).values()) for name in names]
        axes.barh(np.arange(len(names)) + (i - 1) * height, moved, height, color=colour, label=tensor)
    axes.set_yticks(np.arange(len(names)), names)
    axes.set_xscale("log")
    axes.invert_yaxis()
    axes.set_xlabel("accesses (reads, fills, updates)")
    axes.legend(fontsize="small")


def _draw_roofline(task: MappingTask, architecture: Architecture, costs: Costs, axes: Any) -> None:
    """Attainable throughput over operations per word, for the busiest port of every level with a bandwidth."""
    peak = architecture.num_multipliers
    reached = task.problem.macs / costs.latency_cycles[0]
    for level, colour in zip(architecture.levels, _COLOURS, strict=False):
        counts = [_counts(costs, level.name, t) for t in task.problem.tensor_names]
        used = float(costs.breakdown[f"{level.name}.instances"][0])
        ports = [
            (sum(count[name] for count in counts for name in names) / used / limit, limit)
            for names, limit in level.ports
            if limit is not None
        ]
        busy, limit = max(ports, default=(0.0, 0.0))
        if busy > 0:
            intensity = task.problem.macs / (busy * limit)
            x = np.geomspace(min(intensity, peak / limit) / 10, max(intensity, peak / limit) * 10, 50)
            axes.plot(x, np.minimum(x * limit, peak), color=colour, linewidth=1, label=level.name)
            axes.plot(intensity, reached, "o", color=colour)
    axes.axhline(peak, color="black", linewidth=1, linestyle="--", label="multipliers")
    axes.set_xscale("log")
    axes.set_yscale("log")
    axes.set_xlabel("MACs per word through the busiest port")
    axes.set_ylabel("MACs per cycle")
    axes.legend(fontsize="small")


def _counts(costs: Costs, level: str, tensor: str) -> dict[str, float]:
    return {name: float(costs.breakdown.get(f"{level}.{tensor}.{name}", np.zeros(1))[0]) for name in _COUNTERS}


def _evaluate(task: MappingTask, choices: Ints) -> tuple[Mappings, Costs]:
    complete = task.mapspace.complete(np.asarray(choices, dtype=np.int64)[None])
    return task.inspect(task.designs(complete)[0])


def _bottleneck(task: MappingTask, costs: Costs) -> str:
    names = (*task.architecture.level_names, task.architecture.compute.name)
    return names[int(costs.breakdown["bound_by"][0])]
