"""What can still become of a joint design of which the first parameters are decided: sound and tight masks.

Layers meet a machine in three ways: whether it takes their types, whether these keep the limit of the loss, and
whether its SRAM has room for what stays on chip. All three depend on the machine through its set of types and its SRAM
alone, so a prefix is judged by the classes of machines that agree in both.
"""

from __future__ import annotations

from functools import cached_property

import numpy as np
import numpy.typing as npt

from accelgym.costmodels.solvers.joint.residency import words_at
from accelgym.envs.hwgen.prefixes import Prefixes
from accelgym.envs.joint.parts import JointParts

__all__ = ["JointPrefixes"]

Bools = npt.NDArray[np.bool_]
Ints = npt.NDArray[np.int64]

_CLASS = 2
"""Parameters of a machine that make its class: types and SRAM, which come first."""


class JointPrefixes:
    """Masks of a joint task.

    Args:
        task: The task.
    """

    def __init__(self, task: JointParts) -> None:
        self._task = task
        self._machines = task.machines
        self._sizes = task.action_sizes
        self._open = task.feasible.any(axis=tuple(range(_CLASS, task.feasible.ndim)))
        self._role = {
            int(column): (name, number) for name, found in task.columns.items() for number, column in enumerate(found)
        }
        self._edges = task.network.activations.edges

    @cached_property
    def machines(self) -> Prefixes:
        """What beginnings of machines can be completed to."""
        return Prefixes(self._task.feasible, self._machines.area_nand2)

    def mask(self, actions: Ints, position: int) -> Bools:
        """Returns which actions may come next, shape ``(n, actions)``; those that exist where none may."""
        exist = np.arange(self._task.num_actions) < self._sizes[position]
        role, number = self._role[position]
        found = (
            self._machine(actions, number, position)
            if role == "machine"
            else self._layer(actions, role, number, position)
        )
        mask = np.zeros((len(actions), len(exist)), dtype=bool)
        mask[:, : found.shape[1]] = found
        mask[~mask.any(axis=1)] = exist
        return mask

    def _classes(self, actions: Ints, position: int) -> Bools:
        """Classes of machines with which the layers decided so far can be completed, ``(n, sets, srams)``."""
        task, at = self._task, self._task.columns
        types = at["types"][at["types"] < position]
        pair = actions[:, types]
        loss = task.network.losses[np.arange(len(types)), pair].sum(axis=1)
        good = loss[:, None] + task.reserve[:, len(types)] <= task.limit
        sets = np.bitwise_and.reduce(self._takers[pair], axis=1, initial=-1)
        good = good & (sets[:, None] >> np.arange(good.shape[1]) & 1 > 0)
        peak = self._task.figures.peak_words(self._resident(actions, position))
        return np.asarray(self._open & good[:, :, None] & (peak[:, None, None] <= self._machines.room_words))

    @cached_property
    def _takers(self) -> Ints:
        """Sets that take each pair of types, as the bits of a number, shape ``(pairs,)``."""
        return np.asarray((self._machines.supports.T << np.arange(len(self._machines.supports))).sum(axis=1))

    def _resident(self, actions: Ints, position: int) -> Bools:
        """Edges that are on chip by the decisions made, shape ``(n, edges)``."""
        columns = self._task.columns["on_chip"]
        resident = np.zeros((len(actions), len(columns)), dtype=bool)
        known = columns < position
        resident[:, known] = actions[:, columns[known]] > 0
        return resident

    def _machine(self, actions: Ints, number: int, position: int) -> Bools:
        """Values of a parameter of the machine, shape ``(n, values)``."""
        chosen = actions[:, self._task.columns["machine"]]
        classes = self._classes(actions, position)
        rows = np.arange(len(actions))
        if number == 0:
            return np.asarray(classes.any(axis=2))
        if number == 1:
            return classes[rows, chosen[:, 0]]
        fits = classes[rows, chosen[:, 0], chosen[:, 1]]
        return self.machines.mask(chosen, number) & fits[:, None]

    def _layer(self, actions: Ints, role: str, number: int, position: int) -> Bools:
        """Values of a parameter of a layer or an edge, shape ``(n, values)``."""
        task = self._task
        classes = self._classes(actions, position)
        machine = task.columns["machine"]
        if machine[0] < position:
            chosen = actions[:, machine]
            rows = np.arange(len(actions))
            fits = classes[rows, chosen[:, 0], chosen[:, 1]] & task.feasible[tuple(chosen.T)]
            classes = np.zeros_like(classes)
            classes[rows, chosen[:, 0], chosen[:, 1]] = fits
        any_ = np.asarray(classes.any(axis=(1, 2)))
        if role == "mapping":
            return np.repeat(any_[:, None], self._sizes[position], axis=1)
        if role == "types":
            types = task.columns["types"][:number]
            loss = task.network.losses[np.arange(number), actions[:, types]].sum(axis=1)
            after = task.network.losses[number][None, :] + task.reserve[:, number + 1][:, None]
            # Sets of types and pairs: the set takes the pair, and the rest keeps the limit.
            keeps = (loss[:, None, None] + after <= task.limit) & self._machines.supports
            return np.asarray((keeps & np.asarray(classes.any(axis=2))[:, :, None]).any(axis=1))
        edge = self._edges[number]
        resident = self._resident(actions, position)
        resident[:, number] = True
        # What is kept later is checked later; before its producer an activation takes no room.
        used = words_at(task.network.activations, resident, edge.producer)
        kept = (classes & (used[:, None, None] <= self._machines.room_words)).any(axis=(1, 2))
        return np.stack((any_, kept), axis=1)
