"""Batched changes to designs: mutation moves that keep to the space, and crossover by slots.

Rows change independently; nothing here loops over designs.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping

import numpy as np
import numpy.typing as npt

from accelgym.costmodels.errors import InputError, unknown_name
from accelgym.envs.layout import Layout
from accelgym.envs.space import Designs
from accelgym.envs.task import Task

__all__ = ["MOVES", "Mover", "cross_one_point", "cross_uniform"]

IntArray = npt.NDArray[np.int64]
Change = Callable[[Layout, Designs, IntArray, IntArray, np.random.Generator], None]

_LONGEST_JUMP = 3
_MOST_PARTNERS = 4


class Mover:
    """Draws random changes of designs.

    ========  =========================================================================================
    move      what it changes
    ========  =========================================================================================
    step      an ordered parameter goes to a neighbouring value
    reset     a parameter takes any other value
    transfer  a parameter rises, the same knob of another slot falls by at least as much
    gather    a parameter rises, the same knob of a few other slots falls by a level each
    spread    a parameter falls, the same knob of a few other slots rises by a level each for what that frees
    swap      two slots exchange their values of a knob
    copy      a parameter takes the value that its knob has in another slot
    ========  =========================================================================================

    A move that the drawn parameter does not admit (a step of an unordered one, a swap of equal values) becomes a
    reset. Transfer, gather and spread keep the sum of a knob from growing, so that they work under a tight budget.

    Args:
        task: The task whose designs are changed.
        weights: Relative frequency of each move; moves left out are not made.

    Raises:
        InputError: Unknown move, a negative weight, or no positive one.
    """

    def __init__(self, task: Task, weights: Mapping[str, float]) -> None:
        for name, weight in weights.items():
            if name not in MOVES:
                raise unknown_name("move", name, MOVES)
            if weight < 0:
                raise InputError(f"weight of move {name!r} is {weight}, allowed >= 0")
        total = sum(weights.values())
        if not total > 0:
            raise InputError(f"the weights of the moves sum to {total}, allowed > 0")
        self.task = task
        self.layout = Layout(task.space)
        self._changes = [MOVES[name] for name in weights]
        self._shares = np.cumsum(list(weights.values())) / total

    def move(self, designs: Designs, rng: np.random.Generator, times: IntArray | int = 1) -> Designs:
        """Returns changed copies of the designs, feasible or not.

        Args:
            designs: Shape ``(n, parameters)``.
            rng: Source of the choices.
            times: Moves per design, at least 1; shape ``(n,)`` or one number for all.
        """
        moved = designs.copy()
        counts = np.broadcast_to(times, len(designs))
        if len(self.layout.variable) == 0 or len(designs) == 0:
            return moved
        for turn in range(int(counts.max())):
            self._move_once(moved, np.flatnonzero(counts > turn), rng)
        return moved

    def move_within_budget(
        self, designs: Designs, rng: np.random.Generator, times: IntArray | int = 1, *, tries: int = 1
    ) -> Designs:
        """Like :meth:`move`, and feasible: moves that leave the budget are drawn again, then repaired.

        Whether a design is feasible shows in that ``task.repair`` leaves it alone: the same free knowledge that
        action masks give to learned agents. No evaluation is spent.

        Args:
            designs: Shape ``(n, parameters)``.
            rng: Source of the choices.
            times: Moves per design.
            tries: Draws before what is still infeasible is repaired.
        """
        counts = np.broadcast_to(times, len(designs))
        result = designs.copy()
        open_ = np.arange(len(designs))
        for _ in range(tries):
            moved = self.move(designs[open_], rng, counts[open_])
            repaired = self.task.repair(moved, rng)
            result[open_] = repaired
            open_ = open_[(repaired != moved).any(axis=1)]
            if len(open_) == 0:
                break
        return result

    def _move_once(self, designs: Designs, rows: IntArray, rng: np.random.Generator) -> None:
        layout = self.layout
        before = designs[rows]
        column = layout.variable[rng.integers(0, len(layout.variable), len(rows))]
        chosen = np.searchsorted(self._shares, rng.random(len(rows)), side="right")
        for number, change in enumerate(self._changes):
            mine = chosen == number
            change(layout, designs, rows[mine], column[mine], rng)
        idle = (designs[rows] == before).all(axis=1)
        _reset(layout, designs, rows[idle], column[idle], rng)


def _reset(layout: Layout, designs: Designs, rows: IntArray, column: IntArray, rng: np.random.Generator) -> None:
    size = layout.space.nvec[column]
    designs[rows, column] = (designs[rows, column] + rng.integers(1, size)) % size


def _step(layout: Layout, designs: Designs, rows: IntArray, column: IntArray, rng: np.random.Generator) -> None:
    level, top = designs[rows, column], layout.space.nvec[column] - 1
    up = ((rng.random(len(rows)) < 0.5) & (level < top)) | (level == 0)
    stepped = level + np.where(up, 1, -1)
    designs[rows, column] = np.where(layout.space.ordered[column], stepped, level)


def _partner(layout: Layout, column: IntArray, rng: np.random.Generator) -> IntArray:
    """Another parameter with the same knob, or the parameter itself where there is none."""
    table, count = layout.partners
    drawn = table[column, rng.integers(0, np.maximum(count[column], 1))]
    return np.where(count[column] > 0, drawn, column)


def _jump(rng: np.random.Generator, count: int) -> IntArray:
    """Levels to go at once: mostly one. Costs have plateaus (``ceil(C / PEs)``) that one level does not leave."""
    return np.minimum(rng.geometric(0.7, count), _LONGEST_JUMP)


def _climb(
    layout: Layout, designs: Designs, rows: IntArray, column: IntArray, rng: np.random.Generator
) -> tuple[IntArray, IntArray, npt.NDArray[np.float64]]:
    """Raises parameters that can rise; returns their rows and columns and by how much they rose."""
    level, top = designs[rows, column], layout.space.nvec[column] - 1
    can = (layout.partners[1][column] > 0) & layout.space.ordered[column] & (level < top)
    rows, column, level, top = rows[can], column[can], level[can], top[can]
    up = np.minimum(level + _jump(rng, len(rows)), top)
    designs[rows, column] = up
    return rows, column, layout.amounts[column, up] - layout.amounts[column, level]


def _transfer(layout: Layout, designs: Designs, rows: IntArray, column: IntArray, rng: np.random.Generator) -> None:
    rows, column, rise = _climb(layout, designs, rows, column, rng)
    donor = _partner(layout, column, rng)
    given = designs[rows, donor]
    affordable = layout.amounts[donor] <= (layout.amounts[donor, given] - rise)[:, None]
    designs[rows, donor] = np.maximum(affordable.sum(axis=1) - 1, 0)


def _gather(layout: Layout, designs: Designs, rows: IntArray, column: IntArray, rng: np.random.Generator) -> None:
    rows, column, owed = _climb(layout, designs, rows, column, rng)
    for _ in range(_MOST_PARTNERS):
        donor = _partner(layout, column, rng)
        given = designs[rows, donor]
        lower = np.where(owed > 0, np.maximum(given - 1, 0), given)
        designs[rows, donor] = lower
        owed = owed - layout.amounts[donor, given] + layout.amounts[donor, lower]


def _spread(layout: Layout, designs: Designs, rows: IntArray, column: IntArray, rng: np.random.Generator) -> None:
    level = designs[rows, column]
    can = (layout.partners[1][column] > 0) & layout.space.ordered[column] & (level > 0)
    rows, column, level = rows[can], column[can], level[can]
    down = np.maximum(level - _jump(rng, len(rows)), 0)
    designs[rows, column] = down
    left = layout.amounts[column, level] - layout.amounts[column, down]
    for _ in range(_MOST_PARTNERS):
        taker = _partner(layout, column, rng)
        taken = designs[rows, taker]
        higher = np.minimum(taken + 1, layout.space.nvec[taker] - 1)
        price = layout.amounts[taker, higher] - layout.amounts[taker, taken]
        higher = np.where(price <= left, higher, taken)
        designs[rows, taker] = higher
        left = left - layout.amounts[taker, higher] + layout.amounts[taker, taken]


def _swap(layout: Layout, designs: Designs, rows: IntArray, column: IntArray, rng: np.random.Generator) -> None:
    other = _partner(layout, column, rng)
    designs[rows, column], designs[rows, other] = designs[rows, other], designs[rows, column]


def _copy(layout: Layout, designs: Designs, rows: IntArray, column: IntArray, rng: np.random.Generator) -> None:
    designs[rows, column] = designs[rows, _partner(layout, column, rng)]


MOVES: Mapping[str, Change] = {
    "step": _step,
    "reset": _reset,
    "transfer": _transfer,
    "gather": _gather,
    "spread": _spread,
    "swap": _swap,
    "copy": _copy,
}
"""Moves by name."""


def cross_uniform(layout: Layout, first: Designs, second: Designs, rng: np.random.Generator) -> Designs:
    """Returns children that take every slot from either parent, at even odds; shape ``(n, parameters)``."""
    take = rng.random((len(first), layout.slots)) < 0.5
    return np.where(take[:, layout.slot], first, second)


def cross_one_point(layout: Layout, first: Designs, second: Designs, rng: np.random.Generator) -> Designs:
    """Returns children that take the slots before a random cut from one parent, the rest from the other."""
    cut = rng.integers(0, layout.slots + 1, len(first))
    return np.where(layout.slot < cut[:, None], first, second)
