"""A slow simulator: steps through a nest and applies Timeloop's transfer rule at every step.

It shares no formula with the batched model. For each boundary it lists the successive tiles of one child
(iteration by iteration, or Timeloop's sample of them), subtracts each from its predecessor under the rule of the
chosen engine, compares the children's requests, and splits accesses into reads, fills and updates per instance
(``tiling.cpp``).
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from accelgym.costmodels.architecture.loop_nest import LoopNest
from accelgym.costmodels.architecture.machine import Architecture
from accelgym.costmodels.loopnest.mappings import Loop
from accelgym.costmodels.loopnest.movement import Movement
from accelgym.costmodels.loopnest.sharing import Sharing, Traffic
from accelgym.costmodels.loopnest.steps import (
    Engine,
    Ints,
    boxes,
    deltas,
    enumerate_steps,
    loop_visits,
    projection,
    spatial,
)

__all__ = ["walk"]


def walk(
    problem: LoopNest,
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
    spread = [math.prod(loop.bound for loop in loops if spatial(loop, v)) for v in range(depth)]
    boundaries = [enumerate_steps(problem, loops, child, engine=engine, sampled=sampled) for child in range(1, depth)]
    points, per_dim = _innermost(problem, loops, depth)
    movement.utilized = tuple(math.prod(spread[:v]) for v in range(depth + 1))
    movement.instances = movement.utilized
    if engine == "head":
        movement.instances = tuple(_mean_instances(problem, loops, v) for v in range(depth + 1))
    movement.computes = points * movement.instances[depth]
    for t, tensor in enumerate(problem.tensors):
        project = projection(problem, t)
        traffic: list[Traffic] = []
        sizes = [problem.tile_words(tensor, problem.bound)]
        denominators: list[int] = []
        for child, steps in enumerate(boundaries, start=1):
            adjacent = [loop for loop in loops if spatial(loop, child - 1)]
            low, high = boxes(steps.position, steps.extent, project)
            sizes.append(int(np.prod(high - low, axis=1).max()))
            first = deltas(low, high, engine)
            below, above = boxes(steps.position, steps.union, project)
            union = int(np.prod(above - below, axis=1).max())
            denominators.append(union if adjacent else sizes[-1])
            mesh = architecture.levels[child - 1]
            sharing = Sharing(problem, loops, adjacent, project, (mesh.fanout_x, mesh.fanout_y))
            traffic.append(sharing.count(steps, first, links=links))
        adjacent = [loop for loop in loops if spatial(loop, depth - 1)]
        if links and adjacent:
            traffic.append(_linked_compute_traffic(problem, architecture, loops, adjacent, t, engine, sampled))
        else:
            traffic.append(_compute_traffic(problem, loops, adjacent, project, points, per_dim))
        counts = Collapse(depth, spread, keep[:, t], sizes, denominators, traffic)
        counts.store(movement, t, read_write=tensor.read_write, elide=elide_first_read)
    return movement


def _innermost(problem: LoopNest, loops: Sequence[Loop], depth: int) -> tuple[int, list[tuple[int, int, list[Loop]]]]:
    """Iterations of all time loops at the first multiplier.

    Returns:
        Their number, and per dimension (iterations that are not the last, that are, spatial loops next to the
        multipliers).
    """
    per_dim = []
    for d in range(len(problem.dims)):
        beside = [loop for loop in loops if loop.dim == d and spatial(loop, depth - 1)]
        others = [loop for loop in loops if loop.dim == d and not spatial(loop, depth - 1)]
        per_dim.append((*loop_visits(others, 0), beside))
    return math.prod(a + b for a, b, _ in per_dim), per_dim


def _compute_traffic(
    problem: LoopNest,
    loops: Sequence[Loop],
    adjacent: Sequence[Loop],
    project: Ints,
    points: int,
    per_dim: list[tuple[int, int, list[Loop]]],
) -> Traffic:
    """Accesses of the innermost level: every multiply-accumulate asks for one word of each tensor."""
    if not adjacent:
        return Traffic(float(points), float(points))
    sharing = Sharing(problem, loops, adjacent, project, (1, 1))
    uneven = [d for d, (_, _, mine) in enumerate(per_dim) if any(x.bound != x.residual for x in mine)]
    traffic = Traffic(0.0, 0.0)
    for pattern in np.ndindex(*(2 for _ in uneven)):
        ends = dict(zip(uneven, pattern, strict=True))
        times = math.prod(
            (per_dim[d][1] if ends[d] else per_dim[d][0]) if d in ends else per_dim[d][0] + per_dim[d][1]
            for d in range(len(per_dim))
        )
        bounds = tuple(loop.residual if ends.get(loop.dim) else loop.bound for loop in adjacent)
        traffic.total += times * sharing.distinct(bounds)
        traffic.weighted += times * math.prod(bounds)
    return traffic


def _linked_compute_traffic(
    problem: LoopNest,
    architecture: Architecture,
    loops: Sequence[Loop],
    adjacent: Sequence[Loop],
    t: int,
    engine: Engine,
    sampled: bool,
) -> Traffic:
    """The same with links: multipliers hold nothing, so each asks for one word at every step."""
    depth = len(architecture.levels)
    project = projection(problem, t)
    steps = enumerate_steps(problem, loops, depth, engine=engine, sampled=sampled)
    mesh = architecture.levels[-1]
    sharing = Sharing(problem, loops, adjacent, project, (mesh.fanout_x, mesh.fanout_y))
    return sharing.count(steps, boxes(steps.position, steps.extent, project), links=True)


def _mean_instances(problem: LoopNest, loops: Sequence[Loop], level: int) -> int:
    """Instances of a level in use on average over time, rounded down (HEAD's charge for imperfect factors)."""
    here = one = 1
    for d in range(len(problem.dims)):
        mine = [loop for loop in loops if loop.dim == d]
        here *= sum(loop_visits(mine, level))
        one *= sum(loop_visits(mine, 0))
    return here // one


@dataclass
class Collapse:
    """Turns the traffic of one tensor into reads, fills and updates per instance."""

    depth: int
    spread: list[int]
    keep: npt.NDArray[np.bool_]
    sizes: list[int]
    denominators: list[int]
    traffic: list[Traffic]

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
                self.traffic[level - 1] = Traffic(parent.total * scale, parent.weighted * scale)
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
            movement.reads[level, t] = max(0, _round(content + peers - owned))
            movement.updates[level, t] = _round(content) if read_write else 0.0
            # Timeloop rounds where an output is involved and truncates otherwise.
            settle = _round if read_write else math.floor
            movement.fills[level, t] = max(0, settle(arrived - owned)) if level != backing else 0.0


def _round(x: float) -> float:
    return math.floor(x + 0.5)
