"""Tasks, Gymnasium environments and their registration."""

from accelgym.envs.codesign import CoDesignEnv, CoDesignTask, CoDesignVectorEnv
from accelgym.envs.hwgen import HwGenEnv, HwGenTask, HwGenVectorEnv
from accelgym.envs.mapping import MappingEnv, MappingTask, MappingVectorEnv
from accelgym.envs.network_mapping import NetworkMappingEnv, NetworkMappingTask, NetworkMappingVectorEnv
from accelgym.envs.registration import make_task, register_all
from accelgym.envs.resource_assignment import (
    ResourceAssignmentEnv,
    ResourceAssignmentTask,
    ResourceAssignmentVectorEnv,
)
from accelgym.envs.space import Designs, Parameter, Space
from accelgym.envs.task import Audit, Outcome, Task

__all__ = [
    "Audit",
    "CoDesignEnv",
    "CoDesignTask",
    "CoDesignVectorEnv",
    "Designs",
    "HwGenEnv",
    "HwGenTask",
    "HwGenVectorEnv",
    "MappingEnv",
    "MappingTask",
    "MappingVectorEnv",
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
    "make_task",
    "register_all",
]
