"""What defines a datatype task, validated with errors that name the key."""

from __future__ import annotations

from enum import StrEnum

from pydantic import Field, model_validator

from accelgym.envs.arguments import TaskSpec

__all__ = ["DatatypeObjective", "DatatypeSpec", "LossMetric", "Slots"]


class DatatypeObjective(StrEnum):
    """Quantity minimised, summed over the layers for one example."""

    LATENCY = "latency"
    """Cycles."""
    ENERGY = "energy"
    """pJ."""
    TRAFFIC = "traffic"
    """Bits of weights, keys, values and activations, their scales included, each read once."""


class LossMetric(StrEnum):
    """What the limit is stated in."""

    CROSS_ENTROPY = "cross_entropy"
    """Nats more than in float32; of a language model, a share of perplexity more."""
    ACCURACY = "accuracy"
    """Percentage points fewer than in float32."""


class Slots(StrEnum):
    """What gets formats of its own."""

    LAYER = "layer"
    BLOCK = "block"
    """All layers of a module of the network, such as a residual block."""


class DatatypeSpec(TaskSpec):
    """Arguments of ``accelgym/Datatype-v0``."""

    network: str = "glyph_cnn"
    """A shipped network with a measured table: ``glyph_cnn``, ``glyph_vit``, ``text_lm``."""
    workload: str | None = None
    """In its place a network of the zoo or a network file, with a ``proxy`` table: no accuracy."""
    hardware: str = "integer"
    """``integer`` (int4, int6, int8), ``microscaling`` (e2m1, e4m3 with block scales), or a file of a systolic
    configuration."""
    objective: DatatypeObjective = DatatypeObjective.ENERGY
    metric: LossMetric = LossMetric.CROSS_ENTROPY
    max_loss: float = Field(default=0.05, ge=0.0, allow_inf_nan=False)
    """The floor: the most that the table may add up to, in nats or percentage points; of a proxy, relative noise."""
    slots: Slots = Slots.LAYER

    @model_validator(mode="after")
    def _a_proxy_has_one_metric(self) -> DatatypeSpec:
        if self.workload is not None and self.metric is not LossMetric.CROSS_ENTROPY:
            raise ValueError("metric: a workload without weights has a proxy table, and no accuracy")
        return self
