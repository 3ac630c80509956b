"""The ``physical`` cost model: ConfuciuX's designs on hardware whose buffers, wires and memory cost what they cost."""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache, partial

import numpy as np
import numpy.typing as npt

from accelgym.costmodels.arrays import Array, array_namespace
from accelgym.costmodels.costs import Costs
from accelgym.costmodels.errors import InputError
from accelgym.costmodels.expressions import Recorder
from accelgym.costmodels.maestro.batch import Compiled, LazyBreakdown, blockwise, cleared, counts_of
from accelgym.costmodels.maestro.columns import Batch, LayerColumns
from accelgym.costmodels.maestro.designs import Dataflow, ResourceDesigns
from accelgym.costmodels.maestro.faults import FIXED, Faults
from accelgym.costmodels.maestro.technology import FREEPDK45, PhysicalTechnology
from accelgym.costmodels.rounded import power

__all__ = ["PhysicalModel", "costs_of"]


@dataclass(frozen=True)
class PhysicalModel:
    """MAESTRO's analysis without its faults, on a chip with a finite NoC, real memories and a DRAM.

    The design space is that of ``MaestroModel``: ``num_pes`` PEs and ``buffer_level`` channels tiled per PE, under
    one of four dataflows; one byte per element. Both memories are as large as the mapping's double buffers.

    - Latency: MAESTRO's cases with ``noc_bw`` elements per cycle in each direction, double buffered, or the time
      the DRAM needs for its bytes, whichever is longer.
    - DRAM traffic: inputs, filters and outputs once each. This is a lower bound on the traffic of any schedule; a
      system-level cache is assumed to catch what L2 evicts.
    - L2 traffic: what the loop nest fetches, every element written once on its way from DRAM, partial sums written
      and read back at every reduction step.
    - L1 traffic: two operands and a partial sum read, a partial sum written per MAC, and one write per element
      fetched from L2 (multicast copies are not counted).
    - Energy: each of these at the energy of a memory of its size, the MACs, and leakage of the whole area over the
      latency. Power is energy over time.
    - Area: MACs, SRAM by the byte, and the NoC: one register per lane, and in every PE a selector that takes one
      byte from ``noc_bw`` lanes.

    Attributes:
        noc_bw: NoC width, elements (bytes) per cycle, where the designs state none.
        dram_bw: DRAM bytes per cycle; 16 at 1 GHz is a 32-bit LPDDR4-4266 channel.
        tech: The technology table.

    Raises:
        InputError: A bandwidth is below 1.
    """

    noc_bw: int = 64
    dram_bw: int = 16
    tech: PhysicalTechnology = FREEPDK45

    def __post_init__(self) -> None:
        for option in ("noc_bw", "dram_bw"):
            value = getattr(self, option)
            if not value >= 1:
                raise InputError(f"model 'physical': {option} is {value}, allowed: integers >= 1")

    @property
    def name(self) -> str:
        """Name in the registry."""
        return "physical"

    @property
    def version(self) -> str:
        """Version of the model."""
        return "1"

    @property
    def technology(self) -> str:
        """Name of the technology table."""
        return self.tech.name

    def evaluate(self, designs: ResourceDesigns) -> Costs:
        """Returns the costs of every design.

        The breakdown holds the counts of ``MaestroModel`` and ``dram_bytes``, ``array_cycles`` (without the DRAM's
        bound) and ``dram_cycles``, the parts of the energy (``mac_pj``, ``l1_pj``, ``l2_pj``, ``noc_pj``,
        ``dram_pj``, ``leakage_pj``) and of the area (``mac_um2``, ``l1_um2``, ``l2_um2``, ``noc_um2``).
        """
        batch, evaluate = Batch.of(designs, self.noc_bw), Compiled(_Evaluate(self), FIXED)
        return Costs(
            **blockwise(batch, evaluate, _COLUMNS),
            model=self.name,
            version=self.version,
            technology=self.technology,
            breakdown=LazyBreakdown(tuple(_DETAILS), partial(blockwise, batch, evaluate, _DETAILS)),
        )


_COLUMNS = {
    "latency_cycles": "int64",
    "energy_pj": "float64",
    "area_um2": "float64",
    "power_mw": "float64",
    "valid": "bool",
    "reason": "int8",
}
_COUNTS = ("macs", "l1_bytes", "l2_bytes", "input_l2_reads", "filter_l2_reads", "output_l2_writes", "dram_bytes")
_DETAILS = {
    **dict.fromkeys((*_COUNTS, "array_cycles", "dram_cycles"), "int64"),
    **dict.fromkeys(("mac_pj", "l1_pj", "l2_pj", "noc_pj", "dram_pj", "leakage_pj"), "float64"),
    **dict.fromkeys(("mac_um2", "l1_um2", "l2_um2", "noc_um2"), "float64"),
    "utilisation": "float64",
}


@dataclass(frozen=True)
class _Evaluate:
    """The function that is compiled: equal for equal models."""

    model: PhysicalModel

    def __call__(self, p: LayerColumns, depthwise: Array, *, faults: Faults) -> dict[str, Array]:
        return costs_of(p, depthwise, model=self.model, faults=faults)


