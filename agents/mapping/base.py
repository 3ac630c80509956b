"""The base class of agents for mapping tasks."""

from __future__ import annotations

from typing import ClassVar

import numpy as np
import numpy.typing as npt

from accelgym.agents.base import Agent
from accelgym.costmodels.errors import InputError
from accelgym.costmodels.mapspace import FactorPlacement
from accelgym.envs.mapping import MappingTask
from accelgym.envs.task import Task

__all__ = ["MappingAgent", "require_mapping"]


def require_mapping(agent: str, task: Task, *, codesign: bool = False) -> MappingTask:
    """Returns the task as a mapping task.

    Args:
        agent: Name of the agent, for messages.
        task: The task.
        codesign: Whether the machine may be open, too.

    Raises:
        InputError: It is another kind of task.
    """
    if not isinstance(task, MappingTask) or (task.mapspace.family is not None and not codesign):
        kinds = "accelgym/Mapping-v0 and accelgym/CoDesign-v0" if codesign else "accelgym/Mapping-v0"
        raise InputError(f"agent {agent!r} searches tasks of {kinds}, not {task.env_id}")
    return task


class MappingAgent(Agent):
    """An agent for mapping tasks only.

    Args:
        task: The mapping task to search.
        seed: Seed of every random choice.

    Raises:
        InputError: The task is of another kind.
    """

    codesign: ClassVar[bool] = False
    """Whether it chooses the machine, too."""

    def __init__(self, task: Task, *, seed: int) -> None:
        super().__init__(task, seed=seed)
        self.mapping = require_mapping(self.name, task, codesign=self.codesign)
        self.mapspace = self.mapping.mapspace
        places = [(j, x) for j, x in enumerate(self.mapspace.decisions) if isinstance(x, FactorPlacement)]
        self.place_columns: npt.NDArray[np.int64] = np.array([j for j, _ in places], dtype=np.int64)
        """Parameters that place a prime factor, shape ``(places,)``."""
        self.place_dims: npt.NDArray[np.int64] = np.array([x.dim for _, x in places], dtype=np.int64)
        """Dimension of each placed factor."""
        self.allowed = np.zeros((len(places), len(self.mapspace.slot_names)), dtype=bool)
        """Slots open to each placed factor, shape ``(places, slots)``."""
        for row, (_, place) in zip(self.allowed, places, strict=True):
            row[list(place.slots)] = True
