"""Operand tensors for verification: random and directed."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum

import numpy as np
import numpy.typing as npt

from accelgym.costmodels.datatypes import Datatype, Kind
from accelgym.costmodels.systolic.config import SystolicConfig
from accelgym.costmodels.workloads.layer import Layer

__all__ = ["Operands", "Stimulus", "draw_codes", "draw_operands"]

Codes = npt.NDArray[np.int64]


class Stimulus(StrEnum):
    """A way to fill a tensor."""

    RANDOM = "random"
    """Integers and codebooks: all codes alike. Others: normally distributed values, which use most exponents."""
    EXTREMES = "extremes"
    """Largest, smallest, zero and unit values: sums overflow or cancel."""
    CODES = "codes"
    """All codes alike, infinities and NaNs rarely, so that they meet finite neighbours."""


_SPECIAL_SHARE = 1 / 256
_SCALE_SPREAD = 2.0
"""Standard deviation of the binary logarithm of random scales."""


@dataclass(frozen=True)
class Operands:
    """The tensors of a layer, bit patterns."""

    inputs: Codes
    """Shape ``(N, C, H, W)``, ``C`` over all groups."""
    weights: Codes
    """Shape ``(K, C / groups, R, S)``."""
    input_scales: Codes | None = None
    """One for every block of channels, shape ``(N, groups * blocks, H, W)``."""
    weight_scales: Codes | None = None
    """Shape ``(K, blocks, R, S)``."""


def draw_operands(config: SystolicConfig, layer: Layer, stimulus: Stimulus, generator: np.random.Generator) -> Operands:
    """Draws the tensors of a layer, with block scales where the configuration has them."""
    image = (layer.input_height, layer.input_width)
    channels, taps = layer.C // layer.groups, (layer.R, layer.S)
    inputs = draw_codes(config.input, (layer.N, layer.C, *image), stimulus, generator)
    weights = draw_codes(config.weight, (layer.K, channels, *taps), stimulus, generator)
    if config.scale is None:
        return Operands(inputs, weights)
    blocks = -(-channels // config.scale_block_size)
    return Operands(
        inputs,
        weights,
        _draw_scales(config.scale, (layer.N, layer.groups * blocks, *image), stimulus, generator),
        _draw_scales(config.scale, (layer.K, blocks, *taps), stimulus, generator),
    )


def _draw_scales(
    datatype: Datatype, shape: tuple[int, ...], stimulus: Stimulus, generator: np.random.Generator
) -> Codes:
    if stimulus is Stimulus.RANDOM:
        return datatype.encode(np.exp2(generator.normal(scale=_SCALE_SPREAD, size=shape)))
    return draw_codes(datatype, shape, stimulus, generator)


def draw_codes(datatype: Datatype, shape: tuple[int, ...], stimulus: Stimulus, generator: np.random.Generator) -> Codes:
    """Returns codes of a format.

    Args:
        datatype: The format, of at most 16 bits.
        shape: Shape of the tensor.
        stimulus: What to fill it with.
        generator: Source of randomness.
    """
    exact = datatype.kind in (Kind.INTEGER, Kind.CODEBOOK)
    if stimulus is Stimulus.RANDOM and not exact:
        return datatype.encode(generator.normal(size=shape))
    values = datatype.values
    finite = np.flatnonzero(np.isfinite(values))
    if stimulus is Stimulus.EXTREMES:
        ends = [values[finite].argmax(), values[finite].argmin(), np.abs(values[finite] - 1).argmin()]
        choices = np.array([*finite[ends], datatype.encode_exact(0.0)])  # The smallest number where there is no zero.
        return np.asarray(generator.choice(choices, size=shape))
    codes = np.asarray(generator.choice(finite, size=shape))
    special = np.flatnonzero(~np.isfinite(values))
    if stimulus is Stimulus.CODES and special.size:
        codes = np.where(generator.random(shape) < _SPECIAL_SHARE, generator.choice(special, size=shape), codes)
    return codes
