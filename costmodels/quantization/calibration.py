"""Finds the magnitude that becomes the largest number of a type."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from accelgym.costmodels.datatypes import Kind, Values
from accelgym.costmodels.datatypes.round_to_odd import divide_to_odd
from accelgym.costmodels.errors import InputError
from accelgym.costmodels.quantization.formats import Calibration, ScaleSharing, TensorFormat
from accelgym.costmodels.rounded import power

__all__ = ["calibrate", "grouped", "scale_groups"]

_FRACTIONS = power(2.0, -np.arange(-8, 25) / 8)
"""Of the largest magnitude, that ``mse`` tries: twice as large (the rule for powers of two may saturate) down to an
eighth."""
_POSIT_FRACTIONS = power(2.0, np.arange(-3, 27) / 2)
"""The same for posits, which are finest around 1, far below their largest number."""
_MOST = 1 << 16
"""Values a group from which ``mse`` judges, evenly spread over it."""


def grouped(values: Values, sharing: ScaleSharing, channel_axis: int) -> Values:
    """Returns the values that share a scale as rows, shape ``(groups, values)``; not for blocks."""
    if sharing is ScaleSharing.CHANNEL:
        return np.moveaxis(values, channel_axis, 0).reshape(values.shape[channel_axis], -1)
    return values.reshape(1, -1)


def scale_groups(sharing: ScaleSharing, shape: tuple[int, ...], channel_axis: int) -> tuple[int, ...]:
    """Returns the shape of the scales of a tensor, which broadcasts against it; not for blocks."""
    ones = [1] * len(shape)
    if sharing is ScaleSharing.CHANNEL:
        ones[channel_axis] = shape[channel_axis]
    return tuple(ones)


def calibrate(
    form: TensorFormat,
    values: npt.ArrayLike,
    *,
    channel_axis: int = 0,
    reduction_axis: int = 1,
    name: str = "tensor",
) -> Values | None:
    """Returns the magnitude of every scale of a tensor, in a shape that broadcasts against it.

    Args:
        form: The format.
        values: Data to calibrate on, any shape.
        channel_axis: Axis of the output channels, for one scale a channel.
        reduction_axis: Axis of the terms of a sum, which blocks lie along.
        name: What the tensor is, for messages.

    Returns:
        None without scales. For blocks the reduction axis counts blocks.

    Raises:
        InputError: No values, an infinity or NaN, or negative values in a type without a sign.
    """
    array = np.asarray(values, dtype=np.float64)
    if not array.size:
        raise InputError(f"{name}: nothing to calibrate {form.name} on, allowed: at least one value")
    wrong = ~np.isfinite(array)
    if wrong.any():
        place = tuple(int(i) for i in np.argwhere(wrong)[0])
        raise InputError(
            f"{name}: {array[place]} at {list(place)} among the values {form.name} is calibrated on, allowed: finite "
            "values"
        )
    if array.min() < 0 <= form.element.round(-form.element.max):
        raise InputError(
            f"{name}: {form.datatype} has no sign and {array.min():.4g} is negative, allowed: a signed type"
        )
    if form.scales is ScaleSharing.NONE:
        return None
    if form.scales is ScaleSharing.BLOCK:
        assert form.block_size is not None
        moved = np.moveaxis(array, reduction_axis, -1)
        missing = -moved.shape[-1] % form.block_size
        padded = np.pad(moved, [(0, 0)] * (moved.ndim - 1) + [(0, missing)])
        rows = padded.reshape(-1, form.block_size)
        shape = (*moved.shape[:-1], padded.shape[-1] // form.block_size)
        return np.moveaxis(_magnitudes(form, rows).reshape(shape), -1, reduction_axis)
    rows = grouped(array, form.scales, channel_axis)
    return _magnitudes(form, rows).reshape(scale_groups(form.scales, array.shape, channel_axis))


def _magnitudes(form: TensorFormat, rows: Values) -> Values:
    """Returns the magnitude of every row, shape ``(rows,)``."""
    sizes = np.abs(rows)
    largest = np.asarray(sizes.max(axis=1))
    if form.calibration is Calibration.ABS_MAX:
        return largest
    if form.calibration is Calibration.PERCENTILE:
        found = np.asarray(np.percentile(sizes, form.percentile, axis=1, method="higher"))
        # A row of mostly zeros keeps a range.
        return np.where(found > 0, found, largest)
    judged = rows[:, :: max(1, -(-rows.shape[1] // _MOST))]
    best, least = largest, np.full(len(rows), np.inf)
    for fraction in _POSIT_FRACTIONS if form.element.kind is Kind.POSIT else _FRACTIONS:
        scale = form.scale.decode(form.blocks.scale_codes(largest * fraction))[:, None]
        error = ((form.element.round(divide_to_odd(judged, scale)) * scale - judged) ** 2).sum(axis=1)
        better = error < least
        best, least = np.where(better, largest * fraction, best), np.where(better, error, least)
    return best
