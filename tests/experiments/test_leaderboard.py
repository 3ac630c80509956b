"""Submissions hold what was found, and nothing that does not reproduce is ranked."""

import csv
import json
import math
import re
import shutil
from pathlib import Path

import numpy as np
import pytest
from command_line import answer
from hypothesis import given
from hypothesis import strategies as st
from scipy.stats import rankdata, trim_mean

from accelgym.agents import Trajectory
from accelgym.costmodels.errors import InputError
from accelgym.costmodels.files.json_file import read_sealed, write_sealed
from accelgym.envs import Parameter, Space
from accelgym.experiments.leaderboard import (
    build_board,
    check_submission,
    pack_runs,
    read_submission,
    write_board,
    write_submission,
)
from accelgym.experiments.leaderboard.submission import decode_design, encode_design
from accelgym.experiments.plan import build_task


@pytest.fixture(scope="module")
def packed(finished, tmp_path_factory):
    out, _ = finished
    path = tmp_path_factory.mktemp("submission") / "submission.json"
    write_submission(path, pack_runs([out], author="us", link="https://example.org/agents"))
    return path


@pytest.fixture
def data(packed):
    return json.loads(packed.read_text())


def checked(tmp_path, data):
    path = tmp_path / "changed.json"
    path.write_text(json.dumps(data))
    return check_submission(read_submission(path))


def test_a_submission_holds_the_best_designs_of_every_search(finished, packed):
    out, _ = finished
    submission = read_submission(packed)
    assert len(submission.runs) == len(list(out.glob("runs/*/*/*/trajectory.npz"))) == 12
    for run in submission.runs:
        trajectory = Trajectory.load(out / "runs" / run.task / run.agent / f"seed-{run.seed}" / "trajectory.npz")
        best = trajectory.best_so_far
        for mark in (1, 2, 5, 10, 20, 50, 100, trajectory.evaluations):
            if mark <= trajectory.evaluations:
                assert run.best_within(mark) == best[mark - 1]
        task = build_task(submission.tasks[0].env, next(t for t in submission.tasks if t.id == run.task).arguments)
        for point in run.points:
            names = next(t for t in submission.tasks if t.id == run.task).parameters
            row = encode_design(task.space, names, point.design)
            np.testing.assert_array_equal(row, trajectory.designs[point.evaluations - 1])


def test_a_file_comes_back_as_it_was_written(packed, tmp_path):
    submission = read_submission(packed)
    write_submission(tmp_path / "again.json", submission)
    assert (tmp_path / "again.json").read_bytes() == packed.read_bytes()
    assert read_submission(tmp_path / "again.json") == submission


VALUES = st.one_of(st.integers(-5, 5), st.sampled_from(["a", "b", 0.5, True, False, (1, 2), 1e300]))


@given(st.lists(st.lists(VALUES, min_size=1, max_size=5, unique_by=lambda v: (type(v), v)), min_size=1, max_size=4))
def test_designs_survive_a_round_trip_through_json(values):
    space = Space(tuple(Parameter(f"p{i}", tuple(own)) for i, own in enumerate(values)))
    names = [p.name for p in space.parameters]
    for design in space.sample(np.random.default_rng(0), 5):
        text = json.dumps(decode_design(space, design))
        np.testing.assert_array_equal(encode_design(space, names, json.loads(text)), design)


def test_what_was_packed_reproduces(packed):
    found = check_submission(read_submission(packed))
    assert found.passed
    assert found.designs == sum(len(run.points) for run in read_submission(packed).runs)
    done = answer("leaderboard", "validate", packed)
    assert (done.returncode, done.stderr) == (0, "")


def flatter(data):
    for point in data["runs"][3]["points"]:
        point["objective"] *= 0.999


def leave_the_space(data):
    data["runs"][1]["points"][0]["design"][0] = 5


def take_another_design(data):
    data["runs"][0]["points"][-1]["design"] = data["runs"][-1]["points"][-1]["design"]


