"""Weights that lose less when they are rounded: reconstruction of a layer, and smoothing of its inputs."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from accelgym.costmodels.datatypes import Values
from accelgym.costmodels.errors import InputError
from accelgym.costmodels.quantization import ScaleSharing, TensorFormat
from accelgym.envs.accuracy.network import CONVOLUTION_ARGUMENTS, CONVOLUTIONS, NetworkLayer, named_arguments

__all__ = ["reconstruct", "smoothing_divisors"]

_DAMPING = 0.01
"""Share of the mean diagonal that is added to the Hessian (the value of GPTQ's authors)."""
_ROWS = 1 << 14
"""Rows of inputs that the Hessian sums over, evenly spread."""


def reconstruct(
    layer: NetworkLayer, weights: Values, form: TensorFormat, magnitudes: npt.ArrayLike | None, inputs: Tensor
) -> Values:
    """Rounds column after column and corrects the columns that follow for the error made (GPTQ).

    Args:
        layer: The layer.
        weights: Output channels first, shape ``(K, C / groups, ...)``.
        form: Format of the weights.
        magnitudes: What ``calibrate`` found for them: the scales stay.
        inputs: What the layer reads on the calibration data.

    Returns:
        Weights on the points of the format, of the same shape.
    """
    rows = _input_rows(layer, inputs)
    flat = weights.reshape(len(weights), -1)
    scales = _scales(form, magnitudes, weights.shape).reshape(flat.shape)
    result = np.empty_like(flat)
    per_group = len(flat) // layer.groups
    for group in range(layer.groups):
        part = slice(group * per_group, (group + 1) * per_group)
        result[part] = _columns(flat[part], scales[part], form, rows[group])
    return result.reshape(weights.shape)


def _columns(weights: Values, scales: Values, form: TensorFormat, rows: Values) -> Values:
    hessian = rows.T @ rows
    damping = _DAMPING * float(np.diag(hessian).mean())
    hessian[np.diag_indices_from(hessian)] += damping or 1.0
    factor = np.linalg.cholesky(np.linalg.inv(hessian)).T  # Upper triangular.
    left, result = weights.copy(), np.empty_like(weights)
    for column in range(weights.shape[1]):
        result[:, column] = form.element.round(left[:, column] / scales[:, column]) * scales[:, column]
        error = (left[:, column] - result[:, column]) / factor[column, column]
        left[:, column + 1 :] -= error[:, None] * factor[column, column + 1 :]
    return result


def _scales(form: TensorFormat, magnitudes: npt.ArrayLike | None, shape: tuple[int, ...]) -> Values:
    """Returns the scale of every weight."""
    if magnitudes is None or form.scales is ScaleSharing.NONE:
        return np.ones(shape)
    scales = form.scale.decode(form.blocks.scale_codes(magnitudes))
    if form.scales is ScaleSharing.BLOCK:
        scales = np.repeat(scales, form.block_size or 1, axis=1)[:, : shape[1]]
    return np.broadcast_to(scales, shape)


def _input_rows(layer: NetworkLayer, inputs: Tensor) -> Values:
    """Returns what every output multiplies the weights with, shape ``(groups, rows, terms)``."""
    if layer.op not in CONVOLUTIONS:
        rows = inputs.reshape(1, -1, inputs.shape[-1])
    else:
        given = named_arguments(CONVOLUTION_ARGUMENTS, layer.node.args, layer.node.kwargs)
        size = layer.node.args[1].meta["val"].shape[2:]  # type: ignore[union-attr]
        if len(size) != 2:
            raise InputError(
                f"layer {layer.name!r}: weights of {layer.op} cannot be reconstructed, allowed: conv2d, products"
            )
        stride, padding, dilation = (given.get(n, d) for n, d in (("stride", 1), ("padding", 0), ("dilation", 1)))
        columns = torch.nn.functional.unfold(inputs, tuple(size), dilation, padding, stride)
        parts = columns.reshape(len(inputs), layer.groups, -1, columns.shape[-1])
        rows = parts.permute(1, 0, 3, 2).reshape(layer.groups, -1, parts.shape[2])
    step = max(1, -(-rows.shape[1] // _ROWS))
    return rows[:, ::step].numpy().astype(np.float64)


def smoothing_divisors(inputs: Tensor, axis: int, weight: Tensor, weight_axis: int, exponent: float) -> Tensor:
    """Returns what each input channel is divided by, and its weights multiplied with; 1 where either is zero.

    Args:
        inputs: What the layer reads on the calibration data.
        axis: Axis of its channels.
        weight: The weights.
        weight_axis: Axis of the same channels.
        exponent: 0 leaves the difficulty to the activations' scales, 1 moves all outliers into the weights.
    """
    x = inputs.abs().movedim(axis, 0).reshape(inputs.shape[axis], -1).amax(dim=1)
    w = weight.abs().movedim(weight_axis, 0).reshape(weight.shape[weight_axis], -1).amax(dim=1)
    found = x**exponent / w ** (1 - exponent)
    return torch.where((x > 0) & (w > 0), found, torch.ones_like(found))
