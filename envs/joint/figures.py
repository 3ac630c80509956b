"""Latency and energy of joint designs, looked up; tabulated array by array when the first design has it."""

from __future__ import annotations

from typing import ClassVar

import numpy as np
import numpy.typing as npt

from accelgym.costmodels.solvers.joint import MachineTables
from accelgym.costmodels.solvers.joint.residency import on_chip_traffic, peak_words
from accelgym.costmodels.systolic.model import SystolicModel
from accelgym.costmodels.workloads.equal_layers import EqualLayers, unnamed
from accelgym.costmodels.workloads.layer import Layer
from accelgym.envs.joint.machines import COUNTS, MachineSpace
from accelgym.envs.joint.network import PAIRS, JointNetwork
from accelgym.envs.joint.tables import MAPPINGS, slot_tables

__all__ = ["Figures"]

Bools = npt.NDArray[np.bool_]
Floats = npt.NDArray[np.float64]
Ints = npt.NDArray[np.int64]


class Figures:
    """Cycles and energy of a network on a list of machines.

    Args:
        machines: The list.
        network: The network.
    """

    version: ClassVar[list[str]] = ["joint", "1", SystolicModel.name, SystolicModel.version, SystolicModel.technology]

    def __init__(self, machines: MachineSpace, network: JointNetwork) -> None:
        self.machines, self.network = machines, network
        equal = EqualLayers.of(network.nests, _shape)
        self.kind = equal.group
        """Distinct slot of each slot."""
        self._slots = equal.first
        shape, kinds = machines.hardware_shape, (len(self._slots), len(MAPPINGS))
        self._cycles = np.zeros((*shape, *kinds, len(PAIRS), 2, 2))
        self._counts = np.zeros((*shape[:-1], *kinds, len(COUNTS)))
        self._runs = np.zeros(shape, dtype=bool)
        self._known = np.zeros(shape[:4], dtype=bool)

    @property
    def runs(self) -> Bools:
        """Whether a machine is known to run every slot, shape ``machines.hardware_shape``."""
        return self._runs

    def tabulate(self, wanted: Bools) -> None:
        """Makes sure that arrays with their buffers are tabulated, ``(templates, rows, columns, depths)``."""
        new = wanted & ~self._known
        if new.any():
            found = slot_tables(self.machines, self._slots, new)
            for name in ("cycles", "counts", "runs"):
                getattr(self, f"_{name}")[new] = getattr(found, name)[new]
            self._known |= new

    def evaluate(self, machine: Ints, pair: Ints, mapping: Ints, resident: Bools) -> tuple[Floats, Floats, Bools]:
        """Returns cycles, pJ, and whether the machine runs the network, shape ``(n,)`` each.

        Args:
            machine: Parameters of the machine, shape ``(n, parameters)``.
            pair: Of every layer, shape ``(n, layers)``.
            mapping: Of every layer.
            resident: Whether each edge stays on chip, shape ``(n, edges)``.
        """
        wanted = np.zeros_like(self._known)
        wanted[tuple(machine[:, 2:6].T)] = True
        self.tabulate(wanted)
        flags, words = on_chip_traffic(self.network.activations, resident)
        sets, srams, template, rows, columns, depth, port, stage = (part[:, None] for part in machine.T)
        on_input, on_output = flags >> 1, flags & 1
        core = template, rows, columns, depth, port
        cycles = self._cycles[(*core, stage, self.kind, mapping, pair, on_input, on_output)]
        counts = self._counts[(*core, self.kind, mapping)]
        price, per_cycle = self.machines.prices
        size = sets, srams, rows, columns, depth
        moved = (counts * price[(*size, pair, on_input, on_output)]).sum(axis=-1)
        latency = cycles.sum(axis=1)
        # Products one by one: a row of a batch is bit for bit the design alone.
        side = words * self.machines.word_prices[machine[:, 0], machine[:, 1]]
        energy = moved.sum(axis=1) + latency * per_cycle[size][:, 0] + (side[:, 0] + side[:, 1] + side[:, 2])
        return latency, energy, self._runs[tuple(machine[:, 2:].T)]

    def peak_words(self, resident: Bools) -> Ints:
        """Returns the most elements on chip at once, shape ``(n,)``."""
        return peak_words(self.network.activations, resident)

    def machine_tables(self, machines: Ints) -> MachineTables:
        """Returns the tables of machines, given by their flat indices, for the solver."""
        index = np.unravel_index(machines, self.machines.shape)
        sets, srams, template, rows, columns, depth, port, stage = index
        wanted = np.zeros_like(self._known)
        wanted[template, rows, columns, depth] = True
        self.tabulate(wanted)
        price, per_cycle = self.machines.prices
        size = sets, srams, rows, columns, depth
        latency = self._cycles[template, rows, columns, depth, port, stage]
        counts = self._counts[template, rows, columns, depth, port]
        energy = np.einsum("mskc,mpioc->mskpio", counts, price[size], optimize=True)
        energy += per_cycle[size].reshape(-1, *(1,) * 5) * latency
        kind = self.kind
        return MachineTables(
            latency[:, kind],
            energy[:, kind],
            self.machines.supports[sets],
            self.machines.word_prices[sets, srams],
            self.machines.room_words[sets, srams],
        )


def _shape(nests: tuple[Layer, ...]) -> tuple[Layer, ...]:
    return tuple(unnamed(nest) for nest in nests)
