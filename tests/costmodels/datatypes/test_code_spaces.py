"""Every code of every format: our two decoders against each other and against other libraries."""

import ml_dtypes
import numpy as np
import pytest
import softposit
from apytypes import APyFixedArray, APyFloatArray
from gfloat import decode_float
from other_datatypes import OF_GFLOAT, OF_ML_DTYPES

from accelgym.costmodels.datatypes import (
    CodebookFormat,
    IntegerFormat,
    PositFormat,
    datatypes,
    get_datatype,
    register_float,
)

INTEGERS = [f"int{n}" for n in range(2, 17)] + ["uint2", "uint5", "uint8"] + ["int8q6", "int12q20"]
POSITS = ["posit8_1", "posit8_1_flush", "posit8_0", "posit8_2", "posit11_1", "posit5_3", "posit3_0"]
NAMED = [n for n in datatypes.names() if get_datatype(n).bits <= 16 and not n.startswith("test_")]
NARROW = NAMED + INTEGERS + POSITS


def same(ours, theirs):
    """Equal numbers, NaN where NaN, and the same sign on zeros."""
    ours, theirs = np.asarray(ours, dtype=np.float64), np.asarray(theirs, dtype=np.float64)
    np.testing.assert_array_equal(ours, theirs)
    np.testing.assert_array_equal(np.signbit(ours)[ours == 0], np.signbit(theirs)[theirs == 0])


@pytest.mark.parametrize("name", NARROW)
def test_the_table_of_values_is_what_the_fields_say(name):
    datatype = get_datatype(name)
    codes = np.arange(1 << datatype.bits)
    negative, significand, exponent, special = datatype.field_table.T
    assert significand.max() < 1 << datatype.significand_bits
    expected = np.ldexp(significand.astype(np.float64), exponent)
    expected = np.where(special == 1, np.inf, np.where(special == 2, np.nan, expected))
    same(datatype.decode(codes), np.where(negative == 1, -expected, expected))


@pytest.mark.parametrize("name", NARROW)
def test_encoding_undoes_decoding(name):
    datatype = get_datatype(name)
    finite = np.isfinite(datatype.values)
    codes = np.arange(1 << datatype.bits)[finite]
    np.testing.assert_array_equal(datatype.encode(datatype.values[finite]), codes)


@pytest.mark.parametrize("name", NARROW)
def test_every_value_is_a_whole_number_of_quanta_and_the_quantum_is_the_largest_such(name):
    datatype = get_datatype(name)
    quanta = np.ldexp(datatype.values[np.isfinite(datatype.values)], -datatype.quantum_exponent)
    assert (quanta == np.rint(quanta)).all()
    assert (quanta % 2 == 1).any()
    assert datatype.max_magnitude == np.abs(datatype.values[np.isfinite(datatype.values)]).max()
    assert datatype.max == datatype.values[np.isfinite(datatype.values)].max()


@pytest.mark.parametrize(
    ("name", "theirs"),
    [
        *OF_ML_DTYPES,
        ("e2m3", ml_dtypes.float6_e2m3fn),
        ("e3m2", ml_dtypes.float6_e3m2fn),
        ("e2m1", ml_dtypes.float4_e2m1fn),
        ("e8m0", ml_dtypes.float8_e8m0fnu),
    ],
)
def test_all_codes_decode_as_in_ml_dtypes(name, theirs):
    datatype = get_datatype(name)
    codes = np.arange(1 << datatype.bits)
    width = np.uint16 if datatype.bits == 16 else np.uint8
    with np.errstate(invalid="ignore"):  # Signalling NaNs.
        expected = codes.astype(width).view(theirs).astype(np.float64)
    same(datatype.decode(codes), expected)


@pytest.mark.parametrize(
    ("exponent_bits", "mantissa_bits", "bias", "theirs"),
    [
        (4, 3, 8, ml_dtypes.float8_e4m3fnuz),
        (5, 2, 16, ml_dtypes.float8_e5m2fnuz),
        (4, 3, 11, ml_dtypes.float8_e4m3b11fnuz),
    ],
)
def test_a_registered_fnuz_format_decodes_as_in_ml_dtypes(exponent_bits, mantissa_bits, bias, theirs):
    datatype = register_float(f"test_{theirs.__name__}", exponent_bits, mantissa_bits, bias, "fnuz")
    codes = np.arange(256)
    same(datatype.decode(codes), codes.astype(np.uint8).view(theirs).astype(np.float64))
    expected = datatype.values.astype(np.float32).astype(theirs).view(np.uint8)
    np.testing.assert_array_equal(datatype.encode(datatype.values), expected)


@pytest.mark.parametrize(("name", "theirs"), OF_GFLOAT)
def test_all_codes_decode_as_in_gfloat(name, theirs):
    datatype = get_datatype(name)
    codes = np.arange(1 << datatype.bits)
    same(datatype.decode(codes), [decode_float(theirs, int(code)).fval for code in codes])


