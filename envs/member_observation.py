"""Observations that tell the members of a family apart."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from accelgym.envs.sequential import SequentialVectorEnv

__all__ = ["MemberObserver"]


class MemberObserver:
    """Appends the features of the decision to be made next to the observations of a task's lanes.

    Args:
        lanes: The lanes; their task has :meth:`~accelgym.envs.Task.decision_features`.
    """

    def __init__(self, lanes: SequentialVectorEnv) -> None:
        features = np.clip(lanes.task.decision_features(), -1.0, 1.0)
        self._decisions = len(features)
        # One more row: what is seen after the last decision.
        self._features = np.vstack((features, np.zeros(features.shape[1]))).astype(np.float32)
        self._column = lanes.progress_column
        self.features = features.shape[1]
        self.size = int(lanes.single_observation_space.shape[0]) + self.features  # type: ignore[index]

    def extend(self, observations: npt.NDArray[np.float32]) -> npt.NDArray[np.float32]:
        """Returns observations ``(rows, size)`` of the lanes' ``(rows, columns)``."""
        position = np.rint(observations[:, self._column] * self._decisions).astype(np.int64)
        return np.concatenate((observations, self._features[position]), axis=1)
