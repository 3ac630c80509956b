"""Latency and energy of joint designs, looked up; tabulated array by array when the first design has it."""

from __future__ import annotations

from functools import cached_property
from typing import ClassVar

import numpy as np
import numpy.typing as npt

from accelgym.costmodels.solvers.joint import MachineTables
from accelgym.costmodels.solvers.joint.residency import peak_words
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
            self._cycles[new], self._counts[new], self._runs[new] = found.cycles[new], found.counts[new], found.runs[new]
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
        flags, words = self.traffic(resident)
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

    def traffic(self, resident: Bools) -> tuple[Ints, Ints]:
        """Returns what on-chip activations change.

        Returns:
            By layer 2 if the input is on chip plus 1 if the output goes nowhere else, ``(n, layers)``; and the elements
            that vector operations read from memory and from the SRAM, and that are written there beside memory,
            ``(n, 3)``.
        """
        activations = self.network.activations
        flags = np.zeros((len(resident), len(activations.layers)), dtype=np.int64)
        words = np.zeros((len(resident), 3), dtype=np.int64)
        for layer, (operands, outgoing) in enumerate(self._edges_of):
            if operands:
                flags[:, layer] += 2 * resident[:, operands].all(axis=1)
            if outgoing:
                kept = resident[:, outgoing]
                alone = kept.all(axis=1) & (not activations.leaves[layer])
                flags[:, layer] += alone
                words[:, 2] += activations.words[layer] * (kept.any(axis=1) & ~alone)
        side = self._side_words
        words[:, 1] = resident @ side
        words[:, 0] = side.sum() - words[:, 1]
        return flags, words

    def peak_words(self, resident: Bools) -> Ints:
        """Returns the most elements on chip at once, shape ``(n,)``."""
        return peak_words(self.network.activations, resident)

    @cached_property
    def _edges_of(self) -> list[tuple[list[int], list[int]]]:
        """Edges that each layer streams, and those that leave it."""
        edges = self.network.activations.edges
        return [
            (
                [i for i, e in enumerate(edges) if e.consumer == layer and e.operand],
                [i for i, e in enumerate(edges) if e.producer == layer],
            )
            for layer in range(len(self.network.slots))
        ]

    @cached_property
    def _side_words(self) -> Ints:
        return np.array([edge.side_words for edge in self.network.activations.edges], dtype=np.int64)

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
