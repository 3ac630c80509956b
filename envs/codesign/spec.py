"""What defines a co-design task, validated with errors that name the key."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field

from accelgym.costmodels.architecture.family import ArchitectureFamily
from accelgym.costmodels.objective import Objective
from accelgym.envs.mapping.spec import MappingSpec

__all__ = ["CoDesignSpec"]

Sizes = tuple[Annotated[int, Field(ge=1, le=2**24)], ...]


class CoDesignSpec(MappingSpec):
    """Arguments of ``accelgym/CoDesign-v0``."""

    architecture: str = "eyeriss_thistle"
    """Preset whose structure the machines share and whose area is the budget. ``arch`` for short."""
    objective: Objective = Objective.ENERGY
    """Proven in seconds for every layer of Table II; the delay of large layers keeps a gap."""
    bypass: Literal[False] = False
    """Every level keeps every tensor."""
    technology: str = "thistle-table3"
    """Prices memories and multipliers at every size."""
    sram_unit: Literal["words", "bits"] = "words"
    """What Thistle's SRAM constant multiplies the root of."""
    area_um2: float | None = Field(default=None, gt=0.0)
    """Budget for memories and multipliers, um2; the preset's own by default."""
    dram_bandwidth: float | None = Field(default=4.0, gt=0.0)
    """Words per cycle that the DRAM reads, and writes; ``None`` is unlimited."""
    sram_bandwidth: float | None = Field(default=16.0, gt=0.0)
    """Words per cycle that the SRAM reads, and writes."""
    registers: Sizes = tuple(2**k for k in range(2, 10))
    """Words of the register file of a processing element to choose from, ascending."""
    sram_words: Sizes = tuple(2**k for k in range(8, 19))
    """Words of the SRAM to choose from, ascending."""

    def family(self) -> ArchitectureFamily:
        """Builds the machines.

        Raises:
            InputError: The preset has another structure, or nothing fits into the area.
        """
        return ArchitectureFamily.thistle(
            base=self.architecture,
            prices=self.technology,
            sram_unit=self.sram_unit,
            area_um2=self.area_um2,
            registers=self.registers,
            sram_words=self.sram_words,
            leakage=self.leakage or "instances_in_use",
            dram_bandwidth=self.dram_bandwidth,
            sram_bandwidth=self.sram_bandwidth,
        )
