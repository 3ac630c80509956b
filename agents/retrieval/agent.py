"""Warm start from the nearest solved layers, then a genetic algorithm."""

from __future__ import annotations

from typing import ClassVar

import numpy as np
import numpy.typing as npt

from accelgym.agents.base import Agent
from accelgym.agents.genetic import GeneticAlgorithm
from accelgym.agents.options import require
from accelgym.agents.retrieval.solved import SolvedDecisions
from accelgym.costmodels.errors import InputError
from accelgym.envs.space import Designs
from accelgym.envs.task import Outcome, Task

__all__ = ["Nearest"]

_DRAWS = 256
"""Mixtures among which those that fit are looked for."""
_WIDEST = 8.0
"""Scale of the noise in the last of them, in units of the median distance to the nearest."""


class Nearest(Agent):
    """Copies what was decided for the most similar layers of tasks that are solved, and improves on it.

    1. *Retrieval.* Every layer takes the choice of the solved layer that is nearest by its features
       (:meth:`~accelgym.envs.Task.decision_features`). Further designs draw one of the ``neighbours`` nearest for every
       layer, near ones more often. Whether a design fits is known without an evaluation
       (:meth:`~accelgym.envs.Task.fits`): those that fit are proposed, the closest first; where none does, they are
       repaired.
    2. *Improvement.* They are the first generation of a genetic algorithm (agent ``ga``, its defaults).

    Every proposed design counts as an evaluation. The solved tasks were paid for before; which they are stands in the
    table. ``neighbours`` was raised from 4 to 12 after a look at the first designs in docs/transfer.md's study;
    ``starts`` was set once.

    Args:
        task: The task to search.
        seed: Seed of the mixtures and of the genetic algorithm.
        solved: File of solved tasks, as ``accelgym train solved`` writes it.
        neighbours: Solved layers that a layer may copy.
        starts: Designs of the first generation.

    Raises:
        InputError: A bad option, no table, or one of other knobs.
    """

    name: ClassVar[str] = "nearest"

    def __init__(self, task: Task, *, seed: int, solved: str = "", neighbours: int = 12, starts: int = 12) -> None:
        super().__init__(task, seed=seed)
        require(self.name, 1, neighbours=neighbours, starts=starts)
        if not solved:
            raise InputError(
                f"option 'solved' of agent {self.name!r} is missing, allowed: a file that accelgym train solved made"
            )
        self.starts = starts
        table = SolvedDecisions.load(solved)
        chosen, self._distance = table.nearest(task, neighbours)
        self._choices: npt.NDArray[np.int64] = np.minimum(table.actions[chosen], task.action_sizes[:, None] - 1)
        self._improver = GeneticAlgorithm(task, seed=seed)
        self._begun = False

    def ask(self, count: int) -> Designs:
        if self._begun:
            return self._improver.ask(count)
        self._begun = True
        return self._first()[:count]

    def tell(self, designs: Designs, outcome: Outcome) -> None:
        self._improver.tell(designs, outcome)

    def _first(self) -> Designs:
        """Returns the first generation, the nearest first, shape ``(n, parameters)``, ``n <= starts``."""
        decisions, neighbours = self._choices.shape
        # Nearness in units of the typical distance to the nearest, which may be 0 for a layer that was solved itself.
        unit = max(float(np.median(self._distance[:, 0])), 1e-3)
        # From no noise, every layer's nearest, to draws that hardly look at the distance: some of them fit.
        noise = self.rng.gumbel(size=(_DRAWS, decisions, neighbours)) * np.linspace(0.0, _WIDEST, _DRAWS)[:, None, None]
        pick = (noise - self._distance / unit).argmax(axis=2)
        gap = np.take_along_axis(self._distance, pick.T, axis=1).sum(axis=0)
        actions = np.take_along_axis(self._choices, pick.T, axis=1).T
        designs = self.task.designs(actions)
        fits = self.task.fits(designs)
        order = np.lexsort((gap, ~fits))
        ranked = designs[order]
        # As they first occur, so that the closest of equals stays.
        ranked = ranked[np.sort(np.unique(ranked, axis=0, return_index=True)[1])][: self.starts]
        return self.task.repair(ranked, self.rng)
