"""One option per slot under a limit on their sum, tabulated once from a cost model."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import TypeVar

import numpy as np
import numpy.typing as npt

from accelgym.costmodels.certificate import Certificate
from accelgym.costmodels.costs import Reason
from accelgym.costmodels.solvers import minimise_max, minimise_sum
from accelgym.costmodels.solvers.knapsack import CAPACITY_SLACK

__all__ = ["OptionTable"]

FloatArray = npt.NDArray[np.float64]
IntArray = npt.NDArray[np.int64]
BoolArray = npt.NDArray[np.bool_]
ScalarT = TypeVar("ScalarT", bound=np.generic)


@dataclass(frozen=True)
class OptionTable:
    """Costs and resources of every option of every slot.

    A slot is what gets one configuration: a layer, or a network. An option is a flat index over the knobs of a slot,
    the last varying fastest. All arrays have the shape ``(slots, options)``.
    """

    cost: FloatArray
    """To be minimised, summed or maximised over the slots."""
    resource: FloatArray
    """Summed over the slots and limited by ``capacity``."""
    allowed: BoolArray
    """Whether the option is valid under the cost model."""
    reason: npt.NDArray[np.int8]
    latency_cycles: FloatArray
    energy_pj: FloatArray
    area_um2: FloatArray
    power_mw: FloatArray
    capacity: float
    aggregate_max: bool

    @property
    def slots(self) -> int:
        """Number of decisions in a design."""
        return int(self.cost.shape[0])

    @property
    def options(self) -> int:
        """Number of options per decision."""
        return int(self.cost.shape[1])

    @cached_property
    def limit(self) -> float:
        """Capacity with the slack that absorbs the order of summation."""
        return self.capacity * (1 + CAPACITY_SLACK)

    @cached_property
    def cheapest(self) -> FloatArray:
        """Least resource of each slot, shape ``(slots,)``."""
        return np.asarray(self.closed.min(axis=1))

    @cached_property
    def reserve(self) -> FloatArray:
        """Least resource of the slots from position ``i`` on, shape ``(slots + 1,)``."""
        return np.concatenate((np.cumsum(self.cheapest[::-1])[::-1], [0.0]))

    @cached_property
    def best_cost(self) -> FloatArray:
        """Least cost of each slot when the budget is ignored, shape ``(slots,)``."""
        return np.asarray(np.where(self.allowed, self.cost, np.inf).min(axis=1))

    @cached_property
    def scale(self) -> float:
        """Cost of the design that ignores the budget: the unit of rewards."""
        ideal = self.best_cost.max() if self.aggregate_max else self.best_cost.sum()
        return float(ideal) or 1.0

    @cached_property
    def solution(self) -> Certificate:
        """The optimum; its design holds one option per slot."""
        solve = minimise_max if self.aggregate_max else minimise_sum
        return solve(self.cost, self.resource, self.capacity, self.allowed)

    @cached_property
    def closed(self) -> FloatArray:
        """Resource per option, ``inf`` where it is not allowed."""
        return np.where(self.allowed, self.resource, np.inf)

    def aggregate(self, cost: FloatArray) -> FloatArray:
        """Combines costs of shape ``(..., slots)`` to ``(...,)``."""
        return np.asarray(cost.max(axis=-1) if self.aggregate_max else cost.sum(axis=-1))

    def gather(self, figure: npt.NDArray[ScalarT], options: IntArray) -> npt.NDArray[ScalarT]:
        """Picks a figure of chosen options: ``(designs, slots)`` indices to values of that shape."""
        return np.asarray(figure[np.arange(self.slots), options])

    def mask(self, position: IntArray, used: FloatArray) -> BoolArray:
        """Options that keep the design completable.

        Sound: after a masked-in option the cheapest rest still fits. Tight: an option that some feasible
        completion contains is masked in, since the cheapest rest is the least any completion needs.

        Args:
            position: Next slot of each row, shape ``(rows,)``, below ``slots``.
            used: Resource spent so far, shape ``(rows,)``.

        Returns:
            Shape ``(rows, options)``.
        """
        room = self.limit - used - self.reserve[position + 1]
        return np.asarray(self.closed[position] <= room[:, None])

    def sample_feasible(self, rng: np.random.Generator, count: int) -> IntArray:
        """Draws feasible designs; slots are filled in random order so that none is favoured."""
        order = rng.permuted(np.tile(np.arange(self.slots), (count, 1)), axis=1)
        start = np.full((count, self.slots), -1, dtype=np.int64)
        return self._complete(start, order, rng)

    def repair(self, options: IntArray, rng: np.random.Generator) -> IntArray:
        """Makes rows feasible by redrawing slots, in random order, until the rest fits."""
        options = options.copy()
        bad = ~self.gather(self.allowed, options)
        used = np.where(bad, self.cheapest, self.gather(self.resource, options)).sum(axis=1)
        broken = np.flatnonzero((used > self.limit) | bad.any(axis=1))
        if len(broken) == 0:
            return options
        rows = options[broken]
        closed = bad[broken]
        order = rng.permuted(np.tile(np.arange(self.slots), (len(broken), 1)), axis=1)
        order = np.take_along_axis(order, np.argsort(~np.take_along_axis(closed, order, 1), axis=1, kind="stable"), 1)
        spend = np.where(closed, 0.0, self.gather(self.resource, rows))
        floor = np.where(closed, self.cheapest, spend)
        # Slots are freed in that order until the kept ones, with the cheapest rest, fit.
        ordered = np.take_along_axis(floor, order, 1)
        cheap = self.cheapest[order]
        after = ordered.sum(axis=1, keepdims=True) - np.cumsum(ordered - cheap, axis=1)
        need = np.concatenate((ordered.sum(axis=1, keepdims=True), after), axis=1) > self.limit
        freed = np.maximum(need.sum(axis=1), closed.sum(axis=1))
        release = np.zeros_like(closed)
        np.put_along_axis(release, order, np.arange(self.slots) < freed[:, None], 1)
        options[broken] = self._complete(np.where(release, -1, rows), order, rng)
        return options

    def _complete(self, options: IntArray, order: IntArray, rng: np.random.Generator) -> IntArray:
        """Fills the entries that are -1, in the given order, uniformly among what fits."""
        rows = np.arange(len(options))
        unset = options < 0
        spend = self.gather(self.resource, np.maximum(options, 0))
        used = np.where(unset, self.cheapest, spend).sum(axis=1)
        for step in range(self.slots):
            slot = order[:, step]
            todo = rows[options[rows, slot] < 0]
            if len(todo) == 0:
                continue
            slot = slot[todo]
            room = self.limit - used[todo] + self.cheapest[slot]
            fits = self.closed[slot] <= room[:, None]
            draw = rng.random(len(todo)) * fits.sum(axis=1)
            pick = (np.cumsum(fits, axis=1) > draw[:, None]).argmax(axis=1)
            options[todo, slot] = pick
            used[todo] += self.resource[slot, pick] - self.cheapest[slot]
        return options

    def reason_of(self, slot: int, option: int) -> Reason:
        """Why an option is not allowed."""
        return Reason(int(self.reason[slot, option]))
