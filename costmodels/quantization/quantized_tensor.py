"""A tensor in its stored form: codes and scales."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from accelgym.costmodels.datatypes import Codes, Values
from accelgym.costmodels.datatypes.round_to_odd import divide_to_odd
from accelgym.costmodels.errors import InputError
from accelgym.costmodels.quantization.calibration import calibrate
from accelgym.costmodels.quantization.formats import ScaleSharing, TensorFormat

__all__ = ["QuantizedTensor", "quantise"]


@dataclass(frozen=True)
class QuantizedTensor:
    """Codes of the elements, and codes of the scales."""

    format: TensorFormat
    codes: Codes
    """Shape of the tensor."""
    scale_codes: Codes | None
    """Broadcasts against the tensor; with block scales the reduction axis counts blocks. None without scales."""
    reduction_axis: int = 1

    def scales(self) -> Values:
        """Returns the scale of every element, exactly; broadcasts against the tensor."""
        if self.scale_codes is None:
            return np.ones((1,) * self.codes.ndim)
        return _spread(self.format, self.scale_codes, self.codes.shape, self.reduction_axis)

    def values(self) -> Values:
        """Returns the numbers that are stored, exactly: element times scale, in float64."""
        return np.asarray(self.format.element.decode(self.codes) * self.scales())


def _spread(form: TensorFormat, scale_codes: Codes, shape: tuple[int, ...], reduction_axis: int) -> Values:
    scales = form.scale.decode(scale_codes)
    if form.scales is not ScaleSharing.BLOCK:
        return scales
    repeated = np.repeat(scales, form.block_size or 1, axis=reduction_axis)
    return np.take(repeated, np.arange(shape[reduction_axis]), axis=reduction_axis)


def quantise(
    values: npt.ArrayLike,
    form: TensorFormat,
    *,
    magnitudes: npt.ArrayLike | None = None,
    channel_axis: int = 0,
    reduction_axis: int = 1,
    name: str = "tensor",
) -> QuantizedTensor:
    """Stores a tensor: scales by the rule of ``BlockFormat``, elements rounded once to nearest even, saturating.

    Args:
        values: Any shape; finite.
        form: The format.
        magnitudes: What :func:`calibrate` found, for scales that are fixed beforehand; found from ``values`` when None.
        channel_axis: Axis of the output channels.
        reduction_axis: Axis of the terms of a sum.
        name: What the tensor is, for messages.

    Raises:
        InputError: As :func:`calibrate`, or magnitudes of another shape.
    """
    array = np.asarray(values, dtype=np.float64)
    if magnitudes is None:
        found = calibrate(form, array, channel_axis=channel_axis, reduction_axis=reduction_axis, name=name)
    else:
        found = np.asarray(magnitudes, dtype=np.float64)
    if form.scales is ScaleSharing.NONE or found is None:
        return QuantizedTensor(form, form.element.encode(array), None, reduction_axis)
    scale_codes = form.blocks.scale_codes(found)
    scales = _spread(form, scale_codes, array.shape, reduction_axis)
    try:
        wanted = np.broadcast_to(scales, array.shape)
    except ValueError:
        shapes = f"{found.shape} for values of shape {array.shape}"
        raise InputError(f"{name}: magnitudes of shape {shapes}, allowed: what calibrate() returns") from None
    return QuantizedTensor(form, form.element.encode(divide_to_odd(array, wanted)), scale_codes, reduction_axis)
