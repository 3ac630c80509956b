"""What the slow simulators count for one mapping, and what it costs."""

from __future__ import annotations

import math
from dataclasses import dataclass, field

from accelgym.costmodels.architecture.loop_nest import LoopNest
from accelgym.costmodels.architecture.machine import Architecture
from accelgym.costmodels.loopnest.kernel import access_pj
from accelgym.costmodels.loopnest.terms import COUNTERS, DIRECTIONS

__all__ = ["Movement", "price_movement"]


@dataclass
class Movement:
    """Counts of one mapping by (level, tensor), per instance in use unless stated."""

    reads: dict[tuple[int, int], float] = field(default_factory=dict)
    fills: dict[tuple[int, int], float] = field(default_factory=dict)
    updates: dict[tuple[int, int], float] = field(default_factory=dict)
    tiles: dict[tuple[int, int], int] = field(default_factory=dict)
    links: dict[tuple[int, int], float] = field(default_factory=dict)
    """Words forwarded between the children of a level, total."""
    multicast: dict[tuple[int, int], float] = field(default_factory=dict)
    """Children served by one access."""
    utilized: tuple[int, ...] = ()
    """Instances in use per level, then multipliers."""
    instances: tuple[int, ...] = ()
    """Instances charged per level; below ``utilized`` where imperfect factors leave some idle at times."""
    computes: int = 0
    """Multiply-accumulates charged for energy, all multipliers."""

    def counter(self, name: str) -> dict[tuple[int, int], float]:
        """Returns ``reads``, ``fills`` or ``updates``."""
        return {"reads": self.reads, "fills": self.fills, "updates": self.updates}[name]


def price_movement(
    problem: LoopNest, architecture: Architecture, movement: Movement, compute_cycles: int
) -> dict[str, float]:
    """Turns counts into energy and latency, under the column names of the model's breakdown.

    Accesses are whole blocks per instance, the energy of a level is that of all instances charged, and a level
    is as slow as its bandwidth needs (perfect double buffering, no start-up).
    """
    result: dict[str, float] = {}
    total = movement.computes * architecture.compute.mac_pj
    result[f"{architecture.compute.name}.energy_pj"] = total
    latency, bound = compute_cycles, len(architecture.levels)
    for v, level in enumerate(architecture.levels):
        instances, spent = movement.instances[v], 0.0
        moved: list[dict[str, float]] = []
        for t, tensor in enumerate(problem.tensors):
            if (v, t) not in movement.tiles:
                continue
            where = f"{level.name}.{tensor.name}"
            result[f"{where}.tile_words"] = movement.tiles[v, t]
            result[f"{where}.multicast"] = movement.multicast[v, t]
            moved.append({name: movement.counter(name)[v, t] for name in COUNTERS})
            for name, count in moved[-1].items():
                result[f"{where}.{name}"] = count * instances
                spent += math.ceil(count / level.block_size) * instances * access_pj(level, name)
        slowdown = 1.0
        for names, limit in level.ports:
            # As Timeloop does, since the last bit decides how the ceiling falls: words of one tensor written by
            # either side are added, each sum is made a rate, and rates are summed over tensors.
            rate = sum(
                sum(count for name, count in words.items() if name in names and name in side) / compute_cycles
                for side in DIRECTIONS
                for words in moved
            )
            if limit is not None and rate > 0:
                slowdown = min(slowdown, limit / rate)
        needed = math.ceil(compute_cycles / slowdown)
        result[f"{level.name}.energy_pj"] = spent
        result[f"{level.name}.cycles"] = needed
        result[f"{level.name}.instances"] = instances
        if needed > latency:
            latency, bound = needed, v
        total += spent
    # Timeloop, buffer.cpp: the level's instances in use, at least 1, whether it holds anything or not.
    result["leakage_pj"] = latency * architecture.cycle_leakage_pj([max(1, used) for used in movement.instances])
    result["compute_cycles"] = compute_cycles
    result["utilized_pes"] = movement.utilized[-1]
    result["utilisation"] = problem.macs / (latency * architecture.num_multipliers)
    result["bound_by"] = bound
    result["latency_cycles"] = latency
    result["energy_pj"] = total + result["leakage_pj"]
    return result
