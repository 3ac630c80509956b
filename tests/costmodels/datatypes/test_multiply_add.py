"""Multiply-add: fast paths against exact arithmetic, softposit, NumPy and the C library."""

import ctypes
import ctypes.util
from fractions import Fraction

import ml_dtypes
import numpy as np
import pytest
import softposit
from apytypes import APyFloatArray
from hypothesis import given, settings
from hypothesis import strategies as st

from accelgym.costmodels.datatypes import FusedMultiplyAdd, IntegerFormat, get_datatype
from accelgym.costmodels.errors import InputError

PAIRS = [
    ("e4m3", "e4m3", "bf16"),
    ("e4m3fn", "e5m2", "bf16"),
    ("e5m2", "e5m2", "fp16"),
    ("bf16", "bf16", "bf16"),
    ("bf16", "bf16", "fp32"),
    ("fp16", "e2m1", "fp16"),
    ("fp32", "fp32", "fp32"),
    ("posit8_1", "posit8_1", "bf16"),
    ("posit8_1_flush", "posit8_1_flush", "bf16"),
    ("posit8_1", "posit8_1", "posit16_1"),
    ("e2m3", "e3m2", "bf16"),
    ("nf4", "e4m3", "bf16"),
    ("int8", "int4", "bf16"),
    ("bf16", "nf4", "bf16"),
    ("int8", "int8", "int24"),
    ("int8", "int4", "int12"),
    ("uint8", "int2", "int16"),
    ("int16", "int16", "int32"),
    ("nf4_int6", "nf4_int6", "int18"),
    ("int8q6", "int8q6", "int24q12"),
    ("e2m1", "e2m1", "int16q2"),
]


def chain(names, **options):
    return FusedMultiplyAdd(*(get_datatype(name) for name in names), **options)


def random_codes(datatype, rng, count):
    """Codes of all kinds: uniform, near zero, near the ends."""
    last = (1 << datatype.bits) - 1
    corners = np.array([0, 1, last, last >> 1, (last >> 1) + 1, (last >> 1) + 2, last - 1])
    codes = rng.integers(0, last, count, endpoint=True)
    return np.where(rng.random(count) < 0.1, rng.choice(corners, count), codes)


@pytest.mark.parametrize("overflow", [None, "saturate"])
@pytest.mark.parametrize("names", PAIRS, ids="-".join)
def test_a_step_is_the_exact_sum_rounded_once(names, overflow):
    step = chain(names, overflow=overflow)
    rng = np.random.default_rng(1)
    psum, left, right = (random_codes(t, rng, 1500) for t in (step.psum, step.input, step.weight))
    exact = [step.step_exact(int(p), int(a), int(b)) for p, a, b in zip(psum, left, right, strict=True)]
    np.testing.assert_array_equal(step.step(psum, left, right), exact)


@pytest.mark.parametrize("names", [("e4m3", "e4m3", "bf16"), ("posit8_1", "posit8_1", "bf16"), ("bf16",) * 3])
def test_truncating_steps(names):
    step = chain(names, rounding="toward_zero")
    rng = np.random.default_rng(8)
    psum, left, right = (random_codes(t, rng, 1500) for t in (step.psum, step.input, step.weight))
    exact = [step.step_exact(int(p), int(a), int(b)) for p, a, b in zip(psum, left, right, strict=True)]
    np.testing.assert_array_equal(step.step(psum, left, right), exact)


@settings(max_examples=150, deadline=None)
@given(data=st.data())
def test_steps_close_to_ties(data):
    """Partial sums near the product, far below it, or cancelling it: where two roundings would differ from one."""
    step = chain(data.draw(st.sampled_from([n for n in PAIRS if n[2] in ("bf16", "fp16", "fp32")])))
    left, right = (data.draw(st.integers(0, (1 << t.bits) - 1)) for t in (step.input, step.weight))
    with np.errstate(invalid="ignore"):
        product = step.input.decode(left) * step.weight.decode(right)
    if np.isfinite(product) and product:
        shift = data.draw(st.sampled_from([0, 1, -1, 8, -8, -9, 11, -11, 24, -24, -60, 60]))
        near = int(step.psum.encode(np.ldexp(-product, shift)))
        near = (near + data.draw(st.integers(-2, 2))) % (1 << step.psum.bits)
    else:
        near = data.draw(st.integers(0, (1 << step.psum.bits) - 1))
    assert step.step(near, left, right) == step.step_exact(near, left, right)


