"""Successive halving: many designs at a cheap fidelity, the best of them at a dearer one."""

from __future__ import annotations

from typing import Any, ClassVar

import numpy as np

from accelgym.agents.base import Agent
from accelgym.agents.options import require
from accelgym.envs.multi_fidelity.task import MultiFidelityTask
from accelgym.envs.space import Designs
from accelgym.envs.task import Outcome, Task

__all__ = ["SuccessiveHalving"]


class SuccessiveHalving(Agent):
    """Draws random feasible designs, and lets the better ones advance from one fidelity to the next.

    Jamieson and Talwalkar, "Non-stochastic best arm identification and hyperparameter optimization", AISTATS 2016.
    Every rung of a bracket costs the same, so a fidelity at a hundredth of the price sees a hundred times the designs.
    Brackets follow one another until the budget is spent; no design is evaluated at the last fidelity twice.

    The loop that lets it choose is :func:`~accelgym.agents.fidelity_search.search_at_fidelities`. In
    :func:`~accelgym.agents.search`, which knows one fidelity, it is random search in batches of ``finalists``.

    Args:
        task: The task to search.
        seed: Seed of the draws.
        finalists: Designs of a bracket that reach the last fidelity.
        most: Designs of a bracket at any other fidelity.
    """

    name: ClassVar[str] = "successive_halving"

    def __init__(self, task: Task, *, seed: int, finalists: int = 8, most: int = 1024) -> None:
        super().__init__(task, seed=seed)
        require(self.name, 1, finalists=finalists, most=most)
        self.finalists, self.most = int(finalists), max(int(most), int(finalists))
        self._sizes = [self.finalists]
        self._fidelities: tuple[str | None, ...] = (None,)
        self._rung = 0
        self._waiting = self._evaluated = np.zeros((0, len(task.space)), dtype=np.int64)
        self._scores = np.zeros(0)
        self._seen: set[bytes] = set()

    def choose_fidelities(self) -> None:
        """Makes use of the fidelities of the task from now on; called by a loop that evaluates at them."""
        if isinstance(self.task, MultiFidelityTask):
            self._fidelities = self.task.fidelities
            prices = [self.task.fidelity(name).price for name in self._fidelities]
            self._sizes = [int(min(self.most, max(self.finalists, self.finalists / price))) for price in prices]

    @property
    def fidelity(self) -> str | None:
        """Fidelity at which the designs of the next :meth:`ask` are to be evaluated; ``None`` for the task's own."""
        return self._fidelities[self._rung]

    def ask(self, count: int) -> Designs:
        if not len(self._waiting):
            self._rung = 0
            self._waiting = self.task.sample_feasible(self.rng, self._sizes[0])
        return self._waiting[:count]

    def tell(self, designs: Designs, outcome: Outcome) -> None:
        self._evaluated = np.concatenate((self._evaluated, designs))
        self._scores = np.concatenate((self._scores, outcome.score))
        self._waiting = self._waiting[len(designs) :]
        if not len(self._waiting):
            self._advance()

    def _advance(self) -> None:
        """Ends a rung: the best go on, those that the last fidelity has seen stay behind."""
        evaluated, scores = self._evaluated, self._scores
        self._evaluated, self._scores = evaluated[:0], scores[:0]
        if self._rung == len(self._fidelities) - 1:
            self._seen |= {row.tobytes() for row in evaluated}
            self._rung = 0
            return
        order = np.argsort(scores, kind="stable")
        ranked = evaluated[order[np.isfinite(scores[order])]]
        _, first = np.unique(ranked, axis=0, return_index=True)
        ranked = ranked[np.sort(first)]
        fresh: list[Any] = [row for row in ranked if row.tobytes() not in self._seen]
        self._rung += 1
        self._waiting = np.array(fresh[: self._sizes[self._rung]], dtype=np.int64).reshape(-1, len(self.task.space))
        if not len(self._waiting):
            self._rung = 0
