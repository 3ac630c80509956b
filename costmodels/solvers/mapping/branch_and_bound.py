"""Best-first branch and bound over permutation classes and divisor intervals, many nodes at a time.

A node is a permutation class per level and an interval of divisors per extent. Its bound is a certified bound of a
geometric program; small nodes are enumerated with the cost model itself. Nothing is dropped unless its certified
bound reaches the incumbent, so the smallest open bound is a lower bound of the whole map space at any time.

The search is the same on every machine: its limit is a number of programs, and whatever decides is rounded
(:mod:`.digits`) before it is compared or sorted, stably.
"""

from __future__ import annotations

import itertools

import numpy as np
import numpy.typing as npt

from accelgym.costmodels.loopnest.model import LoopnestModel
from accelgym.costmodels.mapspace import MapSpace
from accelgym.costmodels.objective import Objective
from accelgym.costmodels.solvers.mapping.classes import level_classes, mirrors
from accelgym.costmodels.solvers.mapping.continuation import narrow, pointless
from accelgym.costmodels.solvers.mapping.digits import (
    POINT_GRID,
    bound_grid,
    bounds_on_grid,
    points_on_grid,
    significant,
)
from accelgym.costmodels.solvers.mapping.hoisting import ask_for_loops
from accelgym.costmodels.solvers.mapping.interior_point import Relaxed, solve_programs
from accelgym.costmodels.solvers.mapping.leaves import Found, LeafEvaluator
from accelgym.costmodels.solvers.mapping.machines import MachineTable
from accelgym.costmodels.solvers.mapping.nodes import Nodes, propagate
from accelgym.costmodels.solvers.mapping.programs import ProgramWriter
from accelgym.costmodels.solvers.mapping.tightening import Fanouts, shrink_to_capacity
from accelgym.costmodels.solvers.mapping.windows import varying_first

__all__ = ["PROOF_VERSION", "RELAXATIONS", "BranchAndBound"]

Ints = npt.NDArray[np.int64]
Floats = npt.NDArray[np.float64]
Bools = npt.NDArray[np.bool_]

PROOF_VERSION = "geometric-programs 2.3, every iteration walked"
"""Changes whenever a bound, or the mapping found, could."""
RELAXATIONS = (
    "factors need not be integers, nor divide",
    "a window's undecided extent is its least in the box; a negative constant is replaced by a chord",
    "where a loop may find a whole tile in place, as many words are saved as could be",
    "requests that children share are at least those of the busier dimension",
    "elided first accumulations are chords, or shares of what is certainly moved",
    "accesses are not rounded up to blocks, cycles not to integers",
)
"""Relaxations that the bounds of open nodes rest on."""

_BATCH = 256
"""Nodes that are relaxed together, so that arrays outweigh the interpreter. It decides which nodes are visited, never
what is proved."""
_DIVES = 64
"""Part of a batch that goes to nodes whose classes are decided."""
_LEAF = 1000.0
"""Most mappings of a node that is enumerated instead of relaxed further."""
_MOST_ROOTS = 4096
"""Most nodes to begin with; permutation classes of further levels are left to branching."""
_ROUNDED = 8
"""Nodes of a batch, least bounds first, whose relaxed optimum is rounded to mappings."""
_WIDE = 1.3
"""Ratio of largest to least reduction above which a node is split there first."""
_SAFETY = 1e-9
"""Taken off every certified bound for the rounding of its own arithmetic."""
_EMPTY = 690.0
"""Logarithm of an objective that no mapping has: it is close to the largest float. Nodes above hold nothing."""
_WEIGHT_BITS, _SCORE_BITS = 10, 12
"""Significant digits of what chooses where a node is split."""


