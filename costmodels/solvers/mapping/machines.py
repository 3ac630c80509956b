"""Machines as tables of numbers, so that one batch of programs may span many of them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from accelgym.costmodels.architecture.machine import Architecture
from accelgym.costmodels.loopnest.kernel import access_pj

__all__ = ["MachineTable"]

Floats = npt.NDArray[np.float64]
Ints = npt.NDArray[np.int64]


@dataclass(frozen=True)
class MachineTable:
    """Machines that differ in sizes and prices only; arrays of shape ``(machines, levels)`` unless said otherwise.

    Energies are per word: a physical access of a block divided by its words.
    """

    architectures: tuple[Architecture, ...]
    read_pj: Floats
    fill_pj: Floats
    update_pj: Floats
    capacity: Floats
    """Words that tiles may occupy, ``inf`` where unlimited."""
    fanout_x: Ints
    fanout_y: Ints
    ports: tuple[tuple[tuple[str, ...], Floats], ...]
    """Kinds of access that share a bandwidth, and that bandwidth in words per cycle, ``inf`` where unlimited."""
    mac_pj: Floats
    """Shape ``(machines,)``."""
    standing_pj: Floats
    """Leakage per cycle whatever is in use, shape ``(machines,)``."""
    leakage_pj: Floats
    """Leakage per cycle and instance in use."""

    @classmethod
    def of(cls, architectures: Sequence[Architecture]) -> MachineTable:
        """Tabulates machines with the same levels."""

        def table(value: object) -> Floats:
            return np.array([[value(level) for level in a.levels] for a in architectures], dtype=np.float64)  # type: ignore[operator]

        gated = np.array([a.leakage == "instances_in_use" for a in architectures])
        ports = []
        for position in range(len(architectures[0].levels[0].ports)):
            names = architectures[0].levels[0].ports[position][0]
            ports.append((names, table(lambda x, p=position: _or_infinite(x.ports[p][1]))))
        return cls(
            tuple(architectures),
            table(lambda x: x.read_pj / x.block_size),
            table(lambda x: access_pj(x, "fills") / x.block_size),
            table(lambda x: access_pj(x, "updates") / x.block_size),
            table(lambda x: _or_infinite(x.tile_capacity)),
            table(lambda x: x.fanout_x).astype(np.int64),
            table(lambda x: x.fanout_y).astype(np.int64),
            tuple(ports),
            np.array([a.compute.mac_pj for a in architectures]),
            np.array([0.0 if x else a.whole_leakage_pj for x, a in zip(gated, architectures, strict=True)]),
            table(lambda x: x.leakage_pj) * gated[:, None],
        )

    def take(self, rows: Sequence[int]) -> MachineTable:
        """Returns some of the machines."""
        return MachineTable.of([self.architectures[row] for row in rows])

    def __len__(self) -> int:
        return len(self.architectures)


def _or_infinite(value: float | None) -> float:
    return float("inf") if value is None else float(value)
