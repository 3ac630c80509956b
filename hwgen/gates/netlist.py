"""A mapped design without its hierarchy: gates in topological order, flip-flops and memories over numbered nets."""

from __future__ import annotations

import struct
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from accelgym.costmodels.errors import InputError
from accelgym.hwgen.gates.boolean import truth_table
from accelgym.hwgen.synthesis.liberty import Cell, Library
from accelgym.hwgen.synthesis.modules import base_name
from accelgym.hwgen.synthesis.report import PART_OF
from accelgym.hwgen.synthesis.yosys import MEMORY
from accelgym.hwgen.toolchain import ToolError

__all__ = ["MAX_INPUTS", "Netlist", "Owner", "Placed", "flatten"]

Ints = npt.NDArray[np.int64]
Module = Mapping[str, Any]
"""``ports`` and ``cells`` of a module in Yosys's JSON."""

MAX_INPUTS = 6
"""Of a gate."""
_MEMORY_PINS = ("write", "write_addr", "write_data", "read", "read_addr", "read_data")
_CONSTANTS = {"0": 0, "1": 1, "x": 0, "z": 0}


@dataclass(frozen=True)
class Owner:
    """Whose energy a net or cell is."""

    module: str
    part: str


@dataclass(frozen=True)
class Placed:
    """A cell of the library in the design."""

    cell: Cell
    pins: dict[str, int]
    """Net of every connected pin."""
    owner: int
    """Index into :attr:`Netlist.owners`."""


@dataclass(frozen=True)
class Netlist:
    """A design as cells over nets; net 0 is constant 0, net 1 constant 1."""

    nets: int
    ports: dict[str, list[int]]
    """Nets of the ports of the top module, least significant first."""
    cells: list[Placed]
    gates: list[tuple[int, tuple[int, ...], int]]
    """Truth table, inputs and output, in topological order; a cell with two outputs is two gates."""
    flip_flops: list[tuple[int, int]]
    """Nets of data and state."""
    clock: int | None
    memories: list[dict[str, list[int]]]
    """Nets of each pin of ``bank_memory``, least significant first."""
    owners: list[Owner]
    net_owner: Ints
    """Owner of the module instance that drives a net, shape ``(nets,)``."""

    def write(self, path: Path, ports: tuple[str, ...]) -> None:
        """Writes what ``harness/gates.h`` reads.

        Args:
            path: The file.
            ports: Names of the ports in the order in which the harness counts them.
        """

        def numbers(nets: list[int]) -> bytes:
            return struct.pack(f"<I{len(nets)}I", len(nets), *nets)

        with path.open("wb") as file:
            file.write(struct.pack("<II", self.nets, len(self.gates)))
            for table, inputs, output in self.gates:
                pins = (*inputs, *(0,) * (MAX_INPUTS - len(inputs)))
                file.write(struct.pack("<Q7I", table, *pins, output))
            file.write(struct.pack("<I", len(self.flip_flops)))
            for data, state in self.flip_flops:
                file.write(struct.pack("<II", data, state))
            file.write(struct.pack("<I", len(self.memories)))
            for memory in self.memories:
                for pin in _MEMORY_PINS:
                    file.write(numbers(memory[pin]))
            file.write(struct.pack("<I", len(ports)))
            for port in ports:
                file.write(numbers(self.ports[port]))


class _Nets:
    """Numbers for nets; two that turn out to be one are joined."""

    def __init__(self) -> None:
        self._parent = [0, 1]
        self.owner = [0, 0]

    def new(self, owner: int) -> int:
        self._parent.append(len(self._parent))
        self.owner.append(owner)
        return len(self._parent) - 1

    def root(self, net: int) -> int:
        while self._parent[net] != net:
            self._parent[net] = self._parent[self._parent[net]]
            net = self._parent[net]
        return net

    def join(self, one: int, other: int) -> None:
        low, high = sorted((self.root(one), self.root(other)))
        self._parent[high] = low

    def compact(self) -> Ints:
        """Returns consecutive numbers for the nets, shape ``(nets made,)``."""
        roots = np.array([self.root(net) for net in range(len(self._parent))])
        found: Ints = np.unique(roots, return_inverse=True)[1].reshape(-1)
        return found


