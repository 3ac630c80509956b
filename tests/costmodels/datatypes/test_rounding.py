"""Encoding: the vectorised path against exact arithmetic, and both against other libraries."""

from fractions import Fraction

import ml_dtypes
import numpy as np
import pytest
import softposit
from apytypes import APyFixed, APyFloatArray, OverflowMode, QuantizationMode
from gfloat import RoundMode, round_float
from hypothesis import given, settings
from hypothesis import strategies as st
from other_datatypes import OF_GFLOAT, OF_ML_DTYPES

from accelgym.costmodels.datatypes import datatypes, get_datatype, register_codebook, register_float
from accelgym.costmodels.datatypes.exact import STOCHASTIC_BITS, Exact, Fields, Rounding, Special, rounds_up
from accelgym.costmodels.errors import InputError

register_float("test_flush", 3, 3, underflow="flush")
register_float("test_fnuz", 3, 2, 4, specials="fnuz")
register_float("test_tall", 4, 0, specials="finite")
register_float("test_unsigned", 4, 2, specials="fn", signed=False)
register_float("test_tf32", 8, 10)
register_codebook("test_shuffled", [3.0, -1.5, 0.25, 7.0, -8.0])

NARROW = [n for n in datatypes.names() if get_datatype(n).bits <= 9 and not n.startswith("test_")]
NARROW += ["test_flush", "test_fnuz", "test_tall", "test_unsigned", "test_shuffled"]
NARROW += ["int2", "int3", "int5", "int8", "uint4", "uint8", "int8q6", "int6q9"]
NARROW += ["posit8_1", "posit8_1_flush", "posit8_0", "posit6_2", "posit5_3"]
WIDE = ["bf16", "fp16", "fp32", "test_tf32", "int16", "int24", "int53", "posit16_1"]


def modes(datatype):
    """The overflow rules of a format."""
    if datatype.kind == "integer":
        return ["saturate", "wrap"]
    if datatype.kind == "codebook" or not (datatype.has_nan or datatype.has_infinity):
        return ["saturate"]
    return ["saturate", "infinity"]


def agree(datatype, values, rounding="nearest_even"):
    """Encodes by both paths and compares every code; then the values that ``round`` gives."""
    for overflow in modes(datatype):
        usable = values[np.isfinite(values)] if overflow == "wrap" else values
        if not datatype.has_nan:
            usable = usable[~np.isnan(usable)]
        seed = np.random.default_rng(5)
        codes = datatype.encode(usable, rounding, overflow, seed)
        draws = np.random.default_rng(5).integers(0, 1 << STOCHASTIC_BITS, size=usable.shape)
        exact = [
            datatype.encode_exact(float(value), rounding, overflow, Fraction(int(draw), 1 << STOCHASTIC_BITS))
            for value, draw in zip(usable, draws, strict=True)
        ]
        np.testing.assert_array_equal(codes, exact, err_msg=f"{datatype.name} {rounding} {overflow}")
        rounded = datatype.round(usable, rounding, overflow, np.random.default_rng(5))
        decoded = datatype.decode(codes)
        np.testing.assert_array_equal(rounded, decoded)
        np.testing.assert_array_equal(np.signbit(rounded)[rounded == 0], np.signbit(decoded)[decoded == 0])


@pytest.mark.parametrize("rounding", list(Rounding))
@pytest.mark.parametrize("name", NARROW)
def test_every_value_midpoint_and_neighbour_is_rounded_as_the_definition_says(name, rounding, probes):
    datatype = get_datatype(name)
    values = probes(datatype)
    if rounding != Rounding.NEAREST_EVEN:
        # Every number between neighbours is as good as another; the definition is slow.
        values = np.random.default_rng(9).permutation(values)[:500]
    values = np.concatenate([values, [0.0, -0.0, np.inf, -np.inf, np.nan, 1e300, -1e300, 1e-310]])
    agree(datatype, values, rounding)


