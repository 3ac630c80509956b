"""Static timing, module by module: what a parent needs to know of a child's paths.

Every path that crosses a module boundary is cut there and its parts are kept, so the longest path of the whole
design is found without flattening it. Delays come from the liberty file. A net that drives more than four pins
has a tree of buffers, one inverter delay with fan-out 4 per factor of four; every module that a net enters
counts its own pins, and a module that drives a net inside and outside has a branch for either.
"""

from __future__ import annotations

import math
from collections import defaultdict
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from typing import Any

import numpy as np
import numpy.typing as npt

from accelgym.hwgen.toolchain import ToolError

__all__ = ["Element", "ModuleTiming", "analyse"]

Floats = npt.NDArray[np.float64]
Net = int


@dataclass(frozen=True)
class ModuleTiming:
    """The paths of a module, ps; a bit of a port is ``"name[index]"``."""

    arcs: list[tuple[str, str, float]] = field(default_factory=list)
    """From an input bit to an output bit without a register."""
    captured: dict[str, float] = field(default_factory=dict)
    """From an input bit into a register."""
    launched: dict[str, float] = field(default_factory=dict)
    """From a register to an output bit."""
    internal: float = 0.0
    """From register to register, children included."""
    slowest: str = ""
    """The module that the internal path belongs to."""

    def as_json(self) -> dict[str, Any]:
        """Returns the timing as JSON data."""
        return asdict(self)

    @classmethod
    def from_json(cls, data: Mapping[str, Any]) -> ModuleTiming:
        """Reads back what :meth:`as_json` wrote."""
        arcs = [(source, target, delay) for source, target, delay in data["arcs"]]
        return cls(arcs, data["captured"], data["launched"], data["internal"], data["slowest"])

    @property
    def longest(self) -> float:
        """The longest path when inputs arrive at, and outputs are due at, the clock edge."""
        paths = [self.internal, *self.captured.values(), *self.launched.values(), *(arc[2] for arc in self.arcs)]
        return max(paths)


@dataclass(frozen=True)
class Element:
    """A cell or child of a module: its paths and which net every pin bit is on."""

    timing: ModuleTiming
    nets: Mapping[str, Net]


class _Graph:
    def __init__(self) -> None:
        self.edges: dict[Net, list[tuple[Net, float]]] = defaultdict(list)
        self.fan_in: dict[Net, int] = defaultdict(int)
        self.sinks: dict[Net, int] = defaultdict(int)
        self.launch: dict[Net, float] = {}
        self.capture: dict[Net, float] = {}

    def add(self, element: Element) -> None:
        timing, nets = element.timing, element.nets
        for source, target, delay in timing.arcs:
            if source in nets and target in nets:
                self.edges[nets[source]].append((nets[target], delay))
                self.fan_in[nets[target]] += 1
        for pins in (timing.captured, dict.fromkeys(source for source, _, _ in timing.arcs)):
            for pin in pins:
                if pin in nets:
                    self.sinks[nets[pin]] += 1
        for pin, delay in timing.captured.items():
            if pin in nets:
                self.capture[nets[pin]] = max(delay, self.capture.get(nets[pin], 0.0))
        for pin, delay in timing.launched.items():
            if pin in nets:
                self.launch[nets[pin]] = max(delay, self.launch.get(nets[pin], 0.0))

    def order(self) -> list[Net]:
        """Returns the nets in topological order.

        Raises:
            ToolError: There is a combinational loop.
        """
        left = dict(self.fan_in)
        nets = {*self.edges, *self.fan_in, *self.launch, *self.capture}
        ready = [net for net in nets if not left.get(net)]
        order = []
        while ready:
            net = ready.pop()
            order.append(net)
            for target, _ in self.edges.get(net, ()):
                left[target] -= 1
                if not left[target]:
                    ready.append(target)
        if len(order) != len(nets):
            raise ToolError(f"timing: {len(nets) - len(order)} nets lie on or behind a combinational loop")
        return order


def analyse(
    name: str,
    elements: list[Element],
    inputs: Mapping[str, Net],
    outputs: Mapping[str, Net],
    fo4: float,
) -> ModuleTiming:
    """Returns the paths of a module.

    Args:
        name: Name of the module.
        elements: Its cells and children.
        inputs: Net of every input bit.
        outputs: Net of every output bit.
        fo4: Delay of an inverter with fan-out 4, ps.

    Raises:
        ToolError: There is a combinational loop.
    """
    graph = _Graph()
    for element in elements:
        graph.add(element)
    bits = list(inputs)
    arrival: dict[Net, float] = dict(graph.launch)
    # Only nets that an input reaches without a register carry a row: one arrival per input bit.
    reach: dict[Net, Floats] = {}
    for index, bit in enumerate(bits):
        row = reach.setdefault(inputs[bit], np.full(len(bits), -np.inf))
        row[index] = 0.0
    buffered: dict[Net, float] = {}
    for net in graph.order():
        tree = buffered[net] = fo4 * max(math.log(max(graph.sinks[net], 1) / 4, 4), 0.0)
        launched, rows = arrival.get(net), reach.get(net)
        for target, delay in graph.edges.get(net, ()):
            step = delay + tree
            if launched is not None:
                arrival[target] = max(arrival.get(target, 0.0), launched + step)
            if rows is not None:
                known = reach.get(target)
                reach[target] = rows + step if known is None else np.maximum(known, rows + step)

    internal, slowest = max(
        ((e.timing.internal, e.timing.slowest) for e in elements), default=(0.0, ""), key=lambda path: path[0]
    )
    captured: dict[str, float] = {}
    for net, setup in graph.capture.items():
        if net in arrival and (path := arrival[net] + buffered[net] + setup) > internal:
            internal, slowest = path, name
        if net in reach:
            for index in np.flatnonzero(np.isfinite(reach[net])).tolist():
                bit, into = bits[index], float(reach[net][index]) + buffered[net] + setup
                captured[bit] = max(into, captured.get(bit, 0.0))
    arcs = []
    for bit, net in outputs.items():
        if net in reach:
            found = np.flatnonzero(np.isfinite(reach[net]))
            arcs += [(bits[index], bit, float(reach[net][index])) for index in found]
    launched_bits = {bit: arrival[net] for bit, net in outputs.items() if net in arrival}
    return ModuleTiming(arcs, captured, launched_bits, internal, slowest)