def test_a_product_on_a_tie_follows_a_tiny_partial_sum():
    """148 * 224 = 0x8180 is halfway between two bfloat16 numbers; the partial sum is 2**100 times smaller."""
    step = chain(("bf16",) * 3)
    bf16 = step.psum
    tiny = bf16.encode([2.0**-100, -(2.0**-100), 0.0])
    result = bf16.decode(step.step(tiny, bf16.encode(148.0), bf16.encode(224.0)))
    np.testing.assert_array_equal(result, [0x8200, 0x8100, 0x8200])
    # Rounding the float64 sum, which drops the partial sum, is wrong for the second.
    assert bf16.round(148.0 * 224.0 - 2.0**-100) == 0x8200


def test_all_pairs_of_e4m3_against_numpy():
    """Products and sums fit float64 here, and NumPy rounds float64 to float16 once: an independent multiply-add."""
    step = chain(("e4m3", "e4m3", "fp16"))
    left, right = np.divmod(np.arange(1 << 16), 256)
    a, b = (codes.astype(np.uint8).view(ml_dtypes.float8_e4m3).astype(float) for codes in (left, right))
    with np.errstate(invalid="ignore"):
        products = a * b
    for start in np.random.default_rng(5).integers(0, 1 << 16, 8):
        psum = np.uint16(start).view(np.float16)
        with np.errstate(over="ignore", invalid="ignore"):
            expected = (products + float(psum)).astype(np.float16)
        actual = step.step(int(start), left, right)
        nan = np.isnan(expected)
        np.testing.assert_array_equal(actual[~nan], expected.view(np.uint16)[~nan])
        assert (actual[nan] == step.psum.nan_code).all()


def test_fp32_steps_against_the_c_library():
    fmaf = ctypes.CDLL(ctypes.util.find_library("m")).fmaf
    fmaf.restype, fmaf.argtypes = ctypes.c_float, [ctypes.c_float] * 3
    fp32 = get_datatype("fp32")
    step = FusedMultiplyAdd(fp32, fp32, fp32)
    rng = np.random.default_rng(6)
    numbers = np.ldexp(rng.uniform(1, 2, (3, 4000)), rng.integers(-75, 60, (3, 4000))) * rng.choice([-1, 1], (3, 4000))
    numbers[2, ::2] = -numbers[0, ::2] * numbers[1, ::2] * rng.choice([1, 1 + 2.0**-23, 2.0**-24, 2.0**24], 2000)
    with np.errstate(over="ignore", under="ignore"):
        left, right, psum = numbers.astype(np.float32)
    expected = np.array([fmaf(*row) for row in zip(left, right, psum, strict=True)], dtype=np.float32)
    actual = step.step(*(n.view(np.uint32).astype(np.int64) for n in (psum, left, right)))
    nan = np.isnan(expected)
    np.testing.assert_array_equal(actual[~nan], expected.view(np.uint32)[~nan])


def test_posit_steps_against_softposit():
    posit8, posit16 = get_datatype("posit8_0"), get_datatype("posit16_1")
    rng = np.random.default_rng(12)
    cases = [(posit8, softposit.posit8_t, softposit.p8_mulAdd), (posit16, softposit.posit16_t, softposit.p16_mulAdd)]
    for datatype, kind, multiply_add in cases:
        step = FusedMultiplyAdd(datatype, datatype, datatype)
        psum, left, right = (random_codes(datatype, rng, 8000) for _ in range(3))
        expected = []
        for codes in zip(left, right, psum, strict=True):
            posits = [kind() for _ in codes]
            for posit, code in zip(posits, codes, strict=True):
                posit.v = int(code)
            expected.append(multiply_add(*posits).v)
        np.testing.assert_array_equal(step.step(psum, left, right), expected)


