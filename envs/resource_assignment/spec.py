"""What defines a resource-assignment task, validated with errors that name the key."""

from __future__ import annotations

import math
from enum import StrEnum
from typing import Any

from pydantic import Field, field_validator, model_validator

from accelgym.envs.arguments import TaskSpec

__all__ = [
    "BUDGET_PRESETS",
    "AssignmentObjective",
    "Constraint",
    "DataflowChoice",
    "Deployment",
    "Granularity",
    "ResourceAssignmentSpec",
]

BUDGET_PRESETS = {"cloud": 0.5, "iot": 0.1, "iotx": 0.05}
"""ConfuciuX's platform classes as fractions of the budget range."""


class DataflowChoice(StrEnum):
    """One dataflow for all layers, or a choice per layer."""

    DLA = "dla"
    EYE = "eye"
    SHI = "shi"
    MIX = "mix"


class Deployment(StrEnum):
    """How layers share the chip."""

    PIPELINED = "pipelined"
    """Every layer has its own partition (ConfuciuX's LP); resources add up."""
    SEQUENTIAL = "sequential"
    """One configuration runs all layers in turn (LS); resources are those of the neediest layer."""


class Granularity(StrEnum):
    """Values of the two knobs."""

    LEVELS = "levels"
    """ConfuciuX's 12 PE levels x 12 buffer levels."""
    FINE64 = "fine64"
    """1..64 PEs x 12 buffer levels."""
    FINE128 = "fine128"
    """1..128 PEs x 12 buffer levels."""


class AssignmentObjective(StrEnum):
    """What is minimised: of every layer before aggregation when pipelined, of the whole chip when sequential."""

    LATENCY = "latency"
    """Cycles."""
    ENERGY = "energy"
    """pJ."""
    EDP = "edp"
    """pJ x cycles."""
    LAP = "lap"
    """Cycles x um2."""
    TARGET = "target"
    """The constrained resource, subject to a latency target in place of the budget."""


class Aggregate(StrEnum):
    """How the layers' figures combine."""

    SUM = "sum"
    MAX = "max"


class Constraint(StrEnum):
    """The budgeted resource."""

    AREA = "area"
    POWER = "power"
    PES = "pes"


class ResourceAssignmentSpec(TaskSpec):
    """Arguments of ``accelgym/ResourceAssignment-v0``."""

    workload: str = "confuciux/mobilenet_v2"
    """Name in the workload zoo, or a network file; its convolutions and GEMMs are assigned, vector layers are free."""
    model: str = "maestro"
    """Cost model: ``maestro`` (as ConfuciuX uses it), ``physical``, ``dataflow_template``, or a plug-in."""
    model_options: dict[str, Any] = Field(default_factory=dict)
    """Options of the cost model."""
    dataflow: DataflowChoice = DataflowChoice.DLA
    deployment: Deployment = Deployment.PIPELINED
    granularity: Granularity = Granularity.LEVELS
    objective: AssignmentObjective = AssignmentObjective.LATENCY
    aggregate: Aggregate = Aggregate.SUM
    """``sum`` over layers, or ``max``: the bottleneck of the pipeline."""
    constraint: Constraint = Constraint.AREA
    budget: float = 0.1
    """Fraction of the range between the cheapest and the dearest corner assignment, or a preset."""
    target: float | None = None
    """Latency target in cycles, for ``objective=target`` only."""

    @field_validator("budget", mode="before")
    @classmethod
    def _preset(cls, value: Any) -> Any:
        if isinstance(value, str):
            try:
                return float(value)
            except ValueError:
                if value.lower() in BUDGET_PRESETS:
                    return BUDGET_PRESETS[value.lower()]
                raise ValueError(f"allowed a number or a preset: {', '.join(BUDGET_PRESETS)}") from None
        return value

    @field_validator("budget")
    @classmethod
    def _budget_is_finite(cls, value: float) -> float:
        if not math.isfinite(value):
            raise ValueError("allowed a finite number")
        return value

    @model_validator(mode="after")
    def _target_belongs_to_its_objective(self) -> ResourceAssignmentSpec:
        if (self.objective is AssignmentObjective.TARGET) != (self.target is not None):
            raise ValueError("target (cycles) goes with objective=target, and only with it")
        if self.target is not None and not 0 < self.target < math.inf:
            raise ValueError("target must be a positive number of cycles")
        return self
