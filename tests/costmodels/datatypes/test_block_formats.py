"""Shared scales and mixtures of types: against gfloat, exact fractions and brute force."""

from fractions import Fraction

import numpy as np
import pytest
from gfloat import compute_scale_amax, quantize_block
from gfloat import formats as gf
from hypothesis import given, settings
from hypothesis import strategies as st

from accelgym.costmodels.datatypes import (
    BLOCK_FORMATS,
    MIXTURES,
    BlockFormat,
    FusedMultiplyAdd,
    GroupMixture,
    get_block_format,
    get_datatype,
    get_mixture,
)
from accelgym.costmodels.errors import InputError

FINITE = st.floats(-(2.0**100), 2.0**100).filter(lambda v: v == 0 or abs(v) > 2.0**-100)


FULL_SCALE = {"int3": 3, "int4": 7, "int8": 127, "int8q6": Fraction(127, 64), "nf4_int6": 31}
FULL_SCALE |= {"e4m3fn": 448, "e5m2": 57344, "e2m3": Fraction(15, 2), "e3m2": 28, "e2m1": 6}
FULL_SCALE |= {
    f"fp{b}_{k}_{s}": v
    for b, k, v in ((3, "er", 4), (3, "ea", 6), (4, "er", 12), (4, "ea", 16))
    for s in ("pos", "neg")
}


def floor_log2(value: Fraction) -> int:
    exponent = value.numerator.bit_length() - value.denominator.bit_length()
    return exponent if Fraction(2) ** exponent <= value else exponent - 1


