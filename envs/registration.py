"""One table of environments: id, scalar env, vector env, task."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import gymnasium as gym

from accelgym.envs.codesign import CoDesignTask
from accelgym.envs.hwgen import HwGenTask
from accelgym.envs.mapping import MappingTask
from accelgym.envs.network_mapping import NetworkMappingTask
from accelgym.envs.resource_assignment import ResourceAssignmentTask
from accelgym.envs.task import Task, tasks

__all__ = ["ENVIRONMENTS", "EnvironmentEntry", "make_task", "register_all"]


@dataclass(frozen=True)
class EnvironmentEntry:
    """What is registered under one id."""

    id: str
    entry_point: str
    vector_entry_point: str
    task: Callable[..., Task]
    summary: str


ENVIRONMENTS = (
    EnvironmentEntry(
        "accelgym/ResourceAssignment-v0",
        "accelgym.envs.resource_assignment.env:ResourceAssignmentEnv",
        "accelgym.envs.resource_assignment.env:ResourceAssignmentVectorEnv",
        ResourceAssignmentTask,
        "PEs, buffer and dataflow per layer under a chip budget (ConfuciuX)",
    ),
    EnvironmentEntry(
        "accelgym/Mapping-v0",
        "accelgym.envs.mapping.env:MappingEnv",
        "accelgym.envs.mapping.env:MappingVectorEnv",
        MappingTask,
        "spatial unrolling, tiles and loop orders of a layer on a memory hierarchy (Timeloop)",
    ),
    EnvironmentEntry(
        "accelgym/NetworkMapping-v0",
        "accelgym.envs.network_mapping.env:NetworkMappingEnv",
        "accelgym.envs.network_mapping.env:NetworkMappingVectorEnv",
        NetworkMappingTask,
        "the mappings of all layers of a network on one memory hierarchy",
    ),
    EnvironmentEntry(
        "accelgym/CoDesign-v0",
        "accelgym.envs.codesign.env:CoDesignEnv",
        "accelgym.envs.codesign.env:CoDesignVectorEnv",
        CoDesignTask,
        "register file, SRAM and PEs under an area budget, with the mapping of a layer (Thistle)",
    ),
    EnvironmentEntry(
        "accelgym/HwGen-v0",
        "accelgym.envs.hwgen.env:HwGenEnv",
        "accelgym.envs.hwgen.env:HwGenVectorEnv",
        HwGenTask,
        "array, formats, buffers and ports of a systolic accelerator, proved by its RTL",
    ),
)


def register_all() -> None:
    """Registers every environment with Gymnasium; safe to call twice."""
    for entry in ENVIRONMENTS:
        if entry.id not in gym.registry:
            gym.register(entry.id, entry_point=entry.entry_point, vector_entry_point=entry.vector_entry_point)
        if entry.id not in tasks:
            tasks.register(entry.id, entry.task)


def make_task(env_id: str, **arguments: Any) -> Task:
    """Builds the task behind an environment id.

    Args:
        env_id: For example ``"accelgym/ResourceAssignment-v0"``; the namespace may be left out.
        **arguments: The task's specification.

    Raises:
        InputError: Unknown id, or a bad argument.
    """
    register_all()
    name = env_id if "/" in env_id else f"accelgym/{env_id}"
    return tasks.get(name)(**arguments)
