"""What a mapping must use at least: smallest loop bounds, children and words."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from accelgym.costmodels.architecture.loop_nest import LoopNest
from accelgym.costmodels.architecture.machine import Architecture
from accelgym.costmodels.errors import InputError

__all__ = ["Floors"]

Ints = npt.NDArray[np.int64]
Floats = npt.NDArray[np.float64]
Bools = npt.NDArray[np.bool_]


@dataclass(frozen=True)
class Floors:
    """Lower limits of a map space.

    Timeloop's mapper reads ``type: utilization`` (or ``parallelism``) at the innermost memory as the smallest share of
    all fan-outs that is in use, the one above the multipliers included; at another level it is taken here for the
    fan-outs above that level. ``min-utilization`` of a memory is the smallest share of its words that tiles fill.
    """

    factors: Ints
    """Smallest loop bounds, shape ``(slots, dims)``; 1 where there is no limit."""
    children: Floats
    """Smallest share in use of the fan-outs of the first ``v + 1`` levels together, shape ``(levels,)``."""
    words: Floats
    """Smallest share of the words of each level that tiles fill, shape ``(levels,)``."""

    @classmethod
    def read(cls, problem: LoopNest, architecture: Architecture, factors: Ints) -> Floors:
        """Reads the smallest utilisations of an architecture.

        Args:
            problem: The problem.
            architecture: The machine with its constraints.
            factors: Smallest loop bounds.

        Raises:
            InputError: A share above 1.
        """
        levels = len(architecture.levels)
        children, words = np.zeros(levels), np.array([level.min_utilization for level in architecture.levels])
        for constraint in architecture.constraints:
            if constraint.kind == "utilization" and constraint.minimum > 0:
                v = architecture.position(constraint.level)
                last = v if v == levels - 1 else v - 1
                if last >= 0:
                    children[last] = max(children[last], constraint.minimum)
        for level, share in zip(architecture.levels, np.maximum(children, words), strict=True):
            if not share <= 1.0:
                raise InputError(f"{level.name!r}: a smallest utilisation of {share:g}, allowed at most 1")
        return cls(factors, children, words)

    @property
    def any(self) -> bool:
        """Whether there is any limit."""
        return bool((self.factors > 1).any() or self.children.any() or self.words.any())

    def shortfall(self, problem: LoopNest, architecture: Architecture, factors: Ints, keep: Bools | None) -> Floats:
        """How far mappings stay below the limits, 0 where they do not; shape ``(n,)``.

        Args:
            problem: The problem.
            architecture: The machine, with the fan-outs and capacities that shares refer to.
            factors: Loop bounds, shape ``(slots, dims, n)``.
            keep: Which level holds which tensor, shape ``(levels, tensors, n)``; ``None`` for all that may be held.
        """
        total = np.zeros(factors.shape[2])
        for s, d in np.argwhere(self.factors > 1):
            total += np.maximum(self.factors[s, d] / factors[s, d] - 1.0, 0.0)
        used, fans = np.ones(factors.shape[2]), 1.0
        extents = np.ones(factors.shape[1:])
        for v, level in enumerate(architecture.levels):
            for slot, fan in (("x", level.fanout_x), ("y", level.fanout_y)):
                fans *= fan
                s = architecture.slot(v, slot)  # type: ignore[arg-type]
                if s is not None:
                    used = used * factors[s].prod(axis=0)
            total += np.maximum(self.children[v] * fans / used - 1.0 - 1e-9, 0.0)
        for s in reversed(range(len(architecture.slots))):
            extents = extents * factors[s]
            slot_of = architecture.slots[s]
            capacity = architecture.levels[slot_of.level].tile_capacity
            if slot_of.kind == "temporal" and self.words[slot_of.level] > 0 and capacity is not None:
                words = self._words(problem, architecture, slot_of.level, extents, keep)
                total += np.maximum(self.words[slot_of.level] * capacity / np.maximum(words, 0.5) - 1.0, 0.0)
        return total

    def _words(
        self, problem: LoopNest, architecture: Architecture, level: int, extents: Floats, keep: Bools | None
    ) -> Floats:
        total = np.zeros(extents.shape[1])
        for t, tensor in enumerate(problem.tensors):
            if not architecture.levels[level].may_store(tensor.name):
                continue
            box = np.ones(extents.shape[1])
            for axis in tensor.axes:
                box = box * (1.0 + sum(c * (extents[problem.dims.index(name)] - 1.0) for name, c in axis))
            total += box if keep is None else box * keep[level, t]
        return total
