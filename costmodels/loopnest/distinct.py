"""A slow simulator: counts the distinct words that a nest really needs at every boundary.

It knows no transfer rule. It visits every iteration, lists the very words each child touches (holes of a strided
tile excluded), and calls needed what is not in the child's previous tile; children that need the same word at
the same time share one access. The model, whose tiles are bounding boxes, can only count more.
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Sequence

from accelgym.costmodels.architecture.loop_nest import LoopNest, Tensor
from accelgym.costmodels.architecture.machine import Architecture
from accelgym.costmodels.errors import InputError
from accelgym.costmodels.loopnest.mappings import Loop

__all__ = ["distinct_words"]

MAX_VISITS = 5_000_000
Word = tuple[int, ...]
Box = tuple[tuple[int, int], ...]


def distinct_words(
    problem: LoopNest, architecture: Architecture, loops: Sequence[Loop]
) -> dict[tuple[int, int], tuple[int, int]]:
    """Counts needed words per (level, tensor), for perfectly factorised nests.

    Args:
        problem: The problem.
        architecture: The machine; every level keeps every tensor.
        loops: The nest, outer to inner.

    Returns:
        (words a level must send inwards or take back, all instances together; words that must reach the
        instances of the next level), a lower bound of ``content`` and ``delivered`` in the term table.

    Raises:
        InputError: A factor is imperfect, or the nest is too large to visit.
    """
    if any(loop.bound != loop.residual for loop in loops):
        raise InputError("distinct words are counted for perfect factors only")
    depth = len(architecture.levels)
    if problem.macs * depth * len(problem.tensors) > MAX_VISITS:
        raise InputError(f"{problem.macs} iterations are too many to visit one by one")
    result = {}
    for t, tensor in enumerate(problem.tensors):
        for child in range(1, depth + 1):
            result[child - 1, t] = _boundary(problem, tensor, loops, child, child == depth)
    return result


def _boundary(problem: LoopNest, tensor: Tensor, loops: Sequence[Loop], child: int, forgetful: bool) -> tuple[int, int]:
    """Visits all steps above ``child``; ``forgetful`` children (multipliers) hold nothing."""
    outside = [i for i, loop in enumerate(loops) if loop.level < child]
    time = [i for i in outside if loops[i].kind == "temporal"]
    space = [i for i in outside if loops[i].kind != "temporal"]
    parents = [i for i in space if loops[i].level < child - 1]
    inside = [i for i, loop in enumerate(loops) if loop.level >= child]
    strides = [math.prod(x.bound for x in loops[i + 1 :] if x.dim == loops[i].dim) for i in range(len(loops))]
    tile = [_point(problem, loops, strides, inside, index) for index in _indices(loops, inside)]
    held: dict[tuple[int, ...], Box | None] = {}
    sent = delivered = 0
    for now in _indices(loops, time):
        origin = _point(problem, loops, strides, time, now)
        asked: dict[tuple[int, ...], set[Word]] = {}
        for place in _indices(loops, space):
            where = dict(zip(space, place, strict=True))
            parent = tuple(where[i] for i in parents)
            offset = _point(problem, loops, strides, space, place)
            points = [[a + b + c for a, b, c in zip(origin, offset, p, strict=True)] for p in tile]
            touched = {_word(problem, tensor, p) for p in points}
            before = held.get(place)
            missing = touched if before is None else {w for w in touched if not _inside(w, before)}
            held[place] = None if forgetful else _hull(touched)
            delivered += len(missing)
            asked.setdefault(parent, set()).update(missing)
        sent += sum(len(words) for words in asked.values())
    return sent, delivered


def _indices(loops: Sequence[Loop], chosen: Sequence[int]) -> itertools.product[tuple[int, ...]]:
    return itertools.product(*(range(loops[i].bound) for i in chosen))


def _point(
    problem: LoopNest, loops: Sequence[Loop], strides: Sequence[int], chosen: Sequence[int], index: tuple[int, ...]
) -> list[int]:
    point = [0] * len(problem.dims)
    for i, value in zip(chosen, index, strict=True):
        point[loops[i].dim] += value * strides[i]
    return point


def _word(problem: LoopNest, tensor: Tensor, point: Sequence[int]) -> Word:
    return tuple(sum(c * point[problem.dims.index(d)] for d, c in axis) for axis in tensor.axes)


def _hull(words: set[Word]) -> Box:
    return tuple((min(column), max(column)) for column in zip(*words, strict=True))


def _inside(word: Word, box: Box) -> bool:
    return all(low <= x <= high for x, (low, high) in zip(word, box, strict=True))
