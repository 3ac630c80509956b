"""Operands that lead the sums of a layer to the corners of the arithmetic.

Most filters have a few terms other than zero, one behind the other in the order in which the array adds them: what one
rounding does wrong is then not lost among the others. A filter is of one *scenario*, the inputs are of one of two
*bands* of image rows; a layer with nine filters meets every pair.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from enum import IntEnum

import numpy as np
import numpy.typing as npt

from accelgym.costmodels.datatypes import Datatype, FloatFormat, Kind
from accelgym.costmodels.systolic.config import SystolicConfig, Template
from accelgym.costmodels.workloads.layer import Layer
from accelgym.hwgen.operand_bounds import finite_codes, smallest_magnitude

__all__ = ["Directed", "Scenario"]

Codes = npt.NDArray[np.int64]
Floats = npt.NDArray[np.float64]


class Scenario(IntEnum):
    """What the terms of a filter are after."""

    TIES = 0
    """A product between two numbers, and a term far below it that decides: the sticky bit."""
    CANCELLATION = 1
    """Two terms of one magnitude: zeros of either sign, long normalisations, carries through the whole word."""
    SUBNORMAL = 2
    """Products around the smallest number of the sums."""
    OVERFLOW = 3
    """Products around the largest number of the sums; integers: all terms the largest of one sign."""
    NEGATIVE_ZERO = 4
    """Every term is zero or rounds to zero, all of them negative where the inputs are positive."""
    CARRIES = 5
    """All terms, of magnitude one or the largest: integer sums pass zero in steps of one."""
    NEIGHBOURS = 7
    """Terms of all distances up to the last bit of the sum."""
    ACCUMULATION = 6
    """A few terms, each in a pass of its own."""


_ORDER = (0, 4, 1, 2, 7, 3, 6, 5, 0)
"""Scenario of every filter in turn: in small layers the first ones count."""
_ZERO_INPUTS = 1 / 8


class Directed:
    """Draws directed operands of a layer.

    Args:
        config: The accelerator, with the formats at hand.
        layer: A convolution or a matrix product.
        generator: Source of randomness.
    """

    def __init__(self, config: SystolicConfig, layer: Layer, generator: np.random.Generator) -> None:
        self._config, self._layer, self._generator = config, layer, generator
        self._channels = layer.C // layer.groups
        first = int(generator.integers(max(len(_ORDER) - layer.K, 0) + 1))
        self._scenarios = [Scenario(_ORDER[(first + k) % len(_ORDER)]) for k in range(layer.K)]
        # Image rows with positive inputs, as small as they can be: whole windows of them, and windows without any.
        height, span = layer.input_height, (layer.R - 1) * layer.dilation[0] + 1
        tiny = max(height // 2, span) if height > span else height * int(generator.integers(4) == 0)
        self._tiny_rows = np.arange(height) < tiny
        self._chain = self._order_of_addition()

    def operands(self) -> tuple[Codes, Codes]:
        """Returns inputs and weights, shapes ``(N, C, H, W)`` and ``(K, C / groups, R, S)``."""
        if self._config.psum.kind is Kind.INTEGER:
            return self._integer_inputs(), self._filters(self._integer_terms)
        return self._float_inputs(), self._filters(self._float_terms)

    def scales(self) -> tuple[Codes, Codes] | None:
        """Returns block scales: near one, and as small as they can be for subnormal results and negative zeros."""
        scale, layer = self._config.scale, self._layer
        if scale is None:
            return None
        blocks = -(-self._channels // self._config.scale_block_size)
        image = (layer.N, layer.groups * blocks, layer.input_height, layer.input_width)
        inputs = self._significands(scale, image) * np.exp2(self._generator.integers(-1, 2, size=image))
        inputs[:, :, self._tiny_rows] = smallest_magnitude(scale)
        filters = (layer.K, blocks, layer.R, layer.S)
        weights = self._significands(scale, filters) * np.exp2(self._generator.integers(-1, 2, size=filters))
        small = [scenario in (Scenario.NEGATIVE_ZERO, Scenario.SUBNORMAL) for scenario in self._scenarios]
        weights[small] = smallest_magnitude(scale)
        return scale.encode(inputs), scale.encode(weights)

    def _order_of_addition(self) -> Codes:
        """Returns the flat indices ``(c * R + r) * S + s`` in the order in which the array adds them."""
        taps = self._layer.R * self._layer.S
        flat = np.arange(self._channels * taps)
        if self._config.template is Template.OUTPUT_STATIONARY:
            return flat
        channel, tap = flat // taps, flat % taps
        return np.lexsort((channel % self._config.rows, tap, channel // self._config.rows))

    def _filters(self, terms: Callable[[Scenario, Codes], Codes]) -> Codes:
        """Puts the terms of every filter in their places."""
        layer, config = self._layer, self._config
        size = self._channels * layer.R * layer.S
        weights = np.full((layer.K, size), config.weight.zero(), dtype=np.int64)
        for k, scenario in enumerate(self._scenarios):
            places = self._places(scenario)
            weights[k, places] = terms(scenario, places)
        return weights.reshape(layer.K, self._channels, layer.R, layer.S)

    def _places(self, scenario: Scenario) -> Codes:
        """Returns where a filter has terms, flat indices in the order of addition."""
        chain, rows, draw = self._chain, self._config.rows, self._generator.integers
        if scenario in (Scenario.NEGATIVE_ZERO, Scenario.CARRIES) or (
            scenario is Scenario.OVERFLOW and self._config.psum.kind is Kind.INTEGER
        ):
            return chain
        count = int(min(2 if scenario is Scenario.TIES else draw(2, 5), chain.size))
        step = 1
        if scenario is Scenario.ACCUMULATION:
            step = max(min(rows, (chain.size - 1) // max(count - 1, 1)), 1)
        first = int(draw(chain.size - step * (count - 1)))
        if step == 1 and rows >= count:  # Within one pass, which begins anew with every ``rows`` terms.
            first = min(first // rows * rows + int(draw(rows - count + 1)), chain.size - count)
        return chain[first : first + step * (count - 1) + 1 : step]

    # Float sums.

    @property
    def _precision(self) -> int:
        """Bits of the significand of a partial sum, or of the accumulation where partial sums are integers."""
        sums = self._config.psum
        return (sums if sums.kind is Kind.FLOAT else self._config.accumulation).significand_bits

    def _significands(self, datatype: Datatype, shape: tuple[int, ...]) -> Floats:
        """Draws numbers of [1, 2) with few bits, and their neighbours: products that lie between two numbers."""
        bits = datatype.significand_bits - 1 if isinstance(datatype, FloatFormat) else 4
        unit = 2.0 ** -max(min(bits, self._precision - 1), 1)
        corners = np.array([1.0, 1 + unit, 1 + 3 * unit, 1.5, 2 - unit])
        drawn = self._generator.choice(corners, size=shape)
        anything = 1 + self._generator.integers(1 << bits, size=shape) / (1 << bits)
        return np.asarray(np.where(self._generator.random(shape) < 0.25, anything, drawn))

    def _signs(self, shape: tuple[int, ...]) -> Floats:
        return np.asarray(self._generator.choice([-1.0, 1.0], size=shape))

    def _float_inputs(self) -> Codes:
        layer, datatype, generator = self._layer, self._config.input, self._generator
        shape = (layer.N, layer.C, layer.input_height, layer.input_width)
        values = self._significands(datatype, shape) * np.exp2(generator.choice([-1, 0, 0, 0, 1], size=shape))
        values *= self._signs(shape)
        smallest = smallest_magnitude(datatype)
        tiny = smallest * generator.integers(1, 4, size=shape)
        values[:, :, self._tiny_rows] = tiny[:, :, self._tiny_rows]
        zeros = generator.random(shape) < _ZERO_INPUTS
        zeros[:, :, self._tiny_rows] = False  # A zero at the start of a pass would make its sum a positive zero.
        codes = datatype.encode(np.where(zeros, 0 * values, values))
        # Operands that are subnormal, or of the largest exponent, among usual ones.
        rare = generator.random(shape) < 1 / 32
        rare[:, :, self._tiny_rows] = False
        return np.where(rare, generator.choice(finite_codes(datatype)[:8], size=shape), codes)

    def _float_terms(self, scenario: Scenario, places: Codes) -> Codes:
        """Returns the weights of a filter in the order of addition; the largest product comes last or first."""
        config, generator, count = self._config, self._generator, places.size
        weight, psum = config.weight, config.psum
        assert isinstance(psum, FloatFormat)
        shape = (count,)
        if scenario is Scenario.NEGATIVE_ZERO:
            # A pass that begins with a product below zero keeps its sign.
            tiny = self._pass_begins(places) | (generator.random(count) < 0.25 * generator.integers(2))
            return weight.encode(np.where(tiny, -smallest_magnitude(weight), -0.0))
        values = self._significands(weight, shape)
        precision = self._precision
        far = np.array([-1, 1 - precision, -precision, -precision - 1, 1 - 2 * precision, -2 * precision, -30])
        offsets = np.where(
            generator.random(count) < 0.5,
            generator.choice(far, size=count),
            generator.integers(-2 * precision - 1, 1, size=count),
        ).astype(np.float64)
        offsets[-1 if generator.random() < 0.75 else 0] = 0
        level = 0.0
        signs = self._signs(shape)
        below = config.input.significand_bits + weight.significand_bits + precision
        if scenario is Scenario.TIES:
            # Below everything that is aligned with the product, near and far.
            offsets[:-1] = -float(below * int(generator.integers(1, 3)) + generator.integers(4, 9))
            offsets[-1], values[-1] = 0, 1.5
        elif scenario is Scenario.CANCELLATION:
            offsets = generator.integers(-1, 1, size=count).astype(np.float64)
            signs = np.resize([1.0, -1.0], count) * signs[0]
        elif scenario is Scenario.CARRIES:
            offsets = generator.integers(-precision, 1, size=count).astype(np.float64)
        elif scenario is Scenario.SUBNORMAL:
            level = psum.quantum_exponent + int(generator.integers(-1, precision + 2))
        elif scenario is Scenario.OVERFLOW:
            offsets = generator.integers(-precision, 1, size=count).astype(np.float64)
            level = math.floor(math.log2(psum.max)) - int(generator.integers(-1, 3))
            if (
                count > 1 and generator.random() < 0.5
            ):  # Where the large inputs are zero, a small sum must not get lost.
                offsets[0] = -2 * below - level
        return weight.encode(values * signs * np.exp2(np.clip(level + offsets, -400, 400)))

    def _pass_begins(self, places: Codes) -> npt.NDArray[np.bool_]:
        """Returns which terms are the first of their pass."""
        layer = self._layer
        channel = places // (layer.R * layer.S)
        if self._config.template is Template.OUTPUT_STATIONARY:
            # Where a pass begins is up to the tiling: it may be anywhere, or the first term only.
            return np.asarray((np.arange(places.size) == 0) | (self._generator.integers(2) == 1))
        return np.asarray(channel % self._config.rows == 0)

    # Integer sums.

    def _ends(self, datatype: Datatype) -> tuple[int, int, int, int]:
        """Returns the codes of the largest, the most negative, the smallest positive and the smallest negative."""
        codes = finite_codes(datatype)
        values = datatype.values[codes]
        highest, lowest = int(codes[values.argmax()]), int(codes[values.argmin()])
        positive = [int(code) for code, value in zip(codes, values, strict=True) if value > 0]
        negative = [int(code) for code, value in zip(codes, values, strict=True) if value < 0]
        return highest, lowest, (positive or [highest])[0], (negative or [lowest])[0]

    def _integer_inputs(self) -> Codes:
        layer, datatype, generator = self._layer, self._config.input, self._generator
        shape = (layer.N, layer.C, layer.input_height, layer.input_width)
        ends = self._ends(datatype)
        codes = generator.choice(np.array([*ends, ends[2], ends[3], datatype.zero()]), size=shape)
        anything = generator.random(shape) < 0.125
        codes = np.where(anything, generator.choice(finite_codes(datatype), size=shape), codes)
        # One magnitude from end to end: the largest sum there is, and sums that go up or down by the same step.
        left = np.arange(layer.input_width) < (layer.input_width + int(generator.integers(2))) // 2
        codes[:, :, self._tiny_rows] = np.where(left, generator.choice(ends[:2]), ends[2])
        return np.asarray(codes, dtype=np.int64)

    def _integer_terms(self, scenario: Scenario, places: Codes) -> Codes:
        generator, count = self._generator, places.size
        highest, lowest, one, minus_one = self._ends(self._config.weight)
        if scenario is Scenario.OVERFLOW:
            return np.full(count, generator.choice([highest, lowest]))
        if scenario is Scenario.NEGATIVE_ZERO:
            return np.full(count, minus_one)
        if scenario in (Scenario.CANCELLATION, Scenario.CARRIES):
            return np.resize([minus_one, one] if generator.random() < 0.5 else [one, minus_one], count)
        return generator.choice([highest, lowest, one, minus_one], size=count)
