"""What an agent sees before each decision."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from accelgym.costmodels.maestro.designs import LayerShapes
from accelgym.envs.resource_assignment.spec import Deployment
from accelgym.envs.resource_assignment.task import ResourceAssignmentTask

__all__ = ["POSITION", "Observer"]

POSITION = 7
"""Column that holds the slot to be decided, over the number of slots."""
_BUDGET, _SPARE = 8, 9


class Observer:
    """Builds observations; the table in the environment's docstring names the columns.

    Args:
        task: The task observed.
    """

    def __init__(self, task: ResourceAssignmentTask) -> None:
        table = task.table
        knobs = tuple(len(k.values) for k in task.knobs)
        static = _layer_features(task)
        # One more row: what is seen after the last decision.
        self._static = np.vstack((static, np.zeros(static.shape[1]))).astype(np.float32)
        self._static[-1, POSITION] = 1.0
        self._reserve = table.reserve
        self._limit = table.limit
        self._spare = max(table.limit - table.reserve[0], np.finfo(np.float64).tiny)
        index = np.stack(np.unravel_index(np.arange(table.options), knobs), axis=1)
        self._actions = (index / np.maximum(np.array(knobs) - 1, 1)).astype(np.float32)
        self.size = static.shape[1] + len(knobs)

    def observe(
        self,
        position: npt.NDArray[np.int64],
        used: npt.NDArray[np.float64],
        previous: npt.NDArray[np.int32],
        done: npt.NDArray[np.bool_],
    ) -> npt.NDArray[np.float32]:
        """Returns ``(rows, size)`` float32 observations.

        Args:
            position: Next slot of each row; the number of slots when the design is complete.
            used: Resource spent so far.
            previous: Flat option of the last decision; meaningless at position 0.
            done: Rows whose design is complete.
        """
        obs = np.empty((len(position), self.size), dtype=np.float32)
        width = self._static.shape[1]
        obs[:, :width] = self._static[np.where(done, len(self._static) - 1, position)]
        left = self._limit - used
        obs[:, _BUDGET] = np.maximum(left / self._limit, -1.0)
        obs[:, _SPARE] = np.clip((left - self._reserve[position]) / self._spare, -1.0, 1.0)
        obs[:, width:] = np.where((position > 0)[:, None], self._actions[previous], np.float32(0))
        return obs


def _layer_features(task: ResourceAssignmentTask) -> npt.NDArray[np.float64]:
    """Columns 0-12 of every slot; those that depend on the state are left 0."""
    shapes = LayerShapes.from_layers(task.layers)
    dims = np.stack([shapes.K, shapes.C, shapes.Y, shapes.X, shapes.R, shapes.S], axis=1).astype(np.float64)
    logs = np.log1p(dims)
    logs /= logs.max(axis=0)
    macs = np.array([layer.macs for layer in task.layers], dtype=np.float64)
    depthwise = shapes.depthwise.astype(np.float64)
    if task.spec.deployment is Deployment.SEQUENTIAL:
        weight = macs / macs.sum()
        features = np.concatenate((weight @ logs, [weight @ depthwise]))[None]
        macs = macs.sum(keepdims=True)
    else:
        features = np.column_stack((logs, depthwise))
    count = len(features)
    left = np.cumsum(macs[::-1])[::-1]
    heavier = np.array([(macs[i + 1 :] > macs[i]).sum() for i in range(count)]) / count
    state = np.zeros(count)
    return np.column_stack((features, np.arange(count) / count, state, state, macs / left, macs / macs.sum(), heavier))
