"""Reward schemes of the resource-assignment environment."""

from __future__ import annotations

from collections.abc import Callable
from typing import Protocol

import numpy as np
import numpy.typing as npt

from accelgym.costmodels.errors import unknown_name
from accelgym.envs.option_table import OptionTable

__all__ = ["RewardScheme", "reward_scheme"]

FloatArray = npt.NDArray[np.float64]
IntArray = npt.NDArray[np.int64]
BoolArray = npt.NDArray[np.bool_]

_INVALID = 1.0
_OVERSHOOT_WEIGHT = 5.0


class RewardScheme(Protocol):
    """Rewards of all lanes; holds what a reward remembers of its lane."""

    def begin(self, lanes: BoolArray) -> None:
        """Forgets the episode in the given lanes."""

    def step(
        self, lanes: IntArray | slice, slot: IntArray, cost: FloatArray, allowed: BoolArray, used: FloatArray
    ) -> tuple[FloatArray, BoolArray]:
        """Returns the rewards of one decision and which lanes it ends early; all shapes ``(lanes,)``.

        Args:
            lanes: The lanes that decide.
            slot: The slot just decided.
            cost: Cost of the chosen option.
            allowed: Whether the option is valid.
            used: Resource spent, this decision included.
        """
        ...


class _Regret:
    """Minus the distance to the unconstrained optimum, in units of it, with an overshoot penalty.

    A design past the budget may cost as little as nothing. Missing the budget therefore costs the optimum, so that
    no infeasible design returns as much as the best feasible one.
    """

    def __init__(self, table: OptionTable, lanes: int) -> None:
        self._table = table
        self._worst = np.where(table.allowed, table.cost, -np.inf).max(axis=1)
        self._miss = max(1.0, table.solution.value / table.scale)
        self._overshoot = np.zeros(lanes)
        self._peak = np.full(lanes, table.scale)

    def begin(self, lanes: BoolArray) -> None:
        self._overshoot = np.where(lanes, 0.0, self._overshoot)
        self._peak = np.where(lanes, self._table.scale, self._peak)

    def step(
        self, lanes: IntArray | slice, slot: IntArray, cost: FloatArray, allowed: BoolArray, used: FloatArray
    ) -> tuple[FloatArray, BoolArray]:
        table = self._table
        cost = np.where(allowed, cost, self._worst[slot])
        if table.aggregate_max:
            peak = np.maximum(self._peak[lanes], cost)
            reward = (self._peak[lanes] - peak) / table.scale
            self._peak[lanes] = peak
        else:
            reward = (table.best_cost[slot] - cost) / table.scale
        excess = used + table.reserve[slot + 1] - table.limit
        overshoot = np.where(excess > 0, excess / table.capacity, 0.0)
        before = self._overshoot[lanes]
        missed = (overshoot > 0) & (before == 0)
        reward -= _OVERSHOOT_WEIGHT * (overshoot - before) + self._miss * missed + _INVALID * ~allowed
        self._overshoot[lanes] = overshoot
        return reward, np.zeros(len(reward), dtype=bool)


class _Confuciux:
    """As in ConfuciuX's repository (commit 2885eef6), quirks included."""

    def __init__(self, table: OptionTable, lanes: int) -> None:
        self._table = table
        self._worst_fitness = np.full(lanes, np.inf)
        self._earned = np.zeros(lanes)

    def begin(self, lanes: BoolArray) -> None:
        self._earned = np.where(lanes, 0.0, self._earned)

    def step(
        self, lanes: IntArray | slice, slot: IntArray, cost: FloatArray, allowed: BoolArray, used: FloatArray
    ) -> tuple[FloatArray, BoolArray]:
        fitness = -cost
        worst, earned = self._worst_fitness[lanes], self._earned[lanes].copy()
        worst = np.where(allowed, np.minimum(worst, fitness), worst)
        gain = np.where(allowed, fitness - worst, 0.0)
        over = used > self._table.limit
        reward = np.where(over, -earned * (used / self._table.capacity - 1), gain)
        reward = np.where(allowed, reward, -1.0)
        self._worst_fitness[lanes], self._earned[lanes] = worst, earned + gain
        return reward, over | ~allowed


_SCHEMES: dict[str, Callable[[OptionTable, int], RewardScheme]] = {
    "regret": _Regret,
    "confuciux": _Confuciux,
}


def reward_scheme(name: str, table: OptionTable, lanes: int) -> RewardScheme:
    """Builds a scheme by name.

    Raises:
        InputError: No such scheme.
    """
    if name not in _SCHEMES:
        raise unknown_name("reward", name, _SCHEMES)
    return _SCHEMES[name](table, lanes)
