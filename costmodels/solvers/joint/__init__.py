"""The joint problem: one machine for a network, with types, mappings and activations on chip."""

from accelgym.costmodels.solvers.joint.greedy import two_level_greedy
from accelgym.costmodels.solvers.joint.problem import Choice, JointProblem, MachineTables
from accelgym.costmodels.solvers.joint.search import METHOD, solve_joint

__all__ = ["METHOD", "Choice", "JointProblem", "MachineTables", "solve_joint", "two_level_greedy"]