def break_the_budget(data):
    largest = [v for name in data["tasks"][1]["parameters"] for v in [128 if name.endswith("num_pes") else 12]]
    run = next(run for run in data["runs"] if run["task"] == data["tasks"][1]["id"])
    task = build_task(data["tasks"][1]["env"], data["tasks"][1]["arguments"])
    design = encode_design(task.space, data["tasks"][1]["parameters"], largest)
    run["points"] = [
        {"evaluations": 1, "objective": float(task.evaluate(design[None]).objective[0]), "design": largest}
    ]


def change_the_id(data):
    old, data["tasks"][0]["id"] = data["tasks"][0]["id"], "0" * 16
    for run in data["runs"]:
        run["task"] = "0" * 16 if run["task"] == old else run["task"]


def exchange_the_arguments(data):
    first, second = data["tasks"]
    first["arguments"], second["arguments"] = second["arguments"], first["arguments"]


REJECTED = {
    "a flattered value": (flatter, "claimed to be"),
    "a value outside the space": (leave_the_space, "outside the space: parameter"),
    "the design of another run": (take_another_design, "claimed to be"),
    "a design over the budget": (break_the_budget, "not feasible"),
    "another id": (change_the_id, "is the task"),
    "other arguments": (exchange_the_arguments, "is the task"),
    "another version": (lambda data: data.update(accelgym="0.0.1"), "made with accelgym 0.0.1"),
    "an unknown task": (lambda data: data["tasks"][0].update(env="accelgym/Nothing-v0"), "unknown task"),
    "an unknown argument": (lambda data: data["tasks"][0]["arguments"].update(colour=1), "colour"),
    "an unknown parameter": (
        lambda data: data["tasks"][0].update(parameters=[f"x{n}" for n in data["tasks"][0]["parameters"]]),
        "is missing",
    ),
    "a file": (lambda data: data["tasks"][0]["arguments"].update(workload="/etc/hostname"), "names a file"),
    "a file of a kind": (lambda data: data["tasks"][0]["arguments"].update(workload="scalesim:net"), "names a file"),
}


@pytest.mark.parametrize("name", REJECTED)
def test_what_does_not_reproduce_is_rejected_and_nothing_is_written(name, data, tmp_path):
    change, words = REJECTED[name]
    change(data)
    found = checked(tmp_path, data)
    assert words in " ".join(found.reasons)
    done = answer("leaderboard", "validate", tmp_path / "changed.json")
    assert done.returncode == 1
    assert words in done.stderr
    board = tmp_path / "board"
    board.mkdir()
    (board / "index.html").write_text("what stood here")
    assert answer("leaderboard", "build", tmp_path / "changed.json", "--out", board).returncode == 1
    assert [path.name for path in board.iterdir()] == ["index.html"]
    assert (board / "index.html").read_text() == "what stood here"


MALFORMED = {
    "no format": (lambda data: data.pop("format"), "no submission"),
    "a newer format": (lambda data: data.update(format_version=2), "allowed 1"),
    "an unknown key": (lambda data: data.update(colour=1), "unknown key"),
    "a run of no task": (lambda data: data["runs"][0].update(task="f" * 16), "an id of tasks"),
    "a run given twice": (lambda data: data["runs"].append(data["runs"][0]), "two runs of seed"),
    "a task given twice": (lambda data: data["tasks"].append(data["tasks"][0]), "two tasks"),
    "a budget of zero": (lambda data: data["runs"][0].update(budget=0), "budget: 0"),
    "more evaluations than the budget": (lambda data: data["runs"][0].update(evaluations=10**6), "at most the budget"),
    "a short design": (lambda data: data["runs"][0]["points"][0]["design"].pop(), "one for each"),
    "points out of order": (lambda data: data["runs"][0]["points"].reverse(), "no improvement"),
    "a text for a number": (lambda data: data["runs"][0].update(seed="0"), "seed"),
    "a script for a link": (lambda data: data.update(link="javascript:alert(1)"), "link"),
    "no run": (lambda data: data.update(runs=[]), "runs"),
}


@pytest.mark.parametrize("name", MALFORMED)
def test_files_of_another_form_are_one_line(name, data, tmp_path):
    change, words = MALFORMED[name]
    change(data)
    path = tmp_path / "changed.json"
    path.write_text(json.dumps(data))
    done = answer("leaderboard", "validate", path)
    assert done.returncode == 2
    assert words in done.stderr
    assert len(done.stderr.strip().splitlines()) == 1