def costs_of(p: LayerColumns, depthwise: Array, *, model: PhysicalModel, faults: Faults = FIXED) -> dict[str, Array]:
    """All figures of some rows of one dataflow."""
    tech, found = model.tech, counts_of(p, depthwise, faults)
    found["array_cycles"] = found["latency_cycles"]
    inputs, filters, outputs = _tensors(p)
    found["dram_bytes"] = inputs + filters + outputs
    found["dram_cycles"] = p.xp.ceil(found["dram_bytes"] / model.dram_bw)
    cycles = p.xp.maximum(found["array_cycles"], found["dram_cycles"])
    area = _areas(p, tech, found)
    total_area = sum(area.values())
    reads = found["input_l2_reads"] + found["filter_l2_reads"]
    writes = found["output_l2_writes"]
    # The bus winds past all PEs, each of which takes an equal share of the area.
    bus_mm = p.xp.sqrt(p.P * total_area) * 1e-3
    energy = {
        "mac_pj": tech.mac_energy_pj * found["macs"],
        "l1_pj": _l1_pj(p, tech, found),
        "l2_pj": _sram_pj(tech, found["l2_bytes"], reads + (writes - outputs), writes + inputs + filters),
        "noc_pj": tech.wire_pj_per_mm * bus_mm * (reads + writes),
        "dram_pj": tech.dram_pj * found["dram_bytes"],
        # mW times ns is pJ.
        "leakage_pj": tech.leakage_mw_per_mm2 * (total_area * 1e-6) * (cycles / tech.clock_ghz),
    }
    total = sum(energy.values())
    figures = {
        **found,
        **area,
        **energy,
        "latency_cycles": cycles,
        "energy_pj": total,
        "area_um2": total_area,
        "power_mw": total / cycles * tech.clock_ghz,
        "utilisation": found["macs"] / (cycles * p.P),
        "valid": found["reason"] == 0.0,
    }
    return cleared(p, figures)


def _tensors(p: LayerColumns) -> tuple[Array, Array, Array]:
    """Elements of input, filters and output."""
    channels = p.select(p.is_flow(Dataflow.DPT), p.C, p.K)
    return p.C * p.Y * p.X, p.K * p.C * p.R * p.S, channels * p.OY * p.OX


def _l1_pj(p: LayerColumns, tech: PhysicalTechnology, found: dict[str, Array]) -> Array:
    """Energy of the three buffers of the PEs: input windows, filters and partial sums."""
    kernel, macs = p.R * p.S, found["macs"]
    dpt = p.is_flow(Dataflow.DPT)
    k = p.xp.minimum(p.k, p.select(dpt, p.C, p.K))
    # An input element stays in the operand register for the k channels of its window; dpt has one filter for it.
    inputs = _sram_pj(tech, 2.0 * kernel * p.select(dpt, k, 1.0), macs / p.select(dpt, 1.0, k), found["input_l2_reads"])
    filters = _sram_pj(tech, 2.0 * kernel * k, macs, found["filter_l2_reads"])
    return inputs + filters + _sram_pj(tech, 2.0 * k, macs, macs)


def _sram_pj(tech: PhysicalTechnology, size: Array, reads: Array, writes: Array) -> Array:
    """Energy of bytes read from and written to a memory of a size in bytes."""
    read = _power_law(tech.sram_read_pj, tech.sram_read_exponent, size)
    write = _power_law(tech.sram_write_pj, tech.sram_write_exponent, size)
    return read * reads + write * writes


def _power_law(coefficient: float, exponent: float, size: Array) -> Array:
    """``coefficient * size**exponent``; sizes of double buffers are even and mostly small, so NumPy looks them up."""
    xp = array_namespace(size)
    if isinstance(xp, Recorder):
        row = size * 0.5
        xp.exceptions.append(~((xp.floor(row) == row) & (row >= 0.0) & (row < float(_TABULATED))))
        table = _even_powers(coefficient, exponent)
        return xp.lookup(table, xp.minimum(xp.maximum(row, 0.0), float(_TABULATED - 1)))
    if xp is not np:
        return coefficient * size**exponent  # Of torch, whose processors have powers of their own.
    half = np.asarray(size * 0.5)
    index = half.astype(np.intp)
    if index.size and bool((index == half).all()) and int(index.min()) >= 0 and int(index.max()) < _TABULATED:
        return _even_powers(coefficient, exponent).take(index)
    return coefficient * power(size, exponent)


_TABULATED = 1 << 17
"""Even sizes in the table: up to 256 KiB."""


@lru_cache(maxsize=8)
def _even_powers(coefficient: float, exponent: float) -> npt.NDArray[np.float64]:
    return coefficient * power(2.0 * np.arange(_TABULATED), exponent)


def _areas(p: LayerColumns, tech: PhysicalTechnology, found: dict[str, Array]) -> dict[str, Array]:
    assert p.bw is not None
    return {
        "mac_um2": tech.mac_area_um2 * p.P,
        "l1_um2": tech.sram_area_um2 * (found["l1_bytes"] * p.P),
        "l2_um2": tech.sram_area_um2 * found["l2_bytes"],
        "noc_um2": 8.0 * (tech.flop_area_um2 * p.bw + tech.mux2_area_um2 * ((p.bw - 1.0) * p.P)),
    }
