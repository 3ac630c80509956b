"""Several accelerators on one chip: sizes, assignment of layers and order of dispatch."""

from accelgym.envs.multi_accelerator.audit import multi_accelerator_landscape
from accelgym.envs.multi_accelerator.env import MultiAcceleratorEnv, MultiAcceleratorVectorEnv
from accelgym.envs.multi_accelerator.spec import MultiAcceleratorSpec
from accelgym.envs.multi_accelerator.task import MultiAcceleratorTask

__all__ = [
    "MultiAcceleratorEnv",
    "MultiAcceleratorSpec",
    "MultiAcceleratorTask",
    "MultiAcceleratorVectorEnv",
    "multi_accelerator_landscape",
]
