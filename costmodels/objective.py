"""Quantities that a mapping, a schedule or a design minimises."""

from __future__ import annotations

from enum import StrEnum

from accelgym.costmodels.arrays import Array

__all__ = ["Objective"]


class Objective(StrEnum):
    """Energy, delay, or their product.

    The one place where the two are combined. An objective is ``energy**e * cycles**d`` with exponents of 0 or 1: in
    logarithms a sum, as geometric programs and gradients need it.
    """

    ENERGY = "energy"
    """pJ."""
    LATENCY = "latency"
    """Cycles."""
    EDP = "edp"
    """Energy-delay product (Horowitz, Indermaur, Gonzalez, "Low-power digital design", 1994), pJ x cycles."""

    @property
    def exponents(self) -> tuple[int, int]:
        """Exponents of energy and of delay."""
        return int(self is not Objective.LATENCY), int(self is not Objective.ENERGY)

    @property
    def adds_up(self) -> bool:
        """Whether the objective of layers that run in turn is the sum of theirs; products of sums are not."""
        return sum(self.exponents) == 1

    def combine(self, energy_pj: Array, cycles: Array) -> Array:
        """Returns the objective, arrays of any one shape; increasing in both arguments."""
        if self is Objective.EDP:
            return energy_pj * cycles
        return energy_pj if self is Objective.ENERGY else cycles

    def combine_logs(self, log_energy: Array, log_cycles: Array) -> Array:
        """Returns the logarithm of the objective."""
        if self is Objective.EDP:
            return log_energy + log_cycles
        return log_energy if self is Objective.ENERGY else log_cycles

    def with_tie(self, energy_pj: Array, cycles: Array) -> tuple[Array, Array]:
        """Returns the objective and the quantity that breaks ties: energy, or cycles where energy is the objective."""
        return self.combine(energy_pj, cycles), cycles if self is Objective.ENERGY else energy_pj
