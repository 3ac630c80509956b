"""Optimum and bound solvers as pure functions: tables in, certificate out."""

from accelgym.costmodels.solvers.knapsack import minimise_max, minimise_sum

__all__ = ["minimise_max", "minimise_sum"]
