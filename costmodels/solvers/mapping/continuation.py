"""Loops that may continue the slide of a tile: which ones, for the boxes of nodes, and which nodes are for nothing.

The counterpart of ``loopnest.continuation`` for intervals. Above a boundary, loops of one window axis follow each other
with nothing relevant in between: the *run*. A loop of the run moves a tile by ``m_j`` after the loops inside it have
covered ``r_j = sum((n_k - 1) * m_k)``; it finds words in place only where ``m_j - r_j`` is 0 (all of them) or the move
``m_i`` of the innermost loop (the overlap). Where the box excludes both, the loop is one like any other.
"""

from __future__ import annotations

from dataclasses import dataclass, fields

import numpy as np
import numpy.typing as npt

from accelgym.costmodels.loopnest.terms import Window
from accelgym.costmodels.mapspace import SiteFactorization
from accelgym.costmodels.solvers.mapping.classes import LevelClasses
from accelgym.costmodels.solvers.mapping.nodes import Nodes

__all__ = ["Run", "follow_run", "narrow", "pointless"]

Floats = npt.NDArray[np.float64]
Bools = npt.NDArray[np.bool_]
Ints = npt.NDArray[np.int64]


@dataclass
class Run:
    """What may continue the slide along one window above one boundary; arrays with a leading axis ``(nodes,)``."""

    along: Bools
    """Dimension of the innermost loop, shape ``(nodes, dims)``; none where it is not on this axis."""
    place: Ints
    """Its place."""
    continued: Bools
    """Other time loops that may find words in place, shape ``(nodes, sites, dims)``."""
    whole: Bools
    """Whether one of them may find the whole tile there, shape ``(nodes,)``."""
    second: Bools
    """Levels whose second loop is among them, shape ``(nodes, levels)``."""
    crossed: Bools
    """Levels that a loop further out is among them, shape ``(nodes, levels)``."""


def follow_run(
    space: SiteFactorization,
    classes: tuple[LevelClasses, ...],
    nodes: Nodes,
    tensor: int,
    window: Window,
    child: int,
    low: Floats,
    high: Floats,
) -> Run:
    """Follows the run of a window outwards from a boundary, for nodes whose levels outside are decided.

    Nodes in plain classes have no run.

    Args:
        space: The map space.
        classes: Permutation classes of every level but the innermost.
        nodes: The nodes.
        tensor: Index of the tensor.
        window: An axis that sums two dimensions.
        child: Level below the boundary.
        low: Logarithms of the least extents, shape ``(nodes, sites + 1, dims)``.
        high: Of the largest.
    """
    n, levels = len(nodes), len(space.time)
    rows = np.flatnonzero(_made_for_one(classes, nodes, tensor))
    run = Run(
        np.zeros((n, space.dims), dtype=bool),
        np.zeros(n, dtype=np.int64),
        np.zeros((n, len(space.sites), space.dims), dtype=bool),
        np.zeros(n, dtype=bool),
        np.zeros((n, levels), dtype=bool),
        np.zeros((n, levels), dtype=bool),
    )
    if len(rows) and child < levels:
        part = _follow(space, classes, nodes.take(rows), tensor, window, child, low[rows], high[rows])
        for field in fields(Run):
            getattr(run, field.name)[rows] = getattr(part, field.name)
    return run


def _made_for_one(classes: tuple[LevelClasses, ...], nodes: Nodes, tensor: int) -> Bools:
    """Nodes in a class made for a continued slide of a tensor."""
    found = np.zeros(len(nodes), dtype=bool)
    for v, table in enumerate(classes):
        number = nodes.classes[:, v]
        found |= table.second[number, tensor].any(axis=1) | table.linked[number, tensor]
    return found


