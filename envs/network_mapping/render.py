"""Pictures of a network's mappings: a table with the loop nest at hand, and that layer as a figure."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from accelgym.envs.mapping.render import draw_mapping, format_mapping

if TYPE_CHECKING:
    from accelgym.envs.network_mapping.task import NetworkMappingTask

__all__ = ["draw_layer", "format_network"]

Ints = npt.NDArray[np.int64]


def format_network(task: NetworkMappingTask, choices: Ints) -> str:
    """Returns a line per layer, then the loop nest of the layer at hand.

    Args:
        task: The task.
        choices: Choice per decision, -1 where open.
    """
    parts = [(layer, part[0]) for layer, part in task.split(choices[None])]
    width = max(len(layer.problem.name) for layer, _ in parts)
    lines = [f"{'layer':<{width}}  count  {'pJ/MAC':>8}  {'cycles':>12}"]
    for (layer, part), count in zip(parts, task.counts, strict=True):
        state = f"{int((part < 0).sum())} decisions open"
        if (part >= 0).all():
            costs = layer.evaluate(layer.designs(part[None])).costs
            state = f"{costs['energy_pj'][0] / layer.problem.macs:8.4g}  {costs['latency_cycles'][0]:12.0f}"
        lines.append(f"{layer.problem.name:<{width}}  {count:>5}  {state}")
    at = _at_hand(parts)
    return "\n".join([*lines, f"{parts[at][0].problem.name}:", format_mapping(*parts[at])])


def draw_layer(task: NetworkMappingTask, choices: Ints) -> npt.NDArray[np.uint8]:
    """Returns the figure of the layer at hand as an RGB image, shape ``(height, width, 3)``, uint8."""
    parts = [(layer, part[0]) for layer, part in task.split(choices[None])]
    return draw_mapping(*parts[_at_hand(parts)])


def _at_hand(parts: list[tuple[Any, Ints]]) -> int:
    """The first layer with open decisions, or the last one."""
    return next((i for i, (_, part) in enumerate(parts) if (part < 0).any()), len(parts) - 1)
