"""Arithmetic in Timeloop files: what it gives, and that it cannot be made to hang or to run code."""

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from accelgym.costmodels.errors import InputError
from accelgym.costmodels.files.timeloop_yaml.expressions import Scope

SCOPE = Scope(
    {"width": "width", "depth": "2 ** 6", "deep": "depth * 2"},
    {"width": 8, "technology": "45nm", "depth": 3},
    {"buffer": {"attributes": {"datawidth": 16}, "spatial": {"meshX": 4}}, "sizes": [3, 5]},
)


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("2 ** 6", 64),
        ("width", 8),  # of the parent: the inner definition names itself
        ("deep", 128),
        ("ceil(log2(depth)) if depth >= 1 else 1", 6),
        ("max(1, ceil(depth / 48))", 2),
        ("7 // 2 + 7 % 2 - -1", 5),
        ('buffer.attributes["datawidth"] * buffer.spatial.meshX', 64),
        ("len(sizes) + sizes[1] + sum([1, 2])", 10),
        ("1 < 2 <= 2 and not 3 == 4", True),
        ("0 or depth", 64),
        ("width and depth", 64),
        ("depth > 0 or 1 / 0", True),
        ("width in [8, 16] and width not in (4, 2)", True),
        ("None is None", True),
        ("1 << 6 | 3 ^ 1", 66),
        ("hypot(3, 4) + comb(4, 2) + factorial(3)", 17.0),
        ("2 * tau", 4 * math.pi),
        ("round(2.7182818, 2)", 2.72),
        ("1e-9", 1e-9),
        ("010", 10),
        ("45nm", "45nm"),
        ("SET ME", "SET ME"),
        ("LPDDR4", "LPDDR4"),
        ("", ""),
        (12, 12),
        (None, None),
        (["depth"], ["depth"]),
    ],
)
def test_expressions(text, value):
    assert SCOPE.resolve(text, "here") == value


@given(
    st.recursive(
        st.integers(0, 9).map(str),
        lambda e: st.tuples(e, st.sampled_from(("+", "-", "*", "|", "^", " and ", " or ", "<")), e).map(
            "({0[0]}{0[1]}{0[2]})".format
        ),
    )
)
def test_integer_arithmetic_is_that_of_python(text):
    assert SCOPE.resolve(text, "here") == eval(text, {"__builtins__": {}})


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("depht * 2", "nothing defines 'depht'"),
        ("1 / 0", "zero"),
        ("ceil(1e308 * 10)", "infinity"),
        ("9 ** 9 ** 9", "too large"),
        ("2 ** -1 * 9 ** 99999999", "too large"),
        ("1 << 999999999", "too large"),
        ("factorial(10 ** 9)", "too large"),
        ("comb(10 ** 9, 10 ** 8)", "too large"),
        ("'a' * 1000000000", "arithmetic with 'a'"),
        ("[1] * 1000000000", r"arithmetic with \[1\]"),
        ("round(5, -1000000000) + 10 ** 400", "too large"),
        ("(-8) ** 0.5", "root"),
        ("__import__('os').system('true')", "Call is not allowed"),
        ("().__class__", "list has no entries"),
        ("depth.real", "int has no entries"),
        ("(lambda: 1)()", "not allowed"),
        ("[x for x in sizes]", "not allowed"),
        ("print(1)", "no function 'print'"),
        ("sizes[7]", "out of range"),
        ("buffer.attributes.nothing", "no entry 'nothing'"),
        ("log2(0)", "math domain|positive"),
        ("int('9' * 5)", "arithmetic"),
    ],
)
def test_what_cannot_be_evaluated_says_why(text, reason):
    with pytest.raises(InputError, match=reason) as caught:
        SCOPE.resolve(text, "here")
    assert "\n" not in str(caught.value)
    assert str(caught.value).startswith("here: cannot evaluate")


@pytest.mark.parametrize(
    "table",
    [
        {"a": "a + 1"},
        {"a": "b", "b": "c * 1", "c": "a"},
        {f"v{i}": f"v{i + 1} + 0" for i in range(5000)} | {"v5000": 1, "a": "v0"},
    ],
    ids=["itself", "circle", "chain"],
)
def test_definitions_that_lead_nowhere(table):
    with pytest.raises(InputError, match="a"):
        Scope(table).resolve("a * 1", "here")


def test_a_definition_is_evaluated_once():
    doubling = {f"v{i}": f"v{i + 1} + v{i + 1}" for i in range(60)} | {"v60": 1}
    assert Scope(doubling).resolve("v0 * 1", "here") == 2**60


def test_long_text_and_deep_nesting_are_no_expressions():
    assert SCOPE.resolve("(" * 5000, "here") == "(" * 5000
    assert SCOPE.resolve("1 + " * 4000 + "1", "here").startswith("1 +")
    with pytest.raises(InputError):
        SCOPE.resolve("-" * 900 + "a", "here")
    assert SCOPE.resolve("inf", "here") == math.inf