class _Flattener:
    def __init__(self, modules: Mapping[str, Module], library: Library) -> None:
        self._modules = modules
        self._library = library
        self.nets = _Nets()
        self.owners: list[Owner] = []
        self._owner_numbers: dict[Owner, int] = {}
        self.cells: list[tuple[Cell, dict[str, int], int]] = []
        self.memories: list[dict[str, list[int]]] = []

    def owner(self, module: str, part: str) -> int:
        owner = Owner(module, part)
        if owner not in self._owner_numbers:
            self._owner_numbers[owner] = len(self.owners)
            self.owners.append(owner)
        return self._owner_numbers[owner]

    def expand(self, name: str, part: str, outer: Mapping[str, list[int]]) -> dict[str, list[int]]:
        """Adds an instance; ``outer`` has the nets around its ports. Returns the nets of all its ports."""
        module = self._modules[name]
        part = PART_OF.get(base_name(name), part)
        owner = self.owner(base_name(name), part)
        local: dict[int, int] = {}

        def net(bit: int | str) -> int:
            if isinstance(bit, str):
                return _CONSTANTS[bit]
            if bit not in local:
                local[bit] = self.nets.new(owner)
            return local[bit]

        ports = {}
        for port, data in module["ports"].items():
            around = outer.get(port, [])
            for bit, there in zip(data["bits"], around, strict=bool(around)):
                if isinstance(bit, int) and bit not in local:
                    local[bit] = there
                else:
                    self.nets.join(net(bit), there)
                if data["direction"] == "output":
                    self.nets.owner[there] = owner
            ports[port] = [net(bit) for bit in data["bits"]]
        for cell in module["cells"].values():
            kind = cell["type"]
            pins = {pin: [net(bit) for bit in bits] for pin, bits in cell["connections"].items()}
            if kind in self._library.cells:
                single = {pin: nets[0] for pin, nets in pins.items() if nets}
                self.cells.append((self._library.cells[kind], single, owner))
            elif kind == MEMORY:
                self.memories.append({pin: pins[pin] for pin in _MEMORY_PINS})
            elif kind in self._modules:
                self.expand(kind, part, pins)
            elif kind != "$scopeinfo":
                raise ToolError(f"netlist: module {base_name(name)} has a cell {kind}: no cell of the library")
        return ports


def flatten(modules: Mapping[str, Module], top: str, library: Library) -> Netlist:
    """Dissolves the hierarchy of a mapped design.

    Args:
        modules: ``ports`` and ``cells`` of every module by name, in Yosys's JSON.
        top: Name of the top module.
        library: The cells mapped to.

    Raises:
        InputError: A function of the library cannot be read, or has more than :data:`MAX_INPUTS` inputs.
        ToolError: A cell is not of the library, flip-flops have several clocks, or there is a combinational loop.
    """
    flattener = _Flattener(modules, library)
    ports = flattener.expand(top, "address_control", {})
    numbers = flattener.nets.compact()
    net_owner = np.zeros(int(numbers.max()) + 1, dtype=np.int64)
    # Later nets are joined to earlier ones; the earliest carries what drives it.
    net_owner[numbers[::-1]] = np.array(flattener.nets.owner)[::-1]

    def known(nets: list[int]) -> list[int]:
        return [int(numbers[net]) for net in nets]

    cells = [
        Placed(cell, {pin: int(numbers[net]) for pin, net in pins.items()}, owner)
        for cell, pins, owner in flattener.cells
    ]
    extra = _ExtraNets(len(net_owner))
    gates: list[tuple[int, tuple[int, ...], int]] = []
    flip_flops: list[tuple[int, int]] = []
    clocks: set[int] = set()
    functions = _Functions()
    for placed in cells:
        if placed.cell.flip_flop is None:
            gates += functions.gates(placed)
        else:
            clocks.add(_flip_flop(placed, flip_flops, gates, extra))
    if len(clocks) > 1:
        raise ToolError(f"netlist: flip-flops of {top} have {len(clocks)} clocks, allowed 1")
    memories = [{pin: known(nets) for pin, nets in memory.items()} for memory in flattener.memories]
    return Netlist(
        nets=extra.nets,
        ports={name: known(nets) for name, nets in ports.items()},
        cells=cells,
        gates=_in_order(gates, extra.nets),
        flip_flops=flip_flops,
        clock=next(iter(clocks), None),
        memories=memories,
        owners=flattener.owners,
        net_owner=np.concatenate([net_owner, np.zeros(extra.nets - len(net_owner), dtype=np.int64)]),
    )


