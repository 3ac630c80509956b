"""All 65,536 operand pairs through the multiply-add of 8-bit processing elements, decoders included."""

import numpy as np
import pytest

from accelgym.costmodels.systolic.config import make_config
from accelgym.hwgen.simulator import run_multiply_adds

KINDS = {
    "int8": ("int8", "int8", "int24"),
    "uint8": ("uint8", "int8", "int24"),
    "e4m3": ("e4m3", "e4m3", "bf16"),
    "e4m3fn": ("e4m3fn", "e4m3fn", "bf16"),
    "e5m2": ("e5m2", "e5m2", "bf16"),
    "e3m4": ("e3m4", "e3m4", "fp16"),
    "posit8_1": ("posit8_1", "posit8_1", "bf16"),
    "hybrid": ("e4m3", "e5m2", "fp32"),
    "integer operands, float sums": ("int8", "int8", "fp32"),
    "products far below the sums": ("int8q135", "int8q135", "fp16"),
}
QUICK = ("int8", "e4m3", "posit8_1", "products far below the sums")


@pytest.mark.parametrize(
    "kind", [kind if kind in QUICK else pytest.param(kind, marks=pytest.mark.slow) for kind in KINDS]
)
def test_all_operand_pairs(kind, cache):
    x, w, psum = KINDS[kind]
    config = make_config(rows=1, columns=1, input_type=x, weight_type=w, psum_type=psum, accumulation_type=psum)
    pairs = np.arange(1 << 16)
    inputs, weights = pairs >> 8, pairs & 255
    rng = np.random.default_rng(5)
    corners = [config.psum.zero(), 1, (1 << config.psum.bits) - 1, 1 << (config.psum.bits - 1)]
    for psums in (
        *(np.full(pairs.shape, corner) for corner in corners),
        *(rng.integers(0, 1 << config.psum.bits, size=pairs.shape) for _ in range(4)),
    ):
        found = run_multiply_adds(config, psums, inputs, weights, cache)
        expected = config.multiply_add.step(psums, inputs, weights)
        assert np.array_equal(found, expected)
