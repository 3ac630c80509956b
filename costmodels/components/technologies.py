"""Named technologies: which law or table prices each class of component."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import partial
from typing import Any, Literal

from accelgym.costmodels.components import laws
from accelgym.costmodels.components.laws import ComponentCost
from accelgym.costmodels.errors import InputError, unknown_name

__all__ = ["COMPONENT_CLASSES", "Technology", "technology"]

COMPONENT_CLASSES = {
    "dram": "dram",
    "sram": "sram",
    "smartbuffer_sram": "sram",
    "regfile": "regfile",
    "smartbuffer_rf": "regfile",
    "register": "regfile",
    "storage": "sram",
    "smartbuffer": "sram",
    "intmac": "intmac",
    "mac": "intmac",
    "compute": "intmac",
    "fpmac": "fpmac",
    "intadder": "adder",
    "adder": "adder",
}
"""Class names of Timeloop and Accelergy to the laws that price them."""


@dataclass(frozen=True)
class Technology:
    """Prices components.

    Args:
        name: Stated in every result.
        price: Law of ``(kind, depth, width, attributes)``.
        idle_fraction: Share of an access's energy that a register file or multiplier burns in every cycle,
            working or not (clock and pipeline registers). An assumption: no table gives it, and without it
            energy optima switch most of the array off.
    """

    name: str
    price: Callable[[str, int, int, Mapping[str, Any]], ComponentCost]
    idle_fraction: float = 0.0

    def component(self, kind: str, *, depth: int, width: int, attributes: Mapping[str, Any]) -> ComponentCost:
        """Prices one instance; ``leakage_pj`` includes the idle energy.

        Args:
            kind: A class of :data:`COMPONENT_CLASSES`, any case.
            depth: Words of ``width`` bits; ignored for multipliers.
            width: Bits per access.
            attributes: Further attributes (``type`` of a DRAM).

        Raises:
            InputError: The class is unknown.
        """
        if kind.lower() not in COMPONENT_CLASSES:
            raise unknown_name("component class", kind, COMPONENT_CLASSES)
        law = COMPONENT_CLASSES[kind.lower()]
        cost = self.price(law, depth, width, attributes)
        idle = self.idle_fraction * cost.read_pj if law in ("regfile", "intmac", "fpmac", "adder") else 0.0
        return ComponentCost(cost.read_pj, cost.write_pj, cost.area_um2, cost.leakage_pj + idle)


def technology(
    name: str = "aladdin-cacti-45nm", *, sram_unit: Literal["words", "bits"] = "words", node_nm: float = 45
) -> Technology:
    """Returns a technology by name.

    ``aladdin-cacti-45nm`` (fitted laws, tables of 2020-22) and ``aladdin-cacti-45nm-2024``;
    ``thistle-table3`` (CGO 2022, Table III); ``exercise-table1`` (course exercise, given constants).

    Args:
        name: The name.
        sram_unit: What Table III's SRAM constant multiplies the root of: its unit is not printed. ``words``
            makes a 64Ki-word SRAM 4.58 pJ, ``bits`` 18.3 pJ, which is what CACTI says.
        node_nm: Process node for the fitted laws.

    Raises:
        InputError: No such technology.
    """
    if name in ("aladdin-cacti-45nm", "aladdin-cacti-45nm-2024"):
        tables: laws.Tables = "2024" if name.endswith("2024") else "2022"
        stated = name if node_nm == 45 else f"{name}@{node_nm:g}nm"
        return Technology(stated, partial(_fitted, tables, node_nm), idle_fraction=0.1)
    if name == "thistle-table3":
        if sram_unit not in ("words", "bits"):
            raise unknown_name("sram_unit", sram_unit, ("words", "bits"))
        return Technology(f"{name}({sram_unit})", partial(_thistle, sram_unit))
    if name == "exercise-table1":
        return Technology(name, _exercise)
    raise unknown_name(
        "technology", name, ("aladdin-cacti-45nm", "aladdin-cacti-45nm-2024", "thistle-table3", "exercise-table1")
    )


def _fitted(
    tables: laws.Tables, node_nm: float, kind: str, depth: int, width: int, attributes: Mapping[str, Any]
) -> ComponentCost:
    if kind == "dram":
        return laws.dram(width, kind=str(attributes.get("type", "LPDDR4")))
    if kind == "sram":
        return laws.sram(depth, width, node_nm=node_nm)
    if kind == "regfile":
        return laws.register_file(depth, width, tables=tables, node_nm=node_nm)
    if kind == "fpmac":
        significand = {8: 4, 16: 11, 32: 24}.get(width)
        if significand is None:
            raise InputError(f"fpmac of {width} bits, allowed 8, 16, 32")
        return laws.float_mac(width, significand, tables=tables, node_nm=node_nm)
    law = laws.adder if kind == "adder" else laws.integer_mac
    return law(width, tables=tables, node_nm=node_nm)


def _thistle(unit: str, kind: str, depth: int, width: int, attributes: Mapping[str, Any]) -> ComponentCost:
    """Table III: 16-bit words; MAC 2.2 pJ and 1239.5 um2, register 9.06719e-3 pJ and 19.874 um2 a word."""
    if kind == "dram":
        return ComponentCost(128.0 * width / 16, 128.0 * width / 16, 0.0, 0.0)
    if kind == "sram":
        energy = 17.88e-3 * math.sqrt(depth * width if unit == "bits" else depth)
        return ComponentCost(energy, energy, 6.806 * depth, 0.0)
    if kind == "regfile":
        return ComponentCost(9.06719e-3 * depth, 9.06719e-3 * depth, 19.874 * depth, 0.0)
    return ComponentCost(2.2, 2.2, 1239.5, 0.0)


def _exercise(kind: str, depth: int, width: int, attributes: Mapping[str, Any]) -> ComponentCost:
    """Table 1 of the memory-access exercise: 8-bit words, one 32768-word SRAM and one 64-word register file."""
    if kind in ("sram", "dram"):
        return ComponentCost(7.95, 5.45, 0.0, 0.0)
    if kind == "regfile":
        return ComponentCost(0.42, 0.42, 0.0, 0.0)
    return ComponentCost(0.56, 0.56, 0.0, 0.0)
