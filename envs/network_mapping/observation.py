"""What an agent sees while a network is being mapped."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt

from accelgym.costmodels.mapspace.construction import Construction
from accelgym.envs.mapping.observation import Observer
from accelgym.envs.network_mapping.task import NetworkMappingTask

__all__ = ["NetworkObserver"]


class NetworkObserver:
    """Builds observations; the table in the environment's docstring names the columns.

    Args:
        task: The task observed.
    """

    def __init__(self, task: NetworkMappingTask) -> None:
        self._observers = [Observer(layer.mapspace) for layer in task.layers]
        macs = np.array([layer.problem.macs for layer in task.layers], dtype=np.float64) * task.counts
        self._share = macs / macs.sum()
        self._decisions = len(task.space)
        self._head = 2 + len(task.layers)
        self.size = self._head + max(observer.size for observer in self._observers)

    def observe(self, states: Sequence[Construction], layer: npt.NDArray[np.int64]) -> npt.NDArray[np.float32]:
        """Returns ``(lanes, size)`` float32 observations, all within [-1, 1].

        Args:
            states: The mapping of each layer under construction.
            layer: Number of the layer each lane is at; one past the last when it is done.
        """
        obs = np.zeros((len(layer), self.size), dtype=np.float32)
        obs[:, 0] = np.sum([state.position for state in states], axis=0) / self._decisions
        for number in np.unique(layer):
            if number == len(states):
                continue
            rows = layer == number
            observer = self._observers[number]
            obs[rows, 1 + number] = 1.0
            obs[rows, self._head - 1] = self._share[number]
            obs[rows, self._head : self._head + observer.size] = observer.observe(states[number])[rows]
        return obs