def test_numbers_that_json_does_not_have_are_refused(packed, tmp_path):
    path = tmp_path / "nan.json"
    path.write_text(packed.read_text().replace('"cpu_s": ', '"cpu_s": NaN, "x": ', 1))
    with pytest.raises(InputError, match="NaN is no JSON number"):
        read_submission(path)


def test_ranks_and_regrets_follow_from_the_trajectories(finished, packed, tmp_path):
    out, _ = finished
    page = write_board(build_board([read_submission(packed)]), tmp_path / "board").read_text()
    with (tmp_path / "board" / "leaderboard.csv").open(newline="") as file:
        rows = list(csv.DictReader(file))
    assert [row["task"] == "all tasks" for row in rows] == [True] * 2 + [False] * 4
    finals = {}
    for row in rows[2:]:
        optimum = build_task(*_task_of(packed, row["task_id"])).reference().value
        runs = [Trajectory.load(p) for p in out.glob(f"runs/{row['task_id']}/{row['agent']}/*/trajectory.npz")]
        regrets = np.array([run.best / optimum - 1 for run in runs])
        finals.setdefault(row["task_id"], {})[row["agent"]] = trim_mean(regrets, 0.25)
        assert float(row["regret"]) == pytest.approx(trim_mean(regrets, 0.25), rel=1e-9)
        assert float(row["regret_low"]) <= float(row["regret"]) <= float(row["regret_high"])
        assert float(row["success_1pct"]) == np.mean(regrets <= 0.01)
        early = [run.best_so_far[99] / optimum - 1 for run in runs if run.evaluations >= 100]
        assert (
            row["regret_100"] == ""
            if row["agent"] == "random-one"
            else float(row["regret_100"]) == pytest.approx(trim_mean(early, 0.25), rel=1e-9)
        )
        assert row["regret_1000"] == row["regret_10000"] == ""
        assert repr(float(row["regret"])) in page
    places = {}
    for own in finals.values():
        for agent, place in zip(own, rankdata(list(own.values())), strict=True):
            places.setdefault(agent, []).append(place)
    assert {row["agent"]: float(row["rank"]) for row in rows[:2]} == {a: np.mean(p) for a, p in places.items()}


def _task_of(path, task_id):
    task = next(task for task in read_submission(path).tasks if task.id == task_id)
    return task.env, task.arguments


def test_the_page_needs_nothing_else_and_shows_names_as_text(packed, data, tmp_path):
    data["name"] = "<script>alert('x')</script>"
    for run in data["runs"]:
        run["agent"] = "<b>bold</b>"
    data["runs"] = [run for run in data["runs"] if run["budget"] == 150]
    path = tmp_path / "other.json"
    path.write_text(json.dumps(data))
    done = answer("leaderboard", "build", packed, path, "--out", tmp_path / "board")
    assert done.returncode == 0, done.stderr
    page = (tmp_path / "board" / "index.html").read_text()
    assert "<script" not in page
    assert "<b>bold" not in page
    assert "&lt;b&gt;bold&lt;/b&gt;" in page
    assert "src=" not in page
    assert page.count("href=") == page.count("href='https://example.org/agents'") == 2
    assert (tmp_path / "board" / "runs.csv").read_text().count("\n") == 1 + 12 + 6


def test_entrants_without_some_task_have_no_overall_row(data, tmp_path):
    data["runs"] = [r for r in data["runs"] if r["agent"] == "random" or r["task"] == data["tasks"][0]["id"]]
    path = tmp_path / "part.json"
    path.write_text(json.dumps(data))
    board = build_board([read_submission(path)])
    assert [row.agent for row in board.rows if row.task == "all tasks"] == ["random"]
    assert [agent for agent, _ in board.incomplete] == ["random-one"]


