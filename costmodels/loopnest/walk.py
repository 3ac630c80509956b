"""A slow simulator: steps through a nest and applies Timeloop's transfer rule at every step.

It shares no formula with the batched model. For each boundary it lists the successive tiles of one child
(iteration by iteration, or Timeloop's sample of them), subtracts each from its predecessor under the rule of the
chosen engine, compares the children's requests, and splits accesses into reads, fills and updates per instance.

Rules: Timeloop's legacy nest analysis (``nest-analysis.cpp``, ``point-set-aahr.cpp``, ``tiling.cpp``), v3.0.3
and, where marked, HEAD after the translation fix of January 2025.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any, Literal

import numpy as np
import numpy.typing as npt

from accelgym.costmodels.architecture.machine import Architecture
from accelgym.costmodels.architecture.problem import Problem
from accelgym.costmodels.errors import InputError
from accelgym.costmodels.loopnest.mappings import Loop

__all__ = ["Engine", "Movement", "Steps", "enumerate_steps", "walk"]

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


@dataclass
class Movement:
    """Counts of one mapping, per instance in use unless stated."""

    reads: dict[tuple[int, int], float] = field(default_factory=dict)
    fills: dict[tuple[int, int], float] = field(default_factory=dict)
    updates: dict[tuple[int, int], float] = field(default_factory=dict)
    tiles: dict[tuple[int, int], int] = field(default_factory=dict)
    links: dict[tuple[int, int], float] = field(default_factory=dict)
    """Words forwarded between neighbours below (level, tensor), total."""
    multicast: dict[tuple[int, int], float] = field(default_factory=dict)
    utilized: tuple[int, ...] = ()
    """Instances in use per level, then multipliers."""
    instances: tuple[int, ...] = ()
    """Instances charged per level; below ``utilized`` where imperfect factors leave some idle at times."""
    computes: int = 0
    """Multiply-accumulates charged for energy, all multipliers."""


@dataclass
class _Traffic:
    """Accesses of a parent on behalf of its children, and how they are shared."""

    total: float
    weighted: float
    """Accesses times the children each one serves."""
    links: float = 0.0


def walk(
    problem: Problem,
    architecture: Architecture,
    loops: Sequence[Loop],
    keep: npt.NDArray[np.bool_],
    *,
    engine: Engine = "head",
    sampled: bool = False,
    links: bool = False,
    elide_first_read: bool = True,
) -> Movement:
    """Counts all accesses of one mapping.

    Args:
        problem: The problem.
        architecture: The machine.
        loops: The nest, outer to inner.
        keep: Which tensors each level holds, ``(levels, tensors)``.
        engine: ``head`` ignores zero moves when it checks that the tile keeps its direction; ``v3.0.3``
            takes one for a change of direction, which forfeits the overlap.
        sampled: Step through iterations 0 and 1 of every loop only (and the last two when some factor is
            imperfect), weighted, as Timeloop does by default.
        links: Forward words between neighbouring children.
        elide_first_read: The first accumulation of a word is a pure write.

    Raises:
        InputError: More steps than can be walked in reasonable time.
    """
    depth = len(architecture.levels)
    movement = Movement()
    spread = [math.prod(loop.bound for loop in loops if _spatial(loop, v)) for v in range(depth)]
    boundaries = [
        enumerate_steps(problem, loops, child, engine=engine, sampled=sampled) for child in range(1, depth)
    ]
    points, per_dim = _innermost(problem, loops, depth)
    movement.utilized = tuple(math.prod(spread[:v]) for v in range(depth + 1))
    movement.instances = movement.utilized
    if engine == "head":
        movement.instances = tuple(_mean_instances(problem, loops, v) for v in range(depth + 1))
    movement.computes = points * movement.instances[depth]
    for t, tensor in enumerate(problem.tensors):
        project = _projection(problem, t)
        traffic: list[_Traffic] = []
        sizes = [problem.tile_words(tensor, problem.bound)]
        denominators: list[int] = []
        for child, steps in enumerate(boundaries, start=1):
            adjacent = [loop for loop in loops if _spatial(loop, child - 1)]
            low, high = _boxes(steps.position, steps.extent, project)
            sizes.append(int(np.prod(high - low, axis=1).max()))
            first = deltas(low, high, engine)
            below, above = _boxes(steps.position, steps.union, project)
            union = int(np.prod(above - below, axis=1).max())
            denominators.append(union if adjacent else sizes[-1])
            mesh = architecture.levels[child - 1]
            sharing = _Sharing(problem, loops, adjacent, project, (mesh.fanout_x, mesh.fanout_y))
            traffic.append(sharing.count(steps, first, links=links))
        adjacent = [loop for loop in loops if _spatial(loop, depth - 1)]
        traffic.append(_compute_traffic(problem, loops, adjacent, project, points, per_dim))
        counts = _Collapse(depth, spread, keep[:, t], sizes, denominators, traffic)
        counts.store(movement, t, read_write=tensor.read_write, elide=elide_first_read)
    return movement


def _spatial(loop: Loop, level: int) -> bool:
    return loop.level == level and loop.kind != "temporal"


def _projection(problem: Problem, t: int) -> Ints:
    """Coefficients ``(axes, dims)`` of a tensor."""
    axes = problem.tensors[t].axes
    matrix = np.zeros((len(axes), len(problem.dims)), dtype=np.int64)
    for a, axis in enumerate(axes):
        for dim, coefficient in axis:
            matrix[a, problem.dims.index(dim)] += coefficient
    return matrix


def _boxes(position: Ints, extent: Ints, project: Ints) -> tuple[Ints, Ints]:
    low = position @ project.T
    return low, low + (extent - 1) @ project.T + 1


def enumerate_steps(
    problem: Problem, loops: Sequence[Loop], child: int, *, engine: Engine = "head", sampled: bool = False
) -> Steps:
    """Lists the states of all time loops above ``child``; spatial indices stay at the first child.

    Raises:
        InputError: There are too many.
    """
    imperfect = any(loop.bound != loop.residual for loop in loops)
    dims = len(problem.dims)
    outer = [i for i, loop in enumerate(loops) if loop.level < child]
    stride = [_inner_extent(loops, i) for i in range(len(loops))]
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
    beside = [loop for loop in loops if _spatial(loop, child - 1)]
    full, short = _tile(inside, dims)
    union_full, union_short = _tile([*beside, *inside], dims)
    return Steps(
        position,
        np.where(last, short, full),
        np.where(before, union_short, union_full),
        weight,
        np.stack(ends, axis=1) if ends else np.ones((len(weight), 0), dtype=np.int64),
    )


def _inner_extent(loops: Sequence[Loop], i: int) -> int:
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


class _Sharing:
    """Compares the requests of the children of one parent."""

    def __init__(
        self,
        problem: Problem,
        loops: Sequence[Loop],
        adjacent: Sequence[Loop],
        project: Ints,
        mesh: tuple[int, int],
    ) -> None:
        self.adjacent, self.project = adjacent, project
        self.dims = len(problem.dims)
        self.stride = [_inner_extent(loops, loops.index(loop)) for loop in adjacent]
        # Ids are packed by the extents in use, but neighbours are sought on the physical mesh.
        used = [math.prod(loop.bound for loop in adjacent if loop.kind == kind) for kind in ("x", "y")]
        self.width, self.height = max(mesh[0], used[0]), max(mesh[1], used[1])
        self.cache: dict[Any, Any] = {}

    def offsets(self, bounds: tuple[int, ...]) -> Ints:
        """Displacement of every child's tile from the first child's, ``(children, axes)``."""
        key = ("offsets", bounds)
        if key not in self.cache:
            grid = np.indices(bounds).reshape(len(bounds), -1).T if bounds else np.zeros((1, 0), dtype=np.int64)
            position = np.zeros((len(grid), self.dims), dtype=np.int64)
            for i, loop in enumerate(self.adjacent):
                position[:, loop.dim] += grid[:, i] * self.stride[i]
            self.cache[key] = position @ self.project.T
        found: Ints = self.cache[key]
        return found

    def distinct(self, bounds: tuple[int, ...]) -> int:
        key = ("distinct", bounds)
        if key not in self.cache:
            self.cache[key] = len(np.unique(self.offsets(bounds), axis=0))
        return int(self.cache[key])

    def count(self, steps: Steps, first: tuple[Ints, Ints], *, links: bool) -> _Traffic:
        low, high = first
        size = np.prod(high - low, axis=1)
        words = (steps.weight * size).astype(np.float64)
        kinds, code = np.unique(steps.children, axis=0, return_inverse=True)
        code = code.reshape(-1)
        bounds = [tuple(int(b) for b in kind) for kind in kinds]
        if links and self.adjacent:
            return self._forward(low, high, words, code, bounds)
        distinct = np.array([self.distinct(b) for b in bounds])[code]
        children = np.array([math.prod(b) for b in bounds])[code]
        return _Traffic(float((words * distinct).sum()), float((words * children).sum()))

    def _forward(
        self,
        low: Ints,
        high: Ints,
        words: npt.NDArray[np.float64],
        code: Ints,
        bounds: list[tuple[int, ...]],
    ) -> _Traffic:
        traffic = _Traffic(0.0, 0.0)
        shape = high - low
        for step in np.flatnonzero(words > 0):
            now = bounds[code[step]]
            read, served, linked = self.distinct(now), math.prod(now), 0
            if step > 0 and (shape[step] == shape[step - 1]).all():
                back = tuple(int(x) for x in low[step - 1] - low[step])
                linked, alone, left = self._linked(now, bounds[code[step - 1]], back)
                if alone < read:
                    read, served = alone, left
                else:
                    linked = 0
            traffic.total += words[step] * read
            traffic.weighted += words[step] * served
            traffic.links += words[step] * linked
        return traffic

    def _linked(
        self, now: tuple[int, ...], before: tuple[int, ...], back: tuple[int, ...]
    ) -> tuple[int, int, int]:
        """Children that find their words at a neighbour, and distinct requests and children that do not."""
        key = (now, before, back)
        if key not in self.cache:
            here, there = self.offsets(now), self.offsets(before) + np.array(back, dtype=np.int64)
            ids = np.arange(len(here))
            column, row = ids % self.width, ids // self.width
            found = np.zeros(len(here), dtype=bool)
            for dx, dy in ((-1, 0), (1, 0), (0, -1), (0, 1)):
                x, y = column + dx, row + dy
                other = y * self.width + x
                inside = (x >= 0) & (x < self.width) & (y >= 0) & (y < self.height)
                inside &= (other >= 0) & (other < len(there))
                other = np.where(inside, other, 0)
                found |= inside & (here == there[other]).all(axis=1)
            alone = here[~found]
            distinct = len(np.unique(alone, axis=0)) if len(alone) else 0
            self.cache[key] = (int(found.sum()), distinct, len(alone))
        linked, distinct, left = self.cache[key]
        return linked, distinct, left


def _innermost(
    problem: Problem, loops: Sequence[Loop], depth: int
) -> tuple[int, list[tuple[int, int, list[Loop]]]]:
    """Iterations of all time loops at the first multiplier.

    Returns:
        Their number, and per dimension (iterations that are not the last, that are, spatial loops next to the
        multipliers).
    """
    per_dim = []
    for d in range(len(problem.dims)):
        beside = [loop for loop in loops if loop.dim == d and _spatial(loop, depth - 1)]
        others = [loop for loop in loops if loop.dim == d and not _spatial(loop, depth - 1)]
        per_dim.append((*_visits(others, 0), beside))
    return math.prod(a + b for a, b, _ in per_dim), per_dim


def _compute_traffic(
    problem: Problem,
    loops: Sequence[Loop],
    adjacent: Sequence[Loop],
    project: Ints,
    points: int,
    per_dim: list[tuple[int, int, list[Loop]]],
) -> _Traffic:
    """Accesses of the innermost level: every multiply-accumulate asks for one word of each tensor."""
    if not adjacent:
        return _Traffic(float(points), float(points))
    sharing = _Sharing(problem, loops, adjacent, project, (1, 1))
    uneven = [d for d, (_, _, mine) in enumerate(per_dim) if any(x.bound != x.residual for x in mine)]
    traffic = _Traffic(0.0, 0.0)
    for pattern in np.ndindex(*(2 for _ in uneven)):
        ends = {d: final for d, final in zip(uneven, pattern, strict=True)}
        times = math.prod(
            (per_dim[d][1] if ends[d] else per_dim[d][0]) if d in ends else per_dim[d][0] + per_dim[d][1]
            for d in range(len(per_dim))
        )
        bounds = tuple(loop.residual if ends.get(loop.dim) else loop.bound for loop in adjacent)
        traffic.total += times * sharing.distinct(bounds)
        traffic.weighted += times * math.prod(bounds)
    return traffic


def _mean_instances(problem: Problem, loops: Sequence[Loop], level: int) -> int:
    """Instances of a level in use on average over time, rounded down (HEAD's charge for imperfect factors)."""
    here = one = 1
    for d in range(len(problem.dims)):
        mine = [loop for loop in loops if loop.dim == d]
        here *= sum(_visits(mine, level))
        one *= sum(_visits(mine, 0))
    return here // one


def _visits(loops: Sequence[Loop], level: int) -> tuple[int, int]:
    """Iterations of one dimension's loops, (not the last, the last); fan-outs at and below ``level`` stay at 0."""
    ordinary, final = 0, 1
    for loop in loops:
        if loop.kind == "temporal" or loop.level < level:
            ordinary = ordinary * loop.bound + final * (loop.residual - 1)
        elif loop.residual > 1:
            ordinary, final = ordinary + final, 0
    return ordinary, final


@dataclass
class _Collapse:
    """Turns the traffic of one tensor into reads, fills and updates per instance."""

    depth: int
    spread: list[int]
    keep: npt.NDArray[np.bool_]
    sizes: list[int]
    denominators: list[int]
    traffic: list[_Traffic]

    def store(self, movement: Movement, t: int, *, read_write: bool, elide: bool) -> None:
        partitions = [self.sizes[0]]
        for level in range(1, self.depth):
            partitions.append(partitions[-1] * self.sizes[level] // self.denominators[level - 1])
        # What arrives at a child is settled before bypassed levels are taken out.
        share = [0.0] + [self.traffic[v].weighted / self.spread[v] for v in range(self.depth - 1)]
        for v, x in enumerate(self.traffic):
            movement.multicast[v, t] = x.weighted / x.total if x.total else float(self.spread[v])
        for level in reversed(range(1, self.depth)):
            if not self.keep[level]:
                parent = self.traffic[level - 1]
                scale = self.traffic[level].total * self.spread[level - 1] / parent.weighted
                self.traffic[level - 1] = _Traffic(parent.total * scale, parent.weighted * scale)
        backing = int(np.flatnonzero(self.keep)[0]) if self.keep.any() else -1
        for level in range(self.depth):
            if not self.keep[level]:
                continue
            peers = 0.0
            if level > 0 and self.traffic[level - 1].links:
                peers = self.traffic[level - 1].links / movement.utilized[level]
                movement.links[level - 1, t] = self.traffic[level - 1].links
            content = self.traffic[level].total
            arrived = share[level] + peers if level != backing else 0.0
            owned = partitions[level] if read_write and elide else 0
            movement.tiles[level, t] = self.sizes[level]
            movement.reads[level, t] = _round(content + peers - owned)
            movement.updates[level, t] = _round(content) if read_write else 0.0
            # Timeloop rounds where an output is involved and truncates otherwise.
            settle = _round if read_write else math.floor
            movement.fills[level, t] = settle(arrived - owned) if level != backing else 0.0


def _round(x: float) -> float:
    return math.floor(x + 0.5)
