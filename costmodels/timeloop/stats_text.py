"""Statistics of a mapping as ``timeloop-mapper`` and ``timeloop-model`` print them (``*.stats.txt``).

Blocks, keys, units and what is per instance are those of ``operator<<`` in ``topology.cpp``, ``buffer.cpp`` and
``arithmetic.cpp`` of Timeloop HEAD; energies have more digits. Networks cost nothing and have no block.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from accelgym.costmodels.architecture.loop_nest import LoopNest
from accelgym.costmodels.architecture.machine import Architecture, StorageLevel
from accelgym.costmodels.loopnest.terms import COUNTERS
from accelgym.costmodels.timeloop.stats import COUNTED, level_values

__all__ = ["write_stats"]


def write_stats(result: Mapping[str, Any], problem: LoopNest, architecture: Architecture) -> str:
    """Writes the costs of a mapping; :func:`~accelgym.costmodels.timeloop.stats.read_stats` reads them back.

    Args:
        result: Costs of a valid mapping, see :func:`~accelgym.costmodels.loopnest.rows.result_row`.
        problem: The problem.
        architecture: The machine.
    """
    values = level_values(result, problem, architecture)
    counted = COUNTED.format(counting=result["counting"], links="on" if result["link_transfers"] else "off")
    lines = [counted, "", "Buffer and Arithmetic Levels", "----------------------------"]
    compute = architecture.compute
    lines += ["Level 0", "-------", f"=== {compute.name} ===", "", "    SPECS", "    -----"]
    lines += [_line(4, "Word bits", compute.word_bits), _line(4, "Instances", architecture.num_multipliers)]
    lines += [_line(4, "Compute energy", f"{compute.mac_pj:.6f} pJ"), "", "    STATS", "    -----"]
    lines += [
        _line(4, "Utilized instances", result["utilized_pes"]),
        _line(4, "Computes (total)", problem.macs),
        _line(4, "Cycles", problem.macs // result["utilized_pes"]),
        _line(4, "Energy (total)", f"{result['energy_pJ'][compute.name]:.4f} pJ"),
        "",
    ]
    for number, v in enumerate(reversed(range(len(architecture.levels))), start=1):
        level = architecture.levels[v]
        lines += [
            f"Level {number}",
            "-------",
            f"=== {level.name} ===",
            "",
            *_specification(level, architecture.instances(v)),
        ]
        lines += [_line(8, "Leakage energy (total)", f"{values[level.name, '', 'leakage_pj']:.4f} pJ")]
        lines += ["", "    STATS", "    -----", _line(4, "Cycles", result["cycles_per_level"][level.name])]
        for tensor in result["accesses"][level.name]:
            lines += [
                f"    {tensor}:",
                *_tensor({key[2]: x for key, x in values.items() if key[:2] == (level.name, tensor)}),
            ]
        lines += [""]
    return "\n".join([*lines, *_summary(result, problem, architecture), ""])


def _line(indent: int, key: str, value: Any) -> str:
    return f"{' ' * indent}{key:<{45 - indent}}: {value}"


def _specification(level: StorageLevel, instances: int) -> list[str]:
    rows: list[tuple[str, Any]] = [
        ("Technology", level.component),
        ("Size", "-" if level.capacity_words is None else level.capacity_words),
        ("Word bits", level.word_bits),
        ("Block size", level.block_size),
        ("Instances", instances),
        ("Shared bandwidth", _or_none(level.shared_bw)),
        ("Read bandwidth", _or_none(level.read_bw)),
        ("Write bandwidth", _or_none(level.write_bw)),
        ("Multiple buffering", f"{level.multiple_buffering:.2f}"),
        ("Min utilization", f"{level.min_utilization:.2f}"),
        ("Vector read energy", f"{level.read_pj:.6f} pJ"),
        ("Vector write energy", f"{level.write_pj:.6f} pJ"),
        ("Area", f"{level.area_um2:.2f} um^2"),
    ]
    return ["    SPECS", "    -----", *(_line(8, key, value) for key, value in rows)]


def _or_none(value: float | None) -> str:
    return "-" if value is None else f"{value:.2f}"


def _tensor(counts: Mapping[str, float]) -> list[str]:
    lines = [_line(8, "Utilized capacity", _number(counts["tile_words"]))]
    lines += [_line(8, "Utilized instances (max)", _number(counts["instances"]))]
    lines += [_line(8, f"Scalar {name} (per-instance)", _number(counts[name])) for name in COUNTERS]
    return [*lines, _line(8, "Energy (total)", f"{counts['energy_pj']:.4f} pJ")]


def _number(value: float) -> str:
    """A count, which is whole unless it is an average over instances."""
    return str(int(value)) if value == int(value) else f"{value:.6f}"


def _summary(result: Mapping[str, Any], problem: LoopNest, architecture: Architecture) -> list[str]:
    energies, cycles, total = result["energy_pJ"], result["cycles"], result["energy_pJ"]["total"]
    lines = ["Summary Stats", "-------------", f"GFLOPs (@1GHz): {2 * problem.macs / cycles:.2f}"]
    lines += [f"Utilization: {100 * result['utilization']:.6f}%", f"Cycles: {cycles}", f"Energy: {total / 1e6:.10f} uJ"]
    lines += [f"EDP(J*cycle): {total * 1e-12 * cycles:.6e}", f"Area: {architecture.area_um2 / 1e6:.6f} mm^2", ""]
    lines += [f"Computes = {problem.macs}", "fJ/Compute"]
    parts = {name: energy for name, energy in energies.items() if name != "total"} | {"Total": total}
    return [*lines, *(f"    {name:<40} = {1e3 * energy / problem.macs:.4f}" for name, energy in parts.items())]
