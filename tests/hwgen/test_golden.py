"""The golden against plain convolutions and against the scalar definition of the arithmetic."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from accelgym.costmodels.systolic.config import Template, make_config
from accelgym.costmodels.systolic.scheduler import Tiling
from accelgym.costmodels.workloads.layer import Layer
from accelgym.hwgen.beats import from_beats, to_beats
from accelgym.hwgen.golden import golden_outputs
from accelgym.hwgen.grid import Grid
from accelgym.hwgen.sampling import draw_layers
from accelgym.hwgen.stimulus import Stimulus, draw_operands


def convolution(layer: Layer, x: np.ndarray, w: np.ndarray) -> np.ndarray:
    """Seven loops over integers."""
    out = np.zeros((layer.N, layer.K, layer.P, layer.Q), dtype=np.int64)
    depth, per_group = layer.C // layer.groups, layer.K // layer.groups
    for n, k, p, q in np.ndindex(out.shape):
        for c, r, s in np.ndindex(depth, layer.R, layer.S):
            y = p * layer.stride[0] + r * layer.dilation[0] - layer.padding[0]
            z = q * layer.stride[1] + s * layer.dilation[1] - layer.padding[1]
            if 0 <= y < layer.input_height and 0 <= z < layer.input_width:
                out[n, k, p, q] += x[n, k // per_group * depth + c, y, z] * w[k, c, r, s]
    return out


@pytest.mark.parametrize("template", list(Template))
@pytest.mark.parametrize("seed", range(3))
def test_integers_wrap_around_the_true_convolution(template, seed):
    rng = np.random.default_rng(seed)
    config = make_config(rows=3, columns=2, template=template.value, psum_type="int12", accumulation_type="int12")
    for layer in draw_layers(rng):
        grid = Grid.of(config, layer, Tiling(p1=2, q1=1 if template is Template.OUTPUT_STATIONARY else 3, k1=2, c1=1))
        operands = draw_operands(config, layer, Stimulus.EXTREMES, rng)
        x, w = config.input.decode(operands.inputs), config.weight.decode(operands.weights)
        expected = convolution(layer, x.astype(np.int64), w.astype(np.int64)) & 0xFFF
        assert np.array_equal(golden_outputs(config, layer, grid, operands), expected)


def test_float_sums_follow_the_order_of_the_tiling():
    config = make_config(rows=2, columns=2, input_type="e4m3", weight_type="e4m3")
    layer = Layer.gemm("product", M=3, K=4, C=7)
    operands = draw_operands(config, layer, Stimulus.RANDOM, np.random.default_rng(0))
    found = golden_outputs(config, layer, Grid.of(config, layer, Tiling(3, 1, 1, 2)), operands)
    for k, m in np.ndindex(4, 3):
        total = None
        for start in range(0, 8, 2):
            psum = config.psum.zero()
            for c in range(start, start + 2):
                x = int(operands.inputs[0, c, m, 0]) if c < 7 else config.input.zero()
                w = int(operands.weights[k, c, 0, 0]) if c < 7 else config.weight.zero()
                psum = config.multiply_add.step_exact(psum, x, w)
            total = config.pass_accumulator.add_exact(total, psum)
        assert found[0, k, m, 0] == total


@settings(max_examples=50, deadline=None)
@given(
    words=st.integers(1, 5), lanes=st.integers(1, 6), bits=st.integers(1, 17), port=st.integers(1, 70), data=st.data()
)
def test_words_come_back_from_beats(words, lanes, bits, port, data):
    seed = data.draw(st.integers(0, 2**32 - 1))
    values = np.random.default_rng(seed).integers(0, 1 << bits, size=(words, lanes))
    image = to_beats([(values, bits)], port)
    assert image.shape == (words * -(-lanes * bits // port), -(-port // 8))
    assert np.array_equal(from_beats(image, lanes, bits, port), values)