def test_a_run_that_found_nothing_counts_as_infinite(data, tmp_path):
    for run in data["runs"]:
        if run["agent"] == "random" and run["seed"] != 4:
            run["points"] = []
    path = tmp_path / "empty.json"
    path.write_text(json.dumps(data))
    board = build_board([read_submission(path)])
    row = next(row for row in board.rows if row.task_id and row.agent == "random")
    assert row.regret == math.inf
    assert "∞" in write_board(board, tmp_path / "board").read_text()


def test_two_submissions_of_one_name_are_refused(packed, tmp_path):
    shutil.copy(packed, tmp_path / "copy.json")
    done = answer("leaderboard", "build", packed, tmp_path / "copy.json", "--out", tmp_path / "board")
    assert done.returncode == 2
    assert "have the name" in done.stderr
    assert not (tmp_path / "board").exists()


def test_folders_of_results_that_cannot_be_packed(finished, tmp_path):
    out, _ = finished
    target = tmp_path / "submission.json"
    target.write_text("what stood here")
    copy = tmp_path / "copy"
    shutil.copytree(out, copy)
    manifest = read_sealed(copy / "manifest.json")
    manifest["sessions"][0]["packages"]["accelgym"] = "0.0.1"
    write_sealed(copy / "manifest.json", manifest)
    (tmp_path / "empty").mkdir()
    for folders, words in (
        ([tmp_path / "nothing"], "manifest.json"),
        ([tmp_path / "empty"], "manifest.json"),
        ([copy], "results of accelgym 0.0.1"),
        ([out, out], "given twice"),
    ):
        done = answer("leaderboard", "pack", *folders, "--out", target)
        assert done.returncode == 2
        assert words in done.stderr
        assert target.read_text() == "what stood here"
    for path in copy.glob("runs/*/*/*/trajectory.npz"):
        path.unlink()
    manifest["sessions"] = []
    write_sealed(copy / "manifest.json", manifest)
    with pytest.warns(UserWarning, match="left out"), pytest.raises(InputError, match="no search has finished"):
        pack_runs([copy])
    done = answer("leaderboard", "pack", out, "--name", "two\nlines", "--out", target)
    assert done.returncode == 2
    assert "name" in done.stderr
    assert target.read_text() == "what stood here"


def test_a_search_is_packed_like_a_benchmark(tmp_path):
    search = ("search", "--set", "workload=confuciux/alexnet", "--agent", "random", "--budget", "30", "--seed", "2")
    assert answer(*search, "--out", tmp_path / "run").returncode == 0
    done = answer("leaderboard", "pack", tmp_path / "run", "--out", tmp_path / "one.json")
    assert done.returncode == 0, done.stderr
    [run] = read_submission(tmp_path / "one.json").runs
    assert (run.agent, run.seed, run.budget, run.evaluations) == ("random", 2, 30, 30)
    assert answer("leaderboard", "validate", tmp_path / "one.json").returncode == 0


def test_the_example_of_the_page_has_the_form_of_a_submission(tmp_path):
    page = Path(__file__).parents[2] / "docs" / "leaderboard.md"
    [block] = re.findall(r"```json\n(.*?)```", page.read_text(), flags=re.DOTALL)
    (tmp_path / "example.json").write_text(block)
    assert read_submission(tmp_path / "example.json").runs[0].best_within(100) == 31e6


# HwGen-v0, of which the standard suite has three tasks, tabulates its arrays first.
@pytest.mark.parametrize("suite", ["demo", pytest.param("standard", marks=pytest.mark.slow)])
def test_our_own_entries_reproduce_and_give_the_committed_tables(suite, tmp_path):
    room = Path(__file__).parents[2] / "experiments" / "leaderboard"
    done = answer("leaderboard", "build", room / "submissions" / f"{suite}.json", "--out", tmp_path / "board")
    assert done.returncode == 0, done.stderr
    for name in ("leaderboard.csv", "runs.csv"):
        tables = []
        for path in (room / "standings" / suite / name, tmp_path / "board" / name):
            with path.open(newline="") as file:
                tables.append(list(csv.reader(file)))
        committed, built = tables
        assert len(committed) == len(built) > 20
        for old, new in zip(committed, built, strict=True):
            for one, other in zip(old, new, strict=True):
                assert one == other or float(one) == pytest.approx(float(other), rel=1e-9, abs=1e-9)
