"""A lower bound on the costs of any mapping: the movement and computation that no mapping avoids."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np

from accelgym.costmodels.loopnest.kernel import access_pj
from accelgym.costmodels.mapspace import MapSpace
from accelgym.costmodels.mapspace.index_factorization import divisors

__all__ = ["RELAXATIONS", "Floor", "cost_floor"]

RELAXATIONS = (
    "every word crosses every boundary at least once",
    "each memory is bounded on its own, with the mapping that suits it best",
    "loops inside and outside a boundary are independent",
)
"""Relaxations of :func:`cost_floor`."""


@dataclass(frozen=True)
class Floor:
    """Lower bounds that hold together, for every mapping in a map space."""

    energy_pj: float
    cycles: float
    multipliers: int
    """Most multipliers that some mapping uses."""


def cost_floor(mapspace: MapSpace) -> Floor:
    """Bounds energy and cycles from below.

    Multipliers in use are bounded by the best product of spatial factors that divide the bounds and fit the
    fan-outs. A memory that keeps a tensor serves at least its distinct words; the innermost one that keeps it serves
    every multiply-accumulate, divided by the largest multicast below. A memory that may be bypassed is not charged.
    First-read elision spares at most one read per output word and owner.

    Args:
        mapspace: The map space.
    """
    problem, architecture = mapspace.problem, mapspace.architecture
    spread = _largest_spread(mapspace)
    total = math.prod(spread)
    cycles = problem.macs / total
    energy = problem.macs * architecture.compute.mac_pj
    depth = len(architecture.levels)
    busy = np.zeros((depth, 2))  # words per instance in use: read, and written
    for t in range(len(problem.tensors)):
        words = _distinct_words(mapspace, t)
        rules = mapspace.constraints.keep[:, t]
        always = [v for v in range(depth) if rules[v] > 0]
        innermost = max(v for v in range(depth) if rules[v] != 0)
        # The innermost memory in use is one of these: bypassed ones may lie below the last that always keeps.
        last = [v for v in range(always[-1], innermost + 1) if rules[v] != 0]
        serving = []
        for v in last:
            reach = math.prod(spread[v:])  # multicast at most
            serving.append(_access_floor(mapspace, v, t, max(words, problem.macs / reach), spread))
        energy += min(pj for pj, _, _ in serving)
        for v in always[:-1]:
            pj, read, written = _access_floor(mapspace, v, t, words, spread)
            energy += pj
            busy[v] += read, written
        if len(last) == 1:
            busy[last[0]] += serving[0][1:]
    for v, level in enumerate(architecture.levels):
        instances = math.prod(spread[:v])
        for names, limit in level.ports:
            if limit is not None:
                moved = busy[v, 0] * ("reads" in names) + busy[v, 1] * ("updates" in names)
                cycles = max(cycles, moved / instances / limit)
    cycles = math.ceil(cycles - 1e-9)
    # A level's instances in use times the cycles are at least 1 times all cycles, and the operations over its children.
    shares = [max(1.0, problem.macs / math.prod(spread[v:]) / cycles) for v in range(depth)]
    return Floor(energy + architecture.cycle_leakage_pj(shares) * cycles, float(cycles), total)


def _access_floor(
    mapspace: MapSpace, level: int, tensor: int, content: float, spread: list[int]
) -> tuple[float, float, float]:
    """Energy, words read and words written that serving ``content`` words of a tensor costs a level at least."""
    problem, memory = mapspace.problem, mapspace.architecture.levels[level]

    def price(counter: str) -> float:
        return access_pj(memory, counter) / memory.block_size

    arriving = _distinct_words(mapspace, tensor) if level > 0 else 0
    if not problem.tensors[tensor].read_write:
        return content * price("reads") + arriving * price("fills"), content, arriving
    reduction = math.prod(bound for dim, bound in problem.bound.items() if dim not in problem.tensors[tensor].dims)
    owners = min(math.prod(spread[:level]), reduction)
    read = max(0.0, content - problem.tensor_words(problem.tensor_names[tensor]) * owners)
    return read * price("reads") + content * price("updates"), read, content


def _distinct_words(mapspace: MapSpace, tensor: int) -> int:
    """Words of a tensor that some multiplication needs; a strided tensor has holes."""
    bound = mapspace.problem.bound
    words = 1
    for axis in mapspace.problem.tensors[tensor].axes:
        reached = {0}
        for dim, coefficient in axis:
            reached = {x + coefficient * i for x in reached for i in range(bound[dim])}
        words *= len(reached)
    return words


def _largest_spread(mapspace: MapSpace) -> list[int]:
    """Per level, the most children that a mapping can use below one instance (each level on its own)."""
    architecture, constraints = mapspace.architecture, mapspace.constraints
    result = []
    for v, level in enumerate(architecture.levels):
        children = 1
        for kind, limit in (("x", level.fanout_x), ("y", level.fanout_y)):
            slot = architecture.slot(v, kind)  # type: ignore[arg-type]
            if slot is None:
                continue
            reached = {1}
            for d in mapspace.active:
                most, fixed = mapspace.factorization.limits[slot, d], mapspace.factorization.fixed[slot, d]
                free = constraints.placeable[slot, d]
                factors = divisors(mapspace.problem.bounds[d]).tolist() if free else [int(fixed)]
                reached = {a * b for a in reached for b in factors if b <= most and a * b <= limit}
            children *= max(reached, default=1)
        result.append(children)
    return result
