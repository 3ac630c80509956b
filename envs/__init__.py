"""Tasks, Gymnasium environments and their registration."""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

from accelgym.envs.hardness import Audit, audit
from accelgym.envs.registration import make_task, register_all
from accelgym.envs.space import Designs, Parameter, Space
from accelgym.envs.task import Outcome, Task

if TYPE_CHECKING:
    from accelgym.envs.codesign import CoDesignEnv, CoDesignTask, CoDesignVectorEnv
    from accelgym.envs.datatype import DatatypeEnv, DatatypeTask, DatatypeVectorEnv
    from accelgym.envs.external import ExternalSimulatorEnv, ExternalSimulatorTask, ExternalSimulatorVectorEnv
    from accelgym.envs.family import Family, FamilyEnv
    from accelgym.envs.hwgen import HwGenEnv, HwGenTask, HwGenVectorEnv
    from accelgym.envs.joint import JointEnv, JointTask, JointVectorEnv
    from accelgym.envs.mapping import MappingEnv, MappingTask, MappingVectorEnv
    from accelgym.envs.multi_accelerator import MultiAcceleratorEnv, MultiAcceleratorTask, MultiAcceleratorVectorEnv
    from accelgym.envs.network_mapping import NetworkMappingEnv, NetworkMappingTask, NetworkMappingVectorEnv
    from accelgym.envs.resource_assignment import (
        ResourceAssignmentEnv,
        ResourceAssignmentTask,
        ResourceAssignmentVectorEnv,
    )

__all__ = [
    "Audit",
    "CoDesignEnv",
    "CoDesignTask",
    "CoDesignVectorEnv",
    "DatatypeEnv",
    "DatatypeTask",
    "DatatypeVectorEnv",
    "Designs",
    "ExternalSimulatorEnv",
    "ExternalSimulatorTask",
    "ExternalSimulatorVectorEnv",
    "Family",
    "FamilyEnv",
    "HwGenEnv",
    "HwGenTask",
    "HwGenVectorEnv",
    "JointEnv",
    "JointTask",
    "JointVectorEnv",
    "MappingEnv",
    "MappingTask",
    "MappingVectorEnv",
    "MultiAcceleratorEnv",
    "MultiAcceleratorTask",
    "MultiAcceleratorVectorEnv",
    "NetworkMappingEnv",
    "NetworkMappingTask",
    "NetworkMappingVectorEnv",
    "Outcome",
    "Parameter",
    "ResourceAssignmentEnv",
    "ResourceAssignmentTask",
    "ResourceAssignmentVectorEnv",
    "Space",
    "Task",
    "audit",
    "make_task",
    "register_all",
]

_ROOMS = {
    "CoDesign": "codesign",
    "Datatype": "datatype",
    "ExternalSimulator": "external",
    "HwGen": "hwgen",
    "Joint": "joint",
    "Mapping": "mapping",
    "MultiAccelerator": "multi_accelerator",
    "NetworkMapping": "network_mapping",
    "ResourceAssignment": "resource_assignment",
}


def __getattr__(name: str) -> Any:
    # Environments are imported when asked for: registering them needs their names only.
    if name in ("Family", "FamilyEnv"):
        return getattr(import_module("accelgym.envs.family"), name)
    for suffix in ("VectorEnv", "Env", "Task"):
        room = _ROOMS.get(name.removesuffix(suffix))
        if room is not None and name.endswith(suffix):
            return getattr(import_module(f"accelgym.envs.{room}"), name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
