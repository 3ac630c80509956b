"""The term table: what is read, filled and updated where, as products of loop counts.

Evaluator, bounds and masks all derive from this one table. Notation, for a tensor ``t`` and the boundary
between a parent level ``p`` and the level below it, ``c = p + 1`` (``c == len(levels)``: the multipliers):

* ``T_d``: iterations of the time loops over ``d`` above ``c`` that make the tile of ``c`` change. Loops that
  are inside the innermost loop relevant to ``t`` leave the tile in place and do not count, across levels.
  At the multipliers nothing is held, so every time loop counts.
* ``S_d`` and ``s_d``: spatial factors of ``d`` above ``p``, and in the fan-out of ``p``.

A relevant dimension alone on its axis is covered exactly once, so it contributes its bound ``N_d``; an
irrelevant one contributes ``T_d * S_d`` (and ``s_d`` where every child is counted); a *window*, an axis that
sums two dimensions or strides over one, contributes its extent times the visits, with the overlap of
successive tiles removed when the innermost relevant loop slides it, and with what further loops of the same window
find in place (:mod:`~accelgym.costmodels.loopnest.continuation`): Timeloop HEAD's rule, every iteration walked.

* ``transfer = N * prod(T_d * S_d) * windows``: words over the boundary, per child position.
* ``content(p) = transfer * distinct children``: accesses of the parent, equal requests multicast.
* ``delivered(c) = transfer * children``: words arriving at all children.
* ``partition(L) = |t| * prod(S_d)``: words of an output owned by the instances of ``L``; the first
  accumulation of each is a pure write, so one read (and one fill) per owned word is elided.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Literal

from accelgym.costmodels.architecture.loop_nest import LoopNest
from accelgym.costmodels.architecture.machine import Architecture
from accelgym.costmodels.errors import InputError

__all__ = ["COUNTERS", "DIRECTIONS", "Counter", "CounterTerm", "TermTable", "Transfer", "Window"]

Counter = Literal["reads", "fills", "updates"]
COUNTERS: tuple[Counter, ...] = ("reads", "fills", "updates")
"""Accesses on behalf of the inner level; words written from the outer level; words written from the inner."""
DIRECTIONS: tuple[tuple[Counter, ...], ...] = (("reads",), ("fills", "updates"))
"""Counters of what leaves and of what enters a level; a bandwidth counts one or both."""


@dataclass(frozen=True)
class Window:
    """An axis ``sum(coefficient * dim)`` of one strided or two summed dimensions (indices into ``dims``)."""

    dims: tuple[int, ...]
    coefficients: tuple[int, ...]

    @property
    def offset(self) -> int:
        """The extent of a tile is ``sum(coefficient * tile extent) + offset``."""
        return 1 - sum(self.coefficients)


@dataclass(frozen=True)
class Transfer:
    """Words of one tensor that cross the boundary above one level."""

    tensor: int
    child: int
    """Level below the boundary; ``len(levels)`` for the multipliers."""
    constant: int
    """Product of the bounds of the dimensions that stand alone on their axis."""
    relevant: tuple[int, ...]
    irrelevant: tuple[int, ...]
    """Dimensions with bound > 1 that the tensor does not use."""
    windows: tuple[Window, ...]


@dataclass(frozen=True)
class CounterTerm:
    """One signed summand of a counter."""

    level: int
    tensor: int
    counter: Counter
    sign: int
    quantity: Literal["content", "delivered", "partition"]
    """``content`` and ``partition`` of ``level``; ``delivered`` at ``level``."""


@dataclass(frozen=True)
class TermTable:
    """All transfers and counter terms of one problem on one hierarchy."""

    dims: tuple[int, ...]
    """Dimensions with bound > 1; all others drop out."""
    transfers: tuple[tuple[Transfer, ...], ...]
    """Indexed by tensor, then by child level minus 1."""
    counters: tuple[CounterTerm, ...]

    @classmethod
    def build(cls, problem: LoopNest, architecture: Architecture, *, elide_first_read: bool) -> TermTable:
        """Builds the table.

        Raises:
            InputError: An axis sums more than two dimensions, or a tensor uses a dimension on two axes; the
                walking simulator handles both.
        """
        active = tuple(d for d, bound in enumerate(problem.bounds) if bound > 1)
        depth = len(architecture.levels)
        transfers = []
        counters: list[CounterTerm] = []
        for t, tensor in enumerate(problem.tensors):
            constant, relevant, windows = _axes(problem, t, active)
            irrelevant = tuple(d for d in active if d not in relevant)
            transfers.append(
                tuple(Transfer(t, child, constant, relevant, irrelevant, windows) for child in range(1, depth + 1))
            )
            for level in range(depth):
                counters.append(CounterTerm(level, t, "reads", 1, "content"))
                counters.append(CounterTerm(level, t, "fills", 1, "delivered"))
                if tensor.read_write:
                    counters.append(CounterTerm(level, t, "updates", 1, "content"))
                    if elide_first_read:
                        counters.append(CounterTerm(level, t, "reads", -1, "partition"))
                        counters.append(CounterTerm(level, t, "fills", -1, "partition"))
        return cls(active, tuple(transfers), tuple(counters))


def _axes(problem: LoopNest, t: int, active: tuple[int, ...]) -> tuple[int, tuple[int, ...], tuple[Window, ...]]:
    tensor = problem.tensors[t]
    plain: list[int] = []
    windows: list[Window] = []
    seen: list[int] = []
    for axis in tensor.axes:
        merged: dict[int, int] = {}
        for name, coefficient in axis:
            d = problem.dims.index(name)
            merged[d] = merged.get(d, 0) + coefficient
        terms = [(d, c) for d, c in merged.items() if d in active]
        for d, _ in terms:
            if d in seen:
                raise InputError(
                    f"problem {problem.name!r}: {tensor.name!r} uses {problem.dims[d]!r} on two axes, for which "
                    "there is no closed form; count with counting='walk'"
                )
            seen.append(d)
        if len(terms) > 2:
            raise InputError(
                f"problem {problem.name!r}: an axis of {tensor.name!r} sums {len(terms)} dimensions, for which "
                "there is no closed form; count with counting='walk'"
            )
        if len(terms) == 1 and terms[0][1] == 1:
            plain.append(terms[0][0])
        elif terms:
            windows.append(Window(tuple(d for d, _ in terms), tuple(c for _, c in terms)))
    constant = math.prod(problem.bounds[d] for d in plain)
    return constant, tuple(seen), tuple(windows)
