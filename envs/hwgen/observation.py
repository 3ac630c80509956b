"""What an agent sees before each decision, and what can still be completed."""

from __future__ import annotations

from functools import cached_property

import numpy as np
import numpy.typing as npt

from accelgym.envs.hwgen.task import HwGenTask

__all__ = ["Observer", "Prefixes"]

Bools = npt.NDArray[np.bool_]
Floats = npt.NDArray[np.float64]
Ints = npt.NDArray[np.int64]


class Prefixes:
    """Facts about all designs that begin alike, tabulated once for every beginning.

    Args:
        task: The task.
    """

    def __init__(self, task: HwGenTask) -> None:
        self._nvec = task.space.nvec
        self._feasible = task.feasible
        self._area = np.where(task.feasible, task.area_nand2, np.inf)

    @cached_property
    def completable(self) -> list[Bools]:
        """Whether a feasible design begins so: for each length 0..n an array of shape ``nvec[:length]``."""
        tables = [self._feasible]
        while tables[0].ndim:
            tables.insert(0, np.asarray(tables[0].any(axis=-1)))
        return tables

    @cached_property
    def share(self) -> list[Floats]:
        """Share of the designs that begin so which are feasible, by length as above."""
        tables = [self._feasible.astype(np.float64)]
        while tables[0].ndim:
            tables.insert(0, np.asarray(tables[0].mean(axis=-1)))
        return tables

    @cached_property
    def least_area(self) -> list[Floats]:
        """Least area of a feasible design that begins so, ``inf`` where there is none."""
        tables = [self._area]
        while tables[0].ndim:
            tables.insert(0, np.asarray(tables[0].min(axis=-1)))
        return tables

    def mask(self, designs: Ints, length: int) -> Bools:
        """Returns which values of the next parameter can be completed, shape ``(n, values)``."""
        chosen = self.completable[length + 1][tuple(designs[:, :length].T)]
        return np.broadcast_to(chosen, (len(designs), int(self._nvec[length])))


class Observer:
    """Builds observations; the table in the environment's docstring names the columns.

    Args:
        task: The task observed.
        prefixes: Its tabulated beginnings.
    """

    def __init__(self, task: HwGenTask, prefixes: Prefixes) -> None:
        self._prefixes = prefixes
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
        obs[:, self.parameters + 1] = self._prefixes.share[position][beginning]
        obs[:, self.parameters + 2] = np.minimum(self._prefixes.least_area[position][beginning] / self._budget, 1.0)
        return obs
