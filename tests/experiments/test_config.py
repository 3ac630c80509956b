"""Configs: what a list means, and what a fault is told."""

from itertools import product

import pytest

from accelgym.costmodels.errors import AccelGymError, InputError
from accelgym.experiments import load_config, run_bench, shipped_configs
from accelgym.experiments.config import BenchConfig, TaskEntry
from accelgym.experiments.plan import check_agents, plan_jobs, plan_tasks

GOOD = """\
name: probe
tasks:
  - env: ResourceAssignment-v0
    arguments: {workload: confuciux/mobilenet_v2, dataflow: dla, budget: 0.5}
agents:
  - random
budget: 20
seeds: 2
"""


@pytest.fixture
def write(tmp_path):
    def write(text):
        path = tmp_path / "bench.yaml"
        path.write_text(text)
        return path

    return write


def test_a_good_config_is_read(write):
    config, _ = load_config(write(GOOD))
    assert config.seeds == (0, 1)
    assert config.agents[0].label == "random"
    assert config.budget_of(config.agents[0]) == 20


@pytest.mark.parametrize(
    ("old", "new", "words"),
    [
        ("budget: 20", "budget: 0", ["bench.yaml:7:", "budget", "0", "greater than or equal to 1"]),
        ("budget: 20", "budjet: 20", ["bench.yaml:7:", "budjet", "did you mean 'budget'"]),
        ("seeds: 2", "seeds: [3, 3]", ["bench.yaml:8:", "seeds", "different seeds"]),
        ("seeds: 2", "seeds: 0", ["bench.yaml:8:", "seeds", "count >= 1"]),
        ("seeds: 2", "", ["seeds", "is missing"]),
        ("  - random", "  - {name: random, bugdet: 3}", ["bench.yaml:6:", "bugdet", "did you mean 'budget'"]),
        ("  - random", "  - {name: random, budget: 21}", ["budget=21", "at most", "20"]),
        ("  - random", "  - random\n  - random", ["bench.yaml:6:", "two agents", "'random'", "label"]),
        ("  - random", "  - {name: random, label: a/b}", ["a/b", "letters"]),
        ("agents:\n  - random", "agents: []", ["bench.yaml:5:", "agents", "at least 1"]),
        ("budget: 0.5", "budget: []", ["bench.yaml:4:", "'budget'", "empty"]),
        ("name: probe", "name: [probe", ["bench.yaml", "not valid YAML"]),
    ],
)
def test_a_fault_in_the_file_is_named(write, old, new, words):
    with pytest.raises(InputError) as error:
        load_config(write(GOOD.replace(old, new, 1)))
    for word in words:
        assert word in str(error.value)


@pytest.mark.parametrize(
    ("old", "new", "words"),
    [
        ("confuciux/mobilenet_v2", "confuciux/mobilenet_v3", ["bench.yaml:3:", "tasks[0]", "did you mean"]),
        ("ResourceAssignment-v0", "ResourceAssignement-v0", ["bench.yaml:3:", "tasks[0]", "did you mean"]),
        ("dataflow: dla", "dataflow: dlaa", ["tasks[0]", "dlaa", "'dla'"]),
        ("  - random", "  - rendom", ["bench.yaml:6:", "agents[0]", "did you mean 'random'"]),
        ("  - random", "  - {name: random, options: {bach: 2}}", ["agents[0]", "bach", "did you mean 'batch'"]),
        ("workload: confuciux/mobilenet_v2", "workload: [resnet18, resnet18]", ["tasks[0]", "twice"]),
    ],
)
def test_a_fault_that_only_the_library_knows_is_found_before_anything_runs(write, tmp_path, old, new, words):
    with pytest.raises(AccelGymError) as error:
        run_bench(write(GOOD.replace(old, new, 1)), tmp_path / "out")
    for word in words:
        assert word in str(error.value)
    assert not (tmp_path / "out").exists()


def test_no_such_file_names_the_shipped_configs():
    with pytest.raises(InputError, match="demo"):
        load_config("no-such-config")


def test_lists_expand_to_their_grid():
    entry = TaskEntry(arguments={"workload": ["a", "b"], "model": "m", "budget": [0.5, 0.1, 0.05]})
    expected = [{"workload": w, "model": "m", "budget": b} for w, b in product(["a", "b"], [0.5, 0.1, 0.05])]
    assert entry.expand() == expected


def test_titles_tell_the_tasks_apart():
    grid = {"workload": ["resnet18", "mobilenet_v2"], "dataflow": "dla", "budget": [0.5, 0.1]}
    config = BenchConfig.parse({"name": "x", "tasks": [{"arguments": grid}], "agents": ["random"]} | BUDGET)
    titles = [p.title for p in plan_tasks(config)]
    assert titles == [f"{w} budget={b}" for w, b in product(["resnet18", "mobilenet_v2"], [0.5, 0.1])]


BUDGET = {"budget": 10, "seeds": 1}


# Tasks of several accelerators take seconds to build; test_suites.py reads all of them from the audits.
@pytest.mark.parametrize(
    "name", [pytest.param(name, marks=[pytest.mark.slow] * (name == "full")) for name in sorted(shipped_configs())]
)
def test_the_tasks_of_shipped_configs_exist(name):
    config, source = load_config(name)
    assert len(plan_tasks(config, source)) == sum(len(entry.expand()) for entry in config.tasks)


@pytest.mark.parametrize("name", sorted(shipped_configs()))
def test_the_agents_of_shipped_configs_exist_and_take_their_options(name):
    config, source = load_config(name)
    first = plan_tasks(config.model_copy(update={"tasks": config.tasks[:1]}), source)[0]
    check_agents(plan_jobs(config, [first]), [first], config, source)
