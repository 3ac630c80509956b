"""Simulated annealing in parallel chains."""

from __future__ import annotations

from collections.abc import Mapping
from typing import ClassVar

import numpy as np
import numpy.typing as npt

from accelgym.agents.base import Agent
from accelgym.agents.hyperparameters import Hyperparameters, Real, Whole, move_weights
from accelgym.agents.moves import Mover
from accelgym.agents.options import require
from accelgym.envs.space import Designs
from accelgym.envs.task import Outcome, Task

__all__ = ["SimulatedAnnealing"]

_MIX = {"step": 0.2, "reset": 0.1, "transfer": 0.5, "swap": 0.2}


class SimulatedAnnealing(Agent):
    """Walks from feasible design to feasible neighbour, at first uphill too (Kirkpatrick et al., Science 1983).

    A few chains walk side by side, so that designs are evaluated in batches. A change for the worse by a fraction
    ``d`` of the objective is accepted with probability ``exp(-d / T)``; ``T`` falls geometrically from ``hot`` to
    ``cold`` over the budget of the search. Now and then a chain starts over from the best one.

    Defaults: a random sweep on confuciux/mobilenet_v2 and confuciux/resnet18 (MAESTRO, dla) at budget
    0.1 with 10,000 evaluations, seeds 100, 101, 200 and 201. Few chains win because each walks longer; the schedule
    follows the budget, so a larger one finds better designs, later.

    Args:
        task: The task to search.
        seed: Seed of every choice.
        chains: Walks side by side, one design each per batch.
        hot: First temperature, as a fraction of the objective.
        cold: Last temperature.
        moves: Mean number of moves between neighbours.
        restart: Probability, per chain and batch, to continue from the best chain.
        mix: Relative frequency of each move of :class:`accelgym.agents.moves.Mover`.
        tries: Draws of a neighbour before it is repaired.
    """

    name: ClassVar[str] = "annealing"
    hyperparameters: ClassVar[Hyperparameters] = {
        "chains": Whole(1, 16, log=True),
        "hot": Real(1e-3, 1.0, log=True),
        "cold": Real(1e-6, 1e-3, log=True),
        "moves": Real(1.0, 3.0),
        "restart": Real(0.0, 0.2),
        **move_weights(*_MIX),
    }

    def __init__(
        self,
        task: Task,
        *,
        seed: int,
        chains: int = 2,
        hot: float = 3e-3,
        cold: float = 1e-5,
        moves: float = 1.0,
        restart: float = 0.02,
        mix: Mapping[str, float] | None = None,
        tries: int = 2,
    ) -> None:
        super().__init__(task, seed=seed)
        require(self.name, 1, chains=chains, moves=moves, tries=tries)
        require(self.name, 1e-12, 1e12, hot=hot, cold=cold)
        require(self.name, 0, 1, restart=restart)
        self.chains, self.hot, self.cold = chains, hot, cold
        self.moves, self.restart, self.tries = moves, restart, tries
        self._mover = Mover(task, _MIX if mix is None else mix)
        self._designs: Designs = np.zeros((0, len(task.space)), dtype=np.int64)
        self.score: npt.NDArray[np.float64] = np.zeros(0)
        """Objective of each chain's design, shape ``(chains,)``."""
        self._budget = 0
        self._spent = 0

    def ask(self, count: int) -> Designs:
        self._budget = self._budget or count
        if len(self._designs) == 0:
            return self.task.sample_feasible(self.rng, min(self.chains, count))
        start = self._designs[: min(len(self._designs), count)]
        times = 1 + self.rng.poisson(self.moves - 1, len(start))
        return self._mover.move_within_budget(start, self.rng, times, tries=self.tries)

    def tell(self, designs: Designs, outcome: Outcome) -> None:
        score = outcome.score
        if len(self._designs) == 0:
            self._designs, self.score = designs.copy(), score
        else:
            taken = np.flatnonzero(self.accept(self.score[: len(score)], score))
            self._designs[taken], self.score[taken] = designs[taken], score[taken]
            best = int(self.score.argmin())
            again = np.flatnonzero(self.rng.random(len(self.score)) < self.restart)
            self._designs[again], self.score[again] = self._designs[best], self.score[best]
        self._spent += len(designs)

    @property
    def temperature(self) -> float:
        """Of the next batch, as a fraction of the objective."""
        return float(self.hot * (self.cold / self.hot) ** min(1.0, self._spent / self._budget))

    def accept(self, old: npt.NDArray[np.float64], new: npt.NDArray[np.float64]) -> npt.NDArray[np.bool_]:
        """Applies the Metropolis rule; an infeasible design never replaces a feasible one.

        Args:
            old: Objectives of the chains, ``inf`` where infeasible, shape ``(n,)``.
            new: Objectives of their neighbours, likewise.

        Returns:
            Which chains move, shape ``(n,)``.
        """
        draw = self.rng.random(len(old))
        accepted = np.isinf(old) | (new <= old)
        worse = ~accepted & np.isfinite(new)
        rise = (new[worse] - old[worse]) / (np.abs(old[worse]) * self.temperature)
        accepted[worse] = draw[worse] < np.exp(-rise)
        return accepted
