"""Quantities that a mapping, a schedule or a design minimises."""

from __future__ import annotations

from enum import StrEnum

__all__ = ["Objective"]


class Objective(StrEnum):
    """A product of powers of energy and delay."""

    ENERGY = "energy"
    """pJ."""
    LATENCY = "latency"
    """Cycles."""
    EDP = "edp"
    """Energy-delay product, pJ x cycles."""
