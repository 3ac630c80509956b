"""Block-scaled accelerators against the exact definition of their arithmetic."""

import dataclasses

import numpy as np
import pytest

from accelgym.costmodels.datatypes.catalogue import BLOCK_FORMATS, get_block_format
from accelgym.costmodels.errors import InputError
from accelgym.costmodels.systolic.config import make_config
from accelgym.costmodels.systolic.scheduler import Tiling, schedule
from accelgym.costmodels.workloads.layer import Layer
from accelgym.hwgen.golden import golden_outputs
from accelgym.hwgen.grid import Grid
from accelgym.hwgen.stimulus import Operands, Stimulus, draw_operands
from accelgym.hwgen.verification import verify

LAYERS = (
    Layer.conv("padded", K=7, C=9, H=6, R=3, padding=1),
    Layer.conv("depthwise", K=4, C=4, H=5, R=2, stride=2, groups=4),
    Layer.gemm("product", M=9, K=6, C=21, batch=2),
)
QUICK = ("mxfp4",)


def config_of(name: str, **others: object):
    element, scale = BLOCK_FORMATS[name]
    values = {"input_type": element, "weight_type": element, "scale_type": scale, **others}
    return make_config(rows=4, columns=3, **values)


@pytest.mark.parametrize(
    "name", [name if name in QUICK else pytest.param(name, marks=pytest.mark.slow) for name in BLOCK_FORMATS]
)
def test_named_block_formats_run_exactly(name, cache):
    assert verify(config_of(name), LAYERS, cache=cache).verified


@pytest.mark.parametrize("block_size", [12, *(pytest.param(size, marks=pytest.mark.slow) for size in (8, 32))])
def test_passes_share_the_scale_of_a_larger_block(block_size, cache):
    """Blocks of two and three passes, and one with more channels than any layer has."""
    assert verify(config_of("mxint8", block_size=block_size), LAYERS, cache=cache).verified


@pytest.mark.slow
@pytest.mark.parametrize("size", [4, 8, 16])
def test_the_block_of_the_ocp_formats_runs_on_every_array(size, cache):
    config = make_config(
        rows=size, columns=size, input_type="e2m1", weight_type="e2m1", scale_type="e8m0", block_size=32
    )
    layers = (Layer.gemm("product", M=7, K=18, C=70), Layer.conv("conv", K=5, C=40, H=4, R=2))
    assert verify(config, layers, cache=cache).verified


@pytest.mark.parametrize(
    ("name", "others"),
    [("mxint8", {}), ("mxfp8_e4m3", {"accumulation_type": "fp32"}), ("mxint8", {"block_size": 8})],
)
def test_golden_follows_the_exact_definition(name, others):
    """Scalar loops over exact numbers, in the order in which the tiling visits channels and taps."""
    config = config_of(name, **others)
    layer = Layer.conv("conv", K=2, C=6, H=4, R=2, padding=1)
    grid = Grid.of(config, layer, Tiling(p1=2, q1=2, k1=1, c1=1, r1=1, s1=2))
    for stimulus in Stimulus:
        operands = draw_operands(config, layer, stimulus, np.random.default_rng(3))
        found = golden_outputs(config, layer, grid, operands)
        expected = np.array([_output(config, layer, operands, k, p, q) for k, p, q in np.ndindex(2, layer.P, layer.Q)])
        assert np.array_equal(found.reshape(-1), expected)


def _output(config, layer: Layer, operands: Operands, k: int, p: int, q: int) -> int:
    total = None
    for part in range(2):
        block = part if config.block_size == config.rows else 0
        for r, s in np.ndindex(layer.R, layer.S):
            y, x = p + r - layer.padding[0], q + s - layer.padding[1]
            inside = 0 <= y < layer.input_height and 0 <= x < layer.input_width
            psum = config.psum.zero()
            for lane in range(config.rows):
                c = part * config.rows + lane
                real = inside and c < layer.C
                left = int(operands.inputs[0, c, y, x]) if real else config.input.zero()
                right = int(operands.weights[k, c, r, s]) if c < layer.C else config.weight.zero()
                psum = config.multiply_add.step_exact(psum, left, right)
            scale = int(operands.input_scales[0, block, y, x]) if inside else config.unit_scale
            scales = ((config.scale, scale), (config.scale, int(operands.weight_scales[k, block, r, s])))
            total = config.pass_accumulator.add_exact(total, psum, scales)
    return total


@pytest.mark.parametrize("block_size", [4, 8])
def test_quantised_tensors_give_the_product_of_the_dequantised_ones(block_size):
    """MXINT8 with float32 sums of few terms is exact: the array computes what the format means."""
    config = config_of("mxint8", accumulation_type="fp32", block_size=block_size)
    layer = Layer.gemm("product", M=5, K=3, C=8)
    block = get_block_format("mxint8", block_size=block_size)
    rng = np.random.default_rng(0)
    x, w = rng.normal(size=(5, 8)), rng.normal(size=(3, 8))
    (x_codes, x_scales), (w_codes, w_scales) = block.quantise(x), block.quantise(w)
    operands = Operands(
        x_codes.T.reshape(1, 8, 5, 1),
        w_codes.reshape(3, 8, 1, 1),
        x_scales.T.reshape(1, -1, 5, 1),
        w_scales.reshape(3, -1, 1, 1),
    )
    grid = Grid.of(config, layer, schedule(config, layer).tiling)
    found = config.accumulation.decode(golden_outputs(config, layer, grid, operands)).reshape(3, 5)
    expected = block.dequantise(w_codes, w_scales) @ block.dequantise(x_codes, x_scales).T
    assert np.array_equal(found, expected)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"template": "output_stationary"}, "weight_stationary template"),
        ({"accumulation_type": "int24"}, "float accumulation_type"),
        ({"accumulation_type": "fp16"}, "does not hold every scale"),
        ({"scale_type": "bf16"}, "up to 8 bits"),
        ({"scale_type": "int8"}, "allowed are e8m0"),
        ({"block_size": 6}, "a pass of 4 rows is scaled once, allowed are multiples of 4"),
        ({"block_size": 0}, "allowed are multiples of 4"),
        ({"scale_type": None, "block_size": 4}, "only with a scale_type"),
    ],
)
def test_impossible_scales_are_refused(change, message):
    with pytest.raises(InputError, match=message):
        config_of("mxint8", **change)


def test_scales_matter(cache):
    """A golden that ignores scales must disagree: the comparison is no tautology."""
    config = config_of("mxint8")
    layer = LAYERS[2]
    grid = Grid.of(config, layer, schedule(config, layer).tiling)
    operands = draw_operands(config, layer, Stimulus.RANDOM, np.random.default_rng(1))
    without = dataclasses.replace(operands, input_scales=None, weight_scales=None)
    scaled, plain = (golden_outputs(config, layer, grid, o) for o in (operands, without))
    assert not np.array_equal(scaled, plain)
