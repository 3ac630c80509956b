"""One table of environments: id, scalar env, vector env, task."""

from __future__ import annotations

from dataclasses import dataclass
from importlib import import_module
from typing import Any

import gymnasium as gym

from accelgym.costmodels.files.plain import native
from accelgym.envs.task import Task, tasks

__all__ = ["ENVIRONMENTS", "EnvironmentEntry", "make_task", "register_all"]


@dataclass(frozen=True)
class EnvironmentEntry:
    """What is registered under one id."""

    id: str
    entry_point: str
    vector_entry_point: str
    task: str
    """Module and class, imported when the first task is built."""
    summary: str

    def build_task(self, **arguments: Any) -> Task:
        """Builds a task of this kind."""
        module, name = self.task.split(":")
        built: Task = getattr(import_module(module), name)(**arguments)
        return built


ENVIRONMENTS = (
    EnvironmentEntry(
        "accelgym/ResourceAssignment-v0",
        "accelgym.envs.resource_assignment.env:ResourceAssignmentEnv",
        "accelgym.envs.resource_assignment.env:ResourceAssignmentVectorEnv",
        "accelgym.envs.resource_assignment.task:ResourceAssignmentTask",
        "PEs, buffer and dataflow per layer under a chip budget (ConfuciuX)",
    ),
    EnvironmentEntry(
        "accelgym/Mapping-v0",
        "accelgym.envs.mapping.env:MappingEnv",
        "accelgym.envs.mapping.env:MappingVectorEnv",
        "accelgym.envs.mapping.task:MappingTask",
        "spatial unrolling, tiles and loop orders of a layer on a memory hierarchy (Timeloop)",
    ),
    EnvironmentEntry(
        "accelgym/NetworkMapping-v0",
        "accelgym.envs.network_mapping.env:NetworkMappingEnv",
        "accelgym.envs.network_mapping.env:NetworkMappingVectorEnv",
        "accelgym.envs.network_mapping.task:NetworkMappingTask",
        "the mappings of all layers of a network on one memory hierarchy",
    ),
    EnvironmentEntry(
        "accelgym/CoDesign-v0",
        "accelgym.envs.codesign.env:CoDesignEnv",
        "accelgym.envs.codesign.env:CoDesignVectorEnv",
        "accelgym.envs.codesign.task:CoDesignTask",
        "register file, SRAM and PEs under an area budget, with the mapping of a layer (Thistle)",
    ),
    EnvironmentEntry(
        "accelgym/HwGen-v0",
        "accelgym.envs.hwgen.env:HwGenEnv",
        "accelgym.envs.hwgen.env:HwGenVectorEnv",
        "accelgym.envs.hwgen.task:HwGenTask",
        "array, formats, buffers and ports of a systolic accelerator, proved by its RTL",
    ),
)


def register_all() -> None:
    """Registers every environment with Gymnasium; safe to call twice."""
    for entry in ENVIRONMENTS:
        if entry.id not in gym.registry:
            gym.register(entry.id, entry_point=entry.entry_point, vector_entry_point=entry.vector_entry_point)
        if entry.id not in tasks:
            tasks.register(entry.id, entry.build_task)


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
    return tasks.get(name)(**native(arguments))
