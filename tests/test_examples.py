"""The examples, run as scripts and as a plug-in package that is installed apart from this one."""

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

EXAMPLES = Path(__file__).resolve().parent.parent / "examples"
MODULES = sorted(path for path in (EXAMPLES / "accelgym_examples").glob("*.py") if path.name != "__init__.py")
TASK = ("--env", "bit_widths", "--set", "workload=ds_cnn", "--set", "kib=12")


@pytest.fixture(scope="module")
def installed(tmp_path_factory):
    """A folder with the package in it; nothing is fetched."""
    source, target = tmp_path_factory.mktemp("examples") / "source", tmp_path_factory.mktemp("site")
    shutil.copytree(EXAMPLES, source)
    options = ("--quiet", "--no-deps", "--no-build-isolation", "--no-index", "--disable-pip-version-check")
    subprocess.run([sys.executable, "-m", "pip", "install", *options, "--target", target, source], check=True)
    return target


@pytest.fixture
def run(installed, tmp_path):
    """Runs Python in a folder of its own, with the package on its path."""

    def run(*arguments, plugins=True):
        environment = os.environ | ({"PYTHONPATH": str(installed)} if plugins else {}) | {"OMP_NUM_THREADS": "1"}
        command = [sys.executable, *map(str, arguments)]
        done = subprocess.run(command, cwd=tmp_path, env=environment, capture_output=True, text=True, check=False)
        assert done.returncode == 0, done.stderr
        return done.stdout

    return run


@pytest.fixture
def accelgym(run):
    """Runs commands in one process; each prints a line, which is returned."""
    code = """
import json, sys
from accelgym.cli import app
for command in json.loads(sys.argv[1]):
    app(command, standalone_mode=False)
"""
    return lambda *commands: run("-c", code, json.dumps(commands)).splitlines()


def test_there_is_one_example_of_each_kind_and_it_is_short():
    assert [path.stem for path in MODULES] == ["agent", "cost_model", "datatype", "task", "workload"]
    for path in MODULES:
        assert len(path.read_text().splitlines()) <= 60, path


@pytest.mark.parametrize("path", MODULES, ids=lambda path: path.stem)
def test_an_example_is_a_script(run, path):
    assert len(run(path, plugins=False).splitlines()) >= 2


def test_the_commands_list_and_take_the_names(accelgym):
    names = ("envs", "agents", "workloads")
    *lists, audit = map(json.loads, accelgym(*((name, "--json") for name in names), ("audit", *TASK, "--json")))
    listed = {
        name: {row.get("id", row.get("name")): row.get("summary") for row in rows}
        for name, rows in zip(names, lists, strict=True)
    }
    assert listed["envs"]["bit_widths"].startswith("Chooses bits of weights per layer")
    assert listed["agents"]["cross_entropy"].startswith("Draws every parameter")
    assert "ds_cnn" in listed["workloads"]
    assert audit["gap"] < 1e-9
    assert audit["hardness"] == "hard"
    assert audit["greedy_regret"] == pytest.approx(0.10085, rel=1e-3)


def test_a_search_leaves_a_folder_with_a_report_under_either_name(accelgym, tmp_path):
    search = ("search", *TASK, "--agent", "cross_entropy", "--budget", "300", "--out", "found", "--json")
    # The same search by the environment of all tasks: nothing is left to do.
    again = tuple("accelgym/Task-v0" if word == "bit_widths" else word for word in search)
    one, other, _ = accelgym(search, (*again, "--set", "task=bit_widths"), ("report", "found"))
    assert one == other
    found = json.loads(one)
    assert found["evaluations"] == 300
    assert 0 < found["regret"] < 1.5
    assert "bit_widths" in (tmp_path / "found" / "report.html").read_text()


CODE = """
import json
import gymnasium
import accelgym
from accelgym.agents import search
from accelgym.costmodels.datatypes import get_datatype
from accelgym.envs import make_task

spec = {"workload": "ds_cnn", "kib": 12.0}
task = make_task("bit_widths", **spec)
small = {"width": 8, "lanes": 8, "updates": 2}
options = {"ppo": small, "maskable_ppo": small, "a2c": small}
names = ("ppo", "maskable_ppo", "a2c", "ga", "random", "oracle", "cross_entropy")
runs = {name: search(task, name, budget=200, seed=0, options=options.get(name, {})) for name in names}
env = gymnasium.make("accelgym/Task-v0", task="bit_widths", **spec)
lanes = gymnasium.make_vec("accelgym/Task-v0", num_envs=5, task="bit_widths", **spec)
env.reset(seed=0), lanes.reset(seed=0)
over = False
while not over:  # two bits for every layer
    _, reward, over, _, info = env.step(int(env.unwrapped.action_masks().argmax()))
    _, rewards, *_ = lanes.step(lanes.unwrapped.action_masks().argmax(axis=1))
codes = get_datatype("powers_of_two").encode([0.3, -0.8])
other = make_task("ResourceAssignment-v0", workload="ds_cnn", model="roofline", budget=0.3)
print(json.dumps({
    "optimum": task.reference().value, "best": {name: run.best for name, run in runs.items()},
    "evaluations": [run.evaluations for run in runs.values()], "feasible": info["feasible"], "reward": reward,
    "rewards": rewards.tolist(), "model": other.describe()["model"], "cycles": other.reference().value,
    "rounded": get_datatype("powers_of_two").decode(codes).tolist(),
}))
"""


def test_agents_search_the_task_and_gymnasium_makes_it(run):
    found = json.loads(run("-c", CODE))
    optimum, best = found["optimum"], found["best"]
    assert best["oracle"] == optimum
    assert set(found["evaluations"]) == {200}
    # Two bits everywhere: the noise is 4**-2, whatever the shares of the layers.
    assert all(optimum <= value < 4.0**-2 for value in best.values())
    assert found["feasible"]
    assert found["reward"] == pytest.approx(optimum * 4**2)
    assert found["rewards"] == [found["reward"]] * 5
    assert found["model"] == ["roofline", "1", "horowitz-45nm"]
    assert found["cycles"] > 0
    assert found["rounded"] == [0.25, -1.0]
