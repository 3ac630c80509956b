"""``accelgym bench``, ``lottery`` and ``export``: bad input is one line, exit code 2, and nothing is written."""

import io
import json
import socket
from dataclasses import replace

import numpy as np
import pytest
from command_line import answer
from rich.console import Console

from accelgym.cli.bench import _regrets
from accelgym.experiments.report.numbers import percent
from accelgym.experiments.results import BenchResults

CONFIG = """\
name: small
tasks:
  - {env: ResourceAssignment-v0, arguments: {workload: confuciux/mobilenet_v2, dataflow: dla, budget: 0.5}}
agents: [random]
budget: 20
seeds: 1
"""


@pytest.fixture
def folder(tmp_path):
    (tmp_path / "small.yaml").write_text(CONFIG)
    return tmp_path


@pytest.mark.parametrize(
    ("change", "options", "words"),
    [
        (("[random]", "[randon]"), (), ["small.yaml:4", "unknown agent 'randon'", "did you mean 'random'"]),
        (("budget: 20", "budget: 0"), (), ["small.yaml:5", "budget", "greater than or equal to 1"]),
        (("seeds: 1", "seeds: 1\nworker: 2"), (), ["did you mean 'workers'"]),
        (None, ("--executor", "dask"), ["unknown executor 'dask'", "process", "ray"]),
        (None, ("--executor", "process", "--address", "auto"), ["address", "executor 'ray' alone"]),
        (None, ("--executor", "ray", "--address", "nowhere"), ["address", "allowed auto, HOST:PORT or ray://"]),
        (None, ("--workers", "0"), ["workers", "0"]),
    ],
)
def test_bad_input_is_one_line_and_nothing_is_written(folder, change, options, words):
    if "ray" in options:
        pytest.importorskip("ray")
    if change is not None:
        (folder / "small.yaml").write_text(CONFIG.replace(*change))
    done = answer("bench", "small.yaml", "--out", "out", *options, cwd=folder)
    assert done.returncode == 2
    assert done.stderr.count("\n") == 1, done.stderr
    assert all(word in done.stderr for word in words), done.stderr
    assert not (folder / "out").exists()


def test_a_cluster_that_does_not_answer_touches_no_results(folder):
    pytest.importorskip("ray")
    assert answer("bench", "small.yaml", "--out", "out", "--executor", "inline", cwd=folder).returncode == 0
    before = {path: path.read_bytes() for path in (folder / "out").rglob("*") if path.is_file()}
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        address = f"127.0.0.1:{free.getsockname()[1]}"
        done = answer("bench", "small.yaml", "--out", "out", "--executor", "ray", "--address", address, cwd=folder)
    assert done.returncode == 2
    assert f"address {address}: nobody answers" in done.stderr
    assert {path: path.read_bytes() for path in (folder / "out").rglob("*") if path.is_file()} == before
    results = BenchResults.load(folder / "out")
    # The table of many tasks is cut into such as a terminal shows, each number whole.
    many = replace(results, tasks=results.tasks * 9)
    text = io.StringIO()
    for part in _regrets(many, 60):
        Console(file=text, width=60, soft_wrap=True).print(part)
    lines = text.getvalue().splitlines()
    assert [line.split(":")[0] for line in lines[:9]] == list("123456789")
    assert max(map(len, lines[9:])) <= 60
    assert text.getvalue().count(" %") == 9
    assert "…" not in text.getvalue()
    # The same results in IOHprofiler's form, and not over what is there.
    done = answer("export", "out", "--out", "ioh", cwd=folder)
    assert (done.returncode, done.stdout) == (0, "wrote 1 descriptions and their data into ioh\n")
    done = answer("export", "out", "--out", "ioh", cwd=folder)
    assert done.returncode == 2
    assert "not empty" in done.stderr


def test_regrets_are_told_after_hundreds_of_evaluations(folder):
    text = CONFIG.replace("budget: 20", "budget: 120").replace("[random]", "[random, {name: ga, budget: 50}]")
    (folder / "small.yaml").write_text(text.replace("budget: 0.5", "budget: 0.05"))
    done = answer("bench", "small.yaml", "--out", "out", cwd=folder)
    assert done.returncode == 0, done.stderr
    (row,) = json.loads((folder / "out" / "comparison.json").read_text())["anytime"][:1]
    low, value, high = (percent(row[f"regret_{key}"]) for key in ("low", "iqm", "high"))
    lines = [line.replace("│", " ").split() for line in done.stdout.splitlines()]
    assert ["random", "1", "1", *f"{value} ({low} to {high})".split()] in lines
    assert not any(line[:3] == ["ga", "1", "1"] for line in lines)
    results = BenchResults.load(folder / "out")
    task = results.tasks[0]
    nothing = replace(
        task, record=task.record | {"id": "nothing"}, agents=tuple(unfeasible(runs) for runs in task.agents)
    )
    unfinished = replace(
        task, record=task.record | {"id": "unfinished"}, agents=tuple(replace(runs, runs=()) for runs in task.agents)
    )
    text = io.StringIO()
    for part in _regrets(replace(results, tasks=(task, nothing, unfinished)), 80):
        Console(file=text, width=80).print(part)
    (line,) = [line for line in text.getvalue().splitlines() if line.startswith("│ random")]
    assert [cell.strip() for cell in line.split("│")[3:5]] == ["∞", "-"]


def unfeasible(runs):
    none = tuple(replace(run, feasible=np.zeros_like(run.feasible)) for run in runs.runs)
    return replace(runs, runs=none)
