"""Energy and area of memories and multipliers by width, depth and node.

Units: pJ per access, um2, pJ per cycle for leakage. Sources:

* register file and integer MAC: the tables of Accelergy's Aladdin plug-in (40/45 nm), which these closed forms
  reproduce exactly; ``tables="2022"`` is the plug-in of 2020-22, ``"2024"`` the present one;
* DRAM: energy per bit of the same plug-in;
* SRAM: least-squares fit in the logarithms to CACTI 7 runs (45 nm, itrs-lstp, one read-write port, one bank).
  Mean and largest error against the 21 fitted points are in :data:`SRAM_ERRORS`.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from functools import lru_cache
from typing import Literal

from accelgym.costmodels.errors import InputError, unknown_name
from accelgym.costmodels.rounded import log2, power

__all__ = [
    "DRAM_PJ_PER_BIT",
    "MAC_DATATYPES",
    "SRAM_ERRORS",
    "ComponentCost",
    "Tables",
    "adder",
    "dram",
    "float_mac",
    "integer_mac",
    "mac",
    "node_scale",
    "register_file",
    "sram",
]

Tables = Literal["2022", "2024"]

DRAM_PJ_PER_BIT = {"LPDDR4": 8.0, "LPDDR": 40.0, "DDR3": 70.0, "HBM2": 6.25}
"""By the plug-in's names of the types."""
SRAM_ERRORS = {"read": (0.084, 0.20), "write": (0.064, 0.22), "area": (0.031, 0.11)}
"""Mean and largest relative error of the SRAM fit against its points."""

# log2(pJ) over x = log2(depth / 8192), y = log2(width / 64): 1, x, y, y*y, x*y, x*x.
_SRAM_READ = (4.6449, 0.5887, 0.9486, 0.0634, -0.0044, -0.0263)
_SRAM_WRITE = (4.3811, 0.4151, 1.0515, 0.0738, -0.0266, 0.0033)
_SRAM_AREA = (17.6412, 0.9962, 1.0070, 0.0182, 0.0, 0.0)
"""log2(um2) over the same terms."""
_SRAM_DEPTHS = (512, 262_144)
_SRAM_WIDTHS = (8, 2048)
"""Ranges of the fitted points."""

_COMPARATOR = {"2022": 9.06719e-4, "2024": 9.2094e-4}
_LEAK_PER_BIT = 2.5e-5 / 32
# Leakage of logic and SRAM is not tabulated; it is taken per area from the register file (2.1875 um2 a bit).
_LEAK_PER_UM2 = _LEAK_PER_BIT / 2.1875
# Multiplier (quadratic in width) and adder (linear), 32 b: energy, area.
_INTEGER = {"2022": ((8.63, 4600.0), (0.0857, 179.0)), "2024": ((12.68, 6350.0), (0.21, 278.0))}
_FLOAT32 = {"2022": 32.328, "2024": 51.979}

MAC_DATATYPES = {
    "int4": (4, 0),
    "int8": (8, 0),
    "int16": (16, 0),
    "int32": (32, 0),
    "fp8_e4m3": (8, 4),
    "fp8_e5m2": (8, 3),
    "bfloat16": (16, 8),
    "fp16": (16, 11),
    "fp32": (32, 24),
}
"""Datatype to (bits, significand bits with the hidden one; 0 for integers)."""


@dataclass(frozen=True)
class ComponentCost:
    """Costs of one instance."""

    read_pj: float
    write_pj: float
    area_um2: float
    leakage_pj: float


def register_file(depth: int, width: int, *, tables: Tables = "2022", node_nm: float = 45) -> ComponentCost:
    """Register file of ``depth`` words: linear in width, ``depth * log2(depth)`` in depth (it compares tags).

    Exact for the plug-in's table; 512 x 16 gives 4.322 pJ, where Thistle's Table III has 4.642.
    """
    _check("register file", depth, width)
    bits = max(1, (math.ceil(depth) - 1).bit_length())
    energy = 0.009 * width + _COMPARATOR[_known(tables)] * bits * depth
    area = 5.98 * width + 2.1875 * bits * depth
    return _scaled(energy, energy, area, _LEAK_PER_BIT * bits * depth, node_nm)


def sram(depth: int, width: int, *, node_nm: float = 45) -> ComponentCost:
    """SRAM of ``depth`` words of ``width`` bits.

    Fitted for depths 512..262144 and widths 8..2048; outside, energy grows with sqrt(depth) and linearly with
    width, area with both.
    """
    _check("SRAM", depth, width)
    inner_depth = min(max(depth, _SRAM_DEPTHS[0]), _SRAM_DEPTHS[1])
    inner_width = min(max(width, _SRAM_WIDTHS[0]), _SRAM_WIDTHS[1])
    beyond = width / inner_width
    deeper = depth / inner_depth
    read, write, area = _fitted_sram(inner_depth, inner_width)
    energy = math.sqrt(deeper) * beyond
    area *= deeper * beyond
    return _scaled(read * energy, write * energy, area, area * _LEAK_PER_UM2, node_nm)


