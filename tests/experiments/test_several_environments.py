"""Agents that search the tasks of some environments only, and the class of every task beside its results."""

import csv
import json
import re

import pytest
from typer.testing import CliRunner

from accelgym.agents import agents
from accelgym.agents.random_search import RandomSearch
from accelgym.cli import app, main
from accelgym.costmodels.errors import InputError
from accelgym.envs.audits import known_audit
from accelgym.envs.task import tasks
from accelgym.experiments import BenchConfig, build_report, load_config, run_bench, run_search
from accelgym.experiments.plan import build_task, plan_jobs, plan_tasks
from accelgym.experiments.results import BenchResults

ASSIGNMENT = {"workload": "confuciux/vgg16", "objective": "edp", "budget": 0.1}
CONFIG = {
    "name": "two kinds",
    "tasks": [
        {"env": "ResourceAssignment-v0", "arguments": ASSIGNMENT},
        {"env": "accelgym/Task-v0", "arguments": {"task": "Mapping-v0"}},
    ],
    "agents": [
        {"name": "random_pruned", "envs": ["Mapping-v0"]},
        "random",
        {"name": "greedy", "envs": ["accelgym/ResourceAssignment-v0"], "budget": 20},
    ],
    "budget": 30,
    "seeds": 2,
}


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    out = tmp_path_factory.mktemp("bench")
    assert run_bench(BenchConfig.parse(CONFIG), out, executor="inline").failures == ()
    return out


def test_an_agent_searches_the_tasks_of_its_environments():
    config = BenchConfig.parse(CONFIG)
    planned = plan_tasks(config)
    assert [p.env for p in planned] == ["accelgym/ResourceAssignment-v0", "accelgym/Mapping-v0"]
    found = [(job.env.split("/")[1], job.agent.label) for job in plan_jobs(config, planned) if job.seed == 0]
    assert found == [
        ("ResourceAssignment-v0", "random"),
        ("ResourceAssignment-v0", "greedy"),
        ("Mapping-v0", "random_pruned"),
        ("Mapping-v0", "random"),
    ]


def test_an_environment_that_no_task_has_is_named(tmp_path):
    path = tmp_path / "bench.yaml"
    path.write_text(json.dumps(CONFIG).replace('"envs": ["Mapping-v0"]', '"envs": ["CoDesign-v0"]'))
    config, source = load_config(path)
    with pytest.raises(InputError, match=r"bench\.yaml:1:.*no task has 'CoDesign-v0', allowed: accelgym/Resource"):
        plan_jobs(config, plan_tasks(config), source)


def test_the_report_compares_where_agents_searched(folder):
    text = build_report(folder).read_text()
    rows = json.loads((folder / "summary.json").read_text())["rows"]
    assert [(row["task"], row["agent"], row["runs"]) for row in rows] == [
        ("ResourceAssignment-v0 confuciux/vgg16", "random", 2),
        ("ResourceAssignment-v0 confuciux/vgg16", "greedy", 2),
        ("Mapping-v0", "random_pruned", 2),
        ("Mapping-v0", "random", 2),
        ("all tasks", "random", 4),
    ]
    assert "8 of 8" in text
    matrix = text[text.index("Task by task") :]
    cells = re.findall(r"<td[^>]*>(.*?)</td>", matrix[: matrix.index("</table>")])
    assert len(cells) == 9
    assert cells.count("–") == 2
    assert all(run.planned == bool(run.runs) for task in BenchResults.load(folder).tasks for run in task.agents)


def test_the_class_of_a_task_stands_beside_its_results(folder):
    text = build_report(folder).read_text()
    with (folder / "summary.csv").open(newline="") as file:
        rows = list(csv.DictReader(file))
    for env, arguments, title in (
        ("accelgym/ResourceAssignment-v0", ASSIGNMENT, "ResourceAssignment-v0 confuciux/vgg16"),
        ("accelgym/Mapping-v0", {}, "Mapping-v0"),
    ):
        known = known_audit(build_task(env, arguments))
        mine = [row for row in rows if row["task"] == title]
        assert len(mine) == 2
        assert {(row["hardness"], row["flags"]) for row in mine} == {(known.hardness, ", ".join(known.flags))}
        heading = re.search(rf"<h2 id='task-[0-9a-f]*'>{title}(.*?)</h2>", text).group(1)
        assert f"<span class='tag class'>{known.hardness}</span>" in heading
        assert all(f"<span class='tag bad'>{flag}</span>" in heading for flag in known.flags)
    assert {(row["hardness"], row["flags"]) for row in rows if row["task"] == "all tasks"} == {("", "")}


def test_the_commands_say_the_class(folder, tmp_path):
    path = tmp_path / "bench.yaml"
    path.write_text(json.dumps(CONFIG))
    printed = CliRunner().invoke(app, ["bench", str(path), "--out", str(folder)]).stdout
    known = known_audit(build_task("accelgym/Mapping-v0", {}))
    assert "easy" in printed
    assert known.hardness in printed
    command = ["search", "--env", "Mapping-v0", "--agent", "random", "--budget", "20", "--out", str(tmp_path / "one")]
    assert f"task: {known.words};" in CliRunner().invoke(app, command).stdout
    found = json.loads(CliRunner().invoke(app, [*command, "--json"]).stdout)
    assert (found["hardness"], found["flags"]) == (known.hardness, list(known.flags))
    solved = json.loads(CliRunner().invoke(app, ["oracle", "--env", "Mapping-v0", "--json"]).stdout)
    assert solved["hardness"] == known.hardness
    command[2:3] = ["ResourceAssignment-v0", "--set", "workload=confuciux/vgg16", "--set", "budget=0.123"]
    command[-1] = str(tmp_path / "other")
    found = json.loads(CliRunner().invoke(app, [*command, "--json"]).stdout)
    assert (found["hardness"], found["flags"]) == (None, [])


class Broken(RandomSearch):
    """An agent of a plug-in with a fault."""

    def ask(self, count):
        return [][count]


def faulty_task():
    """A task of a plug-in with a fault."""
    return len(3)


def test_what_the_code_of_a_plug_in_raises_shows_where(monkeypatch, tmp_path):
    monkeypatch.setitem(tasks._factories, "toys/faulty", faulty_task)
    monkeypatch.setitem(agents._factories, "broken", Broken)
    with pytest.raises(TypeError, match="has no len") as raised:
        plan_tasks(BenchConfig.parse(CONFIG | {"tasks": [{"env": "toys/faulty"}]}))
    assert raised.traceback[-1].name == "faulty_task"
    with pytest.raises(IndexError) as raised:
        run_search("ResourceAssignment-v0", ASSIGNMENT, "broken", budget=5, seed=0, out=tmp_path / "one")
    assert raised.traceback[-1].name == "ask"
    for command in (
        ["audit", "--env", "toys/faulty"],
        ["search", "--set", "workload=confuciux/vgg16", "--agent", "broken", "--out", str(tmp_path / "two")],
    ):
        monkeypatch.setattr("sys.argv", ["accelgym", *command])
        with pytest.raises((TypeError, IndexError)) as raised:  # Which Python prints with its traceback.
            main()
        assert raised.traceback[-1].name in ("faulty_task", "ask")
