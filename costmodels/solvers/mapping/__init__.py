"""Proven optima of mappings: geometric programs over tile sizes, certified bounds, branch and bound."""

from accelgym.costmodels.solvers.mapping.branch_and_bound import PROOF_VERSION, RELAXATIONS
from accelgym.costmodels.solvers.mapping.machines import MachineTable
from accelgym.costmodels.solvers.mapping.one_machine import SharedMachine, best_machine
from accelgym.costmodels.solvers.mapping.solver import Solution, node_limit, solve
from accelgym.costmodels.solvers.mapping.space import MappingSpace

__all__ = [
    "PROOF_VERSION",
    "RELAXATIONS",
    "MachineTable",
    "MappingSpace",
    "SharedMachine",
    "Solution",
    "best_machine",
    "node_limit",
    "solve",
]
