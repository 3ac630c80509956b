"""Mapping all layers of a network onto one machine: specification, task and environments."""

from accelgym.envs.network_mapping.audit import network_landscape
from accelgym.envs.network_mapping.env import NetworkMappingEnv, NetworkMappingVectorEnv
from accelgym.envs.network_mapping.spec import NetworkMappingSpec
from accelgym.envs.network_mapping.task import NetworkMappingTask

__all__ = [
    "NetworkMappingEnv",
    "NetworkMappingSpec",
    "NetworkMappingTask",
    "NetworkMappingVectorEnv",
    "network_landscape",
]
