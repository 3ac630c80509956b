"""Random search over feasible designs."""

from __future__ import annotations

from typing import ClassVar

from accelgym.agents.base import Agent
from accelgym.agents.options import require
from accelgym.envs.space import Designs
from accelgym.envs.task import Outcome, Task

__all__ = ["RandomSearch"]


class RandomSearch(Agent):
    """Draws random feasible designs, independently.

    Args:
        task: The task to search.
        seed: Seed of the draws.
        batch: Designs per ask.
    """

    name: ClassVar[str] = "random"

    def __init__(self, task: Task, *, seed: int, batch: int = 256) -> None:
        super().__init__(task, seed=seed)
        require(self.name, 1, batch=batch)
        self.batch = int(batch)

    def ask(self, count: int) -> Designs:
        return self.task.sample_feasible(self.rng, min(self.batch, count))

    def tell(self, designs: Designs, outcome: Outcome) -> None:
        """Learns nothing."""
