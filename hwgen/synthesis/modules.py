"""A mapped module: its cells, children, memories and timing, read from Yosys's netlist and kept in the cache."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import asdict, dataclass
from typing import Any

from accelgym.costmodels.systolic.memories import access_fo4
from accelgym.hwgen.synthesis.liberty import Cell, Library
from accelgym.hwgen.synthesis.timing import Element, ModuleTiming, analyse
from accelgym.hwgen.synthesis.yosys import MEMORY
from accelgym.hwgen.toolchain import ToolError

__all__ = ["MappedModule", "Memory", "base_name", "cell_timings", "element_timing", "read_netlist"]

_MEMORY_SETUP_FO4 = 2.0
"""Address and write data ahead of the clock edge, in inverter delays: an assumption."""


@dataclass(frozen=True)
class Memory:
    """The parameters of a memory."""

    width: int
    address_bits: int
    bank_bits: int

    @property
    def words(self) -> int:
        """Words of one bank."""
        return int(2**self.address_bits)

    @property
    def banks(self) -> int:
        """Number of banks."""
        return int(2**self.bank_bits)


@dataclass(frozen=True)
class MappedModule:
    """What is known of a module after technology mapping."""

    name: str
    """Name that Yosys gave it, parameters included."""
    area: float
    """Own cells, in the unit of the library; children not included."""
    cells: dict[str, int]
    children: dict[str, int]
    """Instances by name."""
    memories: list[tuple[Memory, int]]
    """Memories and how many there are."""
    timing: ModuleTiming

    def as_json(self) -> dict[str, Any]:
        """Returns the module as JSON data."""
        return asdict(self)

    @classmethod
    def from_json(cls, data: Mapping[str, Any]) -> MappedModule:
        """Reads back what :meth:`as_json` wrote."""
        memories = [(Memory(**memory), count) for memory, count in data["memories"]]
        timing = ModuleTiming.from_json(data["timing"])
        return cls(data["name"], data["area"], data["cells"], data["children"], memories, timing)


def base_name(name: str) -> str:
    r"""Returns the Verilog name of a module: ``delay_line`` of ``$paramod$1f..\delay_line`` and the like."""
    if not name.startswith("$paramod"):
        return name
    parts = name.split("\\")
    return parts[1]


def _bits(connections: Mapping[str, list[int | str]]) -> Iterator[tuple[str, int]]:
    """Yields pin bits that are on a net; constants are on none."""
    for pin, nets in connections.items():
        for index, net in enumerate(nets):
            if isinstance(net, int):
                yield f"{pin}[{index}]", net


def _cell_timing(cell: Cell) -> ModuleTiming:
    arcs = [(f"{source}[0]", f"{target}[0]", delay) for (source, target), delay in cell.arcs.items()]
    setup = {f"{pin}[0]": delay for pin, delay in cell.setup.items()}
    return ModuleTiming(arcs, setup, {f"{pin}[0]": delay for pin, delay in cell.launch.items()})


def _memory_timing(memory: Memory, fo4: float) -> ModuleTiming:
    address = [f"{side}_addr[{i}]" for side in ("read", "write") for i in range(memory.address_bits + memory.bank_bits)]
    data = [f"write_data[{i}]" for i in range(memory.width)]
    setup = dict.fromkeys(["read[0]", "write[0]", *address, *data], _MEMORY_SETUP_FO4 * fo4)
    access = access_fo4(memory.words, memory.width) * fo4
    return ModuleTiming([], setup, {f"read_data[{i}]": access for i in range(memory.width)})


def _memory(cell: Mapping[str, Any]) -> Memory:
    values = {key: int(value, 2) for key, value in cell["parameters"].items()}
    return Memory(values["WIDTH"], values["ADDR_BITS"], values["BANK_BITS"])


def cell_timings(library: Library) -> dict[str, ModuleTiming]:
    """Returns the timing of every cell of a library by name."""
    return {name: _cell_timing(cell) for name, cell in library.cells.items()}


def element_timing(cell: Mapping[str, Any], timings: Mapping[str, ModuleTiming], fo4: float) -> ModuleTiming:
    """Returns the timing of an instance of Yosys's JSON: a cell of the library, or a memory.

    Args:
        cell: The instance.
        timings: Those of the library.
        fo4: Delay of an inverter with fan-out 4, ps.
    """
    return _memory_timing(_memory(cell), fo4) if cell["type"] == MEMORY else timings[cell["type"]]


class _Mapper:
    def __init__(self, netlist: Mapping[str, Any], library: Library, fo4: float, known: dict[str, MappedModule]):
        self._netlist = netlist
        self._library = library
        self._fo4 = fo4
        self._timings = cell_timings(library)
        self.modules = known

    def module(self, name: str) -> MappedModule:
        """Returns a module, its children first."""
        if name not in self.modules:
            self.modules[name] = self._read(name)
        return self.modules[name]

    def _read(self, name: str) -> MappedModule:
        data = self._netlist[name]
        cells: Counter[str] = Counter()
        children: Counter[str] = Counter()
        memories: Counter[Memory] = Counter()
        elements = []
        for cell in data["cells"].values():
            kind = cell["type"]
            if kind in self._library.cells:
                cells[kind] += 1
                timing = element_timing(cell, self._timings, self._fo4)
            elif kind == MEMORY:
                memories[_memory(cell)] += 1
                timing = element_timing(cell, self._timings, self._fo4)
            elif kind in self._netlist or kind in self.modules:
                children[kind] += 1
                timing = self.module(kind).timing
            elif kind == "$scopeinfo":
                continue
            else:
                raise ToolError(f"synthesis left a cell {kind} in module {base_name(name)}: no cell of the library")
            elements.append(Element(timing, dict(_bits(cell["connections"]))))
        ports = data["ports"]

        def side(direction: str) -> dict[str, int]:
            return dict(_bits({port: p["bits"] for port, p in ports.items() if p["direction"] == direction}))

        timing = analyse(base_name(name), elements, side("input"), side("output"), self._fo4)
        area = sum(count * self._library.cells[kind].area for kind, count in cells.items())
        return MappedModule(name, area, dict(cells), dict(children), list(memories.items()), timing)


def read_netlist(
    netlist: Mapping[str, Any],
    wanted: list[str],
    library: Library,
    fo4: float,
    known: Mapping[str, MappedModule],
) -> dict[str, MappedModule]:
    """Reads modules from Yosys's JSON.

    Args:
        netlist: Its ``modules``.
        wanted: Names of the modules to read.
        library: The cells mapped to.
        fo4: Delay of an inverter with fan-out 4, ps.
        known: Children that were mapped before.

    Raises:
        ToolError: A cell is not of the library, or there is a combinational loop.
    """
    mapper = _Mapper(netlist, library, fo4, dict(known))
    return {name: mapper.module(name) for name in wanted}