@pytest.mark.parametrize("rounding", list(Rounding))
@pytest.mark.parametrize("name", WIDE)
@settings(max_examples=15, deadline=None)
@given(data=st.data())
def test_wide_formats_round_as_the_definition_says(name, rounding, data):
    datatype = get_datatype(name)
    exponents = st.integers(-160, 140) if datatype.kind == "float" else st.integers(-70, 70)
    number = st.builds(np.ldexp, st.floats(-2, 2), exponents)
    # Few significant bits make ties likely.
    short = st.builds(np.ldexp, st.integers(-(1 << 12), 1 << 12).map(float), exponents)
    values = np.array(data.draw(st.lists(number | short | st.floats(), min_size=20, max_size=40)))
    agree(datatype, values, rounding)


MIDPOINTS_OF_WIDE = {"bf16": 9, "fp16": 12, "test_tf32": 12, "fp32": 25}


@pytest.mark.parametrize("name", MIDPOINTS_OF_WIDE)
def test_ties_and_near_ties_of_wide_floats(name):
    datatype = get_datatype(name)
    rng = np.random.default_rng(11)
    bits = MIDPOINTS_OF_WIDE[name]
    significands = 2.0 * rng.integers(1 << (bits - 2), 1 << (bits - 1), 300) + 1
    low, high = (-26, 6) if name == "fp16" else (-150, 104)
    ties = np.ldexp(significands, rng.integers(low - bits, high, 300)) * rng.choice([-1, 1], 300)
    agree(datatype, np.concatenate([ties, np.nextafter(ties, np.inf), np.nextafter(ties, -np.inf)]))


@pytest.mark.parametrize(("name", "theirs"), OF_ML_DTYPES)
def test_floats_round_as_in_ml_dtypes(name, theirs, probes):
    datatype = get_datatype(name)
    # ml_dtypes rounds float64 twice, so the numbers are float32.
    values = np.concatenate([probes(datatype, np.float32), [0.0, -0.0, np.inf, -np.inf, np.nan]])
    with np.errstate(over="ignore", invalid="ignore"):
        expected = values.astype(np.float32).astype(theirs)
    codes = datatype.encode(values, overflow="infinity")
    nan = np.isnan(expected.astype(np.float64))
    np.testing.assert_array_equal(np.isnan(datatype.decode(codes)), nan)
    np.testing.assert_array_equal(codes[~nan], expected.view(f"u{expected.itemsize}")[~nan])


def test_bf16_makes_one_rounding_where_ml_dtypes_makes_two():
    value = 1 + 2.0**-8 + 2.0**-40
    assert get_datatype("bf16").round(value) == 1 + 2.0**-7
    assert np.float64(value).astype(ml_dtypes.bfloat16) == 1


def test_fp32_rounds_as_numpy():
    rng = np.random.default_rng(2)
    values = np.ldexp(rng.uniform(-2, 2, 20_000), rng.integers(-160, 130, 20_000))
    with np.errstate(over="ignore"):
        expected = values.astype(np.float32).view(np.uint32)
    np.testing.assert_array_equal(get_datatype("fp32").encode(values, overflow="infinity"), expected)


@pytest.mark.parametrize("saturate", [True, False])
@pytest.mark.parametrize(("name", "theirs"), OF_GFLOAT)
@pytest.mark.parametrize(
    ("rounding", "their_rounding"), [("nearest_even", RoundMode.TiesToEven), ("toward_zero", RoundMode.TowardZero)]
)
def test_ocp_formats_round_as_in_gfloat(name, theirs, saturate, rounding, their_rounding, probes):
    datatype = get_datatype(name)
    values = probes(datatype)
    if not saturate and not datatype.has_nan:
        values = values[(values >= theirs.min) & (values <= theirs.max)]
    if name == "e8m0":
        # gfloat takes neither zero nor less than the smallest number; ours saturate.
        values = values[values >= 2.0**-127]
    overflow = "saturate" if saturate or name == "int8q6" else "infinity"
    if overflow == "infinity" and not datatype.has_nan:
        with pytest.raises(InputError, match="no code for an infinity"):
            datatype.encode(2 * datatype.max, overflow="infinity")
    expected = [round_float(theirs, float(value), their_rounding, saturate) for value in values]
    actual = datatype.round(values, rounding, overflow)
    np.testing.assert_array_equal(actual, expected)
    np.testing.assert_array_equal(np.signbit(actual), np.signbit(expected))


