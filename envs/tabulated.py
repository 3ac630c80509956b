"""Tasks that choose one option for every slot from a table."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Sequence

import numpy as np
import numpy.typing as npt

from accelgym.envs.certificates import ProvedTask
from accelgym.envs.option_table import OptionTable
from accelgym.envs.space import Designs, Parameter

__all__ = ["TabulatedTask"]

Ints = npt.NDArray[np.int64]
Bools = npt.NDArray[np.bool_]


class TabulatedTask(ProvedTask):
    """A task whose decisions are options of slots; costs and resources stand in a table.

    Designs list the knobs of the first slot, then those of the second, and so on; an action is a slot's flat option.
    """

    @property
    @abstractmethod
    def knobs(self) -> Sequence[Parameter]:
        """Knobs of a slot, the same of every one."""

    @property
    @abstractmethod
    def table(self) -> OptionTable:
        """Every option of every slot."""

    def actions(self, designs: Designs) -> Ints:
        """Flat option per slot, ``(n, parameters)`` to ``(n, slots)``."""
        parts = designs.reshape(len(designs), len(self.space) // len(self.knobs), len(self.knobs))
        return np.asarray(np.ravel_multi_index(tuple(np.moveaxis(parts, -1, 0)), self.action_factors), dtype=np.int64)

    def designs(self, actions: Ints) -> Designs:
        """Inverse of :meth:`actions`."""
        parts = np.stack(np.unravel_index(actions, self.action_factors), axis=-1)
        return parts.reshape(len(actions), len(self.space)).astype(np.int64)

    @property
    def action_sizes(self) -> Ints:
        return np.full(len(self.space) // len(self.knobs), np.prod(self.action_factors), dtype=np.int64)

    @property
    def action_factors(self) -> tuple[int, ...]:
        return tuple(len(knob.values) for knob in self.knobs)

    def masks(self, actions: Ints, position: int) -> Bools:
        used = np.zeros(len(actions))
        for slot in range(position):
            used = used + self.table.closed[slot, actions[:, slot]]
        mask = self.table.mask(np.full(len(actions), position), used)
        mask[~mask.any(axis=1)] = self.table.allowed[position]
        return mask

    def fits(self, designs: Designs) -> Bools:
        options = self.actions(self.space.check(designs))
        return np.asarray(self.table.gather(self.table.closed, options).sum(axis=1) <= self.table.limit)

    def sample_feasible(self, rng: np.random.Generator, count: int) -> Designs:
        return self.designs(self.table.sample_feasible(rng, count))

    def repair(self, designs: Designs, rng: np.random.Generator) -> Designs:
        return self.designs(self.table.repair(self.actions(self.space.check(designs)), rng))
