"""Passes through an array and their accumulation, against step-by-step exact arithmetic."""

import ml_dtypes
import numpy as np
import pytest

from accelgym.costmodels.datatypes import (
    FusedMultiplyAdd,
    PassAccumulator,
    array_matmul,
    get_block_format,
    get_datatype,
    register_codebook,
)
from accelgym.costmodels.errors import InputError

SCALES = [(), ("e8m0",), ("e8m0", "e8m0"), ("e5m3", "e5m3"), ("bf16", "e5m3")]
PAIRS = [
    ("bf16", "bf16"),
    ("int24", "bf16"),
    ("int18", "bf16"),
    ("bf16", "fp32"),
    ("posit8_1", "bf16"),
    ("fp32", "fp16"),
]


@pytest.mark.parametrize("scales", SCALES, ids="-".join)
@pytest.mark.parametrize("names", PAIRS, ids="-".join)
def test_an_addition_rounds_after_every_operation(names, scales):
    passes = PassAccumulator(*(get_datatype(name) for name in names))
    rng = np.random.default_rng(3)
    buffer, psum = (rng.integers(0, 1 << t.bits, 400) for t in (passes.accumulator, passes.psum))
    # Scales around one, where results are finite, and anywhere.
    codes = [np.where(rng.random(400) < 0.8, rng.integers(110, 140, 400), rng.integers(0, 256, 400)) for _ in scales]
    codes = [c << (7 if name == "bf16" else 0) for c, name in zip(codes, scales, strict=True)]
    pairs = tuple((get_datatype(name), code) for name, code in zip(scales, codes, strict=True))
    for start in (buffer, None):
        expected = [
            passes.add_exact(
                None if start is None else int(buffer[i]), int(psum[i]), tuple((t, int(c[i])) for t, c in pairs)
            )
            for i in range(400)
        ]
        np.testing.assert_array_equal(passes.add(start, psum, pairs), expected)


def test_block_scaled_accumulation_is_that_of_bfloat16_arithmetic():
    """Left to right in ml_dtypes, whose products and sums of bfloat16 numbers are correctly rounded."""
    rng = np.random.default_rng(4)
    bf16, e8m0, int24 = (get_datatype(name) for name in ("bf16", "e8m0", "int24"))
    integers = rng.integers(-(1 << 20), 1 << 20, 3000)
    scales = rng.integers(100, 135, (2, 3000))
    buffer = rng.normal(size=3000).astype(ml_dtypes.bfloat16)
    first, second = (e8m0.decode(s).astype(np.float32).astype(ml_dtypes.bfloat16) for s in scales)
    expected = buffer + first * second * integers.astype(np.float32).astype(ml_dtypes.bfloat16)
    passes = PassAccumulator(int24, bf16)
    actual = passes.add(buffer.view(np.uint16), integers & 0xFFFFFF, ((e8m0, scales[0]), (e8m0, scales[1])))
    np.testing.assert_array_equal(actual, expected.view(np.uint16))


def by_hand(step, passes, left, right, rows, scales=()):
    """One output, one exact operation after the other."""
    buffer = None
    for number, first in enumerate(range(0, len(left), rows)):
        psum = step.psum.zero()
        for i in range(first, first + rows):
            inside = i < len(left)
            a, b = (int(left[i]), int(right[i])) if inside else (step.input.zero(), step.weight.zero())
            psum = step.step_exact(psum, a, b)
        buffer = passes.add_exact(buffer, psum, tuple((datatype, int(codes[number])) for datatype, codes in scales))
    return buffer


