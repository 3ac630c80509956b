"""The task's own reference as an agent: the line that no other agent can pass."""

from __future__ import annotations

from typing import ClassVar

import numpy as np

from accelgym.agents.base import Agent
from accelgym.agents.moves import Mover
from accelgym.agents.options import require
from accelgym.costmodels.errors import InputError
from accelgym.envs.space import Designs
from accelgym.envs.task import Outcome, Task

__all__ = ["Oracle"]


class Oracle(Agent):
    """Proposes the design of the task's certificate first, then feasible neighbours of it.

    What the solver behind :meth:`accelgym.envs.Task.reference` evaluates is not part of the budget, so this is no
    competitor but a check: no later evaluation may beat the first where the gap of the certificate is 0.

    Args:
        task: The task to search; it must know a design.
        seed: Seed of the neighbours.
        batch: Neighbours per ask.
    """

    name: ClassVar[str] = "oracle"

    def __init__(self, task: Task, *, seed: int, batch: int = 16) -> None:
        super().__init__(task, seed=seed)
        require(self.name, 1, batch=batch)
        self.batch = batch
        self._mover = Mover(task, {"step": 1.0, "reset": 1.0})
        self._proven: Designs | None = None

    def ask(self, count: int) -> Designs:
        if self._proven is None:
            design = self.task.reference().design
            if design is None:
                raise InputError(f"agent 'oracle': {self.task.env_id} has a bound for this task, but no design")
            self._proven = np.array([design], dtype=np.int64)
            return self._proven
        start = np.repeat(self._proven, min(count, self.batch), axis=0)
        return self._mover.move_within_budget(start, self.rng)

    def tell(self, designs: Designs, outcome: Outcome) -> None:
        """Learns nothing."""
