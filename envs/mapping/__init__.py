"""Mapping a layer onto a machine: specification, map space, task and environments."""

from accelgym.envs.mapping.mapspace import Mapspace
from accelgym.envs.mapping.spec import MappingObjective, MappingSpec
from accelgym.envs.mapping.task import MappingTask

__all__ = ["MappingObjective", "MappingSpec", "MappingTask", "Mapspace"]
