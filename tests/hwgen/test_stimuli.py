"""Stimuli reach the corners of the arithmetic at realistic depths, and outputs stay tellable apart."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from accelgym.costmodels.datatypes import BLOCK_FORMATS, Kind, datatypes, get_datatype
from accelgym.costmodels.errors import InputError
from accelgym.costmodels.systolic.config import SystolicConfig, make_config
from accelgym.costmodels.systolic.scheduler import Tiling, schedule
from accelgym.costmodels.workloads.layer import Layer
from accelgym.hwgen.golden import golden_outputs
from accelgym.hwgen.grid import Grid, im2col
from accelgym.hwgen.sampling import draw_layers
from accelgym.hwgen.stimulus import Operands, Stimulus, draw_operands

DEEP = Layer.conv("deep", K=16, C=32, H=10, R=3)
"""288 terms an output, 1,024 outputs."""


def array(**values) -> SystolicConfig:
    return make_config(rows=8, columns=8, **values)


def operand_formats() -> list[str]:
    """Named formats and members of the parametric families that an array takes as operands of its default sums."""
    names = [*datatypes.names(), "int2", "int4", "int8", "int16", "uint4", "uint8", "posit8_0", "posit8_1", "posit8_2"]
    found = []
    for name in names:
        if name.startswith("test_"):  # Registered by other tests of this process.
            continue
        try:
            array(input_type=name, weight_type=name)
        except InputError:
            continue
        found.append(name)
    return found


def outputs(config: SystolicConfig, stimulus: Stimulus, layer: Layer = DEEP) -> np.ndarray:
    operands = draw_operands(config, layer, stimulus, np.random.default_rng(1))
    return golden_outputs(config, layer, Grid.of(config, layer, schedule(config, layer).tiling), operands)


def shares(config: SystolicConfig, codes: np.ndarray) -> tuple[float, float]:
    """Returns the shares of outputs that are finite, and of distinct finite numbers among the outputs."""
    finite = codes[np.isfinite(config.accumulation.decode(codes))]
    return finite.size / codes.size, np.unique(finite).size / codes.size


FEW_VALUES = {"e2m1": 0.4, "int2": 0.04, "int4": 0.5, "uint4": 0.5, "fp3_ea": 0.2, "fp3_er": 0.2, "bf16 nf4": 0.5}
"""Sums of these have so few values that outputs repeat: a lower bound each."""


def bound(name: str) -> float:
    return next((share for start, share in FEW_VALUES.items() if name.startswith(start)), 0.6)


@pytest.mark.parametrize("name", operand_formats())
def test_outputs_of_every_operand_format_are_finite_and_differ(name):
    config = array(input_type=name, weight_type=name)
    finite, distinct = shares(config, outputs(config, Stimulus.CODES))
    assert finite >= 0.75
    assert distinct >= bound(name)


@pytest.mark.parametrize("name", sorted(BLOCK_FORMATS))
def test_outputs_of_every_block_format_are_finite_and_differ(name):
    element, scale = BLOCK_FORMATS[name]
    config = array(input_type=element, weight_type=element, scale_type=scale)
    finite, distinct = shares(config, outputs(config, Stimulus.CODES))
    assert finite >= 0.7
    assert distinct >= 0.6


@pytest.mark.parametrize("template", ["weight_stationary", "output_stationary"])
@pytest.mark.parametrize("sums", [("bf16", "bf16"), ("fp16", "fp32")])
@pytest.mark.parametrize("name", ["bf16", "fp16"])
def test_sums_that_can_overflow_hardly_do(name, sums, template):
    psum, accumulation = sums
    config = array(input_type=name, weight_type=name, psum_type=psum, accumulation_type=accumulation, template=template)
    for stimulus in Stimulus:
        finite, distinct = shares(config, outputs(config, stimulus))
        assert finite >= 0.7, stimulus
        assert distinct >= (0.05 if stimulus is Stimulus.EXTREMES else 0.15), stimulus
    extremes = config.accumulation.decode(outputs(config, Stimulus.EXTREMES))
    if psum == name:
        assert np.isinf(extremes).any()  # Some sums do overflow, next to others that just do not.
        assert np.abs(extremes[np.isfinite(extremes)]).max() > config.psum.max / 2**10


@settings(max_examples=25, deadline=None)
@given(seed=st.integers(0, 2**32 - 1), stimulus=st.sampled_from(list(Stimulus)))
def test_tensors_of_any_layer_are_codes_of_their_formats(seed, stimulus):
    rng = np.random.default_rng(seed)
    rows = int(rng.integers(1, 6))
    for values in (
        {},
        {"input_type": "bf16", "weight_type": "e4m3"},
        {"input_type": "nf4_int6", "weight_type": "int8", "scale_type": "e8m0"},
        {"input_type": "posit8_1", "weight_type": "uint4", "template": "output_stationary"},
    ):
        config = make_config(rows=rows, columns=2, **values)
        for layer in draw_layers(rng):
            found = draw_operands(config, layer, stimulus, np.random.default_rng(seed))
            again = draw_operands(config, layer, stimulus, np.random.default_rng(seed))
            image = (layer.input_height, layer.input_width)
            assert found.inputs.shape == (layer.N, layer.C, *image)
            assert found.weights.shape == (layer.K, layer.C // layer.groups, layer.R, layer.S)
            config.input.check(found.inputs)
            config.weight.check(found.weights)
            assert np.array_equal(found.inputs, again.inputs)
            assert np.array_equal(found.weights, again.weights)
            assert (found.input_scales is None) == (config.scale is None)
            if found.input_scales is not None and found.weight_scales is not None:
                blocks = -(-layer.C // layer.groups // rows)
                assert found.input_scales.shape == (layer.N, layer.groups * blocks, *image)
                assert found.weight_scales.shape == (layer.K, blocks, layer.R, layer.S)
                config.scale.check(found.input_scales)
                config.scale.check(found.weight_scales)


def test_all_codes_of_narrow_formats_are_used():
    for name in ("int8", "e4m3", "posit8_1", "nf4_int6"):
        datatype = get_datatype(name)
        operands = draw_operands(
            array(input_type=name, weight_type=name), DEEP, Stimulus.CODES, np.random.default_rng(0)
        )
        finite = np.flatnonzero(np.isfinite(datatype.values))
        assert set(finite) <= set(operands.inputs.reshape(-1).tolist())
        assert set(finite) <= set(operands.weights.reshape(-1).tolist())


BF16 = get_datatype("bf16")
DOT = array(input_type="bf16", weight_type="bf16")


def encoded(values: list[float]) -> np.ndarray:
    return BF16.encode(np.reshape(values, (1, -1, 1, 1)), overflow="infinity")


def dot(inputs: list[float], weights: list[float]) -> int:
    """Returns the code of one output with the given terms."""
    layer = Layer.gemm("dot", M=1, K=1, C=len(inputs))
    operands = Operands(encoded(inputs), encoded(weights))
    return int(golden_outputs(DOT, layer, Grid.of(DOT, layer, Tiling(1, 1, 1, 1)), operands)[0, 0, 0, 0])


@pytest.mark.parametrize(
    ("inputs", "weights", "code"),
    [
        ([-(2.0**-30), 1 + 2**-7], [1.0, 1.5], 0x3FC1),  # Just below the tie that goes to 0x3FC2.
        ([0.0, 1 + 2**-7], [1.0, 1.5], 0x3FC2),
        ([np.inf], [0.0], 0x7FC0),
        ([np.inf], [-1.0], 0xFF80),
        ([-(2.0**-133)], [2.0**-133], 0x0000),  # Other rows of the pass add +0.
        ([2.0**-133], [1.0], 0x0001),
        ([1e38, 3e38], [1.0, 1.0], 0x7F80),
    ],
)
def test_the_golden_knows_the_corners(inputs, weights, code):
    assert dot(inputs, weights) == code


def directed(config: SystolicConfig, seed: int = 0) -> tuple[Operands, np.ndarray]:
    operands = draw_operands(config, DEEP, Stimulus.DIRECTED, np.random.default_rng(seed))
    return operands, golden(config, operands)


def golden(config: SystolicConfig, operands: Operands) -> np.ndarray:
    return golden_outputs(config, DEEP, Grid.of(config, DEEP, schedule(config, DEEP).tiling), operands)


@pytest.mark.parametrize("template", ["weight_stationary", "output_stationary"])
def test_directed_operands_reach_the_corners(template):
    config = array(input_type="bf16", weight_type="bf16", template=template)
    overflows = 0
    for seed in range(5):
        operands, found = directed(config, seed)
        values = BF16.decode(found)
        assert ((values == 0) & np.signbit(values)).any()
        assert ((np.abs(values) < 2.0**-126) & (values != 0)).any()
        overflows += np.isinf(values).any()
    assert overflows >= 4
    # Terms too small for the window of an adder decide some roundings.
    weights = BF16.decode(operands.weights)
    largest = np.abs(np.where(np.isfinite(weights), weights, 0)).max(axis=(1, 2, 3), keepdims=True)
    far = np.abs(weights) < largest * 2.0**-24
    without = Operands(operands.inputs, np.where(far, 0, operands.weights))
    assert (golden(config, without) != found)[np.isfinite(values) & (np.abs(values) > 2.0**-100)].any()


def test_infinity_times_zero_decides_outputs():
    """There are outputs that are NaN only because an infinity met a zero."""
    operands, found = directed(DOT)
    x = im2col(DEEP, operands.inputs)[0]
    w = operands.weights.reshape(DEEP.K, -1)
    nan_operand = np.isnan(BF16.decode(x)).any(axis=1)[:, None] | np.isnan(BF16.decode(w)).any(axis=1)[None]
    infinities = np.isinf(BF16.decode(x)).astype(int).sum(axis=1)[:, None] + np.isinf(BF16.decode(w)).sum(axis=1)[None]
    is_nan = np.isnan(BF16.decode(found)).reshape(DEEP.K, -1).T
    assert (is_nan & ~nan_operand & (infinities == 1)).any()


def test_directed_integers_reach_the_largest_sum_and_the_longest_carry():
    config = array()
    operands, _ = directed(config)
    x = config.input.decode(im2col(DEEP, operands.inputs)[0])
    w = config.weight.decode(operands.weights.reshape(DEEP.K, -1))
    order = np.lexsort((np.arange(288) // 9 % 8, np.arange(288) % 9, np.arange(288) // 72))
    terms = (x[:, None] * w[None])[:, :, order].reshape(-1, DEEP.K, 36, 8)
    sums = np.cumsum(terms, axis=-1).astype(int)
    assert np.abs(sums[..., -1].sum(axis=-1)).max() >= 288 * 127 * 127
    before, after = sums[..., :-1], sums[..., 1:]
    assert ((before == -1) & (after == 0)).any()  # Every bit of the word changes.
    assert ((before == 0) & (after == -1)).any()


def test_negative_zeros_survive_block_scales():
    config = array(input_type="e4m3fn", weight_type="e4m3fn", scale_type="e8m0")
    _, found = directed(config)
    values = config.accumulation.decode(found)
    assert ((values == 0) & np.signbit(values)).any()


def test_kinds_of_sums_are_covered():
    kinds = {array(input_type=name, weight_type=name).psum.kind for name in operand_formats()}
    assert kinds == {Kind.INTEGER, Kind.FLOAT}