@pytest.mark.parametrize(("name", "exponent_bits", "mantissa_bits"), [("e4m3", 4, 3), ("e5m2", 5, 2), ("e3m4", 3, 4)])
def test_ieee_formats_round_as_in_apytypes(name, exponent_bits, mantissa_bits, probes):
    datatype = get_datatype(name)
    values = probes(datatype)
    theirs = APyFloatArray.from_array(values, exp_bits=exponent_bits, man_bits=mantissa_bits)
    np.testing.assert_array_equal(datatype.encode(values, overflow="infinity"), theirs.to_bits())


@pytest.mark.parametrize("name", ["int3", "int8", "int8q6", "int6q9", "uint8"])
@pytest.mark.parametrize(("overflow", "theirs"), [("saturate", OverflowMode.SAT), ("wrap", OverflowMode.WRAP)])
def test_signed_integers_round_and_overflow_as_in_apytypes(name, overflow, theirs, probes):
    datatype = get_datatype(name)
    values = probes(datatype)[::5]
    for rounding, mode in (("nearest_even", QuantizationMode.RND_CONV), ("toward_zero", QuantizationMode.TRN_ZERO)):
        expected = []
        for value in values:
            # An unsigned format is one of a bit more that is never negative.
            number = APyFixed.from_float(float(max(value, 0) if name[0] == "u" else value), int_bits=60, frac_bits=80)
            whole = datatype.bits - datatype.fraction_bits + (name[0] == "u")
            small = number.cast(whole, datatype.fraction_bits, mode, theirs)
            if name[0] == "u" and overflow == "saturate":
                expected.append(min(small.to_bits(), 255))
            else:
                expected.append(small.to_bits() & ((1 << datatype.bits) - 1))
        clipped = np.maximum(values, 0) if name[0] == "u" else values
        np.testing.assert_array_equal(datatype.encode(clipped, rounding, overflow), expected)


def test_posits_round_as_in_softposit(probes):
    for name, convert in (("posit8_0", softposit.convertDoubleToP8), ("posit16_1", softposit.convertDoubleToP16)):
        datatype = get_datatype(name)
        values = probes(datatype) if datatype.bits == 8 else probes(datatype)[::17]
        np.testing.assert_array_equal(datatype.encode(values), [convert(float(v)).v for v in values])


@pytest.mark.parametrize("bits", [5, 8, 11])
def test_narrow_posits_round_the_bit_string_of_wide_ones(bits):
    """A second definition of rounding: a wide posit, cut off and rounded as a binary number."""
    wide = get_datatype("posit16_1")
    codes = np.arange(1, 1 << 15)
    cut = 16 - bits
    kept, rest = codes >> cut, codes & ((1 << cut) - 1)
    half = 1 << (cut - 1)
    kept += (rest > half) | ((rest == half) & (kept % 2 == 1))
    expected = np.clip(kept, 1, (1 << (bits - 1)) - 1)
    narrow = get_datatype(f"posit{bits}_1")
    np.testing.assert_array_equal(narrow.encode(wide.values[codes]), expected)
    np.testing.assert_array_equal(narrow.encode(-wide.values[codes]), (1 << bits) - expected)


def test_voyagers_posit_flushes_below_half_the_smallest():
    values = np.ldexp([1.0, 1.999, 1.0, 0.999, -1.0, -0.999], [-12, -13, -13, -13, -13, -13])
    np.testing.assert_array_equal(get_datatype("posit8_1_flush").encode(values), [1, 1, 1, 0, 255, 0])
    np.testing.assert_array_equal(get_datatype("posit8_1").encode(values), [1, 1, 1, 1, 255, 255])


