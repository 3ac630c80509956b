"""Operand tensors for verification: random and directed.

A tensor reaches the corners of the arithmetic only if its outputs stay tellable apart: one NaN or infinity among the
terms of an output hides all others. So the share of specials falls with the length of the reduction, and where float
sums could overflow, the exponents of every term are bounded (:mod:`accelgym.hwgen.operand_bounds`).
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum

import numpy as np
import numpy.typing as npt

from accelgym.costmodels.datatypes import Datatype, Kind
from accelgym.costmodels.systolic.config import SystolicConfig
from accelgym.costmodels.workloads.layer import Layer
from accelgym.hwgen.directed_operands import Directed
from accelgym.hwgen.operand_bounds import MagnitudeSplit, finite_codes, product_exponent, scale_exponent

__all__ = ["Operands", "Stimulus", "draw_operands"]

Codes = npt.NDArray[np.int64]
Floats = npt.NDArray[np.float64]


class Stimulus(StrEnum):
    """A way to fill the tensors of a layer."""

    RANDOM = "random"
    """Integers and codebooks: all codes alike. Others: normally distributed values, which use most exponents."""
    EXTREMES = "extremes"
    """Largest, smallest, zero and unit values: integer sums wrap or cancel, float sums come close to the largest number
    and a few go beyond it. Part of the image and some filters hold one value: the largest sums of the layer."""
    CODES = "codes"
    """All codes alike as far as sums stay finite; infinities and NaNs in about one of eight outputs."""
    DIRECTED = "directed"
    """A few terms an output, so that each of them shows: ties with a term far away, infinity times zero, negative
    zeros, subnormal results, overflow by one unit, the longest carries."""


_SPECIAL_OUTPUTS = 1 / 8
"""Share of outputs with a special among their operands."""
_SCALE_SPREAD = 2.0
"""Standard deviation of the binary logarithm of random scales."""
_FEWEST = 4
"""Outputs that a special may reach a quarter of, which makes one certain."""


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
    """Draws the tensors of a layer, with block scales where the configuration has them.

    Args:
        config: The accelerator; the layer runs with its formats at hand, of at most 16 bits.
        layer: A convolution or a matrix product.
        stimulus: What to fill the tensors with.
        generator: Source of randomness.
    """
    if stimulus is Stimulus.DIRECTED:
        directed = Directed(config, layer, generator)
        pair = directed.operands()
        scales = directed.scales()
    elif stimulus is Stimulus.RANDOM:
        pair = _random(config.input, config.weight, layer, layer.C // layer.groups, generator)
        scales = None if config.scale is None else _random_scales(config.scale, config, layer, generator)
    else:
        pair = _bounded(
            config.input,
            config.weight,
            product_exponent(config, layer),
            layer,
            layer.C // layer.groups,
            stimulus,
            generator,
        )
        scales = (
            None
            if config.scale is None
            else _bounded(
                config.scale,
                config.scale,
                scale_exponent(config, layer),
                layer,
                _blocks(config, layer),
                stimulus,
                generator,
            )
        )
    tensors = (*pair, *(scales or ()))
    if stimulus in (Stimulus.CODES, Stimulus.DIRECTED):
        formats = (config.input, config.weight, config.scale, config.scale)[: len(tensors)]
        for index, (tensor, datatype) in enumerate(zip(tensors, formats, strict=True)):
            assert datatype is not None
            share = _SPECIAL_OUTPUTS / len(tensors)
            _plant(tensor, _specials(datatype, generator), _sites(layer, index % 2 == 0, share, generator), generator)
    return Operands(*tensors)


def _blocks(config: SystolicConfig, layer: Layer) -> int:
    return -(-layer.C // layer.groups // config.scale_block_size)


def _shapes(layer: Layer, channels: int) -> tuple[tuple[int, ...], tuple[int, ...]]:
    """Returns the shapes of an input and a weight tensor with ``channels`` channels (or blocks of them) a group."""
    image = (layer.N, layer.groups * channels, layer.input_height, layer.input_width)
    return image, (layer.K, channels, layer.R, layer.S)


def _random(
    left: Datatype, right: Datatype, layer: Layer, channels: int, generator: np.random.Generator
) -> tuple[Codes, Codes]:
    def draw(datatype: Datatype, shape: tuple[int, ...]) -> Codes:
        if datatype.kind not in (Kind.INTEGER, Kind.CODEBOOK):
            return datatype.encode(generator.normal(size=shape))
        return np.asarray(generator.choice(np.flatnonzero(np.isfinite(datatype.values)), size=shape))

    image, filters = _shapes(layer, channels)
    return draw(left, image), draw(right, filters)


def _random_scales(
    scale: Datatype, config: SystolicConfig, layer: Layer, generator: np.random.Generator
) -> tuple[Codes, Codes]:
    image, filters = (
        scale.encode(np.exp2(generator.normal(scale=_SCALE_SPREAD, size=shape)))
        for shape in _shapes(layer, _blocks(config, layer))
    )
    return image, filters


def _bounded(
    left: Datatype,
    right: Datatype,
    bound: float,
    layer: Layer,
    channels: int,
    stimulus: Stimulus,
    generator: np.random.Generator,
) -> tuple[Codes, Codes]:
    """Draws a pair of tensors with products up to ``2**bound``."""
    image, filters = _shapes(layer, channels)
    split = MagnitudeSplit.draw(bound, left, right, channels, generator)
    left_limits = np.tile(split.left, layer.groups)[None, :, None, None]
    right_limits = split.right[None, :, None, None]
    if stimulus is Stimulus.EXTREMES:
        pair = (_extremes(left, left_limits, image, generator), _extremes(right, right_limits, filters, generator))
        # Constant regions: all terms of an output have one sign.
        pair[0][:, :, : layer.input_height // 3] = _extremes(left, left_limits, (1, image[1], 1, 1), None)
        pair[1][:: max(_FEWEST, layer.K // 3)] = _extremes(right, right_limits, (1, channels, 1, 1), None)
        if np.isfinite(split.left).all():
            for index, (tensor, datatype) in enumerate(zip(pair, (left, right), strict=True)):
                finite = finite_codes(datatype)
                _plant(tensor, finite[-2:], _sites(layer, index == 0, _SPECIAL_OUTPUTS, generator), generator)
        return pair
    # Every second filter is smaller as a whole, which spreads the outputs over the exponents.
    magnitudes = np.abs(right.values[finite_codes(right)])
    most = np.log2(magnitudes[-1])
    spread = most - np.log2(np.median(magnitudes[magnitudes > 0]))
    smaller = generator.uniform(0, spread, size=(layer.K, 1, 1, 1))
    smaller[::2] = 0
    limits = np.where(smaller > 0, np.minimum(right_limits, most) - smaller, right_limits)
    return _codes(left, left_limits, image, generator), _codes(right, limits, filters, generator)


def _codes(datatype: Datatype, limits: Floats, shape: tuple[int, ...], generator: np.random.Generator) -> Codes:
    """Draws from all codes up to a magnitude alike; ``limits`` are binary logarithms."""
    codes = finite_codes(datatype)
    counts = np.searchsorted(np.abs(datatype.values[codes]), np.exp2(limits), side="right")
    drawn = generator.random(shape) * np.maximum(counts, 1)
    return np.asarray(codes[drawn.astype(np.int64)])


def _extremes(
    datatype: Datatype, limits: Floats, shape: tuple[int, ...], generator: np.random.Generator | None
) -> Codes:
    """Draws largest, smallest, unit and zero values up to a magnitude; the largest magnitude without a generator."""
    codes = finite_codes(datatype)
    values = datatype.values[codes]
    order = np.argsort(values, kind="stable")
    ascending, sizes = values[order], np.exp2(limits)
    highest = np.maximum(np.searchsorted(ascending, sizes, side="right") - 1, 0)
    lowest = np.minimum(np.searchsorted(ascending, -sizes, side="left"), codes.size - 1)
    if generator is None:
        larger = np.abs(ascending[lowest]) > np.abs(ascending[highest])
        return np.broadcast_to(codes[order[np.where(larger, lowest, highest)]], shape)
    nearest = int(np.abs(ascending - 1).argmin())
    unit = np.where(np.abs(ascending[nearest]) <= sizes, nearest, highest)
    zero = np.flatnonzero(codes[order] == datatype.encode_exact(0.0))[0]  # The smallest number where there is no zero.
    places = np.stack([np.broadcast_to(place, shape) for place in (highest, lowest, unit, zero)])
    drawn = np.take_along_axis(places, generator.integers(4, size=(1, *shape)), axis=0)[0]
    return np.asarray(codes[order[drawn]])


def _specials(datatype: Datatype, generator: np.random.Generator) -> Codes:
    """Returns special codes, as many infinities as NaNs where the format has both."""
    values = datatype.values
    classes = [np.flatnonzero(found) for found in (np.isinf(values), np.isnan(values)) if found.any()]
    return np.array([generator.choice(codes) for codes in classes for _ in range(4)], dtype=np.int64)


def _sites(layer: Layer, of_inputs: bool, share: float, generator: np.random.Generator) -> int:
    """Returns how many operands to replace for a share of the outputs to see one."""
    if of_inputs:  # A pixel reaches as many outputs as the filter has taps.
        outputs, reach = layer.N * layer.P * layer.Q * layer.groups, layer.R * layer.S
    else:
        outputs, reach = layer.K, 1
    expected = int(outputs * share / reach + generator.random())
    return max(expected, int(outputs >= _FEWEST * reach))


def _plant(tensor: Codes, choices: Codes, count: int, generator: np.random.Generator) -> None:
    """Replaces ``count`` elements by some of ``choices``, in place."""
    if choices.size and count:
        sites = generator.choice(tensor.size, size=min(count, tensor.size), replace=False)
        tensor.reshape(-1)[sites] = generator.choice(choices, size=sites.size)