class _ExtraNets:
    def __init__(self, nets: int) -> None:
        self.nets = nets

    def new(self) -> int:
        self.nets += 1
        return self.nets - 1


class _Functions:
    """The truth tables of cells, each worked out once."""

    def __init__(self) -> None:
        self._known: dict[str, list[tuple[str, int, tuple[str, ...]]]] = {}

    def gates(self, placed: Placed) -> Iterator[tuple[int, tuple[int, ...], int]]:
        cell = placed.cell
        if cell.name not in self._known:
            inputs = tuple(cell.capacitances)
            if len(inputs) > MAX_INPUTS:
                raise InputError(f"liberty cell {cell.name!r}: {len(inputs)} inputs, allowed at most {MAX_INPUTS}")
            self._known[cell.name] = [
                (output, truth_table(function, inputs), inputs) for output, function in cell.functions.items()
            ]
        for output, table, inputs in self._known[cell.name]:
            if output in placed.pins:
                yield table, tuple(placed.pins.get(pin, 0) for pin in inputs), placed.pins[output]


_INVERT = 0b01


def _flip_flop(
    placed: Placed,
    flip_flops: list[tuple[int, int]],
    gates: list[tuple[int, tuple[int, ...], int]],
    extra: _ExtraNets,
) -> int:
    """Adds a flip-flop and the inverters at its outputs; returns the net of its clock."""
    cell, kind = placed.cell, placed.cell.flip_flop
    assert kind is not None
    if kind.clocked_on not in placed.pins or kind.next_state not in placed.pins:
        raise InputError(
            f"liberty flip-flop {cell.name!r}: clocked_on {kind.clocked_on!r} and next_state {kind.next_state!r}, "
            "allowed are names of pins"
        )
    state = next((placed.pins[p] for p, f in cell.functions.items() if f == kind.state and p in placed.pins), None)
    if state is None:
        state = extra.new()
    for pin, function in cell.functions.items():
        if function == kind.inverted and pin in placed.pins:
            gates.append((_INVERT, (state,), placed.pins[pin]))
    flip_flops.append((placed.pins[kind.next_state], state))
    return placed.pins[kind.clocked_on]


def _in_order(gates: list[tuple[int, tuple[int, ...], int]], nets: int) -> list[tuple[int, tuple[int, ...], int]]:
    driver = [-1] * nets
    for index, (_, _, output) in enumerate(gates):
        if driver[output] >= 0:
            raise ToolError(f"netlist: net {output} has two drivers")
        driver[output] = index
    waits = [0] * len(gates)
    readers: list[list[int]] = [[] for _ in gates]
    for index, (_, inputs, _) in enumerate(gates):
        for net in inputs:
            if driver[net] >= 0:
                waits[index] += 1
                readers[driver[net]].append(index)
    ready = [index for index, count in enumerate(waits) if not count]
    order = []
    for index in ready:  # grows
        order.append(gates[index])
        for reader in readers[index]:
            waits[reader] -= 1
            if not waits[reader]:
                ready.append(reader)
    if len(order) != len(gates):
        raise ToolError(f"netlist: {len(gates) - len(order)} gates lie on or behind a combinational loop")
    return order
