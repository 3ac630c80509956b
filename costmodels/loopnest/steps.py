"""States that a loop nest passes through above a boundary, and the words each new state needs.

Timeloop's rules, from its legacy nest analysis (``nest-analysis.cpp``, ``point-set-aahr.cpp``): v3.0.3, and HEAD
after the translation fix of January 2025.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np
import numpy.typing as npt

from accelgym.costmodels.architecture.loop_nest import LoopNest
from accelgym.costmodels.errors import InputError
from accelgym.costmodels.loopnest.mappings import Loop

__all__ = [
    "Engine",
    "Ints",
    "Steps",
    "boxes",
    "deltas",
    "enumerate_steps",
    "inner_extent",
    "loop_visits",
    "projection",
    "spatial",
]

Engine = Literal["head", "v3.0.3"]
Ints = npt.NDArray[np.int64]
_Visit = tuple[int, int, int]
MAX_STEPS = 4_000_000


@dataclass(frozen=True)
class Steps:
    """Successive states of the loops above a boundary, seen by the first child."""

    position: Ints
    """Origin of the tile, ``(steps, dims)``."""
    extent: Ints
    """Extents of the child's tile, ``(steps, dims)``; smaller in the last, imperfect iteration."""
    union: Ints
    """Extents of the tiles of all children of one parent together."""
    weight: Ints
    """How many iterations a step stands for, ``(steps,)``."""
    children: Ints
    """Bounds of the spatial loops next to the boundary, ``(steps, loops)``."""


def spatial(loop: Loop, level: int) -> bool:
    """Whether a loop spreads over the fan-out below a level."""
    return loop.level == level and loop.kind != "temporal"


def projection(problem: LoopNest, t: int) -> Ints:
    """Coefficients ``(axes, dims)`` of a tensor."""
    axes = problem.tensors[t].axes
    matrix = np.zeros((len(axes), len(problem.dims)), dtype=np.int64)
    for a, axis in enumerate(axes):
        for dim, coefficient in axis:
            matrix[a, problem.dims.index(dim)] += coefficient
    return matrix


def boxes(position: Ints, extent: Ints, project: Ints) -> tuple[Ints, Ints]:
    """Bounding boxes ``[low, high)`` of tiles, ``(steps, axes)`` each."""
    low = position @ project.T
    return low, low + (extent - 1) @ project.T + 1


def enumerate_steps(
    problem: LoopNest, loops: Sequence[Loop], child: int, *, engine: Engine = "head", sampled: bool = False
) -> Steps:
    """Lists the states of all time loops above ``child``; spatial indices stay at the first child.

    Raises:
        InputError: There are too many.
    """
    imperfect = any(loop.bound != loop.residual for loop in loops)
    dims = len(problem.dims)
    outer = [i for i, loop in enumerate(loops) if loop.level < child]
    stride = [inner_extent(loops, i) for i in range(len(loops))]
    adjacent = bool(outer) and loops[outer[-1]].kind == "temporal"
    position = np.zeros((1, dims), dtype=np.int64)
    weight = np.ones(1, dtype=np.int64)
    last = np.ones((1, dims), dtype=bool)
    before = last
    ends: list[Ints] = []
    for i in outer:
        loop = loops[i]
        d = loop.dim
        end = np.where(last[:, d], loop.residual, loop.bound)
        if loop.kind != "temporal":
            if loop.level == child - 1:
                before = last if not ends else before
                ends.append(end)
            last = last.copy()
            last[:, d] &= loop.residual <= 1
            continue
        near = adjacent and i == outer[-1]
        plans = {int(n): _plan(int(n), engine, sampled, imperfect, near) for n in np.unique(end)}
        index, place, weights, row = _iterations(end, plans)
        if len(row) > MAX_STEPS:
            raise InputError(f"walking needs more than {MAX_STEPS} steps; use counting='sampled' or 'closed'")
        position, weight, last = position[row], weight[row] * weights, last[row].copy()
        position[:, d] += place * stride[i]
        last[:, d] &= index + 1 >= loop.residual
    if not ends:
        before = last
    inside = [loop for loop in loops if loop.level >= child]
    beside = [loop for loop in loops if spatial(loop, child - 1)]
    full, short = _tile(inside, dims)
    union_full, union_short = _tile([*beside, *inside], dims)
    return Steps(
        position,
        np.where(last, short, full),
        np.where(before, union_short, union_full),
        weight,
        np.stack(ends, axis=1) if ends else np.ones((len(weight), 0), dtype=np.int64),
    )


def inner_extent(loops: Sequence[Loop], i: int) -> int:
    """Extent of a loop's dimension inside the loop: how far one iteration moves."""
    return math.prod(loop.bound for loop in loops[i + 1 :] if loop.dim == loops[i].dim)


def _tile(loops: Sequence[Loop], dims: int) -> tuple[Ints, Ints]:
    """Extents of a sub-nest, and its extents in the last iteration of everything around it."""
    full = np.ones(dims, dtype=np.int64)
    short = np.ones(dims, dtype=np.int64)
    for loop in reversed(loops):
        short[loop.dim] += full[loop.dim] * (loop.residual - 1)
        full[loop.dim] *= loop.bound
    return full, short


