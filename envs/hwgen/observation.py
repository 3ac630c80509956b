"""What an agent sees before each decision."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from accelgym.envs.hwgen.task import HwGenTask

__all__ = ["Observer"]

Ints = npt.NDArray[np.int64]


class Observer:
    """Builds observations; the table in the environment's docstring names the columns.

    Args:
        task: The task observed.
    """

    def __init__(self, task: HwGenTask) -> None:
        self._task = task
        self._top = np.maximum(task.space.nvec - 1, 1)
        self._budget = task.spec.area_budget
        self.parameters = len(task.space)
        self.size = self.parameters + 3

    def observe(self, designs: Ints, position: int) -> npt.NDArray[np.float32]:
        """Returns float32 observations of lanes at the same position, shape ``(n, size)``.

        Args:
            designs: Value indices, -1 where open, shape ``(n, parameters)``.
            position: Parameters decided.
        """
        obs = np.empty((len(designs), self.size), dtype=np.float32)
        obs[:, : self.parameters] = np.where(designs < 0, -1.0, designs / self._top)
        obs[:, self.parameters] = position / self.parameters
        beginning = tuple(designs[:, :position].T)
        prefixes = self._task.prefixes
        obs[:, self.parameters + 1] = prefixes.share[position][beginning]
        obs[:, self.parameters + 2] = np.minimum(prefixes.least_area[position][beginning] / self._budget, 1.0)
        return obs
