"""Totals under the names of a result: costs, and the columns of their breakdown."""

from __future__ import annotations

from accelgym.costmodels.architecture.loop_nest import LoopNest
from accelgym.costmodels.architecture.machine import Architecture
from accelgym.costmodels.arrays import Array, array_namespace
from accelgym.costmodels.loopnest.kernel import Totals
from accelgym.costmodels.loopnest.terms import COUNTERS

__all__ = ["dtype_of", "tabulate"]

_WHOLE = (*COUNTERS, "tile_words", "instances", "utilized_pes", "bound_by")


def dtype_of(name: str) -> str:
    """Returns the type of a column: int64 for what is counted, float64 otherwise."""
    if name == "reason":
        return "int8"
    return "int64" if name.rsplit(".", 1)[-1] in _WHOLE else "float64"


def tabulate(problem: LoopNest, architecture: Architecture, totals: Totals, reason: Array) -> dict[str, Array]:
    """Names the columns of a batch.

    Args:
        problem: The problem.
        architecture: The machine.
        totals: The batch, evaluated in detail.
        reason: Codes of its rows.

    Returns:
        Columns as numbers, not yet of :func:`dtype_of` their names: ``latency_cycles``, ``energy_pj``, ``reason``, and
        what becomes the breakdown.
    """
    xp = array_namespace(reason, totals.cycles)
    zero = totals.cycles * 0.0

    def column(values: Array) -> Array:
        return zero + values if isinstance(values, float) else values

    table: dict[str, Array] = {"latency_cycles": totals.cycles, "energy_pj": totals.energy_pj, "reason": reason}
    for (v, t), words in totals.tiles.items():
        table[f"{architecture.levels[v].name}.{problem.tensors[t].name}.tile_words"] = column(words)
    for (v, t, counter), count in totals.counters.items():
        table[f"{architecture.levels[v].name}.{problem.tensors[t].name}.{counter}"] = column(count)
    for (v, t), served in totals.multicast.items():
        table[f"{architecture.levels[v].name}.{problem.tensors[t].name}.multicast"] = zero + served
    bound = xp.where(totals.cycles == totals.cycles, len(architecture.levels), 0)
    for v in reversed(range(len(architecture.levels))):
        name = architecture.levels[v].name
        table[f"{name}.energy_pj"] = totals.level_energy[v]
        table[f"{name}.cycles"] = totals.level_cycles[v]
        table[f"{name}.instances"] = column(totals.utilized[v])
        limits = (totals.level_cycles[v] == totals.cycles) & (totals.compute_cycles < totals.cycles)
        bound = xp.where(limits, v, bound)
    table["compute_cycles"] = totals.compute_cycles
    table["utilized_pes"] = column(totals.utilized[-1])
    table["bound_by"] = bound
    table[f"{architecture.compute.name}.energy_pj"] = zero + problem.macs * architecture.compute.mac_pj
    table["leakage_pj"] = zero + totals.leakage_pj
    table["utilisation"] = problem.macs / (totals.cycles * architecture.num_multipliers)
    return table
