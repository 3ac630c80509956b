"""What is computed (einsums) and on what (memory hierarchies)."""

from accelgym.costmodels.architecture.loop_nest import Axis, LoopNest, Tensor
from accelgym.costmodels.architecture.machine import (
    LEAKAGES,
    Architecture,
    Compute,
    Constraint,
    Leakage,
    Slot,
    StorageLevel,
)

__all__ = [
    "LEAKAGES",
    "Architecture",
    "Axis",
    "Compute",
    "Constraint",
    "Leakage",
    "LoopNest",
    "Slot",
    "StorageLevel",
    "Tensor",
]
