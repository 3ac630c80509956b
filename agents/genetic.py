"""Genetic algorithm over slots, batched over the population."""

from __future__ import annotations

from collections.abc import Mapping
from typing import ClassVar

import numpy as np
import numpy.typing as npt

from accelgym.agents.base import Agent
from accelgym.agents.hyperparameters import Hyperparameters, Real, Whole, move_weights
from accelgym.agents.moves import Mover, cross_one_point, cross_uniform
from accelgym.agents.options import require
from accelgym.envs.space import Designs
from accelgym.envs.task import Outcome, Task

__all__ = ["GeneticAlgorithm"]

_MIX = {"step": 0.1, "reset": 0.1, "transfer": 0.2, "gather": 0.1, "spread": 0.1, "swap": 0.2, "copy": 0.2}


class GeneticAlgorithm(Agent):
    """Evolves a small population, elitist (mu + lambda), with feasible children only.

    A child starts as a copy of a parent drawn by tournament. It may then be crossed with a second parent, slot by
    slot, or be *merged*: the changes by which a few other survivors came about are applied to it together. A
    network's layers contribute to the objective almost independently, so improvements found side by side add up;
    merging collects them in one generation where crossover loses half of each. Children mutate by the moves of
    :class:`accelgym.agents.moves.Mover`; whatever overshoots the budget is drawn again or repaired before it is
    proposed.

    Defaults: a random sweep on confuciux/mobilenet_v2 and confuciux/resnet18 (MAESTRO, dla) at budget
    0.1, seeds 100 and 101, refined on seeds 200 and 201 and, for the trades between slots, on mobilenet_v2 at 0.05.
    Half of 23 random settings need at least twice the evaluations to 1 %.

    Args:
        task: The task to search.
        seed: Seed of every choice.
        population: Survivors per generation.
        children: Designs proposed per generation.
        tournament: Contestants per parent; 1 draws parents uniformly.
        crossover: Probability that a child is crossed.
        merge: Probability that a child is merged.
        donors: Mean number of survivors whose changes are merged.
        mutation: Probability that a crossed or merged child also mutates; copies always do.
        moves: Mean number of moves of a mutation.
        mix: Relative frequency of each move.
        tries: Draws of a mutation before it is repaired.
    """

    name: ClassVar[str] = "ga"
    hyperparameters: ClassVar[Hyperparameters] = {
        "population": Whole(4, 64, log=True),
        "children": Whole(4, 128, log=True),
        "tournament": Whole(1, 3),
        "crossover": Real(0.0, 0.5),
        "merge": Real(0.0, 0.5),
        "donors": Real(1.0, 8.0),
        "mutation": Real(0.2, 1.0),
        "moves": Real(1.0, 4.0),
        **move_weights(*_MIX),
    }

    def __init__(
        self,
        task: Task,
        *,
        seed: int,
        population: int = 12,
        children: int = 32,
        tournament: int = 2,
        crossover: float = 0.1,
        merge: float = 0.5,
        donors: float = 6.0,
        mutation: float = 0.8,
        moves: float = 2.0,
        mix: Mapping[str, float] | None = None,
        tries: int = 2,
    ) -> None:
        super().__init__(task, seed=seed)
        require(self.name, 1, children=children, tries=tries, donors=donors, moves=moves)
        require(self.name, 2, population=population)
        require(self.name, 1, population, tournament=tournament)
        require(self.name, 0, 1, crossover=crossover, merge=merge, mutation=mutation)
        self.population, self.children, self.tournament, self.tries = population, children, tournament, tries
        self.crossover, self.merge, self.mutation = crossover, merge, mutation
        self.donors, self.moves = donors, moves
        self._mover = Mover(task, _MIX if mix is None else mix)
        self._designs: Designs = np.zeros((0, len(task.space)), dtype=np.int64)
        self._score: npt.NDArray[np.float64] = np.zeros(0)
        # Which parameters of a survivor differ from its parent: what a merge applies.
        self._changed: npt.NDArray[np.bool_] = np.zeros((0, len(task.space)), dtype=bool)
        self._parents: Designs | None = None

    def ask(self, count: int) -> Designs:
        if len(self._designs) == 0:
            self._parents = None
            return self.task.sample_feasible(self.rng, min(self.population, count))
        n = min(self.children, count)
        parents = self._designs[self._select(n)]
        draw = self.rng.random(n)
        crossed = draw < self.crossover
        merged = ~crossed & (draw < self.crossover + self.merge)
        children = self._cross(parents, crossed)
        children = self._apply_changes(children, np.flatnonzero(merged))
        mutated = np.flatnonzero(~(crossed | merged) | (self.rng.random(n) < self.mutation))
        times = 1 + self.rng.poisson(self.moves - 1, len(mutated))
        children[mutated] = self._mover.move_within_budget(children[mutated], self.rng, times, tries=self.tries)
        self._parents = parents
        return self.task.repair(children, self.rng)

    def tell(self, designs: Designs, outcome: Outcome) -> None:
        changed = np.zeros_like(designs, dtype=bool) if self._parents is None else designs != self._parents
        # Newer designs come first, so that of equals the newer survives: plateaus are crossed by drift.
        pool = np.concatenate((designs, self._designs))
        score = np.concatenate((outcome.score, self._score))
        changed = np.concatenate((changed, self._changed))
        distinct = np.sort(np.unique(pool, axis=0, return_index=True)[1])
        keep = distinct[np.argsort(score[distinct], kind="stable")[: self.population]]
        self._designs, self._score, self._changed = pool[keep], score[keep], changed[keep]

    @property
    def survivors(self) -> tuple[Designs, npt.NDArray[np.float64]]:
        """Designs ``(n, parameters)`` and objectives ``(n,)`` of the population, best first."""
        return self._designs, self._score

    def _select(self, n: int) -> npt.NDArray[np.int64]:
        """Ranks of ``n`` tournament winners; survivors are sorted, so the least rank wins."""
        contestants = self.rng.integers(0, len(self._designs), (n, self.tournament))
        return np.asarray(contestants.min(axis=1))

    def _cross(self, parents: Designs, chosen: npt.NDArray[np.bool_]) -> Designs:
        children = parents.copy()
        rows = np.flatnonzero(chosen)
        for rows_of_kind, cross in zip(np.array_split(rows, 2), (cross_uniform, cross_one_point), strict=True):
            mates = self._designs[self._select(len(rows_of_kind))]
            children[rows_of_kind] = cross(self._mover.layout, parents[rows_of_kind], mates, self.rng)
        return children

    def _apply_changes(self, children: Designs, rows: npt.NDArray[np.int64]) -> Designs:
        donors = 1 + self.rng.poisson(self.donors - 1, len(rows))
        for turn in range(int(donors.max(initial=0))):
            still = rows[donors > turn]
            donor = self._select(len(still))
            children[still] = np.where(self._changed[donor], self._designs[donor], children[still])
        return children
