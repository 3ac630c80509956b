"""What defines a joint task, validated with errors that name the key."""

from __future__ import annotations

from enum import StrEnum
from typing import Literal

from pydantic import Field, model_validator

from accelgym.costmodels.objective import Objective
from accelgym.envs.arguments import TaskSpec

__all__ = ["JointSpec", "Order"]


class Order(StrEnum):
    """When the machine is decided."""

    MACHINE_FIRST = "machine_first"
    MACHINE_LAST = "machine_last"


class JointSpec(TaskSpec):
    """Arguments of ``accelgym/Joint-v0``."""

    network: str = "glyph_cnn"
    """A shipped network with a measured table of losses: ``glyph_cnn``, ``glyph_vit``, ``text_lm``."""
    workload: str | None = None
    """In its place a network of the zoo or a network file, with a ``proxy`` table: no accuracy."""
    machines: Literal["standard", "small"] = "standard"
    """The list of machines: 5,400 or 96, before limits."""
    types: tuple[str, ...] | None = Field(default=None, min_length=1)
    """Sets of types to choose from in place of those of the list: ``int8``, ``int4/int8`` for both operands,
    ``int4*int6/int8`` for weights and activations."""
    objective: Objective = Objective.EDP
    area_budget: float = Field(default=300_000.0, gt=0, allow_inf_nan=False)
    """NAND2 equivalents of array, buffers, control and shared SRAM."""
    bandwidth_bits: int = Field(default=256, ge=1)
    """Limit of the three port widths together, bits a cycle."""
    clock_ghz: float = Field(default=1.0, gt=0, le=10)
    """Clock that the estimated critical path has to meet."""
    max_loss: float = Field(default=0.02, ge=0.0, allow_inf_nan=False)
    """The most that the table of losses may add up to: nats; of a proxy, relative noise."""
    order: Order = Order.MACHINE_FIRST
    """Whether an episode decides the machine before the layers or after them."""

    @model_validator(mode="after")
    def _fits_together(self) -> JointSpec:
        if self.workload is not None and "network" in self.model_fields_set:
            raise ValueError("network and workload: give one of them")
        if self.types is not None and len(set(self.types)) < len(self.types):
            raise ValueError("types: a set is listed twice, allowed is once")
        return self