@lru_cache(maxsize=4096)
def _fitted_sram(depth: int, width: int) -> tuple[float, float, float]:
    """Reads and writes (pJ) and area (um2)."""
    x, y = log2([depth / 8192, width / 64]).tolist()
    read, write, area = power(2.0, [_quadratic(law, x, y) for law in (_SRAM_READ, _SRAM_WRITE, _SRAM_AREA)]).tolist()
    return read, write, area


def dram(width: int, *, kind: str = "LPDDR4") -> ComponentCost:
    """DRAM access of ``width`` bits; depth does not matter, area and refresh are not counted."""
    if kind not in DRAM_PJ_PER_BIT:
        raise unknown_name("DRAM type", kind, DRAM_PJ_PER_BIT)
    _check("DRAM", 1, width)
    energy = DRAM_PJ_PER_BIT[kind] * width
    return ComponentCost(energy, energy, 0.0, 0.0)


def integer_mac(width: int, *, tables: Tables = "2022", node_nm: float = 45) -> ComponentCost:
    """Integer multiply-accumulate: a multiplier quadratic in width and an adder linear in it."""
    _check("integer MAC", 1, width)
    x = width / 32
    (multiply, multiply_area), (add, add_area) = _INTEGER[_known(tables)]
    energy, area = multiply * x * x + add * x, multiply_area * x * x + add_area * x
    return _scaled(energy, energy, area, area * _LEAK_PER_UM2, node_nm)


def adder(width: int, *, tables: Tables = "2022", node_nm: float = 45) -> ComponentCost:
    """Integer adder, linear in width."""
    _check("adder", 1, width)
    energy, area = (value * width / 32 for value in _INTEGER[_known(tables)][1])
    return _scaled(energy, energy, area, area * _LEAK_PER_UM2, node_nm)


def float_mac(width: int, significand: int, *, tables: Tables = "2022", node_nm: float = 45) -> ComponentCost:
    """Floating multiply-accumulate, an estimate below 32 bits.

    Only the 32-bit energy is tabulated (32.328 or 51.979 pJ). Its significand product is the integer law at 24
    bits; the rest, alignment and normalisation, scales with the width.
    """
    _check("float MAC", 1, width)
    product = integer_mac(significand, tables=tables)
    reference = integer_mac(24, tables=tables)
    rest = (_FLOAT32[_known(tables)] - reference.read_pj) * width / 32
    energy = product.read_pj + rest
    area = product.area_um2 + reference.area_um2 * rest / reference.read_pj
    return _scaled(energy, energy, area, area * _LEAK_PER_UM2, node_nm)


def mac(datatype: str, *, tables: Tables = "2022", node_nm: float = 45) -> ComponentCost:
    """Multiply-accumulate of a datatype of :data:`MAC_DATATYPES`."""
    if datatype not in MAC_DATATYPES:
        raise unknown_name("datatype", datatype, MAC_DATATYPES)
    width, significand = MAC_DATATYPES[datatype]
    if significand:
        return float_mac(width, significand, tables=tables, node_nm=node_nm)
    return integer_mac(width, tables=tables, node_nm=node_nm)


def node_scale(node_nm: float) -> float:
    """Energy relative to 45 nm, ``(node/45)**1.7``.

    CACTI's 32768 x 8 SRAM at 40 and 65 nm: 0.82 for 0.80 (read) and 0.83 (write), 1.87 for 1.82 and 1.91.
    """
    if not 10 <= node_nm <= 180:
        raise InputError(f"technology node is {node_nm!r} nm, allowed 10..180")
    return float(power(node_nm / 45, 1.7))


def _scaled(read: float, write: float, area: float, leak: float, node_nm: float) -> ComponentCost:
    if node_nm in (40, 45):
        # The tables are those of a 40/45 nm process.
        return ComponentCost(read, write, area, leak)
    energy, shrink = node_scale(node_nm), (node_nm / 45) * (node_nm / 45)
    return ComponentCost(read * energy, write * energy, area * shrink, leak * energy)


def _quadratic(law: tuple[float, ...], x: float, y: float) -> float:
    return sum(c * term for c, term in zip(law, (1.0, x, y, y * y, x * y, x * x), strict=True))


def _known(tables: str) -> str:
    if tables not in _INTEGER:
        raise unknown_name("tables", tables, _INTEGER)
    return tables


def _check(what: str, depth: int, width: int) -> None:
    if depth < 1 or width < 1:
        raise InputError(f"{what}: depth {depth!r} and width {width!r}, allowed >= 1")
