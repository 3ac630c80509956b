"""How a space divides into slots that are configured alike: the structure that search operators use."""

from __future__ import annotations

import math
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
import numpy.typing as npt

from accelgym.envs.space import Space

__all__ = ["Layout"]

IntArray = npt.NDArray[np.int64]


@dataclass(frozen=True)
class Layout:
    """Slots and knobs of a space: its parameters by group, and by knob.

    A slot is what crossover keeps together: the parameters of one group, a layer say. A knob is what several slots
    have in common, the number of PEs say: parameters share one when its name and their values agree.
    """

    space: Space

    @cached_property
    def slot(self) -> IntArray:
        """Slot of each parameter, shape ``(parameters,)``, numbered in order of appearance."""
        return _number([p.group for p in self.space.parameters])

    @cached_property
    def knob(self) -> IntArray:
        """Knob of each parameter, shape ``(parameters,)``, numbered in order of appearance."""
        return _number([(p.knob, p.values) for p in self.space.parameters])

    @cached_property
    def slots(self) -> int:
        """Number of slots."""
        return int(self.slot.max()) + 1

    @property
    def shares_knobs(self) -> bool:
        """Whether any two slots have a knob in common; without that every design is a constant one."""
        return int(self.knob.max()) + 1 < len(self.space)

    @cached_property
    def knob_sizes(self) -> IntArray:
        """Number of values of each knob, shape ``(knobs,)``."""
        first = np.unique(self.knob, return_index=True)[1]
        return self.space.nvec[first]

    @cached_property
    def variable(self) -> IntArray:
        """Parameters with more than one value."""
        return np.flatnonzero(self.space.nvec > 1)

    @cached_property
    def amounts(self) -> npt.NDArray[np.float64]:
        """Values as numbers, shape ``(parameters, most values)``, ``inf`` beyond the end.

        The index stands for a value that is not a number.
        """
        table = np.full((len(self.space), int(self.space.nvec.max())), np.inf)
        for row, parameter in zip(table, self.space.parameters, strict=True):
            values = parameter.values
            numeric = all(isinstance(v, (int, float)) and not isinstance(v, bool) for v in values)
            row[: len(values)] = values if numeric else range(len(values))
        return table

    @cached_property
    def partners(self) -> tuple[IntArray, IntArray]:
        """Other parameters with the same knob: a table ``(parameters, most partners)`` and how many are valid."""
        count = np.bincount(self.knob)[self.knob] - 1
        table = np.zeros((len(self.knob), max(1, int(count.max()))), dtype=np.int64)
        for i, knob in enumerate(self.knob):
            others = np.flatnonzero((self.knob == knob) & (np.arange(len(self.knob)) != i))
            table[i, : len(others)] = others
        return table, count.astype(np.int64)

    def constants(self, rng: np.random.Generator, most: int) -> IntArray:
        """Returns designs that make the same choice in every slot, the last knob varying fastest.

        Args:
            rng: Draws which ones when there are more than ``most``.
            most: Limit of their number.

        Returns:
            Distinct designs, shape ``(n, parameters)``.
        """
        total = math.prod(int(size) for size in self.knob_sizes)
        if total <= most:
            which = np.arange(total)
            digits = np.stack(np.unravel_index(which, tuple(self.knob_sizes)), axis=-1)
        elif total <= np.iinfo(np.int64).max:
            which = np.sort(rng.choice(total, most, replace=False))
            digits = np.stack(np.unravel_index(which, tuple(self.knob_sizes)), axis=-1)
        else:
            digits = np.unique(rng.integers(0, self.knob_sizes, (most, len(self.knob_sizes))), axis=0)
        return digits[:, self.knob].astype(np.int64)


def _number(keys: list[Any]) -> IntArray:
    numbers: dict[Any, int] = {}
    return np.array([numbers.setdefault(key, len(numbers)) for key in keys], dtype=np.int64)
