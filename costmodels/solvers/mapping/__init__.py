"""Proven optima of mappings: geometric programs over tile sizes, certified bounds, branch and bound."""

from accelgym.costmodels.solvers.mapping.branch_and_bound import Solution, solve
from accelgym.costmodels.solvers.mapping.machines import MachineTable
from accelgym.costmodels.solvers.mapping.space import MappingSpace

__all__ = ["MachineTable", "MappingSpace", "Solution", "solve"]
