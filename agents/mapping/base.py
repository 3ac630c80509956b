"""What the mapping agents share."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from accelgym.agents.base import Agent
from accelgym.costmodels.errors import InputError
from accelgym.envs.mapping import MappingTask
from accelgym.envs.mapping.mapspace import Place
from accelgym.envs.task import Task

__all__ = ["MappingAgent", "require_mapping"]


def require_mapping(agent: str, task: Task) -> MappingTask:
    """Returns the task as a mapping task.

    Raises:
        InputError: It is another kind of task.
    """
    if not isinstance(task, MappingTask) or task.mapspace.family is not None:
        raise InputError(f"agent {agent!r} searches tasks of accelgym/Mapping-v0, not {task.env_id}")
    return task


class MappingAgent(Agent):
    """An agent for mapping tasks only.

    Args:
        task: The mapping task to search.
        seed: Seed of every random choice.

    Raises:
        InputError: The task is of another kind.
    """

    def __init__(self, task: Task, *, seed: int) -> None:
        super().__init__(task, seed=seed)
        self.mapping = require_mapping(self.name, task)
        self.mapspace = self.mapping.mapspace
        places = [(j, x) for j, x in enumerate(self.mapspace.decisions) if isinstance(x, Place)]
        self.place_columns: npt.NDArray[np.int64] = np.array([j for j, _ in places], dtype=np.int64)
        """Parameters that place a prime factor, shape ``(places,)``."""
        self.place_dims: npt.NDArray[np.int64] = np.array([x.dim for _, x in places], dtype=np.int64)
        """Dimension of each placed factor."""
        self.allowed = np.zeros((len(places), len(self.mapspace.slot_names)), dtype=bool)
        """Slots open to each placed factor, shape ``(places, slots)``."""
        for row, (_, place) in zip(self.allowed, places, strict=True):
            row[list(place.slots)] = True
