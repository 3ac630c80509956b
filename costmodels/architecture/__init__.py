"""What is computed (einsums) and on what (memory hierarchies)."""

from accelgym.costmodels.architecture.machine import (
    LEAKAGES,
    Architecture,
    Compute,
    Constraint,
    Leakage,
    Slot,
    StorageLevel,
)
from accelgym.costmodels.architecture.problem import Axis, Problem, Tensor

__all__ = [
    "LEAKAGES",
    "Architecture",
    "Axis",
    "Compute",
    "Constraint",
    "Leakage",
    "Problem",
    "Slot",
    "StorageLevel",
    "Tensor",
]
