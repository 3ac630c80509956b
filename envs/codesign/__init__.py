"""Choosing a machine and a mapping together under an area budget: specification, task and environments."""

from accelgym.envs.codesign.audit import codesign_landscape
from accelgym.envs.codesign.env import CoDesignEnv, CoDesignVectorEnv
from accelgym.envs.codesign.spec import CoDesignSpec
from accelgym.envs.codesign.task import CoDesignTask

__all__ = ["CoDesignEnv", "CoDesignSpec", "CoDesignTask", "CoDesignVectorEnv", "codesign_landscape"]
