"""The suites: hardness as the stored audits state it, proofs that ship, and what they cover."""

import json
from collections import Counter
from functools import cache

import pytest

from accelgym.costmodels.files.json_file import read_sealed
from accelgym.envs.audits import SHIPPED_AUDITS
from accelgym.envs.hardness import AUDIT_RULES
from accelgym.envs.registration import task_name
from accelgym.experiments import load_config

SUITES = {"quick": 8, "standard": 16, "full": 54}
ENVIRONMENTS = {
    "ResourceAssignment-v0",
    "Mapping-v0",
    "NetworkMapping-v0",
    "CoDesign-v0",
    "HwGen-v0",
    "Datatype-v0",
}
"""That every suite has tasks of."""
COUPLED = {"Joint-v0", "MultiAccelerator-v0"}
"""Where choices do not separate over layers: in the suites that take longer than minutes."""
STORED = SHIPPED_AUDITS.with_name("stored_certificates")
OTHERS = {"oracle", "pretrained_ppo", "nearest", "uov", "successive_halving"}
"""The oracle knows the answer, three need files of a training, the last is random search at one fidelity."""


@cache
def suite(name):
    """The config, and of each task its entry, its id, its audit and its certificate; no task is built."""
    config, _ = load_config(name)
    stored = read_sealed(SHIPPED_AUDITS)
    assert stored["rules"] == AUDIT_RULES
    ids = {(x["env"], json.dumps(x["arguments"], sort_keys=True)): key for key, x in stored["tasks"].items()}
    found = []
    for entry in config.tasks:
        for arguments in entry.expand():
            key = ids[task_name(entry.env), json.dumps(arguments, sort_keys=True)]
            proved = read_sealed(STORED / f"{key}.json")
            assert (proved["task"], proved["proof"]) == (key, stored["tasks"][key]["proof"])
            found.append((entry, key, stored["tasks"][key]["audit"], proved["certificate"]))
    return config, found


@pytest.mark.parametrize("name", SUITES)
def test_a_suite_is_mostly_hard_and_medium_never_open_and_certified(name):
    _, tasks = suite(name)
    assert len({key for _, key, _, _ in tasks}) == len(tasks) == SUITES[name]
    classes = Counter(audit["hardness"] for _, _, audit, _ in tasks)
    assert set(classes) <= {"hard", "medium", "easy"}
    assert classes["hard"] + classes["medium"] >= 3 * classes["easy"] > 0
    assert classes["hard"] >= classes["medium"]
    for _, _, audit, certificate in tasks:
        assert audit["gap"] <= 0.01
        assert certificate["value"] <= certificate["lower_bound"] * 1.01


@pytest.mark.parametrize("name", SUITES)
def test_a_suite_covers_the_environments_and_keeps_tasks_aside(name):
    _, tasks = suite(name)
    wanted = ENVIRONMENTS if name == "quick" else ENVIRONMENTS | COUPLED
    assert {entry.env.removeprefix("accelgym/") for entry, *_ in tasks} == wanted
    assert Counter(entry.split for entry, *_ in tasks).keys() == {"train", "test"}


def test_the_full_suite_has_every_hard_and_medium_task_of_its_environments_that_was_audited():
    tasks = suite("full")[1]
    envs = {task_name(entry.env) for entry, *_ in tasks}
    audits = read_sealed(SHIPPED_AUDITS)["tasks"]
    hard = {key for key, x in audits.items() if x["env"] in envs and x["audit"]["hardness"] in ("hard", "medium")}
    assert hard <= {key for _, key, *_ in tasks}


@pytest.mark.parametrize("name", SUITES)
def test_a_suite_runs_every_agent_that_can_search_a_task_of_one_fidelity_without_files(name):
    from accelgym.agents.catalogue import SHIPPED

    config, _ = suite(name)
    assert {agent.name for agent in config.agents} == set(SHIPPED) - OTHERS


def test_an_agent_may_have_fewer_seeds_than_the_others():
    config, _ = load_config("standard")
    by_name = {agent.name: agent for agent in config.agents}
    assert config.seeds_of(by_name["ga"]) == tuple(range(10))
    assert config.seeds_of(by_name["optuna"]) == (0, 1, 2)
