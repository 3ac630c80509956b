"""Loops that may continue the slide of a tile: which ones, for the boxes of nodes, and which nodes are for nothing.

The counterpart of ``loopnest.continuation`` for intervals. Above a boundary, loops of one window axis follow each other
with nothing relevant in between: the *run*. A loop of the run moves a tile by ``m_j`` after the loops inside it have
covered ``r_j = sum((n_k - 1) * m_k)``; it finds words in place only where ``m_j - r_j`` is 0 (all of them) or the move
``m_i`` of the innermost loop (the overlap). Where the box excludes both, the loop is one like any other.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from accelgym.costmodels.loopnest.terms import Window
from accelgym.costmodels.solvers.mapping.classes import LevelClasses
from accelgym.costmodels.solvers.mapping.nodes import Nodes
from accelgym.costmodels.solvers.mapping.space import MappingSpace

__all__ = ["Run", "follow_run", "pointless"]

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
    """Other time loops that may find words in place, shape ``(nodes, places, dims)``."""
    whole: Bools
    """Whether one of them may find the whole tile there, shape ``(nodes,)``."""
    second: Bools
    """Levels whose second loop is among them, shape ``(nodes, levels)``."""
    crossed: Bools
    """Levels that a loop further out is among them, shape ``(nodes, levels)``."""


def follow_run(
    space: MappingSpace,
    classes: tuple[LevelClasses, ...],
    nodes: Nodes,
    tensor: int,
    window: Window,
    child: int,
    low: Floats,
    high: Floats,
) -> Run:
    """Follows the run of a window outwards from a boundary, for nodes whose levels outside are decided.

    Args:
        space: The map space.
        classes: Permutation classes of every level but the innermost.
        nodes: The nodes.
        tensor: Index of the tensor.
        window: An axis that sums two dimensions.
        child: Level below the boundary.
        low: Logarithms of the least extents, shape ``(nodes, places + 1, dims)``.
        high: Of the largest.
    """
    n, inside, levels = len(nodes), space.time[child], len(space.time)
    local = [space.active.index(d) for d in window.dims]
    scale = np.ones(space.dims)
    scale[local] = window.coefficients
    least, most = scale * np.exp(low), scale * np.exp(high)
    run = Run(
        np.zeros((n, space.dims), dtype=bool),
        np.zeros(n, dtype=np.int64),
        np.zeros((n, len(space.places), space.dims), dtype=bool),
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
    space: MappingSpace,
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
            useless |= table.second[number, t].any(axis=1) & ~second[:, v]
            useless |= table.linked[number, t] & ~crossed[:, v]
    result[rows] = useless
    return result
