"""Buffer sizes, energy, area and power from MAESTRO's counts."""

from __future__ import annotations

from accelgym.costmodels.arrays import Array
from accelgym.costmodels.maestro.columns import LayerColumns
from accelgym.costmodels.maestro.designs import Dataflow
from accelgym.costmodels.maestro.faults import Faults
from accelgym.costmodels.maestro.technology import MaestroTechnology

__all__ = ["area_um2", "energy_nj", "l1_bytes", "power_mw", "program_energy_nj"]


def l1_bytes(p: LayerColumns, faults: Faults) -> Array:
    """Double buffer of one PE: a tile of input, filter and output; one byte per element."""
    kernel, dpt = p.R * p.S, p.is_flow(Dataflow.DPT)
    if faults.l1_output_window:
        per_tile = p.select(dpt, 3.0 * p.k, 2.0 * p.k + 1.0)
        return 2.0 * kernel * per_tile
    k = p.xp.minimum(p.k, p.select(dpt, p.C, p.K))
    windows = p.select(dpt, 2.0 * k, k + 1.0)
    return 2.0 * (kernel * windows + k)


def energy_nj(
    p: LayerColumns,
    faults: Faults,
    tech: MaestroTechnology,
    macs: Array,
    counted_macs: Array,
    reads: Array,
    writes: Array,
) -> Array:
    """Energy of a layer.

    Args:
        p: The designs.
        faults: ``energy_l2_only`` selects what is counted.
        tech: The constants.
        macs: True MACs.
        counted_macs: MACs as the program counts them (read for ``dpt`` only).
        reads: Elements read from L2, inputs and filters.
        writes: Elements written to L2, partial sums included.
    """
    dpt = p.is_flow(Dataflow.DPT)
    inputs = p.C * p.Y * p.X
    filters = p.K * p.C * p.R * p.S
    l2 = reads + writes + (inputs + filters)
    if faults.energy_l2_only:
        # One level (dpt): its L1 counts survive. Two inputs and an output read, an output written per MAC.
        l1 = p.select(dpt, 4.0 * counted_macs + reads, p.zero)
        return program_energy_nj(tech, l2, l1)
    outputs = p.select(dpt, p.C, p.K) * p.OY * p.OX
    l2 = l2 + (writes - outputs)
    l1 = 4.0 * macs + reads
    return tech.mac_energy_nj * (macs + tech.l2_access_per_mac * l2 + tech.l1_access_per_mac * l1)


def program_energy_nj(tech: MaestroTechnology, l2: Array, l1: Array) -> Array:
    """Energy as the program adds it up: of accesses to L2 and, for mappings of one level, to L1."""
    return tech.mac_energy_nj * (tech.l2_access_per_mac * l2 + tech.l1_access_per_mac * l1)


def area_um2(p: LayerColumns, tech: MaestroTechnology, l1: Array, l2: Array) -> Array:
    """Area of PEs, memories, bus (none if the bandwidth is unlimited) and arbiter."""
    xp = p.xp
    area = p.P * (tech.mac_area_um2 + tech.sram_area_um2 * l1) + tech.sram_area_um2 * l2
    area = area + tech.arbiter_area_um2 * xp.maximum(_arbiter(p, tech), p.one)
    if p.bw is not None:
        area = area + tech.bus_area_um2 * ((tech.bus_slope * p.P + tech.bus_offset) * p.bw)
    return area


def power_mw(p: LayerColumns, tech: MaestroTechnology, l1: Array, l2: Array) -> Array:
    """Power of the same parts; the program knows no activity."""
    xp = p.xp
    power = p.P * (tech.mac_power_mw + tech.sram_power_mw * l1) + tech.sram_power_mw * l2
    power = power + tech.arbiter_power_mw * xp.maximum(_arbiter(p, tech) / 1000.0, p.one)
    if p.bw is not None:
        power = power + tech.bus_power_mw * ((tech.bus_slope * p.P + tech.bus_offset) * p.bw)
    return power


def _arbiter(p: LayerColumns, tech: MaestroTechnology) -> Array:
    return (tech.arbiter_square * p.P + tech.arbiter_slope) * p.P + tech.arbiter_offset
