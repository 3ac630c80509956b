"""Studies go on where they were, from a file that is read again as it was written."""

import math
from dataclasses import dataclass

import pytest

from accelgym.costmodels.errors import DamagedFileError, InputError
from accelgym.experiments.study_log import StudyLog

KEY = ("agent", "arguments")


@pytest.fixture
def path(tmp_path):
    log = StudyLog(tmp_path / "new" / "runs.jsonl", KEY)
    for agent in ("ga", "aco", "ppo"):
        log.add({"agent": agent, "arguments": {"layer": 1, "model": ("a", "b")}, "regret": math.inf})
    return log.path


def test_rows_are_found_again_whatever_the_order_of_their_keys(path):
    log = StudyLog(path, KEY)
    assert [row["agent"] for row in log.rows] == ["ga", "aco", "ppo"]
    assert log.find(agent="aco", arguments={"model": ["a", "b"], "layer": 1}) == log.rows[1]
    assert log.find(agent="aco", arguments={"layer": 2, "model": ["a", "b"]}) is None
    assert log.rows[0]["regret"] == math.inf
    assert log.add({"agent": "x", "arguments": (1,)}) == StudyLog(path, KEY).rows[-1]


@pytest.mark.parametrize("cut", [1, 2, 20])
def test_a_row_that_a_kill_has_torn_goes_alone(path, cut):
    whole = path.read_bytes()
    path.write_bytes(whole[:-cut])
    log = StudyLog(path, KEY)
    assert [row["agent"] for row in log.rows] == ["ga", "aco"]
    log.add({"agent": "ppo", "arguments": {"layer": 1, "model": ["a", "b"]}, "regret": math.inf})
    assert path.read_bytes() == whole


@pytest.mark.parametrize("line", ["{", "[1]", '{"agent": "ga"}', "[" * 10_000, '"agent arguments"'])
def test_other_lines_are_refused_with_their_place(path, line):
    first, rest = path.read_text().split("\n", 1)
    path.write_text(f"{first}\n{line}\n{rest}")
    with pytest.raises(DamagedFileError, match=r"runs\.jsonl:2: no row of this study: needs agent, arguments"):
        StudyLog(path, KEY)


def test_a_folder_belongs_to_one_plan(tmp_path):
    plan = {"budget": 3, "tasks": {"one": "a", "other": "b"}, "lengths": (1, 2)}
    for _ in range(2):
        StudyLog(tmp_path / "runs.jsonl", KEY, plan)
    with pytest.raises(InputError, match=r"another study: tasks was \{'other': 'b'\} and is now \{'other': 'c'\}"):
        StudyLog(tmp_path / "runs.jsonl", KEY, plan | {"tasks": {"one": "a", "other": "c"}})


def test_parts_are_made_once(tmp_path):
    @dataclass(frozen=True)
    class Error:
        level: str
        ratio: float | None

    made = [Error("roofline", 2.0), Error("rtl", None)]
    assert StudyLog(tmp_path / "x.jsonl", ("part",)).part("a", Error, lambda: made) == made
    assert StudyLog(tmp_path / "x.jsonl", ("part",)).part("a", Error, pytest.fail) == made
