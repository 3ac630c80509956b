"""ConfuciuX's resource assignment: specification, task and environments."""

from accelgym.envs.resource_assignment.audit import assignment_landscape
from accelgym.envs.resource_assignment.env import ResourceAssignmentEnv, ResourceAssignmentVectorEnv
from accelgym.envs.resource_assignment.spec import ResourceAssignmentSpec
from accelgym.envs.resource_assignment.task import ResourceAssignmentTask

__all__ = [
    "ResourceAssignmentEnv",
    "ResourceAssignmentSpec",
    "ResourceAssignmentTask",
    "ResourceAssignmentVectorEnv",
    "assignment_landscape",
]
