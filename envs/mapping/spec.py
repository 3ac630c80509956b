"""What defines a mapping task, validated with errors that name the key."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any, Self

from pydantic import Field

from accelgym.costmodels.architecture.loop_nest import LoopNest
from accelgym.costmodels.architecture.machine import Architecture, Leakage
from accelgym.costmodels.errors import InputError, unknown_name
from accelgym.costmodels.objective import Objective
from accelgym.costmodels.timeloop import names_files, read_architecture_files, read_timeloop_problem
from accelgym.costmodels.timeloop.presets import preset
from accelgym.costmodels.workloads import Layer, Workload, load_workload
from accelgym.envs.arguments import TaskSpec
from accelgym.envs.mapping.mapspace import prime_factors

__all__ = ["MappingSpec", "pad_bounds", "read_architecture", "read_problem", "select_layer"]


class MappingSpec(TaskSpec):
    """Arguments of ``accelgym/Mapping-v0``."""

    workload: str = "thistle/resnet18"
    """Name in the workload zoo, or a network file."""
    layer: int | str = 1
    """The layer mapped: its position among the convolutions and GEMMs, counted from 1, or its name."""
    architecture: str = "eyeriss"
    """Name of a preset, or Timeloop v0.3 or v0.4 files (``a.yaml,b.yaml``, a folder, or a template with its variables,
    ``top.yaml.jinja2?architecture=NAME``); its constraints bind. ``arch`` for short."""
    objective: Objective = Objective.EDP
    bypass: bool = False
    """Also choose which level holds which tensor, where the architecture's constraints leave that open."""
    padding: float = Field(default=0.0, ge=0.0, le=1.0)
    """How far a loop bound may grow, as a fraction, to a number with more prime factors. Padded work costs."""
    leakage: Leakage | None = None
    """Which instances leak: of each memory the ``instances_in_use``, as Timeloop charges them, or the ``whole_chip``.
    By default what the architecture states; presets and files leak as in Timeloop."""

    @classmethod
    def parse(cls, arguments: Mapping[str, Any]) -> Self:
        """Validates keyword arguments.

        Raises:
            InputError: Names the key, the value given and what is allowed.
        """
        arguments = dict(arguments)
        if "arch" in arguments:
            if "architecture" in arguments:
                raise InputError("arch is short for architecture: give one of them")
            arguments["architecture"] = arguments.pop("arch")
        return super().parse(arguments)


def select_layer(workload: Workload, layer: int | str) -> Layer:
    """Returns a convolution or GEMM of a workload.

    Args:
        workload: The network.
        layer: Position among its convolutions and GEMMs, counted from 1, or name.

    Raises:
        InputError: No such layer.
    """
    layers = workload.compute_layers
    if isinstance(layer, int):
        if not 1 <= layer <= len(layers):
            raise InputError(f"layer is {layer}, allowed 1..{len(layers)} or a name ({workload.name!r})")
        return layers[layer - 1]
    for candidate in layers:
        if candidate.name == layer:
            return candidate
    raise unknown_name(f"layer of {workload.name!r}", layer, [x.name for x in layers])


def read_architecture(name: str, problem: LoopNest) -> Architecture:
    """Returns a preset, or reads Timeloop files; constraints in a file may name the dimensions of ``problem``.

    Raises:
        InputError: Unknown preset, or an error in the file.
    """
    if names_files(name):
        return read_architecture_files(name, problem)
    return preset(name)


def read_problem(spec: MappingSpec, problem: LoopNest | None, *, own_names: bool = False) -> LoopNest:
    """Returns the layer that a task maps, or ``problem`` in its place, padded as the specification says.

    Args:
        spec: The specification.
        problem: Stands in for the layer.
        own_names: Keep the names that a Timeloop file gives its dimensions and tensors, which the constraints of a
            machine from such a file use; else they are those of :meth:`LoopNest.from_layer`.

    Raises:
        InputError: No such layer, or nothing to map.
    """
    if problem is None:
        if own_names and Path(spec.workload).suffix.lower() in (".yaml", ".yml"):
            problem = read_timeloop_problem(spec.workload)
            if spec.layer not in (1, problem.name):
                raise InputError(f"layer is {spec.layer!r}, allowed 1 or {problem.name!r} ({spec.workload!r})")
        else:
            problem = LoopNest.from_layer(select_layer(load_workload(spec.workload), spec.layer))
    if spec.padding:
        problem = replace(problem, bounds=pad_bounds(problem.bounds, spec.padding))
    if problem.macs == 1:
        raise InputError(f"layer {problem.name!r} is a single multiplication: there is nothing to map")
    return problem


def pad_bounds(bounds: tuple[int, ...], padding: float) -> tuple[int, ...]:
    """Grows each bound to the least number within ``bound * (1 + padding)`` that has the most prime factors."""
    return tuple(
        max(range(bound, math.floor(bound * (1 + padding)) + 1), key=lambda n: len(prime_factors(n)))
        for bound in bounds
    )
