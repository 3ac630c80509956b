"""Machines of equal structure under one area budget: registers, SRAM and as many processing elements as fit."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Literal

from accelgym.costmodels.architecture.machine import Architecture, Leakage, StorageLevel
from accelgym.costmodels.components.technologies import Technology, technology
from accelgym.costmodels.errors import InputError
from accelgym.costmodels.timeloop.presets import preset

__all__ = ["ArchitectureFamily", "MachineSize"]


@dataclass(frozen=True)
class MachineSize:
    """One machine of a family."""

    registers: int
    """Words of the register file of a processing element."""
    sram_words: int
    pes: int
    architecture: Architecture


@dataclass(frozen=True)
class ArchitectureFamily:
    """Thistle's co-design space (CGO 2022, Section V): sizes are powers of two, processing elements fill the area.

    The base machine has a DRAM, an SRAM and, below one fan-out, register files and multipliers. Energy and area of
    the memories follow the technology's laws at every size. All processing elements lie in one row.

    Raises:
        InputError: The base machine has another structure, or no machine fits into the area.
    """

    base: Architecture
    prices: Technology
    registers: tuple[int, ...]
    """Sizes of the register file offered, words, ascending."""
    sram_words: tuple[int, ...]
    area_um2: float
    """Budget for memories and multipliers."""

    def __post_init__(self) -> None:
        fans = [level.fanout > 1 for level in self.base.levels]
        if len(self.base.levels) != 3 or fans != [False, True, False]:
            raise InputError(
                f"architecture {self.base.name!r}: co-design needs a DRAM, an SRAM and a fan-out of register files"
            )
        if not self.area_um2 > 0:
            raise InputError(f"area_um2 is {self.area_um2!r}, allowed > 0")
        for name in ("registers", "sram_words"):
            values = getattr(self, name)
            if not values or list(values) != sorted(set(values)) or values[0] < 1:
                raise InputError(f"{name} is {values!r}, allowed ascending sizes of at least one word")
        if not self.machines:
            raise InputError(f"no machine of the family of {self.base.name!r} fits into {self.area_um2:g} um2")

    @classmethod
    def thistle(
        cls,
        *,
        base: str = "eyeriss_thistle",
        area_um2: float | None = None,
        sram_unit: Literal["words", "bits"] = "words",
        registers: Sequence[int] = tuple(2**k for k in range(2, 10)),
        sram_words: Sequence[int] = tuple(2**k for k in range(8, 19)),
        prices: str = "thistle-table3",
        leakage: Leakage = "instances_in_use",
        dram_bandwidth: float | None = 4.0,
        sram_bandwidth: float | None = 16.0,
    ) -> ArchitectureFamily:
        """The paper's family: Table III, and the area of Eyeriss (2.364 mm2) unless stated.

        The paper gives no bandwidths; with unlimited ones every machine that fills its area is equally fast. The
        defaults are words per cycle, to read and to write.
        """
        machine = preset(base, prices=prices, sram_unit=sram_unit)
        limits = (dram_bandwidth, sram_bandwidth, *(None for _ in machine.levels[2:]))
        levels = tuple(replace(x, read_bw=b, write_bw=b) for x, b in zip(machine.levels, limits, strict=True))
        machine = replace(machine, levels=levels, leakage=leakage)
        area = machine.area_um2 if area_um2 is None else area_um2
        law = technology(prices, sram_unit=sram_unit)
        return cls(machine, law, tuple(registers), tuple(sram_words), area)

    @cached_property
    def machines(self) -> tuple[MachineSize, ...]:
        """All machines with at least two processing elements, registers varying slowest.

        A single one has no fan-out to spread loops over, and so another map space than its family.
        """
        found = []
        for registers in self.registers:
            for sram_words in self.sram_words:
                machine = self._machine(registers, sram_words)
                if machine is not None:
                    found.append(machine)
        return tuple(found)

    def _machine(self, registers: int, sram_words: int) -> MachineSize | None:
        dram, sram, file = self.base.levels
        sram, file = self._resized(sram, sram_words), self._resized(file, registers)
        pes = int((self.area_um2 - sram.area_um2) // (file.area_um2 + self.base.compute.area_um2))
        if pes < 2:
            return None
        name = f"{self.base.name}-R{registers}-S{sram_words}-P{pes}"
        levels = (dram, replace(sram, fanout_x=pes, fanout_y=1), file)
        return MachineSize(registers, sram_words, pes, replace(self.base, name=name, levels=levels))

    def _resized(self, level: StorageLevel, words: int) -> StorageLevel:
        cost = self.prices.component(
            level.component,
            depth=-(-words // level.block_size),
            width=level.word_bits * level.block_size,
            attributes=level.attributes,
        )
        return replace(
            level,
            capacity_words=words,
            read_pj=cost.read_pj,
            write_pj=cost.write_pj,
            area_um2=cost.area_um2,
            leakage_pj=cost.leakage_pj,
        )

    @cached_property
    def widest(self) -> Architecture:
        """A machine with the largest of everything: every mapping of any machine fits it."""
        dram, sram, file = self.machines[0].architecture.levels
        most = max(machine.pes for machine in self.machines)
        levels = (
            dram,
            replace(sram, capacity_words=max(self.sram_words), fanout_x=most, fanout_y=1),
            replace(file, capacity_words=max(self.registers)),
        )
        return replace(self.base, name=f"{self.base.name}-widest", levels=levels)
