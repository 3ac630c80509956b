"""ConfuciuX's second stage: a genetic algorithm around the best design of the first."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from accelgym.envs.resource_assignment import ResourceAssignmentTask
from accelgym.envs.space import Designs

__all__ = ["POPULATION", "LocalSearch"]

FloatArray = npt.NDArray[np.float64]
IntArray = npt.NDArray[np.int64]
BoolArray = npt.NDArray[np.bool_]

POPULATION = 20
"""Individuals, and evaluations per generation."""
_PARENTS, _TRIES, _SWAP = 8, 3, 0.2


class LocalSearch:
    """Mutates copies of one design, keeping the best unchanged.

    As ``src/ConfX/ga_confx.py`` of ConfuciuX's repository (commit c48c554): every child copies one of the 8
    best and gets three tries, each adding ``int(U(-range, range) * (largest value // 2))`` to a random knob of a
    random layer, undone when the layer's extra resource exceeds what the parent left of the budget; then, at odds
    of 0.2, two layers of the child swap a knob. A child all of whose tries were undone is tried again, within
    twice the population's number of attempts. What differs:

    * The value becomes the nearest of the task's, other than the old one in the direction of the change. With
      all integers in the space that is the sum itself; between ConfuciuX's 12 PE levels small changes would
      otherwise never arrive anywhere.
    * What is left of the budget is the parent's; the original reads another individual's.
    * An unordered knob (the dataflow, which the original does not search) is redrawn.

    Resources of single layers are read off the task, as by everything that keeps designs feasible.

    Args:
        task: The task.
        start: Design to start from, shape ``(parameters,)``.
        score: Its score; ``inf`` when it is not known.
        spread: Half-width of the mutation as a share of half the knob's range.
        rng: Source of all choices.
    """

    def __init__(
        self, task: ResourceAssignmentTask, start: IntArray, score: float, *, spread: float, rng: np.random.Generator
    ) -> None:
        self._table = task.table
        self._rng = rng
        self._sizes = tuple(len(knob.values) for knob in task.knobs)
        self._ordered = [knob.ordered for knob in task.knobs]
        self._values = [np.array(knob.values if knob.ordered else range(len(knob.values))) for knob in task.knobs]
        self._reach = [spread * max(1, int(values.max()) // 2) for values in self._values]
        genes = np.asarray(start, dtype=np.int64).reshape(len(task.slot_names), len(self._sizes))
        self._population = np.repeat(genes[None], POPULATION, axis=0)
        self._score = np.full(POPULATION, score)

    def propose(self) -> Designs:
        """Breeds a generation; the first individual is the best so far. Shape ``(POPULATION, parameters)``."""
        rank = np.argsort(self._score, kind="stable")
        parents = self._population[rank[: min(_PARENTS, max(1, int(np.isfinite(self._score).sum())))]]
        children = parents[np.arange(POPULATION) % len(parents)]
        open_rows = np.arange(POPULATION)
        attempts = 2 * POPULATION
        while len(open_rows) and attempts > 0:
            now = open_rows[:attempts]
            attempts -= len(now)
            changed = np.zeros(len(now), dtype=bool)
            family = children[now]
            room = self._table.limit - self._resource(family).sum(axis=1)
            for _ in range(_TRIES):
                changed |= self._mutate(family, room)
            children[now] = family
            open_rows = np.concatenate((now[~changed], open_rows[len(now) :]))
        self._swap(children)
        children[0] = parents[0]
        self._population = children
        return children.reshape(POPULATION, -1)

    def learn(self, score: FloatArray) -> None:
        """Takes the scores of the last generation; individuals that were not evaluated count as infeasible."""
        self._score = np.full(POPULATION, np.inf)
        self._score[: len(score)] = score

    def _mutate(self, genes: IntArray, room: FloatArray) -> BoolArray:
        """One try per row, in place; returns which were kept."""
        rng, rows = self._rng, np.arange(len(genes))
        slot = rng.integers(0, genes.shape[1], len(genes))
        knob = rng.integers(0, genes.shape[2], len(genes))
        draw = rng.uniform(-1.0, 1.0, len(genes))
        old = genes[rows, slot].copy()
        new = old.copy()
        for k in range(genes.shape[2]):
            mine = np.flatnonzero(knob == k)
            new[mine, k] = self._move(k, old[mine, k], draw[mine])
        before, after = self._option(old), self._option(new)
        with np.errstate(invalid="ignore"):
            extra = self._table.closed[slot, after] - self._table.closed[slot, before]
        kept = np.asarray(extra <= room)
        genes[rows, slot] = np.where(kept[:, None], new, old)
        room -= np.where(kept, extra, 0.0)
        return kept

    def _move(self, knob: int, index: IntArray, draw: FloatArray) -> IntArray:
        """New value indices of one knob."""
        values = self._values[knob]
        if not self._ordered[knob]:
            return np.floor((draw + 1) / 2 * len(values)).astype(np.int64).clip(0, len(values) - 1)
        step = np.trunc(draw * self._reach[knob]).astype(np.int64)
        aim = values[index] + step
        nearest = np.abs(aim[:, None] - values).argmin(axis=1)
        stuck = (nearest == index) & (step != 0)
        return np.where(stuck, index + np.sign(step), nearest).clip(0, len(values) - 1).astype(np.int64)

    def _swap(self, genes: IntArray) -> None:
        """Exchanges a knob between two random layers of some rows, in place."""
        rng = self._rng
        rows = np.flatnonzero(rng.random(len(genes)) < _SWAP)
        first, second = rng.integers(0, genes.shape[1], (2, len(rows)))
        knob = rng.integers(0, genes.shape[2], len(rows))
        genes[rows, first, knob], genes[rows, second, knob] = genes[rows, second, knob], genes[rows, first, knob]

    def _option(self, genes: IntArray) -> IntArray:
        """Flat options, ``(..., knobs)`` to ``(...,)``."""
        return np.asarray(np.ravel_multi_index(tuple(np.moveaxis(genes, -1, 0)), self._sizes), dtype=np.int64)

    def _resource(self, genes: IntArray) -> FloatArray:
        """Resource of every slot, ``inf`` where the choice is invalid."""
        return np.asarray(self._table.gather(self._table.closed, self._option(genes)), dtype=np.float64)
