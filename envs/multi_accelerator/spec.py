"""What defines a multi-accelerator task, validated with errors that name the key."""

from __future__ import annotations

from enum import StrEnum
from typing import Any

from pydantic import Field, field_validator

from accelgym.costmodels.objective import Objective
from accelgym.envs.arguments import TaskSpec

__all__ = ["MOST_OPERATIONS", "MultiAcceleratorSpec", "ScheduleObjective"]

MOST_OPERATIONS = 512
"""Most layers times batches: what a schedule is made of."""


class ScheduleObjective(StrEnum):
    """Quantity minimised, for all batches of all networks."""

    MAKESPAN = "makespan"
    """Cycles until the last layer ends."""
    ENERGY = "energy"
    """pJ, with the leakage of all accelerators over the makespan."""
    EDP = "edp"
    """pJ x cycles."""

    @property
    def of_layers(self) -> Objective:
        """The same in the words of cost models."""
        return Objective.LATENCY if self is ScheduleObjective.MAKESPAN else Objective(self.value)


class MultiAcceleratorSpec(TaskSpec):
    """Arguments of ``accelgym/MultiAccelerator-v0``."""

    workloads: tuple[str, ...] = ("alexnet", "gpt2/decode_block")
    """Networks of the zoo or network files, independent of each other; their convolutions and GEMMs are scheduled."""
    accelerators: tuple[str, ...] = Field(default=("dla", "eye"), min_length=2, max_length=3)
    """Two or three dataflows (``dla``, ``eye``, ``shi``), or two or three datatypes of systolic arrays (``int4``,
    ``int8``, ``bf16`` and the like); the same twice is allowed."""
    batches: int = Field(default=2, ge=1, le=64)
    """Inputs in flight: how often every network runs."""
    objective: ScheduleObjective = ScheduleObjective.MAKESPAN
    budget: float = Field(default=0.5, allow_inf_nan=False)
    """Area for all accelerators, as a fraction of the range between the smallest and the largest chip."""
    area_um2: float | None = Field(default=None, gt=0, allow_inf_nan=False)
    """The area itself, in place of ``budget``."""
    wide_ends: bool = True
    """Whether the first and the last layer of every network need operands of 8 bits or more, as is usual where
    networks are quantised."""
    after: tuple[tuple[str, str], ...] = ()
    """Further dependencies ``(producer, consumer)`` between layers, across networks too."""
    tick_cycles: int = Field(default=1000, ge=1, le=10**6)
    """Unit of time of the dispatcher: an accelerator is taken for whole ticks."""

    @field_validator("workloads", "accelerators", mode="before")
    @classmethod
    def _one_is_a_list(cls, value: Any) -> Any:
        return tuple(value.split(",")) if isinstance(value, str) else value

    @field_validator("workloads")
    @classmethod
    def _some_network(cls, value: tuple[str, ...]) -> tuple[str, ...]:
        if not value:
            raise ValueError("allowed one or more networks")
        return value
