"""A layer with real operands: what the accelerator is given, and what its results mean."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from accelgym.costmodels.datatypes import Codes, Values
from accelgym.costmodels.errors import InputError
from accelgym.costmodels.quantization import QuantizedTensor, ScaleSharing, TensorFormat, quantise
from accelgym.costmodels.systolic.config import SystolicConfig
from accelgym.costmodels.systolic.scheduler import schedule
from accelgym.costmodels.workloads.layer import Layer
from accelgym.hwgen.golden import golden_outputs
from accelgym.hwgen.grid import Grid
from accelgym.hwgen.stimulus import Operands

__all__ = ["QuantizedLayer", "quantise_layer"]


@dataclass(frozen=True)
class QuantizedLayer:
    """A layer in the formats of an accelerator."""

    config: SystolicConfig
    """The accelerator, with the formats of the layer at hand."""
    layer: Layer
    operands: Operands
    scale: Values
    """What one unit of the accumulation buffer stands for, broadcasts against ``(N, K, P, Q)``; without block scales,
    which are applied inside."""

    def codes(self) -> Codes:
        """Returns what the hardware computes, bit patterns of the accumulation type, shape ``(N, K, P, Q)``."""
        grid = Grid.of(self.config, self.layer, schedule(self.config, self.layer).tiling)
        return golden_outputs(self.config, self.layer, grid, self.operands)

    def outputs(self) -> Values:
        """Returns the results as numbers, shape ``(N, K, P, Q)``."""
        return np.asarray(self.config.accumulation.decode(self.codes()) * self.scale)


def quantise_layer(
    config: SystolicConfig,
    layer: Layer,
    inputs: npt.ArrayLike,
    weights: npt.ArrayLike,
    input_format: TensorFormat,
    weight_format: TensorFormat,
    *,
    input_magnitudes: npt.ArrayLike | None = None,
    weight_magnitudes: npt.ArrayLike | None = None,
) -> QuantizedLayer:
    """Lowers the operands of a layer to codes.

    Block scales go into the array, at the accelerator's block size or a multiple of it; an operand without them has
    scale 1 there. Scales of tensors and channels are taken out of the sum and applied to the results.

    Args:
        config: The accelerator.
        layer: A convolution or a matrix product.
        inputs: Shape ``(N, C, H, W)``, ``C`` over all groups.
        weights: Shape ``(K, C / groups, R, S)``.
        input_format: Format of the inputs.
        weight_format: Format of the weights.
        input_magnitudes: From ``calibrate``; found from the inputs when None.
        weight_magnitudes: Likewise.

    Raises:
        InputError: A format that the accelerator does not have, or data that cannot be quantised.
    """
    try:
        chosen = config.with_types(input_format.datatype, weight_format.datatype)
    except InputError as error:
        raise InputError(f"layer {layer.name!r}: {error}") from error
    for role, form in (("input", input_format), ("weight", weight_format)):
        _refuse_blocks(chosen, layer, role, form)
    n, groups, channels = layer.N, layer.groups, layer.C // layer.groups
    image = np.asarray(inputs, dtype=np.float64).reshape(n, groups, channels, layer.input_height, layer.input_width)
    x = quantise(image, input_format, magnitudes=input_magnitudes, reduction_axis=2, name=f"input of {layer.name!r}")
    w = quantise(weights, weight_format, magnitudes=weight_magnitudes, name=f"weight of {layer.name!r}")
    operands = Operands(
        x.codes.reshape(n, layer.C, layer.input_height, layer.input_width), w.codes, *_block_scales(chosen, layer, x, w)
    )
    scale = np.ones((1, 1, 1, 1))
    if x.format.is_static:
        scale = scale * x.scales().reshape(1, 1, 1, 1)
    if w.format.is_static:
        scale = scale * w.scales().reshape(1, -1, 1, 1)
    return QuantizedLayer(chosen, layer, operands, scale)


def _refuse_blocks(config: SystolicConfig, layer: Layer, role: str, form: TensorFormat) -> None:
    if form.scales is not ScaleSharing.BLOCK:
        return
    if config.scale_type != form.scale_type:
        has = "no block scales" if config.scale_type is None else f"block scales of {config.scale_type}"
        raise InputError(f"layer {layer.name!r}: {role} {form.name}, but the accelerator has {has}")
    if (form.block_size or 0) % config.scale_block_size:
        raise InputError(
            f"layer {layer.name!r}: {role} block_size {form.block_size}, allowed: multiples of the accelerator's "
            f"{config.scale_block_size}"
        )


def _block_scales(
    config: SystolicConfig, layer: Layer, x: QuantizedTensor, w: QuantizedTensor
) -> tuple[Codes | None, Codes | None]:
    """Returns the scales in the accelerator's blocks; ``(None, None)`` for one without."""
    if config.scale is None:
        return None, None
    blocks = -(-layer.C // layer.groups // config.scale_block_size)

    def scales(tensor: QuantizedTensor, axis: int, shape: tuple[int, ...]) -> Codes:
        if tensor.format.scales is not ScaleSharing.BLOCK or tensor.scale_codes is None:
            return np.full(shape, config.unit_scale, dtype=np.int64)
        times = (tensor.format.block_size or 1) // config.scale_block_size
        repeated = np.repeat(tensor.scale_codes, times, axis=axis)
        return np.take(repeated, np.arange(blocks), axis=axis).reshape(shape)

    image = (layer.N, layer.groups * blocks, layer.input_height, layer.input_width)
    return scales(x, 2, image), scales(w, 1, (layer.K, blocks, layer.R, layer.S))
