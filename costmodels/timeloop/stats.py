"""The statistics that ``timeloop-model`` prints (``*.stats.txt``), and their comparison with ours.

The format is that of ``operator<<`` in ``topology.cpp``, ``buffer.cpp`` and ``arithmetic.cpp`` of v3.0.3 and HEAD:
blocks ``=== NAME ===`` of lines ``key : value unit``, per level and, below ``TENSOR:``, per tensor. Counts are per
instance; levels that hold nothing and do not leak have no block. Energies are rounded to two decimals.
"""

from __future__ import annotations

import math
import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from accelgym.costmodels.architecture.loop_nest import LoopNest
from accelgym.costmodels.architecture.machine import Architecture
from accelgym.costmodels.errors import InputError
from accelgym.costmodels.files.plain import Place
from accelgym.costmodels.files.text import read_text
from accelgym.costmodels.loopnest.kernel import access_pj
from accelgym.costmodels.loopnest.terms import COUNTERS

__all__ = ["COUNTED", "Difference", "Printed", "compare_stats", "level_values", "read_stats", "stated_counting"]

Key = tuple[str, str, str]
"""Level (``""`` for the summary), tensor (``""`` for the level as a whole), and counter."""

_TITLE = re.compile(r"^=== (?P<name>.+) ===$")
_TENSOR = re.compile(r"^(?P<name>[^\s:][^:]*):$")
_NUMBER = r"[-+]?\d{1,30}(?:\.\d{0,30})?(?:e[-+]?\d{1,4})?"
_LINE = re.compile(rf"^(?P<key>[^:=]+?)\s*[:=]\s*(?P<value>{_NUMBER})(?![\d.])\s*(?P<unit>\S*)", re.IGNORECASE)
_TENSOR_KEYS = {
    "utilized capacity": "tile_words",
    "utilized instances (max)": "instances",
    "energy (total)": "energy_pj",
    **{f"{how}scalar {name} (per-instance)": name for how in ("", "actual ") for name in COUNTERS},
}
_LEVEL_KEYS = {"cycles": "cycles", "leakage energy (total)": "leakage_pj"}
_COMPUTE_KEYS = {
    "utilized instances": "instances",
    "utilized instances (max)": "instances",
    "computes (total)": "computes",
    "actual computes (total)": "computes",
    "energy (total)": "energy_pj",
}
_SUMMARY_KEYS = {"utilization": "utilization", "cycles": "cycles", "energy": "energy_pj", "computes": "computes"}
_SCALES = {"uj": 1e6, "%": 1e-2}
COUNTED = "Counted by AccelGym: counting {counting}, link transfers {links}"
"""First line of a file of our own, which no version of Timeloop writes."""


@dataclass(frozen=True)
class Printed:
    """A number as printed: what it stands for, and half a unit of its last place."""

    value: float
    rounding: float

    def agrees(self, value: float) -> bool:
        """Whether a value would be printed so."""
        return abs(value - self.value) <= self.rounding * (1 + 1e-9) + 1e-9 * abs(value)


@dataclass(frozen=True)
class Difference:
    """A counter that is not the same; ``None`` where one side has none."""

    level: str
    tensor: str
    counter: str
    timeloop: float | None
    ours: float | None


def read_stats(path: Place) -> dict[Key, Printed]:
    """Reads a statistics file of v3.0.3 or HEAD.

    Raises:
        InputError: It cannot be read, or is no such file.
    """
    lines = read_text(path).splitlines()
    section = level = tensor = ""
    found: dict[Key, Printed] = {}
    compute = True
    for line in (text.strip() for text in lines):
        if line in ("Buffer and Arithmetic Levels", "Networks", "Operational Intensity Stats", "Summary Stats"):
            section, level, tensor = line, "", ""
        elif section == "Buffer and Arithmetic Levels":
            if title := _TITLE.match(line):
                level, tensor = title["name"], ""
                compute = not any(key[0] != "" for key in found)  # the multipliers are level 0
            elif name := _TENSOR.match(line):
                tensor = name["name"]
            elif level:
                keys = _COMPUTE_KEYS if compute else _TENSOR_KEYS if tensor else _LEVEL_KEYS
                _store(found, line, keys, level, "" if compute else tensor)
        elif section == "Summary Stats":
            _store(found, line, _SUMMARY_KEYS, "", "")
    if not {("", "", "cycles"), ("", "", "energy_pj")} <= set(found) or not any(key[1] for key in found):
        raise InputError(f"{path}: no statistics of timeloop-model (levels with tensors, and 'Summary Stats')")
    return found


