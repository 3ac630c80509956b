"""The ``maestro`` cost model: MAESTRO's analysis of ConfuciuX's designs, with or without the program's faults."""

from __future__ import annotations

from dataclasses import dataclass
from functools import partial

from accelgym.costmodels.arrays import Array
from accelgym.costmodels.costs import Costs
from accelgym.costmodels.errors import InputError
from accelgym.costmodels.maestro import closed_form, hardware
from accelgym.costmodels.maestro.batch import Compiled, LazyBreakdown, blockwise, cleared, counts_of
from accelgym.costmodels.maestro.columns import Batch, LayerColumns
from accelgym.costmodels.maestro.designs import ResourceDesigns
from accelgym.costmodels.maestro.faults import FIXED, MAESTRO_FAULTS, Faults
from accelgym.costmodels.maestro.technology import MAESTRO_28NM

__all__ = ["CONFUCIUX_NOC_BW", "MaestroModel", "costs_of"]

CONFUCIUX_NOC_BW = 81_920_000
"""NoC bandwidth ConfuciuX runs MAESTRO with, elements per cycle: so much that the NoC never limits."""


@dataclass(frozen=True)
class MaestroModel:
    """MAESTRO's analytical model for the four dataflows of ConfuciuX, on batches.

    Reproduces MAESTRO at commit 4eb08d17 (MIT licence) driven as by ConfuciuX at commit 2885eef6: one cluster of
    ``num_pes`` PEs, ``buffer_level`` output channels (``dpt``: channels) tiled per PE, stride 1, no padding, one
    byte per element, ``noc_hops=1``, ``noc_hop_latency=1``, one SIMD lane. With ``compat`` every number equals the
    program's. Without, its known faults are mended; see :class:`Faults` for each. There is no DRAM in either.

    Units: cycles; pJ (the program prints nJ); area and power as the program's constants suggest, um^2 and mW.

    Attributes:
        compat: Whether to repeat the program's faults.
        noc_bw: NoC bandwidth in elements per cycle for designs that state none; ``None`` means unlimited, and
            then no bus is counted in area and power.
        faults: Switches fault by fault; overrides ``compat``.

    Raises:
        InputError: ``noc_bw`` is below 1.
    """

    compat: bool = True
    noc_bw: int | None = CONFUCIUX_NOC_BW
    faults: Faults | None = None

    def __post_init__(self) -> None:
        if self.noc_bw is not None and self.noc_bw < 1:
            raise InputError(f"model 'maestro': noc_bw is {self.noc_bw}, allowed: integers >= 1, or none")

    @property
    def name(self) -> str:
        """Name in the registry."""
        return "maestro"

    @property
    def version(self) -> str:
        """Version of the model and which faults it has."""
        if self.switches == MAESTRO_FAULTS:
            return "1-compat"
        return "1-fixed" if self.switches == FIXED else "1-custom"

    @property
    def technology(self) -> str:
        """Name of the technology table."""
        return MAESTRO_28NM.name

    @property
    def switches(self) -> Faults:
        """The faults in force."""
        if self.faults is not None:
            return self.faults
        return MAESTRO_FAULTS if self.compat else FIXED

    def evaluate(self, designs: ResourceDesigns) -> Costs:
        """Returns the costs of every design.

        The breakdown holds ``energy_nj``, ``l1_bytes`` (per PE), ``l2_bytes``, ``input_l2_reads``,
        ``filter_l2_reads``, ``output_l2_writes`` (elements), ``macs`` and ``utilisation`` (MACs per cycle and PE).
        """
        batch = Batch.of(designs, self.noc_bw)
        columns = blockwise(batch, Compiled(costs_of, self.switches), _COLUMNS)
        details = partial(blockwise, batch, Compiled(_details, self.switches), _DETAILS)
        return Costs(
            **columns,
            model=self.name,
            version=self.version,
            technology=self.technology,
            breakdown=LazyBreakdown(tuple(_DETAILS), details),
        )

    def latency(self, designs: ResourceDesigns) -> Array:
        """Returns the cycles of every design for a NoC that never limits, float64; no validity is checked."""
        batch = Batch.of(designs, None)
        return blockwise(batch, Compiled(_latency, self.switches), {"cycles": "float64"})["cycles"]


_COLUMNS = {
    "latency_cycles": "int64",
    "energy_pj": "float64",
    "area_um2": "float64",
    "power_mw": "float64",
    "valid": "bool",
    "reason": "int8",
}
_DETAILS = {
    "energy_nj": "float64",
    "l1_bytes": "int64",
    "l2_bytes": "int64",
    "input_l2_reads": "int64",
    "filter_l2_reads": "int64",
    "output_l2_writes": "int64",
    "macs": "int64",
    "utilisation": "float64",
}


def _latency(p: LayerColumns, depthwise: Array, *, faults: Faults) -> dict[str, Array]:
    return {"cycles": closed_form.latency(p, faults)}


def costs_of(p: LayerColumns, depthwise: Array, *, faults: Faults) -> dict[str, Array]:
    """Works out the columns of :class:`Costs` for designs that all use one dataflow."""
    counts = counts_of(p, depthwise, faults)
    l1, l2 = counts["l1_bytes"], counts["l2_bytes"]
    figures = {
        "latency_cycles": counts["latency_cycles"],
        "energy_pj": _energy_nj(p, faults, counts) * 1000.0,
        "area_um2": hardware.area_um2(p, MAESTRO_28NM, l1, l2),
        "power_mw": hardware.power_mw(p, MAESTRO_28NM, l1, l2),
        "valid": counts["reason"] == 0.0,
        "reason": counts["reason"],
    }
    return cleared(p, figures)


def _details(p: LayerColumns, depthwise: Array, *, faults: Faults) -> dict[str, Array]:
    counts = counts_of(p, depthwise, faults)
    figures = counts | {
        "energy_nj": _energy_nj(p, faults, counts),
        "utilisation": counts["macs"] / (counts["latency_cycles"] * p.P),
        "valid": counts["reason"] == 0.0,
    }
    return cleared(p, figures)


def _energy_nj(p: LayerColumns, faults: Faults, counts: dict[str, Array]) -> Array:
    return hardware.energy_nj(
        p,
        faults,
        MAESTRO_28NM,
        macs=counts["macs"],
        counted_macs=counts["counted_macs"],
        reads=counts["input_l2_reads"] + counts["filter_l2_reads"],
        writes=counts["output_l2_writes"],
    )
