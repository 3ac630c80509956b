"""``accelgym label`` and ``accelgym dataset`` as a user sees them."""

import json
from pathlib import Path

import pytest
from typer.testing import CliRunner

from accelgym.cli import app
from accelgym.costmodels.errors import InputError

GOLDEN = Path(__file__).parent.parent / "golden" / "airchitect_v2"


def run(*arguments):
    return CliRunner().invoke(app, [str(a) for a in arguments])


def test_presets_are_listed():
    found = json.loads(run("dataset", "presets", "--json").stdout)
    assert {"airchitect-v2", "capped", "dataflow", "accelerators", "synthesis", "mappings"} <= set(found)


def test_a_folder_is_checked(dataset):
    ended = run("dataset", "check", dataset, "--json")
    assert (ended.exit_code, json.loads(ended.stdout)["shards"]) == (0, 8)
    assert "as they were written" in run("dataset", "check", dataset).stdout


def test_a_csv_is_checked_and_a_difference_ends_with_1(tmp_path):
    ended = run("dataset", "check", GOLDEN / "conv_rows.csv")
    assert ended.exit_code == 0
    assert "3 (lines 202, 203, 204)" in ended.stdout
    path = tmp_path / "wrong.csv"
    path.write_text("K,C,X,Y,R,S,df,ConfigID,rewards\n2,2,8,8,1,1,dla,1,1\n")
    ended = run("dataset", "check", path)
    assert ended.exit_code == 1
    assert "line 2: the first whose rewards differ" in ended.stdout


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("dataset", "check", "nothing"), "nothing: no such file or folder"),
        (("dataset", "check", GOLDEN), "no dataset, or an unfinished one"),
        (("dataset", "check", GOLDEN / "conv_rows.csv", "--illegal", "refuse"), "line 202: the kernel is larger"),
        (("label", "--out", "x"), "give either --preset NAME or --config FILE"),
        (("label", "--preset", "capt", "--out", "x"), "unknown preset 'capt': did you mean 'capped'"),
        (("label", "--preset", "capped", "--rows", "0", "--out", "x"), "rows: 0"),
        (("label", "--preset", "capped", "--rows", "5", "--set", "rows=6", "--out", "x"), "given by --rows, too"),
        (("label", "--preset", "capped", "--set", "most_pes=1000000", "--out", "x"), "CPU-hours"),
        (("label", "--preset", "capped", "--set", "name=A b", "--out", "x"), "name"),
        (("label", "--preset", "searched", "--agent", "gaa", "--out", "x"), "did you mean 'ga'"),
    ],
)
def test_bad_input_is_named(arguments, message, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    ended = run(*arguments)
    assert isinstance(ended.exception, InputError)
    assert message in str(ended.exception)
    assert not list(tmp_path.iterdir())
