"""The memory-access exercise: what dataflows cost (question 1) and how memories scale (question 2)."""

from accelgym.experiments.memory_access.dataflows import (
    DATAFLOWS,
    DataflowAccesses,
    dataflow_loops,
    format_accesses,
    memory_accesses,
)
from accelgym.experiments.memory_access.scaling import PowerLaw, Sweep, component_sweeps, fit_power_law

__all__ = [
    "DATAFLOWS",
    "DataflowAccesses",
    "PowerLaw",
    "Sweep",
    "component_sweeps",
    "dataflow_loops",
    "fit_power_law",
    "format_accesses",
    "memory_accesses",
]