def stated_counting(path: Place) -> tuple[str, bool] | None:
    """Returns how a file of our own was counted and whether neighbours forwarded words; ``None`` of Timeloop's files.

    Raises:
        InputError: It cannot be read.
    """
    first = read_text(path).partition("\n")[0].strip()
    match = re.fullmatch(COUNTED.format(counting="([a-z]+)", links="(on|off)"), first)
    return None if match is None else (match[1], match[2] == "on")


def _store(found: dict[Key, Printed], line: str, keys: dict[str, str], level: str, tensor: str) -> None:
    match = _LINE.match(line)
    if match is None or match["key"].lower() not in keys:
        return
    mantissa, _, exponent = match["value"].lower().partition("e")
    scale = _SCALES.get(match["unit"].lower(), 1.0)
    decimals = len(mantissa.partition(".")[2])
    # Counts are whole; a printed average of them is rounded like an energy.
    rounding = 0.5 * 10.0 ** (int(exponent or 0) - decimals) * scale if "." in mantissa else 0.0
    found[level, tensor, keys[match["key"].lower()]] = Printed(float(match["value"]) * scale, rounding)


def compare_stats(
    printed: dict[Key, Printed], result: dict[str, Any], problem: LoopNest, architecture: Architecture
) -> tuple[int, list[Difference]]:
    """Compares a file with the costs of the same mapping, counter by counter.

    Args:
        printed: What :func:`read_stats` read.
        result: Costs, see :func:`~accelgym.costmodels.loopnest.rows.result_row`.
        problem: The problem.
        architecture: The machine.

    Returns:
        How many values were compared, and those that differ.
    """
    ours = level_values(result, problem, architecture)
    # Timeloop prints no block for a level without tensors and leakage, and v3.0.3 no leakage.
    optional = {key for key, value in ours.items() if key[2] in ("cycles", "leakage_pj") and key[0]}
    keys = [*(key for key in ours if key in printed or key not in optional), *(k for k in printed if k not in ours)]
    skipped = {key for key in printed if key not in ours and key[2] in ("cycles", "leakage_pj")}
    differences = []
    compared = [key for key in keys if key not in skipped]
    for key in compared:
        theirs, mine = printed.get(key), ours.get(key)
        if theirs is None or mine is None or not theirs.agrees(mine):
            differences.append(Difference(*key, None if theirs is None else theirs.value, mine))
    return len(compared), differences


def level_values(result: Mapping[str, Any], problem: LoopNest, architecture: Architecture) -> dict[Key, float]:
    """Returns our costs under Timeloop's keys, per instance where Timeloop has them so; see :func:`compare_stats`."""
    values: dict[Key, float] = {}
    for level in architecture.levels:
        instances = result["instances"][level.name]
        for tensor, counts in result["accesses"][level.name].items():
            energy = 0.0
            for name in COUNTERS:
                per_instance = counts[name] / instances
                values[level.name, tensor, name] = per_instance
                energy += math.ceil(per_instance / level.block_size) * instances * access_pj(level, name)
            values[level.name, tensor, "instances"] = instances
            values[level.name, tensor, "tile_words"] = counts["tile_words"]
            values[level.name, tensor, "energy_pj"] = energy
        values[level.name, "", "cycles"] = result["cycles_per_level"][level.name]
        values[level.name, "", "leakage_pj"] = level.leakage_pj * result["cycles"] * max(1, instances)
    compute, energies = architecture.compute.name, result["energy_pJ"]
    values[compute, "", "instances"] = result["utilized_pes"]
    values[compute, "", "energy_pj"] = energies[compute]
    values[compute, "", "computes"] = problem.macs
    values["", "", "computes"] = problem.macs
    values["", "", "cycles"] = result["cycles"]
    values["", "", "energy_pj"] = energies["total"]
    values["", "", "utilization"] = result["utilization"]
    return values
