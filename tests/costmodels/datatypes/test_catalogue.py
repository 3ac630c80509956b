"""Names, user formats, and what is refused."""

import numpy as np
import pytest

from accelgym.costmodels.datatypes import FloatFormat, IntegerFormat, get_datatype, register_codebook, register_float
from accelgym.costmodels.errors import InputError


def test_a_name_is_always_the_same_object():
    for name in ("e4m3", "int8", "posit8_1", "nf4"):
        assert get_datatype(name) is get_datatype(name)
        assert get_datatype(name).name == name


def test_parametric_names():
    assert get_datatype("uint5") == IntegerFormat("uint5", 5, signed=False)
    assert get_datatype("int12q20") == IntegerFormat("int12q20", 12, fraction_bits=20)
    assert get_datatype("posit12_2").bits == 12
    for name, message in (("int54", "allowed 1..53"), ("posit17_1", "allowed <3..16, 0..3>"), ("posit8_4", "0..3")):
        with pytest.raises(InputError, match=message):
            get_datatype(name)


def test_an_unknown_name_is_answered_with_near_ones():
    with pytest.raises(InputError, match=r"did you mean.*'e4m3fn'"):
        get_datatype("e4m3fm")
    with pytest.raises(InputError, match=r"unknown datatype 'int08'.* int<N>, .*posit<N>_<es>"):
        get_datatype("int08")


def test_user_formats_have_names():
    book = register_codebook("test_levels", [0.0, 1.0, -1.0])
    assert get_datatype("test_levels") is book
    assert book.bits == 2
    np.testing.assert_array_equal(book.values, [0, 1, -1, -1])
    np.testing.assert_array_equal(book.encode([0.4, 0.6, -7.0]), [0, 1, 2])
    tall = register_float("test_e6m1", 6, 1, bias=40, specials="finite")
    assert get_datatype("test_e6m1") is tall
    assert tall.max == 1.5 * 2.0 ** (63 - 40)
    for taken in ("e4m3", "int9", "test_levels"):
        with pytest.raises(InputError, match="registered already"):
            register_codebook(taken, [0.0, 1.0])


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ((12, 3), "allowed 1..11 and 0..23"),
        ((4, 24), "allowed 1..11 and 0..23"),
        ((4, 0), "the IEEE rule needs a mantissa"),
        ((11, 3), r"allowed -500..500"),
        ((4, 3, None, "ocp"), "unknown specials rule 'ocp'"),
        ((4, 3, None, "ieee", "none"), "unknown underflow rule 'none'"),
        ((4, 3, None, "fnuz", "gradual", False), "puts NaN at negative zero"),
        ((8, 10, None, "fn", "normal"), "at most 16 bits"),
    ],
)
def test_impossible_floats_are_refused(arguments, message):
    with pytest.raises(InputError, match=message):
        register_float("test_impossible", *arguments)


@pytest.mark.parametrize(
    ("entries", "ties", "message"),
    [
        ([1.0], None, "1 entries, allowed 2..256"),
        (range(257), None, "257 entries"),
        ([1.0, 1.0], None, "entries repeat"),
        ([0.0, -0.0], None, "entries repeat"),
        ([1.0, float("nan")], None, "entry nan"),
        ([1.0, 1e300], None, "2\\*\\*500"),
        ([1.0, 2.0**-30], None, "need 31 bits as integers of one quantum, allowed 28"),
        ([0.1, 0.2], None, "round them to fewer bits"),
        ([1.0, 2.0], [True, False], "2 tie rules, allowed: 1"),
    ],
)
def test_unusable_codebooks_are_refused(entries, ties, message):
    with pytest.raises(InputError, match=message):
        register_codebook("test_unusable", entries, ties)


def test_wide_formats_have_no_table():
    for name in ("fp32", "int24"):
        with pytest.raises(InputError, match="allowed: 16 bits"):
            _ = get_datatype(name).values
        with pytest.raises(InputError, match="allowed: 16 bits"):
            _ = get_datatype(name).field_table


def test_formats_describe_themselves_and_compare_by_definition():
    assert repr(get_datatype("e4m3")) == "<float e4m3, 8 bits>"
    assert FloatFormat("x", 4, 3) == FloatFormat("x", 4, 3) != FloatFormat("x", 3, 4)
    assert {get_datatype("e4m3"): 1}[FloatFormat("e4m3", 4, 3)] == 1
    with pytest.raises(ValueError, match="read-only"):
        get_datatype("e4m3").values[0] = 1