def test_voyagers_nf4_encoder_at_its_comparisons():
    midpoints = [-26.5, -19, -14, -10.5, -7.5, -4.5, -1.5, 1, 3.5, 6.5, 9, 12, 15.5, 19.5, 26.5]
    expected = [0, 1, 2, 3, 4, 5, 6, 7, 9, 10, 11, 11, 13, 14, 15]
    np.testing.assert_array_equal(get_datatype("nf4_int6").encode(midpoints), expected)


@pytest.mark.parametrize("name", ["nf4", "nf4_int6", "fp3_ea_neg", "fp4_er_pos", "test_shuffled"])
def test_a_codebook_takes_the_nearest_entry(name):
    datatype = get_datatype(name)
    values = np.random.default_rng(7).uniform(-1.2, 1.2, 5000) * datatype.max_magnitude
    nearest = np.argmin(np.abs(values[:, None] - np.array(datatype.entries)), axis=1)
    np.testing.assert_array_equal(datatype.encode(values), nearest)


def test_six_bit_floats_hold_the_numbers_of_fp3_and_fp4():
    """The codebooks of BitMoD are small floats with the second zero replaced."""
    for name, floats, unit in (
        ("fp4", get_datatype("e2m1"), 2),
        ("fp3", register_float("test_e2m0", 2, 0, 1, "finite"), 1),
    ):
        numbers = set(floats.values * unit) | {0.0}
        for suffix, special in (("er_pos", {"fp3": 3, "fp4": 10}), ("ea_neg", {"fp3": -6, "fp4": -16})):
            assert set(get_datatype(f"{name}_{suffix}").values) == numbers | {special[name]}