@pytest.mark.parametrize(("name", "exponent_bits", "mantissa_bits"), [("e4m3", 4, 3), ("bf16", 8, 7)])
def test_products_and_sums_against_apytypes(name, exponent_bits, mantissa_bits):
    """With a partial sum of zero a step is a rounded product, with a weight of one a rounded sum."""
    datatype = get_datatype(name)
    step = FusedMultiplyAdd(datatype, datatype, datatype)
    rng = np.random.default_rng(13)
    left, right = (random_codes(datatype, rng, 20_000) for _ in range(2))
    finite = np.isfinite(datatype.decode(left)) & np.isfinite(datatype.decode(right))
    left, right = left[finite], right[finite]
    a, b = (APyFloatArray.from_bits(c, exp_bits=exponent_bits, man_bits=mantissa_bits) for c in (left, right))
    one = datatype.encode(1.0)
    # A zero product added to +0 is +0, whatever its sign.
    product = np.array((a * b).to_bits())
    product = np.where(step.input.decode(left) * step.input.decode(right) == 0, 0, product)
    np.testing.assert_array_equal(step.step(0, left, right), product)
    np.testing.assert_array_equal(step.step(left, right, one), (a + b).to_bits())


def test_every_pair_of_eight_bit_integers():
    step = chain(("int8", "int8", "int24"))
    left, right = np.meshgrid(np.arange(-128, 128), np.arange(-128, 128))
    for start in (0, -1, 5000, (1 << 23) - 1, -(1 << 23)):
        expected = ((start + left * right + (1 << 23)) % (1 << 24)) - (1 << 23)
        codes = step.step(start & 0xFFFFFF, left & 0xFF, right & 0xFF)
        assert isinstance(step.psum, IntegerFormat)
        np.testing.assert_array_equal(step.psum.integers(codes), expected)


def test_a_chain_is_its_steps_one_after_the_other():
    rng = np.random.default_rng(21)
    for names in PAIRS:
        step = chain(names)
        finite = [t.decode(np.arange(1 << min(t.bits, 16))) for t in (step.input, step.weight)]
        left, right = (rng.choice(np.flatnonzero(np.isfinite(f)), (3, 7)) for f in finite)
        start = step.psum.encode(rng.normal(size=3) if step.psum.kind != "integer" else [0.0, 5.0, -3.0])
        order = rng.permutation(7)
        expected = []
        for a, b, psum in zip(left, right, start, strict=True):
            for i in order:
                psum = step.step_exact(int(psum), int(a[i]), int(b[i]))
            expected.append(psum)
        np.testing.assert_array_equal(step.dot(left, right, start, order), expected)
        expected = [step.dot(a, right[0]) for a in left]
        np.testing.assert_array_equal(step.dot(left, right[0]), expected)


def test_order_matters_to_floats_and_not_to_wrapping_integers():
    step = chain(("bf16", "bf16", "bf16"))
    left = step.input.encode([256.0, 1.0, 1.0, -256.0])
    one = step.weight.encode(np.ones(4))
    assert step.psum.decode(step.dot(left, one)) == 0
    assert step.psum.decode(step.dot(left, one, order=[1, 2, 0, 3])) == 2
    integers = chain(("int8", "int8", "int8"))
    left, right = np.random.default_rng(2).integers(0, 256, (2, 50))
    results = {int(integers.dot(left, right, order=np.random.default_rng(i).permutation(50))) for i in range(5)}
    assert len(results) == 1


@pytest.mark.parametrize("overflow", [None, "saturate"])
@pytest.mark.parametrize("names", PAIRS, ids="-".join)
def test_a_matrix_product_is_made_of_chains(names, overflow):
    step = chain(names, overflow=overflow)
    rng = np.random.default_rng(31)
    left = random_codes(step.input, rng, 5 * 13).reshape(5, 13)
    right = random_codes(step.weight, rng, 13 * 4).reshape(13, 4)
    expected = step.dot(left[:, None, :], right.T[None, :, :])
    np.testing.assert_array_equal(step.matmul(left, right), expected)


def test_large_products_are_worked_on_in_parts():
    step = chain(("e4m3", "e4m3", "bf16"))
    rng = np.random.default_rng(32)
    left, right = rng.integers(0, 120, (300, 3)), rng.integers(0, 120, (3, 200))
    np.testing.assert_array_equal(step.matmul(left, right), step.dot(left[:, None, :], right.T[None, :, :]))


