"""One machine for a whole network, with types and a tiling for every layer and a place for every activation."""

from accelgym.envs.joint.audit import joint_landscape
from accelgym.envs.joint.env import JointEnv, JointVectorEnv
from accelgym.envs.joint.spec import JointSpec, Order
from accelgym.envs.joint.task import JointTask

__all__ = ["JointEnv", "JointSpec", "JointTask", "JointVectorEnv", "Order", "joint_landscape"]
