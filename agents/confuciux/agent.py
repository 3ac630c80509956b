"""ConfuciuX: REINFORCE for a coarse design, then a local genetic algorithm."""

from __future__ import annotations

from typing import ClassVar, Literal

import numpy as np
import numpy.typing as npt

from accelgym.agents.base import Agent
from accelgym.agents.confuciux.local_search import POPULATION, LocalSearch
from accelgym.agents.confuciux.reinforce import Episode, Reinforce
from accelgym.agents.hyperparameters import Choice, Hyperparameters, Real
from accelgym.agents.options import require
from accelgym.costmodels.errors import InputError, shown
from accelgym.envs.resource_assignment import ResourceAssignmentTask
from accelgym.envs.space import Designs
from accelgym.envs.task import Outcome, Task

__all__ = ["ConfuciuX"]


class ConfuciuX(Agent):
    """Kao, Jeong and Krishna, "ConfuciuX", MICRO 2020, after the authors' repository.

    **First stage.** A recurrent policy decides PEs and buffer layer by layer, in an order that is shuffled every
    episode; one episode is one evaluation and one REINFORCE update (Adam at 1e-3, times 0.8 every 100 episodes
    once one has succeeded, floor 1e-6; discount 0.9; rewards standardised within the episode, and again after
    discounting). Rewards are those of the environment's ``"confuciux"`` scheme. An episode that exceeds the
    budget ends there; the design is completed with the decisions the policy would have made, is infeasible
    whatever they are, counts as one evaluation, and its later decisions teach nothing.

    **Second stage.** A genetic algorithm of 20 individuals around the best design, see
    :class:`~accelgym.agents.confuciux.local_search.LocalSearch`. If no episode was feasible it starts from the
    cheapest design (the original crashes).

    **Budget.** The original gives 2/3 of its *epochs* to the first stage, an epoch being one episode there and one
    generation here. One generation is 20 evaluations: 2/3 of the epochs are 1/11 of the evaluations.

    Everything is the published default; nothing was tuned. Known departures: an invalid choice skips the update
    as in the original, but the decisions of that episode are also forgotten.

    Args:
        task: A resource-assignment task.
        seed: Seed of weights, orders, decisions and mutations.
        epochs: Share of the epochs spent on the first stage.
        sees: Whose dimensions the policy sees when it decides a layer: those of the layer decided before it, as
            in the published code, or its own (``"current"``).
        spread: Reach of a mutation; the task's budget fraction when omitted, as published.

    Raises:
        InputError: Another kind of task, or a bad option.
    """

    name: ClassVar[str] = "confuciux"
    hyperparameters: ClassVar[Hyperparameters] = {
        "epochs": Real(0.1, 1.0),
        "sees": Choice(("previous", "current")),
        "spread": Real(0.02, 1.0, log=True),
    }

    def __init__(
        self,
        task: Task,
        *,
        seed: int,
        epochs: float = 2 / 3,
        sees: Literal["previous", "current"] = "previous",
        spread: float | None = None,
    ) -> None:
        super().__init__(task, seed=seed)
        if not isinstance(task, ResourceAssignmentTask):
            raise InputError(f"agent {self.name!r} needs a resource-assignment task, got {type(task).__name__}")
        require(self.name, 0, 1, epochs=epochs)
        if not isinstance(sees, str) or sees not in ("previous", "current"):
            raise InputError(f"option 'sees' of agent {self.name!r} is {shown(sees)}, allowed 'previous', 'current'")
        if spread is not None:
            require(self.name, 1e-6, spread=spread)
        self._problem = task
        self._share = epochs / (epochs + POPULATION * (1 - epochs))
        self._spread = task.spec.budget if spread is None else spread
        self._reinforce = Reinforce(task, rng=self.rng, seed=seed, sees=sees)
        self._episodes_left: int | None = None
        self._episode: Episode | None = None
        self._local: LocalSearch | None = None
        self._best: npt.NDArray[np.int64] | None = None
        self._best_score = np.inf

    def ask(self, count: int) -> Designs:
        if self._episodes_left is None:
            self._episodes_left = round(count * self._share)
        if self._episodes_left > 0:
            self._episodes_left -= 1
            self._episode = self._reinforce.sample()
            return self._episode.design[None]
        self._episode = None
        if self._local is None:
            self._local = self._start_local_search()
        return self._local.propose()[:count]

    def tell(self, designs: Designs, outcome: Outcome) -> None:
        score = outcome.score
        if self._episode is None:
            assert self._local is not None
            self._local.learn(score)
            return
        if score[0] < self._best_score:
            self._best, self._best_score = designs[0].copy(), float(score[0])
        figures = (outcome.costs[name][0] for name in ("slot_cost", "slot_resource", "slot_valid"))
        self._reinforce.learn(self._episode, *figures)

    def _start_local_search(self) -> LocalSearch:
        start = self._best
        if start is None:
            start = self._problem.designs(self._problem.table.closed.argmin(axis=1)[None])[0]
        return LocalSearch(self._problem, start, self._best_score, spread=self._spread, rng=self.rng)