@pytest.mark.parametrize("rows", [1, 4, 16, 40])
@pytest.mark.parametrize(
    ("names", "accumulator"),
    [
        (("e4m3", "e4m3", "bf16"), None),
        (("posit8_1", "posit8_1", "bf16"), "fp32"),
        (("bf16", "bf16", "bf16"), None),
        (("int8", "int8", "int24"), None),
        (("int8", "int8", "int8"), None),
        (("int8", "int4", "int24"), "bf16"),
    ],
)
def test_a_matrix_product_by_hand(names, accumulator, rows):
    step = FusedMultiplyAdd(*(get_datatype(name) for name in names))
    target = step.psum if accumulator is None else get_datatype(accumulator)
    rng = np.random.default_rng(rows)
    left = step.input.encode(rng.normal(size=(3, 21)) * 20)
    right = step.weight.encode(rng.normal(size=(21, 2)) * 20)
    result = array_matmul(step, left, right, rows, target)
    passes = PassAccumulator(step.psum, target)
    expected = [[by_hand(step, passes, a, b, rows) for b in right.T] for a in left]
    np.testing.assert_array_equal(result, expected)


@pytest.mark.parametrize("name", ["mxint8", "mxfp8_e4m3", "mxfp4", "mxnf4"])
def test_a_block_scaled_matrix_product_by_hand_and_close_to_the_real_one(name):
    block = get_block_format(name, block_size=8)
    psum = get_datatype({"mxint8": "int24", "mxnf4": "int18"}.get(name, "bf16"))
    step, bf16 = FusedMultiplyAdd(block.element, block.element, psum), get_datatype("bf16")
    rng = np.random.default_rng(6)
    inputs, weights = rng.normal(size=(3, 24)), rng.normal(size=(24, 4))
    left, left_scales = block.quantise(inputs)
    right, right_scales = (array.T for array in block.quantise(weights.T))
    scales = (block.scale, left_scales), (block.scale, right_scales)
    result = array_matmul(step, left, right, 8, bf16, *scales)
    passes = PassAccumulator(psum, bf16)
    for i in range(3):
        for j in range(4):
            chosen = (block.scale, left_scales[i]), (block.scale, right_scales[:, j])
            assert result[i, j] == by_hand(step, passes, left[i], right[:, j], 8, chosen)
    exact = block.dequantise(left, left_scales) @ block.dequantise(right.T, right_scales.T).T
    magnitude = np.abs(block.dequantise(left, left_scales)) @ np.abs(block.dequantise(right.T, right_scales.T).T)
    # At most eight roundings in a pass and five after each, of 2**-9 each, relative to what is summed.
    assert (np.abs(bf16.decode(result) - exact) <= 25 * 2.0**-9 * magnitude).all()


def test_the_first_pass_is_written_and_not_added():
    """Adding minus zero to a cleared buffer would give plus zero."""
    passes = PassAccumulator(get_datatype("bf16"), get_datatype("bf16"))
    assert passes.add(None, 0x8000) == 0x8000
    assert passes.add(0, 0x8000) == 0


def test_bad_input_is_refused_with_a_reason():
    int8, int24, bf16 = (get_datatype(name) for name in ("int8", "int24", "bf16"))
    with pytest.raises(InputError, match="an integer buffer holds partial sums of its own type, bf16"):
        PassAccumulator(bf16, int24)
    with pytest.raises(InputError, match="allowed: an integer type, or a float format with NaN"):
        PassAccumulator(bf16, get_datatype("e2m1"))
    with pytest.raises(InputError, match="block scales need a float buffer"):
        PassAccumulator(int24, int24).add(0, 0, ((bf16, 0),))
    step = FusedMultiplyAdd(int8, int8, int24)
    with pytest.raises(InputError, match="rows is 0, allowed: 1 and more"):
        array_matmul(step, [[1]], [[1]], 0)
    with pytest.raises(InputError, match=r"input_scales of shape \(1, 2\), allowed: \(1, 1\)"):
        array_matmul(step, [[1]], [[1]], 1, bf16, (bf16, [[0, 0]]))
    with pytest.raises(InputError, match="n at least 1"):
        array_matmul(step, np.zeros((1, 0), int), np.zeros((0, 1), int), 1)
    odd = register_codebook("test_no_zero", [-1.0, 1.0])
    signs = FusedMultiplyAdd(odd, odd, int8)
    with pytest.raises(InputError, match="has no zero"):
        array_matmul(signs, [[1]], [[1]], 2)
    assert array_matmul(signs, [[1, 0]], [[1], [1]], 2) == 0
