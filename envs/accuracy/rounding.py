"""Rounding of PyTorch tensors to the values of a format: the fast mode's stand-in for codes and scales."""

from __future__ import annotations

from collections.abc import Callable
from functools import cache

import numpy as np
import torch
from torch import Tensor

from accelgym.costmodels.datatypes import Datatype, IntegerFormat, get_datatype
from accelgym.costmodels.datatypes.datatype import TABLE_BITS
from accelgym.costmodels.quantization import ScaleSharing, TensorFormat

__all__ = ["fake_quantise", "rounder"]

_NATIVE = {"fp32": torch.float32, "bf16": torch.bfloat16, "fp16": torch.float16}


@cache
def rounder(name: str) -> Callable[[Tensor], Tensor]:
    """Returns a function that rounds float32 tensors to a format, equal to ``Datatype.round`` for finite values.

    Args:
        name: Name of a format.
    """
    datatype = get_datatype(name)
    if name in _NATIVE:
        kind, most = _NATIVE[name], datatype.max
        return lambda x: x.clamp(-most, most).to(kind).float()
    if isinstance(datatype, IntegerFormat) and datatype.bits <= 24:
        quantum = 2.0**datatype.quantum_exponent
        low, high = float(datatype.lowest), float(datatype.highest)
        return lambda x: (x / quantum).round().clamp(low, high) * quantum
    if datatype.bits <= TABLE_BITS:
        return _by_table(datatype)
    return lambda x: torch.from_numpy(datatype.round(x.numpy())).float()


def _by_table(datatype: Datatype) -> Callable[[Tensor], Tensor]:
    """Finds the smallest float32 that rounds to each value, so that a binary search rounds."""
    values = np.unique(datatype.values[np.isfinite(datatype.values)] + 0.0)
    low, high = values[:-1].astype(np.float32), values[1:].astype(np.float32)
    while True:
        middle = (low.astype(np.float64) + high) / 2
        middle = np.clip(middle, -np.finfo(np.float32).max, np.finfo(np.float32).max).astype(np.float32)
        open_ = (middle > low) & (middle < high)
        if not open_.any():
            break
        up = datatype.round(middle.astype(np.float64)) >= values[1:]
        high, low = np.where(open_ & up, middle, high), np.where(open_ & ~up, middle, low)
    thresholds, table = torch.from_numpy(high), torch.from_numpy(values.astype(np.float32))
    return lambda x: table[torch.bucketize(x.contiguous(), thresholds, right=True)]


def fake_quantise(x: Tensor, form: TensorFormat, magnitude: float | None, axis: int, groups: int = 1) -> Tensor:
    """Rounds an activation to what a format stores, in float32.

    Args:
        x: Any shape.
        form: The format.
        magnitude: What the largest number of the type stands for, where the scale is fixed beforehand.
        axis: Axis of the terms of a sum, which blocks lie along.
        groups: Parts of that axis that no block reaches across.
    """
    rounded = rounder(form.datatype)
    if form.scales is ScaleSharing.NONE:
        return rounded(x)
    if form.scales is ScaleSharing.BLOCK:
        return _in_blocks(x, form, axis, groups)
    scale = float(form.scale.decode(form.blocks.scale_codes([magnitude or 0.0]))[0])
    return rounded(x / scale) * scale


def _in_blocks(x: Tensor, form: TensorFormat, axis: int, groups: int) -> Tensor:
    axis %= x.ndim
    length = x.shape[axis] // groups
    size = min(form.block_size or 1, length)
    shape = list(x.shape)
    parts = x.reshape(*shape[:axis], groups, length, *shape[axis + 1 :])
    missing = -length % size
    if missing:
        after = 2 * (x.ndim - 1 - axis)
        parts = torch.nn.functional.pad(parts, (*[0] * after, 0, missing))
    blocks = parts.reshape(*shape[:axis], groups, -1, size, *shape[axis + 1 :])
    scales = _block_scales(blocks.abs().amax(dim=axis + 2, keepdim=True), form)
    stored = (rounder(form.datatype)(blocks / scales) * scales).flatten(axis + 1, axis + 2)
    return stored.narrow(axis + 1, 0, length).reshape(x.shape)


def _block_scales(largest: Tensor, form: TensorFormat) -> Tensor:
    """The rules of ``BlockFormat.scale_codes``."""
    full = form.element.full_scale
    if form.blocks.scales_are_powers_of_two:
        exponents = torch.frexp(largest).exponent - int(np.frexp(full)[1])
        scales = torch.ldexp(torch.ones_like(largest), exponents.clamp(-126, 126))
    else:
        scales = largest / full
    scales = rounder(form.scale_type)(scales)
    return torch.where((largest == 0) | (scales == 0), torch.ones_like(scales), scales)
