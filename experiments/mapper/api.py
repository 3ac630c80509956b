"""One layer in one call."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from accelgym.costmodels.architecture.loop_nest import LoopNest
from accelgym.costmodels.architecture.machine import Architecture
from accelgym.costmodels.errors import InputError, shown
from accelgym.costmodels.mapper import LayerMapping, Settings, optimal_mapping
from accelgym.costmodels.mapper.descents import descend_from
from accelgym.costmodels.mapper.inputs import own_names
from accelgym.costmodels.mapper.metrics import DEFAULT
from accelgym.costmodels.timeloop import names_files, read_architecture_files, read_timeloop_problem
from accelgym.costmodels.timeloop.presets import preset
from accelgym.costmodels.workloads import Layer

__all__ = ["map_layer"]


def map_layer(
    layer: Layer | LoopNest | str | Path,
    architecture: Architecture | str | Path,
    objective: str | Sequence[str] = DEFAULT,
    *,
    bypass: bool | None = None,
    tolerance: float = 1e-3,
    nodes: int | None = None,
    seconds: float | None = None,
) -> LayerMapping:
    """Finds the best mapping of a layer onto a machine, with a proof: ``accelgym map`` for one layer.

    >>> found = map_layer("conv.yaml", "eyeriss", objective="energy")  # doctest: +SKIP
    >>> found.energy_pj, found.cycles, found.gap  # doctest: +SKIP
    >>> print(found.loop_nest)  # doctest: +SKIP

    Args:
        layer: A layer of a workload, a problem, or a Timeloop file with one.
        architecture: A machine, the name of a preset, or Timeloop files, separated by commas.
        objective: ``energy`` (pJ), ``delay`` (cycles) or ``edp``; of several each is minimised among the mappings
            that are within 0.1 % of the best by those before it.
        bypass: Also choose which level keeps which tensor, where constraints leave that open; unless stated, for
            machines from files, as ``timeloop-mapper`` does.
        tolerance: Gap at which the search ends.
        nodes: Most programs a search solves; by size of the space unless stated.
        seconds: Most seconds of a search, in place of ``nodes``.

    Raises:
        InputError: A bad argument or file, or a layer that no mapping fits; the message names it.
    """
    if isinstance(layer, (str, Path)):
        problem = read_timeloop_problem(layer)
    elif isinstance(layer, Layer):
        problem = LoopNest.from_layer(layer)
    elif isinstance(layer, LoopNest):
        problem = layer
    else:
        raise InputError(f"layer is {shown(layer)}, allowed: a Layer, a LoopNest, or a Timeloop file with a problem")
    from_files = False
    if isinstance(architecture, Architecture):
        machine = architecture
    elif from_files := names_files(str(architecture)):
        machine = read_architecture_files(str(architecture), problem)
    else:
        machine = preset(str(architecture))
        problem = own_names(problem)
    chosen = from_files if bypass is None else bypass
    settings = Settings(chosen, tolerance, nodes, seconds)
    metrics = (objective,) if isinstance(objective, str) else tuple(objective)
    return optimal_mapping(problem, machine, metrics, settings, descend_from)
