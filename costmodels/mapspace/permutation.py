"""Loop permutation: the order of the time loops of every level but the innermost, whose order changes nothing."""

from __future__ import annotations

import itertools
import math
from collections.abc import Sequence
from functools import cached_property

import numpy as np
import numpy.typing as npt

from accelgym.costmodels.architecture.loop_nest import LoopNest
from accelgym.costmodels.architecture.machine import Architecture
from accelgym.costmodels.mapspace.constraints import Constraints
from accelgym.costmodels.mapspace.decisions import LoopChoice

__all__ = ["Permutation"]

Ints = npt.NDArray[np.int64]


class Permutation:
    """The loop orders of all levels.

    The order of a level is a *code*: the number of a permutation of its free loops, innermost first, in lexicographic
    order; its Lehmer digits are the decisions.

    Args:
        problem: The problem.
        architecture: The machine.
        constraints: Which loops are innermost by constraint, and where there can be loops.
        fixed: Loop bounds that no decision changes, shape ``(slots, dims)``.
    """

    def __init__(self, problem: LoopNest, architecture: Architecture, constraints: Constraints, fixed: Ints) -> None:
        self.problem, self.architecture, self.constraints = problem, architecture, constraints
        self.levels = len(architecture.levels) - 1
        """Levels with an order."""
        self.slots = tuple(_time_slot(architecture, v) for v in range(self.levels))
        """Their time loops."""
        self.free: tuple[tuple[int, ...], ...] = tuple(self._free(v, fixed) for v in range(self.levels))
        """Per level the dimensions that can have a time loop whose position is not pinned."""

    def _free(self, level: int, fixed: Ints) -> tuple[int, ...]:
        slot, pinned = self.slots[level], self.constraints.pinned[level]
        loops = self.constraints.placeable[slot] | (fixed[slot] > 1)
        return tuple(d for d, bound in enumerate(self.problem.bounds) if bound > 1 and loops[d] and d not in pinned)

    @property
    def decisions(self) -> list[LoopChoice]:
        """One for each loop but the last of every level, the innermost first."""
        return [LoopChoice(v, free, k) for v, free in enumerate(self.free) for k in range(len(free) - 1)]

    @cached_property
    def tables(self) -> tuple[Ints, ...]:
        """Positions in time under every order of each level, shape ``(dims, orders)``, by code; 0 is outermost."""
        return tuple(self._table(v) for v in range(self.levels))

    def _table(self, level: int) -> Ints:
        free, dims = self.free[level], len(self.problem.dims)
        pinned = [d for d in self.constraints.pinned[level] if self.problem.bounds[d] > 1]
        idle = [d for d in range(dims) if d not in free and d not in pinned]
        orders = list(itertools.permutations(range(len(free))))
        permutations = np.array(orders, dtype=np.int64).reshape(len(orders), len(free))
        table = np.empty((dims, len(orders)), dtype=np.int64)
        for position, d in enumerate(pinned):
            table[d] = dims - 1 - position
        for position in range(len(free)):
            innermost_first = np.array(free)[permutations[:, position]]
            table[innermost_first, np.arange(len(orders))] = dims - 1 - len(pinned) - position
        for position, d in enumerate(idle):
            table[d] = position
        return table

    # -- codes and positions: a pair -------------------------------------------------------------------------------

    def ranks(self, codes: Ints) -> Ints:
        """Returns the positions of all loops, shape ``(slots, dims, n)``, 0 outermost.

        Args:
            codes: Order of each level but the innermost, shape ``(levels - 1, n)``.
        """
        dims = len(self.problem.dims)
        ranks = np.empty((len(self.architecture.slots), dims, codes.shape[1]), dtype=np.int64)
        ranks[:] = np.arange(dims)[None, :, None]
        for slot, table, code in zip(self.slots, self.tables, codes, strict=True):
            for d, row in enumerate(table):
                np.take(row, code, out=ranks[slot, d])
        return ranks

    def codes(self, ranks: Ints) -> Ints:
        """Returns the orders of positions, inverse of :meth:`ranks`; only the order of the free loops counts.

        Args:
            ranks: Shape ``(slots, dims, n)``.
        """
        codes = np.empty((self.levels, ranks.shape[2]), dtype=np.int64)
        for v, slot in enumerate(self.slots):
            free = np.array(self.free[v], dtype=np.int64)
            codes[v] = self.code(v, free[np.argsort(-ranks[slot][free], axis=0)])
        return codes

    # -- codes and the loops they order: a pair --------------------------------------------------------------------

    def code(self, level: int, loops: Ints) -> Ints:
        """Returns the codes of orders of the free loops of a level, shape ``(n,)``.

        Args:
            level: The level.
            loops: Dimensions from the innermost outwards, shape ``(free loops, n)``.
        """
        position = np.searchsorted(np.array(self.free[level], dtype=np.int64), loops)
        total = np.zeros(loops.shape[1], dtype=np.int64)
        for k, chosen in enumerate(position):
            total += (chosen - (position[:k] < chosen).sum(axis=0)) * math.factorial(len(position) - 1 - k)
        return total

    def loops(self, level: int, codes: Ints) -> Ints:
        """Returns the free loops of a level in the order of codes, inverse of :meth:`code`."""
        free = np.array(self.free[level], dtype=np.int64)
        return np.asarray(free[np.argsort(-self.tables[level][free][:, codes], axis=0)])

    # -- codes and Lehmer digits: a pair ---------------------------------------------------------------------------

    def digit(self, choice: LoopChoice, codes: Ints) -> Ints:
        """Returns the Lehmer digit of a decision from the codes of its level, shape ``(n,)``."""
        count = len(choice.dims) - choice.digit
        return np.asarray(codes // math.factorial(count - 1) % count)

    def weight(self, choice: LoopChoice) -> int:
        """Returns how much one step of a digit adds to the code of its level."""
        return math.factorial(len(choice.dims) - 1 - choice.digit)

    def all_orders(self, orders: Sequence[Ints]) -> Ints:
        """Returns every combination of some orders of each level, shape ``(levels - 1, combinations)``."""
        if not self.levels:
            return np.zeros((0, 1), dtype=np.int64)
        return np.stack([grid.ravel() for grid in np.meshgrid(*orders, indexing="ij")])


def _time_slot(architecture: Architecture, level: int) -> int:
    slot = architecture.slot(level, "temporal")
    assert slot is not None
    return slot