def _iterations(end: Ints, plans: dict[int, list[_Visit]]) -> tuple[Ints, Ints, Ints, Ints]:
    """Expands each row into the iterations that are executed: (index, place, weight, row)."""
    counts = np.array([len(plans[int(n)]) for n in end], dtype=np.int64)
    row = np.repeat(np.arange(len(end), dtype=np.int64), counts)
    if len(plans) == 1:
        table = np.tile(np.array(next(iter(plans.values())), dtype=np.int64), (len(end), 1))
    else:
        table = np.concatenate([np.array(plans[int(n)], dtype=np.int64) for n in end])
    return table[:, 0], table[:, 1], table[:, 2], row


def _plan(n: int, engine: Engine, sampled: bool, imperfect: bool, adjacent: bool) -> list[_Visit]:
    """Executed iterations of a loop: (index, place of the tile, weight).

    With imperfect factors v3.0.3 runs iterations 0, 1, n-2 and n-1. Next to a boundary iteration 1 also stands
    for n-2, whose own transfer (measured from iteration 1) is dropped. HEAD runs 0, 1 and n-1, the last in the
    place of iteration 2, and 0 and 1 only next to a boundary (inferred from its counts).
    """
    if not sampled:
        return [(i, i, 1) for i in range(n)]
    if not imperfect:
        return [(0, 0, 1)] if n == 1 else [(0, 0, 1), (1, 1, n - 1)]
    if n <= 2 or (n == 3 and not (engine == "head" and adjacent)):
        return [(i, i, 1) for i in range(n)]
    if engine == "head":
        return [(0, 0, 1), (1, 1, n - 1)] if adjacent else [(0, 0, 1), (1, 1, n - 2), (n - 1, 2, 1)]
    middle = (n - 2, 0) if adjacent else (n - 3, 1)
    return [(0, 0, 1), (1, 1, middle[0]), (n - 2, n - 2, middle[1]), (n - 1, n - 1, 1)]


def deltas(low: Ints, high: Ints, engine: Engine) -> tuple[Ints, Ints]:
    """Subtracts from each box its predecessor where the rule lets it; returns boxes ``(steps, axes)``."""
    fresh_low, fresh_high = low.copy(), high.copy()
    if len(low) == 1:
        return fresh_low, fresh_high
    less_low, less_high = _subtract(low[1:], high[1:], low[:-1], high[:-1])
    # Timeloop measures a move between centroids and rounds it, which matters where shapes differ.
    move = _round_half_away((low[1:] + high[1:] - low[:-1] - high[:-1]) / 2)
    moves, code = np.unique(move, axis=0, return_inverse=True)
    code = code.reshape(-1)
    still = int(np.flatnonzero(~moves.any(axis=1))[0]) if (~moves.any(axis=1)).any() else -1
    subtract = np.zeros(len(code), dtype=bool)
    previous = -2
    for step, now in enumerate(code.tolist()):
        if previous == -2 or now == previous:
            subtract[step] = True
            previous = -2 if engine == "head" and now == still else now
        elif engine == "head" and now == still:
            subtract[step] = True
        else:
            previous = -2
    fresh_low[1:][subtract] = less_low[subtract]
    fresh_high[1:][subtract] = less_high[subtract]
    return fresh_low, fresh_high


def _round_half_away(x: npt.NDArray[np.float64]) -> Ints:
    return (np.sign(x) * np.floor(np.abs(x) + 0.5)).astype(np.int64)


def _subtract(low: Ints, high: Ints, old_low: Ints, old_high: Ints) -> tuple[Ints, Ints]:
    """``new - old`` where the boxes differ along exactly one axis (empty where equal), else ``new``."""
    differs = (low != old_low) | (high != old_high)
    apart = ((old_high <= low) | (old_low >= high)).any(axis=1)
    one = (differs.sum(axis=1) == 1) & ~apart
    out_low, out_high = low.copy(), high.copy()
    equal = ~differs.any(axis=1)
    out_high[equal] = out_low[equal]
    rows = np.flatnonzero(one)
    axis = differs[rows].argmax(axis=1)
    lo, hi = low[rows, axis], high[rows, axis]
    olo, ohi = old_low[rows, axis], old_high[rows, axis]
    leading = (olo <= lo) & (ohi <= hi)
    covered = (olo <= lo) & (ohi > hi)
    trailing = (olo > lo) & (ohi >= hi)
    out_low[rows, axis] = np.where(leading, ohi, lo)
    out_high[rows, axis] = np.where(covered, out_low[rows, axis], np.where(trailing, olo, hi))
    return out_low, out_high


def loop_visits(loops: Sequence[Loop], level: int) -> tuple[int, int]:
    """Iterations of one dimension's loops, (not the last, the last); fan-outs at and below ``level`` stay at 0."""
    ordinary, final = 0, 1
    for loop in loops:
        if loop.kind == "temporal" or loop.level < level:
            ordinary = ordinary * loop.bound + final * (loop.residual - 1)
        elif loop.residual > 1:
            ordinary, final = ordinary + final, 0
    return ordinary, final
