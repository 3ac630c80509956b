"""Real operands on the accelerator: scales, results, and the RTL itself."""

import numpy as np
import pytest

from accelgym.costmodels.errors import InputError
from accelgym.costmodels.quantization import TensorFormat, quantise
from accelgym.costmodels.systolic.config import make_config
from accelgym.costmodels.systolic.scheduler import schedule
from accelgym.costmodels.workloads.layer import Layer
from accelgym.hwgen.emitter import emit
from accelgym.hwgen.program import compile_layer
from accelgym.hwgen.quantized_layer import quantise_layer
from accelgym.hwgen.simulator import Job, build_simulator

RNG = np.random.default_rng(1)
CONV = Layer.conv("conv", K=6, C=10, H=7, R=3, padding=1, stride=2, N=2)
DEPTHWISE = Layer.conv("depthwise", K=8, C=8, H=5, R=3, padding=1, groups=8)


def operands(layer):
    x = RNG.standard_normal((layer.N, layer.C, layer.input_height, layer.input_width))
    return np.maximum(x, 0), RNG.standard_normal((layer.K, layer.C // layer.groups, layer.R, layer.S))


def reference(layer, x, w):
    """The convolution in float64, one window at a time."""
    (sy, sx), (py, px), g = layer.stride, layer.padding, layer.groups
    padded = np.pad(x, ((0, 0), (0, 0), (py, py + 9), (px, px + 9)))
    out = np.zeros((layer.N, layer.K, layer.P, layer.Q))
    for k in range(layer.K):
        first = k // (layer.K // g) * (layer.C // g)
        for p in range(layer.P):
            for q in range(layer.Q):
                window = padded[:, first : first + layer.C // g, p * sy : p * sy + layer.R, q * sx : q * sx + layer.S]
                out[:, k, p, q] = (window * w[k]).sum(axis=(1, 2, 3))
    return out


@pytest.mark.parametrize("layer", [CONV, DEPTHWISE], ids=lambda layer: layer.name)
def test_integer_sums_are_those_of_the_stored_numbers(layer):
    config = make_config(rows=4, columns=4, input_type="uint8", weight_type=("int4", "int8"))
    x, w = operands(layer)
    forms = TensorFormat(datatype="uint8"), TensorFormat(datatype="int4", scales="channel")
    found = quantise_layer(config, layer, x, w, *forms).outputs()
    stored = reference(layer, quantise(x, forms[0]).values(), quantise(w, forms[1]).values())
    np.testing.assert_allclose(found, stored, rtol=1e-12, atol=1e-12)


@pytest.mark.parametrize("weight_block", [4, 8, None])
def test_block_scales_go_into_the_array(weight_block):
    config = make_config(rows=4, columns=4, input_type="int8", weight_type="int8", scale_type="e8m0")
    x, w = operands(CONV)
    weight = (
        TensorFormat(datatype="int8", scales="channel")
        if weight_block is None
        else TensorFormat(datatype="int8", scales="block", block_size=weight_block, scale_type="e8m0")
    )
    forms = TensorFormat(datatype="int8", scales="block", block_size=4, scale_type="e8m0"), weight
    found = quantise_layer(config, CONV, x, w, *forms).outputs()
    stored = reference(CONV, quantise(x, forms[0]).values(), quantise(w, forms[1]).values())
    assert np.abs(found - stored).max() < 0.03 * np.abs(stored).max()


def test_the_rtl_computes_the_same_bits(cache):
    config = make_config(rows=4, columns=4, input_type="uint8", weight_type=("int4", "int8"))
    simulator = build_simulator(config, emit(config), cache)
    for layer in (CONV, DEPTHWISE):
        x, w = operands(layer)
        lowered = quantise_layer(
            config, layer, x, w, TensorFormat(datatype="uint8"), TensorFormat(datatype="int4", scales="channel")
        )
        program = compile_layer(lowered.config, layer, schedule(lowered.config, layer).tiling)
        job = Job(program, program.input_image(lowered.operands), program.weight_image(lowered.operands))
        (run,) = simulator.run([job])
        assert run.done
        np.testing.assert_array_equal(program.outputs(run.outputs), lowered.codes())


def test_formats_of_other_hardware_are_refused():
    config = make_config(rows=4, columns=4)
    x, w = operands(CONV)
    int8 = TensorFormat(datatype="int8")
    with pytest.raises(InputError, match="layer 'conv': weight_type 'e4m3' is not of this accelerator"):
        quantise_layer(config, CONV, x, w, int8, TensorFormat(datatype="e4m3"))
    block = TensorFormat(datatype="int8", scales="block", block_size=4, scale_type="e8m0")
    with pytest.raises(InputError, match="no block scales"):
        quantise_layer(config, CONV, x, w, block, int8)
    scaled = make_config(rows=4, columns=4, scale_type="e8m0", block_size=8)
    with pytest.raises(InputError, match="block_size 4, allowed: multiples of the accelerator's 8"):
        quantise_layer(scaled, CONV, x, w, block, int8)
