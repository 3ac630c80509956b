"""One table of environments: id, scalar env, vector env, task."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from importlib import import_module
from typing import Any

import gymnasium as gym

from accelgym.costmodels.errors import InputError, unknown_name
from accelgym.costmodels.files.plain import native
from accelgym.envs.task import Task, tasks

__all__ = [
    "ANY_TASK",
    "ENVIRONMENTS",
    "EXTERNAL",
    "FAMILY",
    "EnvironmentEntry",
    "documented",
    "environment_of",
    "make_task",
    "named_task",
    "register_all",
    "task_name",
]


@dataclass(frozen=True)
class EnvironmentEntry:
    """What is registered under one id."""

    id: str
    entry_point: str
    vector_entry_point: str
    task: str
    """Module and class, imported when the first task is built."""
    summary: str

    def task_class(self) -> type[Task]:
        """Returns the class of the tasks."""
        module, name = self.task.split(":")
        found: type[Task] = getattr(import_module(module), name)
        return found

    def build_task(self, **arguments: Any) -> Task:
        """Builds a task of this kind."""
        return self.task_class()(**arguments)


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
    EnvironmentEntry(
        "accelgym/Datatype-v0",
        "accelgym.envs.datatype.env:DatatypeEnv",
        "accelgym.envs.datatype.env:DatatypeVectorEnv",
        "accelgym.envs.datatype.task:DatatypeTask",
        "number formats of every layer under a limit on the accuracy lost, measured",
    ),
    EnvironmentEntry(
        "accelgym/MultiAccelerator-v0",
        "accelgym.envs.multi_accelerator.env:MultiAcceleratorEnv",
        "accelgym.envs.multi_accelerator.env:MultiAcceleratorVectorEnv",
        "accelgym.envs.multi_accelerator.task:MultiAcceleratorTask",
        "two or three accelerators on one chip: sizes, who runs each layer, and the schedule",
    ),
    EnvironmentEntry(
        "accelgym/Joint-v0",
        "accelgym.envs.joint.env:JointEnv",
        "accelgym.envs.joint.env:JointVectorEnv",
        "accelgym.envs.joint.task:JointTask",
        "one machine for a network, with types and tiling by layer and activations on chip",
    ),
)


EXTERNAL = EnvironmentEntry(
    "accelgym/ExternalSimulator-v0",
    "accelgym.envs.external.env:ExternalSimulatorEnv",
    "accelgym.envs.external.env:ExternalSimulatorVectorEnv",
    "accelgym.envs.external.task:ExternalSimulatorTask",
    "a command-line simulator of your own: --set config=FILE.yaml",
)
"""Needs a file of the user's, so it has no default task that could be audited or solved beforehand."""

ANY_TASK = "accelgym/Task-v0"
"""Id of the environment that takes any task by its name."""
MULTI_FIDELITY = "multi_fidelity"
"""Name of the task whose designs can be evaluated at several fidelities."""
FAMILY = "accelgym/Family-v0"
"""Id of the environment whose episodes draw one of several tasks of a kind."""

_GENERIC = {
    ANY_TASK: ("accelgym.envs.any_task:AnyTaskEnv", "any task by its name: --set task=NAME"),
    FAMILY: ("accelgym.envs.family:FamilyEnv", "episodes on tasks drawn from a set of one kind"),
}
"""Environments that are of no kind of task: the class whose docstring is the page, and a summary."""


def documented() -> dict[str, tuple[str, str]]:
    """Returns every environment with a page: the class whose docstring it is, and a summary."""
    return {entry.id: (entry.entry_point, entry.summary) for entry in (*ENVIRONMENTS, EXTERNAL)} | _GENERIC


def _multi_fidelity(**arguments: Any) -> Task:
    """HwGen designs from the roofline to their Verilog: `fidelities`, `prices`, and the arguments of HwGen-v0."""
    built: Task = import_module("accelgym.envs.multi_fidelity").hwgen_at_fidelities(**arguments)
    return built


def register_all() -> None:
    """Registers every environment with Gymnasium; safe to call twice."""
    for entry in (*ENVIRONMENTS, EXTERNAL):
        if entry.id not in gym.registry:
            gym.register(entry.id, entry_point=entry.entry_point, vector_entry_point=entry.vector_entry_point)
        if not tasks.is_registered(entry.id):
            tasks.register(entry.id, entry.build_task)
    if MULTI_FIDELITY not in tasks:
        tasks.register(MULTI_FIDELITY, _multi_fidelity)
    if ANY_TASK not in gym.registry:
        room = "accelgym.envs.any_task"
        gym.register(ANY_TASK, entry_point=f"{room}:make_env", vector_entry_point=f"{room}:make_vector_env")
    if FAMILY not in gym.registry:
        gym.register(FAMILY, entry_point="accelgym.envs.family:FamilyEnv")


def task_name(name: str) -> str:
    """Returns the registered name of a task; the namespace ``accelgym/`` may be left out.

    Raises:
        InputError: No such task.
    """
    register_all()
    for candidate in (name, f"accelgym/{name}"):
        if candidate in tasks:
            return candidate
    raise unknown_name("task", name, tasks.names())


def environment_of(name: str) -> EnvironmentEntry | None:
    """Returns the environment of a task that has one of its own.

    Raises:
        InputError: No such task.
    """
    found = task_name(name)
    return next((entry for entry in (*ENVIRONMENTS, EXTERNAL) if entry.id == found), None)


def named_task(env_id: str, arguments: Mapping[str, Any]) -> tuple[str, dict[str, Any]]:
    """Returns the registered name of a task and its own arguments, as plain data.

    Args:
        env_id: As for :func:`make_task`.
        arguments: The task's specification; for ``accelgym/Task-v0`` with the name of the task as ``task``.

    Raises:
        InputError: Unknown name, or none.
    """
    own = native(dict(arguments))
    if env_id in (ANY_TASK, ANY_TASK.split("/")[1]):
        given = own.pop("task", None)
        if not isinstance(given, str):
            raise InputError(f"{ANY_TASK} needs the argument task, the name of a registered task, not {given!r}")
        env_id = given
    return task_name(env_id), own


def make_task(env_id: str, **arguments: Any) -> Task:
    """Builds a task by its name.

    Args:
        env_id: Name of a task: that of its environment, for example ``"accelgym/ResourceAssignment-v0"`` (the
            namespace may be left out), or the one under which a plug-in registers it. ``accelgym/Task-v0`` takes the
            name as argument ``task``.
        **arguments: The task's specification.

    Raises:
        InputError: Unknown name, or a bad argument.
    """
    name, own = named_task(env_id, arguments)
    return tasks.build(name, **own)
