"""Hardware generation: specification, task and environments."""

from accelgym.envs.hwgen.audit import hwgen_landscape
from accelgym.envs.hwgen.env import HwGenEnv, HwGenVectorEnv
from accelgym.envs.hwgen.spec import HwGenSpec
from accelgym.envs.hwgen.task import HwGenTask

__all__ = ["HwGenEnv", "HwGenSpec", "HwGenTask", "HwGenVectorEnv", "hwgen_landscape"]
