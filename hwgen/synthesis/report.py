"""What synthesis found: area in four parts and by module, and the critical path."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any

from accelgym.costmodels.systolic.memories import memory_area_nand2
from accelgym.hwgen.synthesis.modules import MappedModule, Memory, base_name
from accelgym.hwgen.synthesis.yosys import MEMORY

__all__ = ["PARTS", "PART_OF", "ModuleArea", "SynthesisReport", "module_areas"]

PARTS = ("array", "sram", "address_control", "vector_unit")
"""The array with its skew registers, operand decoders and the address pipelines of its buffers; the buffers; loaders,
drain, accumulator registers, run-time parameters and control; converters and adders behind the array, and the
post-processing."""

PART_OF = {
    "array_weight_stationary": "array",
    "array_output_stationary": "array",
    "operand_buffer": "array",
    "input_decoder": "array",
    "weight_decoder": "array",
    "accumulate_add": "vector_unit",
    "convert_result": "vector_unit",
    "vector_unit": "vector_unit",
}
"""Part of the modules that are not of the part they are in."""


@dataclass(frozen=True)
class ModuleArea:
    """All instances of a Verilog module in one part; cells of kept submodules are theirs."""

    module: str
    part: str
    instances: int
    variants: int
    """Parameter sets."""
    area_nand2: float
    path_ps: float
    """Longest path of one instance, with inputs that arrive at the clock edge; memories have none."""


@dataclass(frozen=True)
class SynthesisReport:
    """Area in NAND2 equivalents and timing of one configuration."""

    config: dict[str, Any]
    library: str
    tools: str
    nand2_area: float
    """Area of a two-input NAND in the unit of the library."""
    parts: dict[str, float]
    """Area of each of :data:`PARTS`."""
    modules: tuple[ModuleArea, ...]
    critical_path_ps: float
    critical_module: str
    """The module that the slowest path from register to register belongs to."""
    clock_ghz: float

    @property
    def area_nand2(self) -> float:
        """Total area."""
        return sum(self.parts.values())

    @property
    def max_clock_ghz(self) -> float:
        """The fastest clock of the estimate."""
        return 1000.0 / self.critical_path_ps

    @property
    def meets_clock(self) -> bool:
        """Whether the critical path fits the clock of the configuration."""
        return self.clock_ghz <= self.max_clock_ghz

    def as_json(self) -> dict[str, Any]:
        """Returns the report with its totals as JSON data."""
        totals = {
            "area_nand2": self.area_nand2,
            "max_clock_ghz": self.max_clock_ghz,
            "meets_clock": self.meets_clock,
        }
        return {**totals, **asdict(self)}

    @classmethod
    def from_json(cls, data: Mapping[str, Any]) -> SynthesisReport:
        """Reads back what :meth:`as_json` wrote."""
        names = ("config", "library", "tools", "nand2_area", "parts", "critical_path_ps", "critical_module")
        modules = tuple(ModuleArea(**module) for module in data["modules"])
        return cls(**{name: data[name] for name in names}, modules=modules, clock_ghz=data["clock_ghz"])


def _memory_area(memory: Memory) -> float:
    """A memory with banks never reads and writes the same one; a single bank does both at once."""
    single = memory.banks == 1
    return memory.banks * memory_area_nand2(memory.words, memory.width, two_ports=single)


def module_areas(modules: Mapping[str, MappedModule], top: str, nand2_area: float) -> tuple[ModuleArea, ...]:
    """Multiplies a hierarchy out; the largest module first.

    Args:
        modules: All modules below the top, by name.
        top: Name of the top module.
        nand2_area: Area of a two-input NAND in the unit of the library.
    """
    area: defaultdict[tuple[str, str], float] = defaultdict(float)
    count: defaultdict[tuple[str, str], int] = defaultdict(int)
    variants: defaultdict[tuple[str, str], set[str | Memory]] = defaultdict(set)
    path: defaultdict[tuple[str, str], float] = defaultdict(float)

    def walk(name: str, part: str, times: int) -> None:
        module = modules[name]
        inside = PART_OF.get(base_name(name), part)
        key = base_name(name), inside
        area[key] += times * module.area / nand2_area
        count[key] += times
        variants[key].add(name)
        path[key] = max(path[key], module.timing.longest)
        for memory, number in module.memories:
            key = MEMORY, "sram"
            area[key] += times * number * _memory_area(memory)
            count[key] += times * number
            variants[key].add(memory)
        for child, number in module.children.items():
            walk(child, inside, times * number)

    walk(top, "address_control", 1)
    found = (ModuleArea(*key, count[key], len(variants[key]), area[key], path[key]) for key in area)
    return tuple(sorted(found, key=lambda row: (-row.area_nand2, row.module, row.part)))
