"""Constant designs: the same choice in every slot."""

from __future__ import annotations

from typing import ClassVar

import numpy as np

from accelgym.agents.base import Agent
from accelgym.envs.space import Designs
from accelgym.envs.task import Outcome, Task

__all__ = ["Uniform"]


class Uniform(Agent):
    """Evaluates the designs that make the same choice in every slot, then stops.

    This is what a designer does without a search, and the baseline that a task has to beat to be worth one. All
    constant designs are proposed in lexicographic order, infeasible ones included; when the budget does not
    suffice, a random subset of them. It has nothing to tune.

    Args:
        task: The task to search.
        seed: Seed of the subset.
    """

    name: ClassVar[str] = "uniform"

    def __init__(self, task: Task, *, seed: int) -> None:
        super().__init__(task, seed=seed)
        self._done = False

    def ask(self, count: int) -> Designs:
        if self._done:
            return np.zeros((0, len(self.task.space)), dtype=np.int64)
        self._done = True
        return self.task.constant_designs(self.rng, count)

    def tell(self, designs: Designs, outcome: Outcome) -> None:
        """Learns nothing."""
