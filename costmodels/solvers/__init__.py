"""Optimum and bound solvers as pure functions: tables in, certificate out."""

from accelgym.costmodels.solvers.front import Front, minimise_both
from accelgym.costmodels.solvers.greedy import allocate_greedily
from accelgym.costmodels.solvers.knapsack import minimise_max, minimise_sum

__all__ = ["Front", "allocate_greedily", "minimise_both", "minimise_max", "minimise_sum"]
