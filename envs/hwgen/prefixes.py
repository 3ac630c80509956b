"""What can still become of a design of which the first parameters are decided."""

from __future__ import annotations

from functools import cached_property

import numpy as np
import numpy.typing as npt

__all__ = ["Prefixes"]

Bools = npt.NDArray[np.bool_]
Floats = npt.NDArray[np.float64]
Ints = npt.NDArray[np.int64]


class Prefixes:
    """Facts about all designs that begin alike, tabulated once for every beginning.

    Args:
        feasible: Whether each design of the space is, shape ``nvec``.
        area: Area of each design, shape ``nvec``.
    """

    def __init__(self, feasible: Bools, area: Floats) -> None:
        self._feasible = feasible
        self._area = np.where(feasible, area, np.inf)

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
        return np.broadcast_to(chosen, (len(designs), self._feasible.shape[length]))

    def nearest(self, designs: Ints, ordered: Bools, rng: np.random.Generator) -> Ints:
        """Returns feasible designs that keep what they can of the given ones, the earlier parameters first.

        A value that leaves no feasible completion gives way to the nearest one that does (ties go down); where values
        have no order, to any.

        Args:
            designs: Value indices, shape ``(n, parameters)``.
            ordered: Which parameters have an order, shape ``(parameters,)``.
            rng: Draws values without order.
        """
        result = designs.copy()
        for at in range(designs.shape[1]):
            mask = self.mask(result, at)
            values = np.arange(mask.shape[1])
            away = np.abs(values - result[:, at, None]).astype(np.float64)
            if not ordered[at]:
                away = np.where(away == 0, 0.0, 1.0 + rng.random(away.shape))
            result[:, at] = np.where(mask, away, np.inf).argmin(axis=1)
        return result