def test_integer_sums_beyond_the_exact_range_of_floats():
    """Sixteen-bit products in a sum that wraps many times: against Python integers."""
    step = FusedMultiplyAdd(*(IntegerFormat(f"test_int{n}", n) for n in (26, 26, 53)))
    left, right = np.full((1, 9), 1 << 25), np.full((9, 1), (1 << 25) - 1)
    total = 9 * -(1 << 25) * ((1 << 25) - 1)
    assert step.matmul(left, right)[0, 0] == total % (1 << 53)


@pytest.mark.parametrize(
    ("names", "options", "message"),
    [
        (("int8", "int8", "nf4"), {}, "a codebook cannot hold partial sums"),
        (("e4m3", "int8", "int32"), {}, "cannot hold the infinities and NaNs"),
        (("int8q6", "int8q6", "int24"), {}, "give it fraction_bits=12"),
        (("e4m3", "e4m3", "e2m3"), {}, "needs finite operands and overflow 'saturate'"),
        (("e2m1", "e2m1", "e2m3"), {}, "needs finite operands and overflow 'saturate'"),
        (("int8", "int8", "int24"), {"overflow": "infinity"}, "allowed: wrap, saturate"),
        (("e4m3", "e4m3", "bf16"), {"overflow": "wrap"}, "allowed: infinity, saturate"),
        (("e4m3", "e4m3", "bf16"), {"rounding": "stochastic"}, "allowed: nearest_even, toward_zero"),
        (("int32", "int32", "int53"), {}, "significands of 64 bits in all, allowed 53"),
    ],
)
def test_types_that_do_not_go_together_are_refused_with_a_reason(names, options, message):
    with pytest.raises(InputError, match=message):
        chain(names, **options)


def test_shapes_that_do_not_fit_are_refused():
    step = chain(("int8", "int8", "int24"))
    with pytest.raises(InputError, match=r"shapes \(2,\) and \(3,\)"):
        step.dot([1, 2], [1, 2, 3])
    with pytest.raises(InputError, match=r"no permutation of 0..1"):
        step.dot([1, 2], [1, 2], order=[0, 0])
    with pytest.raises(InputError, match=r"allowed: \(m, n\) and \(n, k\)"):
        step.matmul([[1, 2]], [[1, 2]])


@given(st.integers(0, 255), st.integers(0, 255), st.integers(0, 0xFFFF))
@settings(max_examples=200, deadline=None)
def test_the_error_of_a_step_is_half_a_unit(left, right, psum):
    """A property of correct rounding, from the codes around the result alone."""
    step = chain(("e4m3", "e4m3", "bf16"))
    numbers = [step.input.decode_exact(left), step.weight.decode_exact(right), step.psum.decode_exact(psum)]
    if any(n.special for n in numbers):
        return
    exact = numbers[0].value * numbers[1].value + numbers[2].value
    code = int(step.step(psum, left, right))
    result = step.psum.decode_exact(code)
    if result.special or abs(exact) > Fraction(step.psum.max):
        return
    for neighbour in (code - 1, code + 1):
        other = step.psum.decode_exact(neighbour & 0xFFFF)
        if not other.special:
            assert abs(result.value - exact) <= abs(other.value - exact)


@pytest.mark.parametrize("psum", ["bf16", "fp16", "fp32"])
@pytest.mark.parametrize(("input", "weight"), [("nf4", "nf4"), ("int32", "nf4"), ("int30", "int30")])
def test_products_wider_than_float64_are_exact(input, weight, psum):
    step = FusedMultiplyAdd(get_datatype(input), get_datatype(weight), get_datatype(psum))
    rng = np.random.default_rng(4)
    count = 300

    def draw(datatype):
        return rng.integers(0, 1 << datatype.bits, size=count)

    left, right = draw(step.input), draw(step.weight)
    # Sums that cancel a product almost or entirely, sums that dwarf it, and any others.
    nearest = step.psum.encode(-step.input.decode(left) * step.weight.decode(right))
    for sums in (nearest, np.zeros(count, dtype=np.int64), draw(step.psum)):
        found = step.step(sums, left, right)
        expected = [step.step_exact(int(p), int(a), int(b)) for p, a, b in zip(sums, left, right, strict=True)]
        assert found.tolist() == expected