def _follow(
    space: SiteFactorization,
    classes: tuple[LevelClasses, ...],
    nodes: Nodes,
    tensor: int,
    window: Window,
    child: int,
    low: Floats,
    high: Floats,
) -> Run:
    n, inside, levels = len(nodes), space.time[child], len(space.time)
    local = [space.active.index(d) for d in window.dims]
    scale = np.ones(space.dims)
    scale[local] = window.coefficients
    least, most = scale * np.exp(low), scale * np.exp(high)
    run = Run(
        np.zeros((n, space.dims), dtype=bool),
        np.zeros(n, dtype=np.int64),
        np.zeros((n, len(space.sites), space.dims), dtype=bool),
        np.zeros(n, dtype=bool),
        np.zeros((n, levels), dtype=bool),
        np.zeros((n, levels), dtype=bool),
    )
    found = np.zeros(n, dtype=bool)
    open_end = np.ones(n, dtype=bool)
    covered_least, covered_most = np.zeros(n), np.zeros(n)
    move_least, move_most = np.zeros(n), np.zeros(n)
    mixed = np.zeros(n, dtype=bool)
    apart = np.zeros(n, dtype=bool)
    for v in reversed(range(child)):
        table, number, place = classes[v], nodes.classes[:, v], space.time[v]
        hoisted = table.hoisted[number, tensor]
        first = table.slide[number, tensor][:, local]
        second = table.second[number, tensor][:, local]
        here = open_end & ~hoisted
        for slot, is_second in ((first, False), (second, True)):
            for k, d in enumerate(local):
                on = here & slot[:, k]
                if not on.any():
                    continue
                move = (least[:, place + 1, d], most[:, place + 1, d])
                starts = on & ~found
                run.along[starts, d] = True
                run.place[starts] = place
                move_least, move_most = np.where(starts, move[0], move_least), np.where(starts, move[1], move_most)
                gap = window.coefficients[1 - k] * np.exp(high[:, inside, local[1 - k]]) + window.offset
                ratio = np.maximum(low[:, place + 1, d] - high[:, inside, d], 0.0)
                far = least[:, inside, d] * (np.exp(ratio) - 1.0) >= gap - 1e-9
                apart = np.where(starts, far, apart)
                later = on & found
                other = mixed | ~run.along[:, d]
                tolerance = 1.0 + 1e-9
                reaches = move[1] * tolerance >= covered_least + np.where(other, 0.0, move_least)
                reaches &= move[0] <= (covered_most + move_most) * tolerance
                reaches &= (high[:, place, d] > low[:, place + 1, d] + 1e-9) & (other | ~apart)
                good = later & reaches
                run.continued[good, place, d] = True
                run.whole |= good & other
                if is_second:
                    run.second[:, v] |= good
                run.crossed[:, v + 1 : child] |= good[:, None]
                mixed |= later & ~run.along[:, d]
                more = most[:, place, d] - least[:, place + 1, d]
                fewer = np.maximum(least[:, place, d] - most[:, place + 1, d], np.where(starts, move[0], 0.0))
                covered_most = covered_most + np.where(on, np.maximum(more, 0.0), 0.0)
                covered_least = covered_least + np.where(on, np.maximum(fewer, 0.0), 0.0)
                found |= on
        open_end = open_end & (hoisted | (first.any(axis=1) & table.linked[number, tensor]))
    return run


def pointless(
    space: SiteFactorization,
    classes: tuple[LevelClasses, ...],
    windows: tuple[tuple[Window, ...], ...],
    nodes: Nodes,
) -> Bools:
    """Nodes in classes made for a continuation, in whose box no loop continues one; others hold all they hold.

    Args:
        space: The map space.
        classes: Permutation classes of every level but the innermost.
        windows: Windows of each tensor.
        nodes: The nodes.
    """
    last = np.array([table.undecided for table in classes], dtype=np.int64)
    decided = (nodes.classes != last).all(axis=1)
    rows = np.flatnonzero(decided)
    result = np.zeros(len(nodes), dtype=bool)
    if not len(rows) or not any(table.second.any() or table.linked.any() for table in classes):
        return result
    part = nodes.take(rows)
    low, high = part.logs(space)
    useless = np.zeros(len(rows), dtype=bool)
    for t, mine in enumerate(windows):
        second = np.zeros((len(rows), len(space.time)), dtype=bool)
        crossed = np.zeros_like(second)
        for window in mine:
            if len(window.dims) == 2:
                for child in range(1, len(space.time)):
                    run = follow_run(space, classes, part, t, window, child, low, high)
                    second |= run.second
                    crossed |= run.crossed
        for v, table in enumerate(classes):
            number = part.classes[:, v]
            linked = table.linked[number, t]
            # The second loop of a linked level may be one: no other class is linked without it.
            useless |= table.second[number, t].any(axis=1) & ~second[:, v] & ~(linked & crossed[:, v])
            useless |= linked & ~crossed[:, v]
    result[rows] = useless
    return result


