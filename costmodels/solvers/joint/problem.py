"""Tables of the joint problem: one machine for all layers, and per layer types, mapping and activations on chip."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from accelgym.costmodels.objective import Objective
from accelgym.costmodels.workloads.activations import Activations

__all__ = ["Choice", "JointProblem", "MachineTables"]

Bools = npt.NDArray[np.bool_]
Floats = npt.NDArray[np.float64]
Ints = npt.NDArray[np.int64]


@dataclass(frozen=True)
class MachineTables:
    """Figures of some machines, arrays whose first axis runs over them."""

    latency: Floats
    """Cycles, shape ``(machines, layers, mappings, pairs, 2, 2)``: whether the input, and the output, is on chip."""
    energy: Floats
    """pJ, the same shape."""
    supports: Bools
    """Which pairs of types the machine takes, shape ``(machines, pairs)``."""
    word_prices: Floats
    """pJ of an element read from memory, read from and written to the shared SRAM, shape ``(machines, 3)``: of readings
    by vector operations, and of outputs that are kept on chip beside memory."""
    room: Ints
    """Elements that the shared SRAM holds, shape ``(machines,)``."""

    def of(self, rows: Ints | slice) -> MachineTables:
        """Returns the tables of some of the machines."""
        return MachineTables(
            self.latency[rows], self.energy[rows], self.supports[rows], self.word_prices[rows], self.room[rows]
        )


@dataclass(frozen=True)
class JointProblem:
    """One machine, and per layer one pair of types and one mapping, and per activation edge whether it stays on chip.

    Latency and energy add up over layers, which run one after the other. The losses add up and are limited. What an
    activation takes of the shared SRAM it takes from the layer that writes it to the last layer that reads it there.
    """

    activations: Activations
    losses: Ints
    """Shape ``(layers, pairs)``, none negative."""
    limit: int
    """Of their sum."""
    machines: Ints
    """Machines to choose from."""
    rooms: Ints
    """Elements that the shared SRAM of each holds."""
    tables: Callable[[Ints], MachineTables]
    """Figures of machines, given by their numbers."""
    objective: Objective

    @property
    def layers(self) -> int:
        """Number of layers."""
        return len(self.losses)


@dataclass(frozen=True)
class Choice:
    """A design."""

    machine: int
    mapping: tuple[int, ...]
    """Of every layer."""
    pair: tuple[int, ...]
    resident: tuple[bool, ...]
    """Of every edge."""