class BranchAndBound:
    """A search that can be advanced round by round.

    Args:
        mapspace: The map space.
        machines: Machines to choose from; one for a fixed architecture.
        objective: What is minimised.
        keeps: Bypass choices, shape ``(levels, tensors, choices)``.
        tolerance: Relative gap at which a node is not worth pursuing.
    """

    def __init__(
        self, mapspace: MapSpace, machines: MachineTable, objective: Objective, keeps: Bools, *, tolerance: float = 1e-3
    ) -> None:
        self.mapspace, self.space = mapspace, mapspace.site_factorization
        self.machines, self.objective, self.tolerance = machines, objective, tolerance
        space = self.space
        table = LoopnestModel(space.problem, machines.architectures[0]).terms
        self.classes = tuple(level_classes(space, table, v) for v in range(len(space.architecture.levels) - 1))
        self.windows = tuple(transfers[0].windows for transfers in table.transfers)
        self.mirrors = mirrors(space, table, self.classes)
        self.writer = ProgramWriter(space, table, self.classes, machines, objective)
        self.evaluator = LeafEvaluator(mapspace, self.classes, machines, objective)
        self.fanouts = Fanouts(space, machines)
        self.best: Found | None = None
        self.grid = bound_grid(tolerance)
        self.solved = 0
        self.open = self._admit(self._roots(keeps))

    # -- the tree --------------------------------------------------------------------------------------------------

    def _roots(self, keeps: Bools) -> Nodes:
        counts = [len(table.counted) - 1 for table in self.classes]
        start = len(self.machines) * keeps.shape[2]
        decided = 0
        while decided < len(counts) and start * np.prod(counts[: decided + 1], dtype=float) <= _MOST_ROOTS:
            decided += 1
        options = [range(count) if v < decided else (count,) for v, count in enumerate(counts)]
        rows = list(itertools.product(range(len(self.machines)), range(keeps.shape[2]), *options))
        numbers = np.array(rows, dtype=np.int64).reshape(len(rows), -1)
        if self.mirrors is not None:
            # Of two classes that are mirror images of each other one is enough.
            image = self.mirrors[np.arange(len(counts)), numbers[:, 2:]]
            numbers = numbers[_not_after(numbers[:, 2:], image)]
        return Nodes.whole(self.space, numbers[:, 2:], numbers[:, 0], np.moveaxis(keeps, -1, 0)[numbers[:, 1]])

    @property
    def cutoff(self) -> float:
        """Logarithm of the objective from which nodes are dropped."""
        if self.best is None:
            return _EMPTY
        with np.errstate(divide="ignore"):  # of a machine without prices
            return min(_EMPTY, float(np.log(self.best.value) + np.log1p(-self.tolerance)))

    @property
    def lower_bound(self) -> float:
        """Certified lower bound of every mapping's objective."""
        end = np.inf if self.best is None else self.best.value * (1.0 - self.tolerance)
        if len(self.open):
            end = min(end, float(np.exp(self.open.bound.min())))
        return end if np.isfinite(end) else 0.0

    def _admit(self, nodes: Nodes) -> Nodes:
        """Tightens nodes and drops empty ones."""
        good = propagate(self.space, nodes, self.writer.unit(nodes))
        nodes = nodes.take(good)
        good = shrink_to_capacity(self.space, self.machines, nodes)
        nodes = nodes.take(good)
        narrow(self.space, self.classes, self.windows, nodes)
        nodes = nodes.take(np.asarray((nodes.low <= nodes.high).all(axis=(1, 2))))
        nodes = nodes.take(~pointless(self.space, self.classes, self.windows, nodes))
        nodes = nodes.take(ask_for_loops(self.space, self.classes, nodes))
        return nodes.take(propagate(self.space, nodes, self.writer.unit(nodes)))

    def relax(self, nodes: Nodes, *, tolerance: float = 1e-4) -> tuple[Nodes, Relaxed]:
        """Bounds nodes by their programs.

        Returns:
            Those nodes that hold something, with their bounds raised, and what is known about their programs.
        """
        spread, possible = self.fanouts.tighten(nodes)
        nodes, spread = nodes.take(possible), spread[possible]
        if not len(nodes):
            nothing = np.zeros((0, (len(self.space.sites) - 1) * self.space.dims))
            return nodes, Relaxed(nothing, np.zeros(0), np.zeros(0), nothing)
        relaxed = solve_programs(
            self.writer.write(nodes, spread), cutoff=self.cutoff + 2 * self.grid, tolerance=tolerance
        )
        self.solved += len(nodes)
        nodes.bound = np.maximum(nodes.bound, bounds_on_grid(relaxed.bound - _SAFETY, self.grid))
        relaxed.point = points_on_grid(relaxed.point)
        relaxed.sensitivity = significant(relaxed.sensitivity, _WEIGHT_BITS)
        return nodes, relaxed

    def tile_figures(self, figures: Floats) -> Floats:
        """Figures of a program's variables by extent, shape ``(nodes, sites - 1, dims)``; drops that of the cycles."""
        sites = len(self.space.sites) - 1
        return figures[:, : sites * self.space.dims].reshape(len(figures), sites, self.space.dims)

    def root_bounds(self) -> Floats:
        """Certified lower bound of the optimum on every machine, from the classes alone; ``inf`` without a mapping."""
        bounds = np.full(len(self.machines), np.inf)
        for begin in range(0, len(self.open), _BATCH):
            now, _ = self.relax(self.open.take(np.arange(begin, min(begin + _BATCH, len(self.open)))))
            np.minimum.at(bounds, now.machine, now.bound)
        return np.asarray(np.exp(np.minimum(bounds, _EMPTY)))

    def offer(self, found: Found | None) -> None:
        """Takes a mapping as the incumbent if it is better, and drops what it makes hopeless."""
        if found is not None and (self.best is None or found.value < self.best.value * (1 - _SAFETY)):
            self.best = found
            self.open = self.open.take(self.open.bound < self.cutoff)

    def advance(self) -> None:
        """One round: bounds the most promising nodes, enumerates small ones and splits the others."""
        chosen = self._most_promising()
        now, self.open = self.open.take(chosen), self.open.take(~chosen)
        now = self._enumerate(now)
        if not len(now):
            return
        now, relaxed = self.relax(now, tolerance=min(1e-3, self.tolerance / 4))
        points, weights = self.tile_figures(relaxed.point), self.tile_figures(relaxed.sensitivity)
        self._round(now, points)
        alive = now.bound < self.cutoff
        children = self._split(now.take(alive), points[alive], weights[alive])
        children = self._admit(children)
        self.open = Nodes.join([self.open, children.take(children.bound < self.cutoff)])

    def _most_promising(self) -> Bools:
        """Nodes to bound next: those with the least bounds, and some of those that can yield a mapping soon."""
        order = np.argsort(self.open.bound, kind="stable")
        chosen = np.zeros(len(order), dtype=bool)
        chosen[order[: _BATCH - _DIVES]] = True
        ready = order[self._decided(self.open)[order]]
        chosen[ready[:_DIVES]] = True
        chosen[order[~chosen[order]][: _BATCH - int(chosen.sum())]] = True
        return chosen

    def _decided(self, nodes: Nodes) -> Bools:
        last = np.array([table.undecided for table in self.classes], dtype=np.int64)
        return np.asarray((nodes.classes != last).all(axis=1))

    def _enumerate(self, nodes: Nodes) -> Nodes:
        """Evaluates everything inside small nodes; returns the others."""
        sizes, rows = self.evaluator.sizes(nodes)
        small = (sizes <= _LEAF) & self._decided(nodes)
        parts: list[tuple[Ints, int]] = [
            (self.evaluator.grid(rows[k]), int(k)) for k in np.flatnonzero(small) if sizes[k]
        ]
        if parts:
            self.offer(self._best_of(nodes, parts))
        return nodes.take(~small & (nodes.bound < self.cutoff))

    def _best_of(self, nodes: Nodes, parts: list[tuple[Ints, int]]) -> Found | None:
        owner = np.concatenate([np.full(chains.shape[2], k) for chains, k in parts])
        chains = np.concatenate([chains for chains, _ in parts], axis=2)
        classes, keep = nodes.classes[owner].T, np.moveaxis(nodes.keep[owner], 0, -1)
        return self.evaluator.best(chains, classes, nodes.machine[owner], keep)

    def _round(self, nodes: Nodes, points: Floats) -> None:
        """Tries the mappings nearest to the most promising relaxed points."""
        order = [k for k in np.argsort(nodes.bound, kind="stable")[:_ROUNDED] if self._decided(nodes)[k]]
        per_dim = max(2, int(600 ** (1 / max(1, self.space.dims))))
        parts = [(self.evaluator.grid(self.evaluator.nearest(points[k], per_dim)), int(k)) for k in order]
        found = self._best_of(nodes, parts) if parts else None
        if found is not None and (self.best is None or found.value < self.best.value):
            self.offer(self.evaluator.polish(found))

    def _split(self, nodes: Nodes, points: Floats, weights: Floats) -> Nodes:
        """Two or more children of every node, which share its bound."""
        decided = self._decided(nodes)
        parts = [
            self._split_class(nodes.take(~decided)),
            self._split_box(nodes.take(decided), points[decided], weights[decided]),
        ]
        return Nodes.join(parts)

    def _split_class(self, nodes: Nodes) -> Nodes:
        """Decides the class of the outermost undecided level."""
        children = [nodes.take(np.zeros(0, dtype=np.int64))]
        for v, table in enumerate(self.classes):
            mine = nodes.classes[:, v] == table.undecided
            part = nodes.take(mine)
            nodes = nodes.take(~mine)
            for number in range(table.undecided if len(part) else 0):
                child = part.take(np.arange(len(part)))
                child.classes[:, v] = number
                if self.mirrors is not None:
                    image = self.mirrors[np.arange(len(self.classes)), child.classes]
                    child = child.take(_not_after(child.classes[:, : v + 1], image[:, : v + 1]))
                children.append(child)
        return Nodes.join(children)

    def _split_box(self, nodes: Nodes, points: Floats, weights: Floats) -> Nodes:
        """Splits the interval of the extent farthest from a divisor."""
        nodes, kept, children = self._split_reduction(nodes)
        points, weights = points[kept], weights[kept]
        n, dims = len(nodes), np.arange(self.space.dims)
        logs = np.log(self.space.divisor_table.astype(np.float64))
        low, high = nodes.low[:, 1:], nodes.high[:, 1:]
        below = np.empty_like(low)
        for d, divisors in enumerate(self.space.divisors):
            # Solutions lie at divisors, or next to them: those just below count as there.
            below[:, :, d] = np.searchsorted(np.log(divisors), points[:, :, d] + 1.5 * POINT_GRID, side="right") - 1
        below = np.clip(below, low, np.maximum(high - 1, low))
        above = np.minimum(below + 1, high)
        down = points - logs[dims, below]
        up = logs[dims, above] - points
        distance = np.minimum(np.abs(down), np.abs(up))
        width = logs[dims, high] - logs[dims, low]
        score = np.where(high > low, (distance + 0.02 * width) * (weights + 1e-3) + 1e-9, -1.0)
        self._weigh_windows(points, weights, low, high, below, score)
        score = significant(score, _SCORE_BITS).reshape(n, weights[0].size if n else 1)
        chosen = score.argmax(axis=1)
        i, d = chosen // self.space.dims + 1, chosen % self.space.dims
        rows = np.arange(n)
        at = below[rows, i - 1, d]
        left, right = nodes.take(rows), nodes.take(rows)
        left.high[rows, i, d] = at
        right.low[rows, i, d] = at + 1
        self._split_spread(nodes, points, weights, score.max(axis=1), left, right)
        return Nodes.join([children, left, right])

    def _weigh_windows(
        self, points: Floats, weights: Floats, low: Ints, high: Ints, below: Ints, score: Floats
    ) -> None:
        """Scores the undecided extents that windows count at their least by what they hide, in place.

        A window ``a * x + b * y + c`` takes the least ``y``; the objective grows with it as it does with ``x``.
        """
        for windows in self.windows:
            for window in windows:
                if len(window.dims) < 2:
                    continue
                varying, least_of = varying_first(self.space, window)
                x, y = (self.space.active.index(window.dims[k]) for k in (varying, least_of))
                a, b = window.coefficients[varying], window.coefficients[least_of]
                table = self.space.divisors[y].astype(np.float64)
                rest = a * np.exp(points[:, :, x]) + window.offset
                least, most = table[low[:, :, y]], table[high[:, :, y]]
                hidden = np.log(np.maximum(rest + b * most, 1.0)) - np.log(np.maximum(rest + b * least, 1.0))
                gain = np.where(high[:, :, y] > low[:, :, y], weights[:, :, x] * hidden, -1.0)
                better = gain > score[:, :, y]
                score[:, :, y] = np.where(better, gain, score[:, :, y])
                below[:, :, y] = np.where(better, low[:, :, y], below[:, :, y])

    def _split_spread(
        self, nodes: Nodes, points: Floats, weights: Floats, score: Floats, left: Nodes, right: Nodes
    ) -> None:
        """Splits a factor of a fan-out instead where it is farther from an integer that divides, in place."""
        end = np.zeros((len(nodes), 1, self.space.dims))
        extents, heavy = np.concatenate([points, end], axis=1), np.concatenate([weights, end], axis=1)
        for v in self.fanouts.choices:
            place = self.space.fan(v)
            assert place is not None
            factor = extents[:, place - 1] - extents[:, place]
            weight = np.maximum(heavy[:, place - 1], heavy[:, place])
            for d, divisors in enumerate(self.space.divisors):
                low, high = nodes.spatial_factor_bounds[:, v, d, 0], nodes.spatial_factor_bounds[:, v, d, 1]
                below = np.searchsorted(np.log(divisors), factor[:, d] + 1.5 * POINT_GRID, side="right") - 1
                below = np.clip(below, 0, len(divisors) - 2)
                logs = np.log(divisors.astype(np.float64))
                distance = np.minimum(np.abs(factor[:, d] - logs[below]), np.abs(logs[below + 1] - factor[:, d]))
                mine = significant(distance * (weight[:, d] + 1e-3), _SCORE_BITS)
                better = mine > score
                better &= (divisors[below] >= low) & (divisors[below + 1] <= high)
                for rows in (left, right):
                    rows.low[better], rows.high[better] = nodes.low[better], nodes.high[better]
                    rows.spatial_factor_bounds[better] = nodes.spatial_factor_bounds[better]
                left.spatial_factor_bounds[better, v, d, 1] = divisors[below[better]]
                right.spatial_factor_bounds[better, v, d, 0] = divisors[below[better] + 1]
                score = np.where(better, mine, score)

    def _split_reduction(self, nodes: Nodes) -> tuple[Nodes, Ints, Nodes]:
        """Splits nodes in which the number of children that add to one sum is open by far.

        Returns:
            The other nodes, their positions, and the children.
        """
        children = [nodes.take(np.zeros(0, dtype=np.int64))]
        kept = np.arange(len(nodes))
        for v in self.fanouts.choices:
            if self.objective is Objective.LATENCY:
                break
            wide = nodes.reducing_children_bounds[:, v, 1] > _WIDE * nodes.reducing_children_bounds[:, v, 0]
            part = nodes.take(wide)
            for k in range(len(part)):
                low, high = (int(x) for x in part.reducing_children_bounds[k, v])
                options = self.fanouts.reductions(v, low, high)
                at = int(np.searchsorted(options, np.sqrt(float(low) * high), side="right"))
                at = min(max(at, 1), len(options) - 1)
                left, right = part.take(np.array([k])), part.take(np.array([k]))
                left.reducing_children_bounds[0, v, 1], right.reducing_children_bounds[0, v, 0] = (
                    options[at - 1],
                    options[at],
                )
                children += [left, right]
            nodes, kept = nodes.take(~wide), kept[~wide]
        return nodes, kept, Nodes.join(children)


def _not_after(rows: Ints, others: Ints) -> Bools:
    """Whether rows come before others in lexicographic order, or are equal."""
    difference = np.sign(rows - others)
    first = np.where(difference.any(axis=1), (difference != 0).argmax(axis=1), 0)
    return np.asarray(difference[np.arange(len(rows)), first] <= 0)
