"""Choosing number formats for the layers of a network under a limit on what accuracy may be lost."""

from accelgym.envs.datatype.audit import datatype_landscape
from accelgym.envs.datatype.env import DatatypeEnv, DatatypeVectorEnv
from accelgym.envs.datatype.spec import DatatypeSpec
from accelgym.envs.datatype.task import DatatypeTask

__all__ = ["DatatypeEnv", "DatatypeSpec", "DatatypeTask", "DatatypeVectorEnv", "datatype_landscape"]
