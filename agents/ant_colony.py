"""Ant colony optimisation with a pheromone per parameter value."""

from __future__ import annotations

from typing import ClassVar

import numpy as np
import numpy.typing as npt

from accelgym.agents.base import Agent
from accelgym.agents.hyperparameters import Hyperparameters, Real, Whole
from accelgym.agents.options import require
from accelgym.envs.space import Designs
from accelgym.envs.task import Outcome, Task

__all__ = ["AntColony"]

FloatArray = npt.NDArray[np.float64]


class AntColony(Agent):
    """Ants choose a value for every parameter by its pheromone; the best ants lay more of it.

    The family that ArchGym tests (Krishnan et al., ISCA 2023), in the form of the hyper-cube framework (Blum and
    Dorigo, 2004): the pheromones of a parameter sum to one and are the probabilities of its values. An ant takes
    the strongest value with probability ``greediness`` (the rule of Ant Colony System), else draws one. Overweight
    designs are repaired before they are proposed. After each generation the pheromone moves by ``evaporation``
    towards the mean of the ``elite`` best ants of the generation and of the best design so far, and keeps a floor
    (as in the max-min ant system) so that no value dies out.

    Defaults: a random sweep on confuciux/mobilenet_v2 and confuciux/resnet18 (MAESTRO, dla) at budget
    0.1, 44 settings on seeds 100 and 101, the best one varied on seeds 200 and 201. Greediness does not pay here, a
    floor of zero loses values for good, and choosing PEs and buffer of a layer apart costs precision: expect 1-3 %
    on networks of fifty layers after 20,000 evaluations.

    Args:
        task: The task to search.
        seed: Seed of every choice.
        ants: Designs per generation.
        evaporation: Share of the pheromone replaced per generation.
        greediness: Probability of the strongest value.
        elite: Ants of a generation that lay pheromone.
        best_weight: Share of the new pheromone that the best design so far lays.
        floor: Least probability of a value, times its number of values.
    """

    name: ClassVar[str] = "aco"
    hyperparameters: ClassVar[Hyperparameters] = {
        "ants": Whole(4, 128, log=True),
        "evaporation": Real(0.01, 0.5, log=True),
        "greediness": Real(0.0, 0.95),
        "elite": Whole(1, 8),
        "best_weight": Real(0.0, 1.0),
        "floor": Real(1e-4, 0.1, log=True),
    }

    def __init__(
        self,
        task: Task,
        *,
        seed: int,
        ants: int = 64,
        evaporation: float = 0.2,
        greediness: float = 0.0,
        elite: int = 4,
        best_weight: float = 0.25,
        floor: float = 0.003,
    ) -> None:
        super().__init__(task, seed=seed)
        require(self.name, 1, ants=ants, elite=elite)
        require(self.name, 0, 1, evaporation=evaporation, greediness=greediness, best_weight=best_weight, floor=floor)
        self.ants, self.elite = ants, elite
        self.evaporation, self.greediness = evaporation, greediness
        self.best_weight, self.floor = best_weight, floor
        nvec = task.space.nvec
        self._exists = np.arange(int(nvec.max())) < nvec[:, None]
        self.pheromone: FloatArray = self._exists / nvec[:, None]
        """Probability of every value, shape ``(parameters, most values)``, 0 beyond the last value."""
        self._best: Designs | None = None
        self._best_score = np.inf

    def ask(self, count: int) -> Designs:
        n = min(self.ants, count)
        if self._best is None:
            return self.task.sample_feasible(self.rng, n)
        return self.task.repair(self._construct(n), self.rng)

    def tell(self, designs: Designs, outcome: Outcome) -> None:
        score = outcome.score
        ranked = np.argsort(score, kind="stable")
        if self._best is None or score[ranked[0]] < self._best_score:
            self._best, self._best_score = designs[ranked[:1]], float(score[ranked[0]])
        elite = designs[ranked[: self.elite]]
        laid = (1 - self.best_weight) * self._frequency(elite) + self.best_weight * self._frequency(self._best)
        mixed = (1 - self.evaporation) * self.pheromone + self.evaporation * laid
        least = self.floor / self.task.space.nvec[:, None]
        self.pheromone = np.where(self._exists, (1 - self.floor) * mixed + least, 0.0)

    def _construct(self, n: int) -> Designs:
        """Lets every ant choose all values, shape ``(n, parameters)``."""
        draw = self.rng.random((n, len(self.task.space)))
        steps = np.cumsum(self.pheromone, axis=1)
        drawn = (draw[:, :, None] >= steps[None, :, :-1]).sum(axis=2)
        drawn = np.minimum(drawn, self.task.space.nvec - 1)
        greedy = self.rng.random(drawn.shape) < self.greediness
        strongest = self.pheromone.argmax(axis=1)
        chosen: Designs = np.where(greedy, strongest, drawn).astype(np.int64)
        return chosen

    def _frequency(self, designs: Designs) -> FloatArray:
        """How often each value occurs, shape ``(parameters, most values)``."""
        return np.asarray((designs[:, :, None] == np.arange(self._exists.shape[1])).mean(axis=0))
