"""The sequential environments that the algorithms learn in, in the few terms they need."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from typing import Any

import numpy as np
import numpy.typing as npt
from gymnasium.vector import VectorEnv

from accelgym.costmodels.errors import InputError
from accelgym.envs.codesign import CoDesignTask, CoDesignVectorEnv
from accelgym.envs.hwgen import HwGenTask, HwGenVectorEnv
from accelgym.envs.mapping import MappingTask, MappingVectorEnv
from accelgym.envs.network_mapping import NetworkMappingTask, NetworkMappingVectorEnv
from accelgym.envs.resource_assignment import ResourceAssignmentTask, ResourceAssignmentVectorEnv
from accelgym.envs.resource_assignment.observation import POSITION
from accelgym.envs.space import Designs
from accelgym.envs.task import Task

__all__ = ["Episodes", "episodes_of"]


@dataclass(frozen=True)
class Episodes:
    """Episodes that all have the same number of steps and end with a complete design."""

    steps: int
    """Decisions in a design, one a step."""
    knobs: tuple[int, ...]
    """Number of values of each factor of the flat action."""
    position: int
    """Column of the observation that holds the step, over the number of steps."""
    build: Callable[[int], VectorEnv[Any, Any, Any]]
    """Builds the lanes."""
    designs: Callable[[npt.NDArray[np.int64]], Designs]
    """From the decisions of complete episodes, shape ``(n, steps)``."""


def episodes_of(task: Task, agent: str, *, masked: bool) -> Episodes:
    """Returns the episodes of a task.

    Args:
        task: The task.
        agent: Name of the agent, for messages.
        masked: Whether the agent honours masks. Without them hardly any sequence of choices is a mapping or an
            accelerator.

    Raises:
        InputError: The agent cannot learn on this kind of task.
    """
    if isinstance(task, ResourceAssignmentTask):
        knobs = tuple(len(knob.values) for knob in task.knobs)
        build = partial(ResourceAssignmentVectorEnv, task=task)
        return Episodes(task.table.slots, knobs, POSITION, build, task.designs)
    if masked and isinstance(task, MappingTask):
        space = task.mapspace
        lanes = CoDesignVectorEnv if isinstance(task, CoDesignTask) else MappingVectorEnv
        return Episodes(len(space.decisions), (space.num_choices,), 0, partial(lanes, task=task), task.designs)
    if masked and isinstance(task, NetworkMappingTask):
        return Episodes(
            len(task.space), (task.num_choices,), 0, partial(NetworkMappingVectorEnv, task=task), task.designs
        )
    if masked and isinstance(task, HwGenTask):
        steps = len(task.space)
        # The decisions are the design.
        return Episodes(
            steps, (int(task.space.nvec.max()),), steps, partial(HwGenVectorEnv, task=task), lambda choices: choices
        )
    kinds = "a resource-assignment, mapping or hardware-generation task" if masked else "a resource-assignment task"
    raise InputError(f"agent {agent!r} needs {kinds}, got {type(task).__name__}")