@pytest.mark.parametrize("name", BLOCK_FORMATS)
@settings(max_examples=25, deadline=None)
@given(data=st.data())
def test_scales_and_elements_follow_their_definitions_in_fractions(name, data):
    block = get_block_format(name, block_size=data.draw(st.integers(1, 6)))
    values = np.array(data.draw(st.lists(FINITE, min_size=1, max_size=14)))
    codes, scales = block.quantise(values)
    assert scales.shape == (-(-values.size // block.block_size),)
    largest_element = Fraction(FULL_SCALE[block.element.name])
    for i, scale_code in enumerate(scales):
        part = slice(i * block.block_size, (i + 1) * block.block_size)
        largest = max(abs(Fraction(v)) for v in values[part])
        if largest == 0:
            expected = block.scale.encode_exact(1.0)
        elif block.scale.name == "e8m0":
            exponent = floor_log2(largest) - floor_log2(largest_element)
            expected = min(max(exponent, -127), 127) + 127
        else:
            expected = block.scale.encode_exact(largest / largest_element) or block.scale.encode_exact(1.0)
        assert scale_code == expected
        scale = block.scale.decode_exact(int(scale_code)).value
        for value, code in zip(values[part], codes[part], strict=True):
            exact = Fraction(value) / scale
            # A zero keeps its sign, which a fraction has not.
            expected = block.element.encode_exact(exact if value else float(value))
            if not exact or block.element.decode(code):
                assert code == expected
            assert block.element.decode(code) == block.element.decode(expected)


OCP = [
    ("mxfp8_e4m3", gf.format_info_mxfp8_e4m3),
    ("mxfp8_e5m2", gf.format_info_mxfp8_e5m2),
    ("mxfp6_e2m3", gf.format_info_mxfp6_e2m3),
    ("mxfp6_e3m2", gf.format_info_mxfp6_e3m2),
    ("mxfp4", gf.format_info_mxfp4_e2m1),
    ("mxint8_ocp", gf.format_info_mxint8),
]


@pytest.mark.parametrize(("name", "theirs"), OCP)
def test_microscaling_formats_quantise_as_in_gfloat(name, theirs):
    block = get_block_format(name)
    assert block.block_size == theirs.k
    assert block.bits_per_value == (theirs.element_bits * theirs.k + theirs.scale_bits) / theirs.k
    rng = np.random.default_rng(1)
    values = rng.normal(size=(60, 32)) * np.ldexp(1.0, rng.integers(-60, 60, (60, 1))) * rng.choice([1, 0.01], (60, 32))
    values[0], values[1, 5:] = 1.0, 0.0
    expected = [quantize_block(theirs, row, compute_scale_amax) for row in values]
    np.testing.assert_array_equal(block.dequantise(*block.quantise(values)), expected)


def test_both_int8_blocks_are_the_same_numbers():
    values = np.random.default_rng(2).normal(size=(7, 50))
    ours, ocp = get_block_format("mxint8", 8), get_block_format("mxint8_ocp", 8)
    (codes, scales), (ocp_codes, ocp_scales) = ours.quantise(values), ocp.quantise(values)
    np.testing.assert_array_equal(codes, ocp_codes)
    np.testing.assert_array_equal(scales + 6, ocp_scales)
    np.testing.assert_array_equal(ours.dequantise(codes, scales), ocp.dequantise(ocp_codes, ocp_scales))


@pytest.mark.parametrize("name", BLOCK_FORMATS)
def test_what_is_representable_survives(name):
    block = get_block_format(name, block_size=4)
    rng = np.random.default_rng(3)
    # Two's complement has one more negative integer, which would ask for a scale twice as large.
    usable = np.flatnonzero(np.abs(block.element.values) <= block.element.max)
    codes = rng.choice(usable, (20, 12))
    # With the largest element in each block, the scale is found again.
    codes[:, ::4] = block.element.encode(block.element.max)
    scales = rng.integers(60, 200, (20, 3))
    values = block.dequantise(codes, scales)
    np.testing.assert_array_equal(block.dequantise(*block.quantise(values)), values)


def test_extremes_of_scales():
    block = get_block_format("mxfp4", block_size=2)
    tiny, huge = 2.0**-200, 2.0**200
    codes, scales = block.quantise([0.0, -0.0, tiny, -tiny, huge, 1.0])
    np.testing.assert_array_equal(scales, [127, 0, 254])
    np.testing.assert_array_equal(block.element.decode(codes), [0, 0, 0, 0, 6, 0])
    fine = get_block_format("mxnf4", block_size=2)
    codes, scales = fine.quantise([1e-9, 0.0, 1e9, -1e9])
    # A scale that rounds to zero is one, as in Voyager; the largest E5M3 number is 61440.
    np.testing.assert_array_equal(fine.scale.decode(scales), [1, 61440])
    np.testing.assert_array_equal(fine.element.decode(codes), [0, 0, 31, -31])


def test_quotients_on_a_tie_are_not_rounded_twice():
    """x / scale lies within 2**-54 of a midpoint of the elements, so that the float64 quotient is the midpoint."""
    block = BlockFormat("test", get_datatype("e4m3"), get_datatype("e5m3"), 2)
    scale = Fraction(9, 8)
    ties = Fraction(17, 16) * scale
    values = [float(ties), np.nextafter(float(ties), 2), np.nextafter(float(ties), 0)]
    # 240 * 9/8 fixes the scale.
    codes = [block.quantise([270.0, value])[0][1] for value in values]
    expected = [block.element.encode_exact(Fraction(value) / scale) for value in values]
    assert codes == expected
    assert len(set(expected)) == 2


def test_bad_blocks_are_refused():
    with pytest.raises(InputError, match="block_size is 0"):
        get_block_format("mxfp4", 0)
    with pytest.raises(InputError, match="scale type 'int8', allowed: float formats"):
        get_block_format("mxfp4", scale="int8")
    with pytest.raises(InputError, match="unknown block format 'mxfp5'"):
        get_block_format("mxfp5")
    block = get_block_format("mxfp4", 4)
    for bad in (np.nan, np.inf):
        with pytest.raises(InputError, match="a block holds an infinity or NaN"):
            block.quantise([1.0, bad])
    with pytest.raises(InputError, match="values of shape"):
        block.quantise(1.0)
    with pytest.raises(InputError, match=r"scales of shape \(2,\) for elements of shape \(4,\)"):
        block.dequantise([0, 0, 0, 0], [127, 127])


@pytest.mark.parametrize("name", MIXTURES)
def test_each_group_has_the_type_that_brute_force_finds(name):
    mixture = get_mixture(name, group_size=8)
    rng = np.random.default_rng(4)
    values = rng.standard_t(3, size=(6, 21))
    groups = mixture.quantise(values)
    assert groups.choices.shape == groups.scales.shape == (6, 3)
    assert groups.codes.shape == values.shape
    restored = mixture.dequantise(groups)
    for row in range(6):
        for group in range(3):
            part = slice(8 * group, min(8 * group + 8, 21))
            errors, results = [], []
            for candidate in mixture.candidates:
                scale_code = mixture.scale.encode_exact(
                    max(abs(Fraction(v)) for v in values[row, part]) / FULL_SCALE[candidate.name]
                )
                scale = mixture.scale.decode_exact(scale_code).value
                codes = [candidate.encode_exact(Fraction(v) / scale) for v in values[row, part]]
                results.append([candidate.decode_exact(code).value * scale for code in codes])
                errors.append(sum((r - Fraction(v)) ** 2 for r, v in zip(results[-1], values[row, part], strict=True)))
            chosen = groups.choices[row, group]
            assert chosen == min(range(len(errors)), key=errors.__getitem__)
            assert [Fraction(v) for v in restored[row, part]] == results[chosen]
    assert len(np.unique(groups.choices)) > 1


def test_the_union_of_a_mixture_holds_all_its_types_and_multiplies():
    mixture = get_mixture("int4_nf4_e2m1", group_size=4, scale="e5m3")
    for choice, candidate in enumerate(mixture.candidates):
        codes = np.arange(1 << candidate.bits)
        union = mixture.union_codes(np.full(codes.size // 4, choice), codes)
        np.testing.assert_array_equal(mixture.union.decode(union), candidate.values)
    step = FusedMultiplyAdd(get_datatype("e4m3"), mixture.union, get_datatype("bf16"))
    groups = mixture.quantise(np.random.default_rng(5).normal(size=8))
    weights = mixture.union_codes(groups.choices, groups.codes)
    inputs = step.input.encode(np.ones(8))
    elements = mixture.union.decode(weights)
    assert step.psum.decode(step.dot(inputs, weights)) == pytest.approx(
        elements.sum(), abs=8 * 2.0**-8 * np.abs(elements).sum()
    )


def test_storage_of_a_mixture():
    mixture = GroupMixture("test", tuple(get_datatype(n) for n in ("int3", "int4")), get_datatype("bf16"), 32)
    assert mixture.bits_per_value([0, 0, 1, 1]) == 3.5 + 17 / 32
    np.testing.assert_array_equal(mixture.union_table[0, 8:], -1)
    with pytest.raises(InputError, match="wider than the type its group has chosen"):
        mixture.union_codes([0], [9])
    with pytest.raises(InputError, match=r"type 2..2, allowed 0..1"):
        mixture.union_codes([2], [1])
    with pytest.raises(InputError, match=r"code 16..16"):
        mixture.union_codes([1], [16])


def test_bad_mixtures_are_refused():
    int4, e4m3, bf16 = (get_datatype(n) for n in ("int4", "e4m3", "bf16"))
    with pytest.raises(InputError, match=r"1 candidates, allowed 2..16"):
        GroupMixture("test", (int4,), bf16)
    with pytest.raises(InputError, match="candidate 'e4m3', allowed: finite types"):
        GroupMixture("test", (int4, e4m3), bf16)
    with pytest.raises(InputError, match="unknown mixture 'bitmod5': did you mean"):
        get_mixture("bitmod5")
