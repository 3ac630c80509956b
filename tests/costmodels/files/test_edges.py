"""What callers hand in (paths as texts, NumPy's scalars), and what files hold (formulas, repetitions, long lines)."""

import io

import numpy as np
import pytest

from accelgym.costmodels.errors import AccelGymError, InputError, UnexpectedArgumentError, unexpected_argument
from accelgym.costmodels.files.arrays import read_arrays, write_arrays
from accelgym.costmodels.files.csv_rows import read_csv
from accelgym.costmodels.files.csv_table import TableWriter, read_table
from accelgym.costmodels.files.json_file import parse_json, read_json, read_sealed, write_json, write_sealed
from accelgym.costmodels.files.lock import folder_lock
from accelgym.costmodels.files.plain import as_path, count
from accelgym.costmodels.files.private_folder import refuse_foreign
from accelgym.costmodels.files.text import lines_of, read_bytes, read_text
from accelgym.costmodels.files.whole_file import whole_file, write_whole
from accelgym.costmodels.files.yaml_source import read_value, read_yaml


def test_paths_may_be_texts_everywhere(tmp_path):
    def at(name):
        return str(tmp_path / name)

    write_whole(at("a.yaml"), "a: 1\n")
    assert read_yaml(at("a.yaml")).data == {"a": 1}
    assert read_text(at("a.yaml")) == "a: 1\n"
    assert read_bytes(at("a.yaml")) == b"a: 1\n"
    with lines_of(at("a.yaml")) as lines:
        assert list(lines) == ["a: 1\n"]
    write_json(at("b.json"), [np.int64(1)])
    assert read_json(at("b.json")) == [1]
    write_sealed(at("c.json"), {"x": np.float32(0.5)})
    assert read_sealed(at("c.json")) == {"x": 0.5}
    write_arrays(at("d.npz"), {"h": 1}, {"x": np.arange(3)})
    assert read_arrays(at("d.npz"))[1]["x"].tolist() == [0, 1, 2]
    with whole_file(at("e.csv")) as file:
        file.write("x,y\n1,2\n")
    assert read_table(at("e.csv"), ("x",))[1] == [(2, {"x": "1", "y": "2"})]
    assert [row.cells for row in read_csv(at("e.csv"))] == [("x", "y"), ("1", "2")]
    with folder_lock(at("folder")):
        assert (tmp_path / "folder" / "lock").exists()


@pytest.mark.parametrize("place", [None, 3, b"bytes", "", "a\0b", "x" * 300, "a/" * 3000, ["a"]])
def test_what_names_no_file(place):
    with pytest.raises(InputError, match="path"):
        as_path(place)


@pytest.mark.parametrize("value", [True, 1.0, "3", None, np.float64(3), 0, 11])
def test_what_counts_nothing(value):
    with pytest.raises(InputError, match=r"n is .*allowed >= 1 and <= 10, an integer"):
        count(value, "n", 1, 10)
    assert type(count(np.int32(3), "n", 1, 10)) is int


def test_no_text_in_a_table_is_a_formula():
    file = io.StringIO()
    TableWriter(file, line_end="\n").row(["=1+1", "+a", "-2.5", "-", "@x", "\tq", "plain", None, 3, "-x"])
    assert file.getvalue() == "'=1+1,'+a,-2.5,-,'@x,'\tq,plain,,3,'-x\n"


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ('{"a": 1, "a": 1}', "'a' is given twice"),
        ('[{"b": {"c": 1, "c": 2}}]', "'c' is given twice"),
        ("NaN", "NaN is no JSON number"),
        ("[" * 100_000, "nested too deeply"),
        ("9" * 5000, "digits"),
    ],
)
def test_json_that_can_be_read_in_two_ways_or_not_at_all(text, message):
    with pytest.raises(ValueError, match=message):
        parse_json(text)


@pytest.mark.parametrize("text", ["2024-13-45", "9" * 5000, "[" * 3000, "&a [*a]", "1_000", "a: b: c", "", "null"])
def test_values_that_yaml_does_not_know_for_sure_are_texts(text):
    assert read_value(text) == text


@pytest.mark.parametrize(
    ("text", "value"), [("3", 3), ("0.5", 0.5), ("[a, 1]", ["a", 1]), ("2024-01-31x", "2024-01-31x")]
)
def test_other_values_are_what_they_say(text, value):
    assert read_value(text) == value


def test_a_line_without_end_is_refused(tmp_path):
    (tmp_path / "long.csv").write_text("a,b\n" + "x" * 2_000_000)
    with pytest.raises(InputError, match=r"long.csv: line 2: more than 1048576 characters"):
        read_table(tmp_path / "long.csv", ("a",))


def test_long_messages_lose_their_middle():
    text = str(InputError(f"file: key is {'x' * 100_000}: allowed y"))
    assert len(text) < 4100
    assert text.startswith("file: key is")
    assert text.endswith("allowed y")
    assert isinstance(InputError("a"), AccelGymError)


def test_an_argument_that_does_not_exist_is_a_type_error_as_well():
    error = unexpected_argument("argument", "frameskip", ["layer", "workload"])
    assert isinstance(error, (TypeError, InputError))
    assert isinstance(error, TypeError)
    assert "unexpected keyword argument 'frameskip'" in str(error)
    assert isinstance(type(error)("a message"), UnexpectedArgumentError)


def test_folders_that_others_may_write_are_foreign(tmp_path, monkeypatch):
    refuse_foreign(tmp_path / "nothing")
    mine = tmp_path / "mine"
    mine.mkdir(mode=0o700)
    refuse_foreign(mine)
    mine.chmod(0o777)
    with pytest.raises(InputError, match="others may write it"):
        refuse_foreign(mine)
    monkeypatch.setattr("os.geteuid", lambda: 12345)
    with pytest.raises(InputError, match=r"belongs to another user.*not believed"):
        refuse_foreign(mine)
