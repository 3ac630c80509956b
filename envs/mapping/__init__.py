"""Mapping a layer onto a machine: specification, map space, task and environments."""

from accelgym.envs.mapping.audit import mapping_landscape
from accelgym.envs.mapping.env import MappingEnv, MappingVectorEnv
from accelgym.envs.mapping.mapspace import Mapspace
from accelgym.envs.mapping.spec import MappingSpec
from accelgym.envs.mapping.task import MappingTask

__all__ = [
    "MappingEnv",
    "MappingSpec",
    "MappingTask",
    "MappingVectorEnv",
    "Mapspace",
    "mapping_landscape",
]