@pytest.mark.parametrize("name", ["e4m3", "bf16", "e2m1", "int8", "posit8_1", "nf4", "test_tall"])
def test_stochastic_rounding_is_right_on_average(name):
    datatype = get_datatype(name)
    values = datatype.values[np.isfinite(datatype.values)]
    values = np.unique(values[values >= 0])
    lower, upper = values[values.size // 2 : values.size // 2 + 2]
    value = lower + 0.3 * (upper - lower)
    rounded = datatype.round(np.full(40_000, value), "stochastic", generator=np.random.default_rng(1))
    share = (rounded == upper).mean()
    assert set(rounded) <= {lower, upper}
    # Five standard deviations of a mean of 40,000 draws.
    assert abs(share - (value - lower) / (upper - lower)) < 5 * (0.25 / 40_000) ** 0.5


@given(value=st.fractions(-300, 300))
@settings(max_examples=60, deadline=None)
def test_nearest_is_nearest_and_toward_zero_is_the_next_below(value):
    """By definition, over all codes, for numbers that no float holds."""
    for name in ("e4m3", "e2m3", "posit8_0", "nf4_int6", "int8"):
        datatype = get_datatype(name)
        finite = [Exact.of(datatype.fields(c)) for c in range(1 << datatype.bits)]
        numbers = sorted({n.value for n in finite if n.special is Special.FINITE})
        clipped = min(max(value, numbers[0]), numbers[-1])
        if name != "posit8_0":
            nearest = min(abs(n - clipped) for n in numbers)
            assert abs(datatype.decode_exact(datatype.encode_exact(value)).value - clipped) == nearest
        inward = [n for n in numbers if abs(n) <= abs(clipped) and n * clipped >= 0]
        if name != "nf4_int6":
            assert datatype.decode_exact(datatype.encode_exact(value, "toward_zero")).value == max(inward, key=abs)


@given(st.data())
@settings(max_examples=100, deadline=None)
def test_rounding_is_monotone(data):
    datatype = get_datatype(data.draw(st.sampled_from([*NARROW, *WIDE])))
    values = np.sort(np.array(data.draw(st.lists(st.floats(allow_nan=False), min_size=2, max_size=30))))
    for rounding in ("nearest_even", "toward_zero"):
        assert (np.diff(datatype.round(values, rounding)) >= 0).all() or np.isinf(values).any()


def test_the_sign_of_zero_survives_where_there_is_one():
    for name, code in (("e4m3", 0x80), ("bf16", 0x8000), ("test_fnuz", 0), ("int8", 0), ("e5m3", 0), ("posit8_1", 0)):
        assert get_datatype(name).encode(-0.0) == code
    assert get_datatype("e4m3").encode(-1e-9) == 0x80
    assert get_datatype("posit8_1").encode(-1e-9) == 0xFF


def test_nan_has_one_code_or_is_refused():
    codes = {"e4m3": 0x7C, "e4m3fn": 0x7F, "e5m2": 0x7E, "bf16": 0x7FC0, "fp16": 0x7E00, "fp32": 0x7FC00000}
    codes |= {"e8m0": 0xFF, "posit8_1": 0x80, "e5m3": 0xFC}
    for name, code in codes.items():
        assert get_datatype(name).encode(-np.nan) == code
        assert get_datatype(name).encode_exact(float("nan")) == code
    for name in ("int8", "e2m1", "nf4"):
        for encode in (get_datatype(name).encode, get_datatype(name).encode_exact):
            with pytest.raises(InputError, match="no code for NaN"):
                encode(float("nan"))


def test_shapes_are_kept():
    for name in ("e4m3", "e8m0", "int8", "posit8_1", "nf4"):
        datatype = get_datatype(name)
        for values in (1.0, [], [[1.0, 2.0], [0.5, 0.25]], np.ones((3, 1, 2)).T):
            for rounding in ("nearest_even", "stochastic"):
                codes = datatype.encode(values, rounding, generator=np.random.default_rng(0))
                assert codes.shape == np.shape(values)
                assert codes.dtype == np.int64
                assert datatype.decode(codes).shape == np.shape(values)


@pytest.mark.parametrize("name", ["e4m3", "e8m0", "int8", "posit8_1", "nf4"])
def test_long_arrays_are_rounded_as_short_ones(name):
    datatype = get_datatype(name)
    values = np.random.default_rng(3).normal(size=20_000)
    for rounding in ("nearest_even", "stochastic"):
        generators = np.random.default_rng(4), np.random.default_rng(4)
        parts = np.array_split(values, 7)
        expected = [datatype.encode(part, rounding, generator=generators[0]) for part in parts]
        codes = datatype.encode(values, rounding, generator=generators[1])
        np.testing.assert_array_equal(codes, np.concatenate(expected))


def test_bad_modes_name_what_is_allowed():
    e4m3 = get_datatype("e4m3")
    with pytest.raises(InputError, match=r"unknown rounding 'up'.*nearest_even"):
        e4m3.encode(1.0, "up")
    with pytest.raises(InputError, match="overflow 'wrap' has no meaning here, allowed: saturate, infinity"):
        e4m3.encode(1.0, overflow="wrap")
    with pytest.raises(InputError, match="needs a generator"):
        e4m3.encode(1.0, "stochastic")
    with pytest.raises(InputError, match="infinity cannot wrap"):
        get_datatype("int8").encode(np.inf, overflow="wrap")
    with pytest.raises(InputError, match=r"allowed 0..255"):
        e4m3.decode([256])
    with pytest.raises(InputError, match="codes are float64"):
        e4m3.decode([1.0])


def test_the_one_rounding_function_on_a_number_line():
    half = Fraction(1, 2)
    zero, one = Fraction(0), Fraction(1)

    def up(value, tie_up=False, rounding=Rounding.NEAREST_EVEN, draw=None):
        return rounds_up(Fraction(value), zero, one, half, tie_up, rounding, draw)

    assert [up(0.4), up(0.5), up(0.5, tie_up=True), up(0.6)] == [False, False, True, True]
    assert not up(0.9, rounding=Rounding.TOWARD_ZERO)
    assert up(0.25, rounding=Rounding.STOCHASTIC, draw=Fraction(24, 100))
    assert not up(0.25, rounding=Rounding.STOCHASTIC, draw=Fraction(1, 4))
    assert Exact.of(Fields(True, 5, -1)).value == Fraction(-5, 2)
