"""Files of JSON rows: any damage is named, rows that share a model do not influence each other."""

import gzip
import json
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from accelgym.costmodels.errors import InputError
from accelgym.costmodels.loopnest import evaluate_rows
from accelgym.costmodels.loopnest.jsonl import evaluate_file

GOLDEN = Path(__file__).resolve().parents[2] / "golden" / "timeloop"
with gzip.open(GOLDEN / "setC_tiny.jsonl.gz", "rt") as lines:
    TINY = [json.loads(line) for line, _ in zip(lines, range(40), strict=False)]

junk = st.one_of(
    st.none(),
    st.booleans(),
    st.integers(-3, 3),
    st.integers(),
    st.just(10**400),
    st.floats(),
    st.text(max_size=3),
    st.just([]),
    st.just({}),
    st.lists(st.integers(0, 2), max_size=3),
    st.dictionaries(st.sampled_from(["dim", "bound", "x", "RF"]), st.integers(0, 2), max_size=2),
)


def places(value, path=()):
    """Lists the paths of all values inside plain data."""
    found = [path] if path else []
    children = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    for key, child in children:
        found += places(child, (*path, key))
    return found


@settings(max_examples=300, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(st.data())
def test_a_damaged_row_gives_a_result_or_an_error_that_names_its_line(data):
    row = json.loads(json.dumps(data.draw(st.sampled_from(TINY))))
    del row["result"]
    *path, last = data.draw(st.sampled_from(places(row)))
    at = row
    for key in path:
        at = at[key]
    if data.draw(st.booleans()):
        at[last] = data.draw(junk)
    else:
        del at[last]
    message = "line 2"
    try:
        json.dumps(list(evaluate_rows([TINY[0], row])), allow_nan=False)
    except InputError as error:
        message = str(error)
    assert message.startswith("line 2")


def test_a_port_has_a_least_bandwidth_and_its_cycles_stay_finite():
    row = json.loads(json.dumps(TINY[0]))
    row["arch"]["levels"][2]["read_bw"] = 2.2250738585072014e-308
    with pytest.raises(InputError, match=r"read_bw is 2.22\S*e-308, allowed >= 1e-09"):
        list(evaluate_rows([row]))
    row["arch"]["levels"][2]["read_bw"] = 1e-9
    (found,) = evaluate_rows([row])
    assert 1e9 < found["result"]["cycles"] < 2**53


def test_rows_of_one_problem_evaluate_together_as_they_do_alone():
    together = list(evaluate_rows(TINY))
    assert together == [next(evaluate_rows([row])) for row in TINY]
    assert [row["id"] for row in together] == [row["id"] for row in TINY]


def write(path, rows):
    path.write_text("".join(json.dumps(row) + "\n" for row in rows))


def test_a_file_keeps_its_order_and_skips_empty_lines(tmp_path):
    source, target = tmp_path / "rows.jsonl", tmp_path / "out.jsonl"
    source.write_text("\n".join([json.dumps(TINY[3]), "", json.dumps(TINY[1])]))
    assert evaluate_file(source, target, engine="v3.0.3") == (2, 2)
    found = [json.loads(line) for line in target.read_text().splitlines()]
    assert found == list(evaluate_rows([TINY[3], TINY[1]], engine="v3.0.3"))


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("{", "line 3: not JSON: .* at column"),
        ("[1]", "line 3: the row is list"),
        ('{"id": NaN}', "line 3: not JSON: NaN is no JSON number"),
        ("[" * 100_000, "line 3: not JSON"),
        ('{"id": "a", "problem": 3}', r"line 3 \(id 'a'\): row.problem is 3, allowed: a table"),
    ],
)
def test_a_bad_line_leaves_the_target_as_it_was(tmp_path, text, message):
    source, target = tmp_path / "rows.jsonl", tmp_path / "out.jsonl"
    write(source, TINY[:1])
    source.write_text(source.read_text() + "\n" + text + "\n")
    target.write_text("before")
    with pytest.raises(InputError, match=rf"rows.jsonl: {message}"):
        evaluate_file(source, target)
    assert target.read_text() == "before"
    assert sorted(path.name for path in tmp_path.iterdir()) == ["out.jsonl", "rows.jsonl"]


def test_files_that_cannot_be_read_or_written_are_named(tmp_path):
    source = tmp_path / "rows.jsonl"
    with pytest.raises(InputError, match=r"rows.jsonl: no such file"):
        evaluate_file(source, tmp_path / "out.jsonl")
    write(source, TINY[:1])
    with pytest.raises(InputError, match=r"out.jsonl: cannot be written"):
        evaluate_file(source, tmp_path / "nowhere" / "out.jsonl")
    with pytest.raises(InputError, match="it is a folder"):
        evaluate_file(source, tmp_path)
    source.write_bytes(b"\xff\xfe")
    with pytest.raises(InputError, match=r"rows.jsonl: cannot be read"):
        evaluate_file(source, tmp_path / "out.jsonl")
