"""Datatype bypass: which level keeps which tensor."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from accelgym.costmodels.mapspace.constraints import BYPASSED, FREE, Constraints
from accelgym.costmodels.mapspace.decisions import TensorBypass

__all__ = ["Bypass"]

Ints = npt.NDArray[np.int64]
Bools = npt.NDArray[np.bool_]


@dataclass(frozen=True)
class Bypass:
    """The choices of one map space."""

    constraints: Constraints

    @property
    def decisions(self) -> list[TensorBypass]:
        """One for each tensor of a level that may be kept or not."""
        return [TensorBypass(int(v), int(t)) for v, t in np.argwhere(self.constraints.keep == FREE)]

    @property
    def free(self) -> Bools:
        """Whether a level may choose to keep a tensor, shape ``(levels, tensors)``."""
        return np.asarray(self.constraints.keep == FREE)

    def everything_kept(self, n: int) -> Bools:
        """Returns ``n`` times the choice that keeps all that may be kept, shape ``(levels, tensors, n)``."""
        return np.repeat((self.constraints.keep != BYPASSED)[:, :, None], n, axis=2)

    def all_choices(self) -> Bools:
        """Returns every choice, all kept first, the first free cell in turn; shape ``(levels, tensors, choices)``."""
        free = np.argwhere(self.free)
        number = np.arange(2 ** len(free))
        keep = self.everything_kept(len(number))
        for bit, (v, t) in enumerate(free):
            keep[v, t] = number >> bit & 1 == 0
        return keep
