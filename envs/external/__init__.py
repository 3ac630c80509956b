"""A user's own command-line simulator as a task."""

from accelgym.envs.external.env import ExternalSimulatorEnv, ExternalSimulatorVectorEnv
from accelgym.envs.external.results import Reason
from accelgym.envs.external.task import ExternalSimulatorTask

__all__ = ["ExternalSimulatorEnv", "ExternalSimulatorTask", "ExternalSimulatorVectorEnv", "Reason"]
