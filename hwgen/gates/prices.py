"""What a transition of a net costs: the energy inside the cell that drives it, and the load it drives."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from accelgym.hwgen.gates.netlist import Netlist
from accelgym.hwgen.synthesis.liberty import Library

__all__ = ["Prices", "price"]

Floats = npt.NDArray[np.float64]
Counts = npt.NDArray[np.int64]

_EDGES = 2
"""Clock edges a cycle."""
_PJ_PER_FJ = 1e-3
_PJ_PER_NW_NS = 1e-6


@dataclass(frozen=True)
class Prices:
    """Energies of a netlist."""

    transition_fj: Floats
    """Of one transition, shape ``(nets,)``; 0 for the clock."""
    clock_fj: Floats
    """Of one cycle, by owner: the clock pins of the flip-flops; shape ``(owners,)``."""
    flip_flops: Counts
    """By owner."""
    leakage_nw: Floats | None
    """By owner; None where the library has no leakage."""
    owner: Counts
    """Owner of a net, shape ``(nets,)``."""

    def switching_pj(self, toggles: Counts) -> Floats:
        """Returns the energy of transitions by owner, shape ``(owners,)``.

        Args:
            toggles: Transitions of every net, shape ``(nets,)``.
        """
        owners = len(self.clock_fj)
        femtojoules = np.bincount(self.owner, weights=self.transition_fj * toggles, minlength=owners)
        return np.asarray(femtojoules * _PJ_PER_FJ, dtype=np.float64)

    def clock_pj(self, cycles: int) -> Floats:
        """Returns the energy of the clock by owner, shape ``(owners,)``."""
        return self.clock_fj * (cycles * _PJ_PER_FJ)

    def leakage_pj(self, cycles: int, clock_ghz: float) -> float | None:
        """Returns the leakage of all cells, or None where the library has none."""
        if self.leakage_nw is None:
            return None
        return float(self.leakage_nw.sum()) * cycles / clock_ghz * _PJ_PER_NW_NS


def price(netlist: Netlist, library: Library) -> Prices:
    """Prices a netlist with the energies of a library.

    A transition costs the internal energy of the output that drives the net, that of every input it reaches, and
    ``1/2 C V**2`` of input pins and wire. The pins of memories count as fan-out of the wire; what they hold is part
    of the law of memories. The clock is no net: flip-flops pay for their pin and its share of the wire, twice a cycle;
    buffers of a clock tree are not counted.

    Raises:
        InputError: The library has no energies.
    """
    library.require_energies()
    half_square = 0.5 * library.voltage**2
    internal = np.zeros(netlist.nets)
    load = np.zeros(netlist.nets)
    fanout = np.zeros(netlist.nets, dtype=np.int64)
    clock = np.zeros(len(netlist.owners))
    flip_flops = np.zeros(len(netlist.owners), dtype=np.int64)
    leakage = np.zeros(len(netlist.owners))
    edge_wire = library.wire(len(netlist.flip_flops)) / max(len(netlist.flip_flops), 1)
    for placed in netlist.cells:
        cell = placed.cell
        leakage[placed.owner] += cell.leakage_nw or 0.0
        flip_flops[placed.owner] += cell.flip_flop is not None
        for pin, net in placed.pins.items():
            energy, capacitance = cell.energies.get(pin, 0.0), cell.capacitances.get(pin)
            if cell.flip_flop is not None and pin == cell.flip_flop.clocked_on:
                clock[placed.owner] += _EDGES * (energy + half_square * ((capacitance or 0.0) + edge_wire))
                continue
            internal[net] += energy
            if capacitance is not None:
                load[net] += capacitance
                fanout[net] += 1
    for memory in netlist.memories:
        for pin, nets in memory.items():
            if pin != "read_data":
                np.add.at(fanout, nets, 1)
    wires = np.array([library.wire(count) for count in range(int(fanout.max()) + 1)])
    transition = internal + half_square * (load + wires[fanout])
    if netlist.clock is not None:
        transition[netlist.clock] = 0.0
    leaks = any(placed.cell.leakage_nw is not None for placed in netlist.cells)
    return Prices(transition, clock, flip_flops, leakage if leaks else None, netlist.net_owner)
