"""Files that would make a careless reader hang, crash or misread: one line, one error."""

import pytest

from accelgym.costmodels.errors import InputError
from accelgym.costmodels.files.timeloop_yaml.document import parse_document
from accelgym.costmodels.timeloop import read_timeloop

PROBLEM = "problem:\n  shape: gemm_ABZ\n  M: 4\n  N: 6\n  K: 8\n"
MACHINE = (
    "architecture:\n  nodes:\n"
    "  - !Component {{name: Dram, class: DRAM, attributes: {{width: 64, datawidth: 8}}}}\n"
    "  - !Component {{name: Rf, class: regfile, attributes: {{depth: {depth}, width: 8, datawidth: 8}}}}\n"
    "  - !Component {{name: mac, class: intmac, attributes: {{width: 8}}}}\n"
)
BOMB = "a0: &a0 [x, x, x, x, x, x, x, x, x]\n" + "".join(
    f"a{i}: &a{i} [{', '.join([f'*a{i - 1}'] * 9)}]\n" for i in range(1, 9)
)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        (BOMB, "values after aliases"),
        ("problem: &p\n  shape: *p\n", "contains itself"),
        ("a: " + "[" * 3000 + "]" * 3000 + "\n", "nested more than"),
        ("a: " + "{a: " * 3000 + "}" * 3000 + "\n", "nested more than"),
        ("a: " + "9" * 5000 + "\n", "not valid YAML"),
        ("a: 1\na: 2\n", "key 'a' is given twice"),
        ("a: {b: 1, b: 1}\nc: 1\n", "key 'b' is given twice"),
        ("? [1, 2]\n: 3\n", "unhashable"),
        ("a: *missing\nb: 1\n", "undefined alias"),
        ("a: !!python/object/apply:os.system ['true']\nb: 1\n", "could not determine a constructor"),
        ("a: \x07\nb: 1\n", "not valid YAML"),
        ("---\na: 1\n---\nb: 1\n", "another document|single document"),
    ],
    ids=lambda value: value[:12],
)
def test_yaml_that_is_refused(text, message):
    with pytest.raises(InputError, match=message) as caught:
        parse_document(text)
    assert "\n" not in str(caught.value)
    assert len(str(caught.value)) < 400


def test_dates_are_text_and_anchors_may_be_set_anew():
    data = parse_document("day: 2024-13-45\na: &x 1\nb: *x\nc: &x 2\nd: *x\n")
    assert data == {"day": "2024-13-45", "a": 1, "b": 1, "c": 2, "d": 2}


def test_recursive_merges():
    data = parse_document(
        "base: &b {k: {x: 1, y: 2}, l: [4, 5], m: [6]}\n"
        "more: {<<<: *b, k: {x: 9}, l: [3], m: !nomerge [7]}\n"
        "plain: {<<: *b, k: {x: 9}}\n"
    )
    assert data["more"] == {"k": {"x": 9, "y": 2}, "l": [3, 4, 5], "m": [7]}
    assert data["plain"] == {"k": {"x": 9}, "l": [4, 5], "m": [6]}
    assert data["base"] == {"k": {"x": 1, "y": 2}, "l": [4, 5], "m": [6]}


@pytest.mark.parametrize(
    ("depth", "message"),
    [
        ("ceil(1e308*10)", "cannot evaluate"),
        ("9 ** 9 ** 9", "cannot evaluate"),
        ("'" + "9" * 5000 + "'", "depth is inf"),
        ("1" + "0" * 400, "depth is 1000"),
        (".nan", "depth is nan"),
        (".inf", "depth is inf"),
        ("2024-13-45", "depth is '2024-13-45'"),
        ("-5", "depth is -5"),
        ("1.5", "depth is 1.5"),
        ("yes", "depth is True"),
        ("[1]", r"depth is \[1\]"),
        ("a", "depth is 'a'"),
    ],
)
def test_numbers_out_of_range(depth, message):
    with pytest.raises(InputError, match=message) as caught:
        read_timeloop(PROBLEM, MACHINE.format(depth=depth))
    assert len(str(caught.value)) < 400


def test_variables_in_circles():
    with pytest.raises(InputError, match="depth is 'a'"):
        read_timeloop(PROBLEM, MACHINE.format(depth="a"), "variables: {a: a}\n\n")
    with pytest.raises(InputError, match="leads back to itself"):
        read_timeloop(PROBLEM, MACHINE.format(depth="2*a"), "variables: {a: b, b: a}\n\n")


@pytest.mark.parametrize("bound", ["1" * 5000, "1e400", "0", "-1", "x", "[1]", "true", "2147483648"])
def test_bounds_out_of_range(bound):
    with pytest.raises(InputError, match=r"problem.instance.M|not valid YAML"):
        read_timeloop(PROBLEM.replace("M: 4", f"M: {bound}"), MACHINE.format(depth=8))


def test_large_values_are_cut_in_messages():
    text = MACHINE.format(depth=8).replace("width: 8,", "width: [" + ", ".join("1" * 9000) + "],")
    with pytest.raises(InputError) as caught:
        read_timeloop(PROBLEM, text)
    assert len(str(caught.value)) < 400


@pytest.mark.parametrize(
    "text", ["problem:\n\n", "problem: 3\n\n", "problem: {instance: {}}\n\n", "problem: {shape: 3, M: 1}\n\n"]
)
def test_problems_without_content(text):
    with pytest.raises(InputError, match="problem"):
        read_timeloop(text, MACHINE.format(depth=8))
