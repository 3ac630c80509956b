"""Technology tables: what an operation, a byte, a wire and a square micrometre cost, with sources."""

from __future__ import annotations

from dataclasses import dataclass

from accelgym.costmodels.rounded import power

__all__ = ["FREEPDK45", "MAESTRO_28NM", "MaestroTechnology", "PhysicalTechnology"]


@dataclass(frozen=True)
class MaestroTechnology:
    """The constants of MAESTRO's cost database.

    Source: MAESTRO commit 4eb08d17 (MIT licence), ``BASE_constants.hpp``, ``DSE_cost-database.hpp`` and
    ``DSE_scaling-coefficients.hpp``. The program states no units; its options call them um^2, mW and nJ.
    """

    name: str
    mac_energy_nj: float
    l1_access_per_mac: float
    """Energy of an L1 access relative to a MAC."""
    l2_access_per_mac: float
    mac_area_um2: float
    mac_power_mw: float
    sram_area_um2: float
    """Per byte, L1 and L2 alike."""
    sram_power_mw: float
    """Per byte, L1 and L2 alike."""
    bus_area_um2: float
    """Per element of bandwidth and unit of ``bus_slope * PEs + bus_offset``."""
    bus_power_mw: float
    bus_slope: float
    bus_offset: float
    arbiter_area_um2: float
    """Per unit of ``arbiter_square * PEs**2 + arbiter_slope * PEs + arbiter_offset``, at least one unit."""
    arbiter_power_mw: float
    """Per thousand of those units, at least one."""
    arbiter_square: float
    arbiter_slope: float
    arbiter_offset: float


MAESTRO_28NM = MaestroTechnology(
    name="maestro-28nm",
    mac_energy_nj=0.00023,
    l1_access_per_mac=1.68,
    l2_access_per_mac=18.61,
    mac_area_um2=283.0,
    mac_power_mw=1.2223,
    sram_area_um2=0.104,
    sram_power_mw=0.00345,
    bus_area_um2=101.7938,
    bus_power_mw=0.0008,
    bus_slope=14.662,
    bus_offset=28.895,
    arbiter_area_um2=395.473,
    arbiter_power_mw=0.34,
    arbiter_square=1.2886,
    arbiter_slope=5.5814,
    arbiter_offset=-23.711,
)


@dataclass(frozen=True)
class PhysicalTechnology:
    """Costs of one-byte operands: energies in pJ, areas in um^2, leakage in mW/mm^2.

    Memories follow power laws fitted to a compiler's output: an access to a memory of ``B`` bytes costs
    ``coefficient * B**exponent``, its area is proportional to its bytes.
    """

    name: str
    mac_energy_pj: float
    mac_area_um2: float
    sram_read_pj: float
    """Per byte read from a memory of one byte; scales with ``sram_read_exponent``."""
    sram_read_exponent: float
    sram_write_pj: float
    sram_write_exponent: float
    sram_area_um2: float
    """Per byte."""
    dram_pj: float
    """Per byte, read or write."""
    wire_pj_per_mm: float
    """Per byte and millimetre of bus."""
    mux2_area_um2: float
    """One-bit two-input multiplexer."""
    flop_area_um2: float
    """One-bit register."""
    leakage_mw_per_mm2: float
    clock_ghz: float


FREEPDK45 = PhysicalTechnology(
    name="freepdk45-int8",
    # Aladdin's integer MAC table, 2020-22 (Accelergy plug-in): 8.63 x^2 + 0.0857 x pJ, 4600 x^2 + 179 x um^2 with
    # x = bits / 32, at 8 bits.
    mac_energy_pj=0.5608,
    mac_area_um2=332.25,
    # CACTI 7, 45 nm itrs-lstp, one read-write port, 16-bit words, 1 Ki to 256 Ki words: read 0.0589 d^0.535 pJ,
    # write 0.0902 d^0.468 pJ with d words. A word is two bytes: half the energy, and d = bytes / 2.
    sram_read_pj=0.0589 / 2 * float(power(0.5, 0.535)),
    sram_read_exponent=0.535,
    sram_write_pj=0.0902 / 2 * float(power(0.5, 0.468)),
    sram_write_exponent=0.468,
    # The same CACTI runs: 53,015 um^2 for 8 Ki words of 16 bits; area grows with the words to the power 1.00.
    sram_area_um2=53015 / 16384,
    # LPDDR4 in Accelergy: 8 pJ per bit.
    dram_pj=64.0,
    # Keckler et al., "GPUs and the future of parallel computing", IEEE Micro 2011, table 1: 310 pJ for 256 bits over
    # 10 mm in 40 nm.
    wire_pj_per_mm=310 / 32 / 10,
    # Nangate FreePDK45 open cell library, typical corner: MUX2_X1, DFF_X1, and the leakage density of NAND2_X1
    # (17.4 nW on 0.798 um^2).
    mux2_area_um2=1.862,
    flop_area_um2=4.522,
    leakage_mw_per_mm2=21.8,
    clock_ghz=1.0,
)