@pytest.mark.parametrize(
    ("name", "exponent_bits", "mantissa_bits"),
    [("e4m3", 4, 3), ("e5m2", 5, 2), ("e3m4", 3, 4), ("bf16", 8, 7), ("fp16", 5, 10)],
)
def test_all_codes_decode_as_in_apytypes(name, exponent_bits, mantissa_bits):
    datatype = get_datatype(name)
    codes = np.arange(1 << datatype.bits)
    theirs = APyFloatArray.from_bits(codes, exp_bits=exponent_bits, man_bits=mantissa_bits)
    same(datatype.decode(codes), theirs.to_numpy())


def test_the_unsigned_scale_is_the_positive_half_of_a_signed_float():
    theirs = APyFloatArray.from_bits(np.arange(256), exp_bits=5, man_bits=3)
    same(get_datatype("e5m3").values, theirs.to_numpy())


def test_a_user_format_with_its_own_bias_decodes_as_in_apytypes():
    datatype = register_float("test_e3m2_bias5", 3, 2, bias=5)
    theirs = APyFloatArray.from_bits(np.arange(64), exp_bits=3, man_bits=2, bias=5)
    same(datatype.values, theirs.to_numpy())


@pytest.mark.parametrize("name", ["int2", "int7", "int16", "int8q6", "int12q20"])
def test_integers_decode_as_in_apytypes(name):
    datatype = get_datatype(name)
    assert isinstance(datatype, IntegerFormat)
    codes = np.arange(1 << datatype.bits)
    whole = datatype.bits - datatype.fraction_bits
    theirs = APyFixedArray(codes.tolist(), int_bits=whole, frac_bits=datatype.fraction_bits)
    same(datatype.decode(codes), theirs.to_numpy())


def softposit_values(kind, convert, count):
    values = []
    for code in range(count):
        posit = kind()
        posit.v = code
        values.append(convert(posit))
    values[count // 2] = np.nan  # NaR, which softposit converts to an infinity.
    return values


def test_standard_posits_decode_as_in_softposit():
    narrow = softposit_values(softposit.posit8_t, softposit.convertP8ToDouble, 1 << 8)
    same(get_datatype("posit8_0").values, narrow)
    wide = softposit_values(softposit.posit16_t, softposit.convertP16ToDouble, 1 << 16)
    same(get_datatype("posit16_1").values, wide)


def test_narrow_posits_are_wide_ones_with_zeros_at_the_end():
    wide = softposit_values(softposit.posit16_t, softposit.convertP16ToDouble, 1 << 16)
    for bits in range(3, 16):
        same(PositFormat(f"posit{bits}_1", bits, 1).values, wide[:: 1 << (16 - bits)])


def test_published_ends_of_the_ranges():
    expected = {"e4m3": 240, "e4m3fn": 448, "e5m2": 57344, "e2m3": 7.5, "e3m2": 28, "e2m1": 6, "fp16": 65504}
    expected |= {"posit8_1": 4096, "e8m0": 2.0**127, "e5m3": 61440, "int8": 127, "nf4": 1, "nf4_int6": 31}
    assert {name: get_datatype(name).max for name in expected} == expected
    assert get_datatype("fp32").max == np.finfo(np.float32).max


def test_nf4_is_the_published_table_in_float32():
    nf4 = get_datatype("nf4")
    assert isinstance(nf4, CodebookFormat)
    assert (nf4.values == nf4.values.astype(np.float32)).all()
    # Quantiles of the normal distribution: eight equal steps of probability above zero, seven below
    # (QLoRA, equation 4, with the offset of its published code).
    from scipy.stats import norm

    offset = 0.9677083
    positive = norm.ppf(np.linspace(offset, 0.5, 9)[:-1])
    negative = -norm.ppf(np.linspace(offset, 0.5, 8)[:-1])
    quantiles = np.sort(np.concatenate([positive, [0], negative]))
    np.testing.assert_allclose(nf4.values, quantiles / quantiles.max(), atol=2e-7)


def test_six_bit_nf4_is_a_rounded_nf4():
    distance = np.abs(get_datatype("nf4_int6").values - 31 * get_datatype("nf4").values)
    assert distance.max() < 1.1


def test_fp32_decodes_as_numpy():
    rng = np.random.default_rng(3)
    codes = np.concatenate([rng.integers(0, 1 << 32, 50_000), np.arange(64), (1 << 31) + np.arange(64)])
    codes = np.concatenate([codes, [0x7F800000, 0xFF800000, 0x7FC00000, 0x7F7FFFFF, 0x00800000, 0x007FFFFF]])
    with np.errstate(invalid="ignore"):
        same(get_datatype("fp32").decode(codes), codes.astype(np.uint32).view(np.float32).astype(np.float64))


def test_fp32_fields_are_what_it_decodes_to():
    fp32 = get_datatype("fp32")
    codes = np.random.default_rng(4).integers(0, 1 << 32, 500)
    codes = np.concatenate([codes, [0, 1 << 31, 1, 0x7F800000, 0xFF800000, 0x7FC00000, 0x007FFFFF, 0x00800000]])
    same([fp32.decode_exact(int(code)).to_float() for code in codes], fp32.decode(codes))