def narrow(
    space: SiteFactorization,
    classes: tuple[LevelClasses, ...],
    windows: tuple[tuple[Window, ...], ...],
    nodes: Nodes,
) -> None:
    """Shrinks boxes of nodes in classes made for a continuation to where it can take place, in place.

    A loop continues one other if its move ``m_j`` is that loop's reach ``n * m_i`` or ``(n - 1) * m_i``, which is at
    least half of it; along one dimension only the former. Applied where a class has no other way.
    """
    last = np.array([table.undecided for table in classes], dtype=np.int64)
    decided = (nodes.classes != last).all(axis=1)
    for t, mine in enumerate(windows):
        scale, axis = np.ones(space.dims), np.full(space.dims, -1)
        for a, window in enumerate(mine):
            if len(window.dims) == 2:
                local = [space.active.index(d) for d in window.dims]
                scale[local], axis[local] = window.coefficients, a
        if (axis < 0).all():
            continue
        first, second, linked, hoisted = (
            [getattr(table, name)[nodes.classes[:, v], t] for v, table in enumerate(classes)]
            for name in ("slide", "second", "linked", "hoisted")
        )
        for v in range(len(classes)):
            own = decided.copy()
            if v + 1 < len(classes):
                own &= ~hoisted[v + 1] & ~linked[v + 1]
            d, place = first[v].argmax(axis=1), space.time[v]
            twice = second[v].any(axis=1)
            _couple(space, nodes, own & twice & ~linked[v], scale, (d, place), (second[v].argmax(axis=1), place + 1))
            pending = own & linked[v] & ~twice
            for u in reversed(range(v)):
                alone = pending & ~hoisted[u] & ~linked[u] & ~second[u].any(axis=1) & first[u].any(axis=1)
                other = first[u].argmax(axis=1)
                _meet(space, nodes, alone & (other == d), d, place, space.time[u] + 1)
                across = alone & (other != d) & (axis[other] == axis[d])
                _couple(space, nodes, across, scale, (d, place), (other, space.time[u] + 1))
                pending &= hoisted[u]


def _couple(
    space: SiteFactorization, nodes: Nodes, rows: Bools, scale: Floats, inner: tuple[Ints, int], outer: tuple[Ints, int]
) -> None:
    """Keeps what an outer loop moves between half and all of what the inner one reaches."""
    for i in range(space.dims):
        for o in range(space.dims):
            mine = np.flatnonzero(rows & (inner[0] == i) & (outer[0] == o))
            if i == o or not len(mine):
                continue
            a, b = (i, inner[1]), (o, outer[1])
            for (d, place), (other, there), least, most in ((b, a, 0.5, 1.0), (a, b, 1.0, 2.0)):
                ratio = scale[other] / scale[d]
                low = space.divisors[other][nodes.low[mine, there, other]] * ratio * least
                high = space.divisors[other][nodes.high[mine, there, other]] * ratio * most
                _clip(space, nodes, mine, d, place, low, high)


def _meet(space: SiteFactorization, nodes: Nodes, rows: Bools, d: Ints, place: int, outside: int) -> None:
    """Gives two extents of one dimension, with nothing in between, the same box."""
    for k in range(space.dims):
        mine = np.flatnonzero(rows & (d == k))
        low = np.maximum(nodes.low[mine, place, k], nodes.low[mine, outside, k])
        high = np.minimum(nodes.high[mine, place, k], nodes.high[mine, outside, k])
        for i in (place, outside):
            nodes.low[mine, i, k], nodes.high[mine, i, k] = low, high


def _clip(space: SiteFactorization, nodes: Nodes, rows: Ints, d: int, place: int, low: Floats, high: Floats) -> None:
    divisors = space.divisors[d]
    least = np.minimum(np.searchsorted(divisors, low * (1 - 1e-9), side="left"), len(divisors) - 1)
    most = np.searchsorted(divisors, high * (1 + 1e-9), side="right") - 1
    nodes.low[rows, place, d] = np.maximum(nodes.low[rows, place, d], least)
    nodes.high[rows, place, d] = np.minimum(nodes.high[rows, place, d], np.maximum(most, 0))
