"""What a joint episode shows beside its decisions."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from accelgym.costmodels.solvers.joint.residency import words_at
from accelgym.envs.joint.network import PAIRS
from accelgym.envs.joint.task import JointTask

__all__ = ["Observer"]

Floats = npt.NDArray[np.float64]
Ints = npt.NDArray[np.int64]

_ROLES = ("machine", "types", "on_chip")


class Observer:
    """Rows of what is left of the limits, and of what the next decision is about.

    Args:
        task: The task.
    """

    width = 2 + len(_ROLES) + len(PAIRS) + 2

    def __init__(self, task: JointTask) -> None:
        self._task = task
        network, at = task.network, task.columns
        steps = len(task.action_sizes)
        self._layer = np.zeros(steps + 1, dtype=np.int64)
        still = np.zeros((steps + 1, self.width - 2))
        macs = np.array([sum(nest.macs for nest in nests) for nests in network.nests], dtype=np.float64)
        words = np.array(network.activations.words, dtype=np.float64)
        producers = [edge.producer for edge in network.activations.edges]
        of_layer = {"types": range(len(network.slots)), "mapping": range(len(network.slots)), "on_chip": producers}
        for number, role in enumerate(_ROLES):
            still[at[role], number] = 1.0
        for role, layers in of_layer.items():
            for column, layer in zip(at[role], layers, strict=True):
                self._layer[column] = layer
                still[column, len(_ROLES) : -2] = np.minimum(network.losses[layer] / (task.limit + 1), 1.0)
                still[column, -2:] = words[layer] / max(words.max(), 1.0), macs[layer] / macs.sum()
        self._still = still
        self._rooms = task.machines.room_words

    def rows(self, actions: Ints, position: Ints) -> Floats:
        """Returns the rows of some lanes, shape ``(lanes, width)``.

        Args:
            actions: Decisions made, -1 where open, shape ``(lanes, decisions)``.
            position: Their number, shape ``(lanes,)``.
        """
        task = self._task
        result = np.empty((len(actions), self.width))
        at = task.columns
        pair = actions[:, at["types"]]
        loss = task.network.losses[np.arange(pair.shape[1]), np.maximum(pair, 0)]
        taken = np.where(pair < 0, 0, loss).sum(axis=1)
        result[:, 0] = np.clip((task.limit - taken) / (task.limit + 1), -1.0, 1.0)
        sets, srams = (np.maximum(actions[:, column], 0) for column in at["machine"][:2])
        known = (actions[:, at["machine"][:2]] >= 0).all(axis=1)
        room = np.where(known, self._rooms[sets, srams], self._rooms.max())
        resident = actions[:, at["on_chip"]] > 0
        layers = self._layer[position]
        used = np.zeros(len(actions), dtype=np.int64)
        for layer in np.unique(layers):
            here = layers == layer
            used[here] = words_at(task.network.activations, resident[here], int(layer))
        result[:, 1] = np.minimum(used / np.maximum(room, 1), 1.0)
        result[:, 2:] = self._still[position]
        return result
