"""The format of a tensor: type of the elements, how values share scales, how the scales are found."""

from __future__ import annotations

from enum import StrEnum
from functools import cached_property
from typing import Annotated

from pydantic import Field, model_validator

from accelgym.costmodels.datatypes import BlockFormat, Datatype, FloatFormat, get_datatype
from accelgym.costmodels.files.strict_model import StrictModel

__all__ = ["Calibration", "ScaleSharing", "TensorFormat"]


class ScaleSharing(StrEnum):
    """Which values have a scale in common."""

    NONE = "none"
    """No scale: values are rounded to the type as they are."""
    TENSOR = "tensor"
    CHANNEL = "channel"
    """One scale for each output channel: weights only, since it must not change along a reduction."""
    BLOCK = "block"
    """One scale for ``block_size`` neighbours along the reduction (OCP microscaling), found from the block itself."""


class Calibration(StrEnum):
    """Which magnitude becomes the largest number of the type; what is larger saturates."""

    ABS_MAX = "abs_max"
    """The largest one."""
    PERCENTILE = "percentile"
    """The one that ``percentile`` percent of the magnitudes do not exceed."""
    MSE = "mse"
    """The one with the least sum of squared errors, out of a geometric grid around the largest; the choice for posits,
    whose largest number is far from where they are fine."""


class TensorFormat(StrictModel):
    """How one tensor is stored. A value is ``element * scale``.

    Raises:
        ValidationError: Types that do not exist or have no zero, or a combination without meaning.
    """

    datatype: str
    """Type of the elements, as for :func:`~accelgym.costmodels.datatypes.get_datatype`."""
    scales: Annotated[ScaleSharing, Field(strict=False)] = ScaleSharing.TENSOR
    block_size: int | None = Field(default=None, ge=1)
    """Values a scale, for block scales only."""
    scale_type: str = "fp32"
    """Type of the scales: a float format; ``e8m0`` for powers of two."""
    calibration: Annotated[Calibration, Field(strict=False)] = Calibration.ABS_MAX
    percentile: float = Field(default=99.9, gt=0.0, le=100.0)

    @model_validator(mode="after")
    def _fits_together(self) -> TensorFormat:
        self.element.zero()  # Padding needs one.
        if (self.block_size is not None) != (self.scales is ScaleSharing.BLOCK):
            raise ValueError(f"block_size {self.block_size}: goes with scales 'block', and only with them")
        if not isinstance(get_datatype(self.scale_type), FloatFormat):
            raise ValueError(f"scale_type {self.scale_type}: allowed are float formats, e8m0 for powers of two")
        _ = self.blocks  # Checks the widths.
        return self

    @property
    def element(self) -> Datatype:
        """Type of the elements."""
        return get_datatype(self.datatype)

    @property
    def scale(self) -> Datatype:
        """Type of the scales."""
        return get_datatype(self.scale_type)

    @cached_property
    def blocks(self) -> BlockFormat:
        """The same types and rules with block scales: where every scale of this format comes from."""
        return BlockFormat(self.name, self.element, self.scale, self.block_size or 1)

    @property
    def bits_per_value(self) -> float:
        """Storage for one value; scales of a tensor or channel do not count."""
        return self.blocks.bits_per_value if self.scales is ScaleSharing.BLOCK else float(self.element.bits)

    @property
    def is_static(self) -> bool:
        """Whether the scale of an activation is fixed before it is known; those of blocks follow from the values."""
        return self.scales in (ScaleSharing.TENSOR, ScaleSharing.CHANNEL)

    @property
    def name(self) -> str:
        """A short name for messages and tables, for example ``int4/block32:e8m0``."""
        if self.scales is ScaleSharing.NONE:
            return self.datatype
        rule = "" if self.calibration is Calibration.ABS_MAX else f",{self.calibration}"
        return f"{self.datatype}/{self.scales}{self.block_size or ''}:{self.scale_type}{rule}"
