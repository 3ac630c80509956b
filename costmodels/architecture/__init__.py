"""What is computed (einsums) and on what (memory hierarchies)."""

from accelgym.costmodels.architecture.machine import Architecture, Compute, Constraint, Slot, StorageLevel
from accelgym.costmodels.architecture.problem import Axis, Problem, Tensor

__all__ = ["Architecture", "Axis", "Compute", "Constraint", "Problem", "Slot", "StorageLevel", "Tensor"]
