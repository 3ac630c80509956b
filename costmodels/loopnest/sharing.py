"""What the children of one parent ask for together: multicast and neighbour-to-neighbour forwarding."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from accelgym.costmodels.architecture.loop_nest import LoopNest
from accelgym.costmodels.loopnest.mappings import Loop
from accelgym.costmodels.loopnest.steps import Ints, Steps, inner_extent

__all__ = ["Sharing", "Traffic"]


@dataclass
class Traffic:
    """Accesses of a parent on behalf of its children, and how they are shared."""

    total: float
    weighted: float
    """Accesses times the children each one serves."""
    links: float = 0.0


class Sharing:
    """Compares the requests of the children of one parent."""

    def __init__(
        self,
        problem: LoopNest,
        loops: Sequence[Loop],
        adjacent: Sequence[Loop],
        project: Ints,
        mesh: tuple[int, int],
    ) -> None:
        self.adjacent, self.project = adjacent, project
        self.dims = len(problem.dims)
        self.stride = [inner_extent(loops, loops.index(loop)) for loop in adjacent]
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

    def count(self, steps: Steps, first: tuple[Ints, Ints], *, links: bool) -> Traffic:
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
        return Traffic(float((words * distinct).sum()), float((words * children).sum()))

    def _forward(
        self,
        low: Ints,
        high: Ints,
        words: npt.NDArray[np.float64],
        code: Ints,
        bounds: list[tuple[int, ...]],
    ) -> Traffic:
        shape = high - low
        same = np.concatenate([[False], (shape[1:] == shape[:-1]).all(axis=1)])
        back = np.zeros_like(low)
        back[1:] = low[:-1] - low[1:]
        previous = np.concatenate([code[:1], code[:-1]])
        # Steps repeat a few patterns of requests and moves.
        steps = np.column_stack([code, previous, same, back])
        patterns, which = np.unique(steps, axis=0, return_inverse=True)
        per_word = np.array([self._shared(bounds[x[0]], bounds[x[1]], bool(x[2]), x[3:]) for x in patterns])
        total, weighted, links = words @ per_word[which.reshape(-1)]
        return Traffic(float(total), float(weighted), float(links))

    def _shared(
        self, now: tuple[int, ...], before: tuple[int, ...], comparable: bool, back: Ints
    ) -> tuple[int, int, int]:
        """Accesses, children served by them and words forwarded in a step, per word of one child."""
        read, served = self.distinct(now), math.prod(now)
        if comparable:
            linked, alone, left = self._linked(now, before, tuple(int(x) for x in back))
            if alone < read:
                return alone, left, linked
        return read, served, 0

    def _linked(self, now: tuple[int, ...], before: tuple[int, ...], back: tuple[int, ...]) -> tuple[int, int, int]:
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
