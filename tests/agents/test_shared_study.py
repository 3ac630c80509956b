"""Searches that share an Optuna study: both learn from all trials, and are said not to be reproducible."""

import json

import optuna
import pytest

from accelgym.agents import make_agent, search
from accelgym.costmodels.errors import InputError
from accelgym.envs import make_task
from accelgym.experiments import BenchConfig, run_bench
from accelgym.experiments.results import BenchResults

ARGUMENTS = {"workload": "confuciux/mobilenet_v2", "dataflow": "dla", "budget": 0.1}


@pytest.fixture(scope="module")
def task():
    return make_task("ResourceAssignment-v0", **ARGUMENTS)


@pytest.mark.parametrize(
    "kind", ["journal:{}/study.log", pytest.param("sqlite:///{}/study.db", marks=pytest.mark.slow)]
)
def test_every_evaluation_of_every_worker_is_in_the_study(tmp_path, kind):
    storage = kind.format(tmp_path)
    options = {"storage": storage, "startup": 4, "sampler": "random"}
    config = {
        "name": "shared",
        "tasks": [{"arguments": ARGUMENTS}],
        "agents": [{"name": "optuna", "options": options}],
        "budget": 7,
        "seeds": 2,
    }
    assert run_bench(BenchConfig.parse(config), tmp_path / "out", executor="inline", audit=False).failures == ()
    task = make_task("ResourceAssignment-v0", **ARGUMENTS)
    opened = make_agent("optuna", task, seed=5, storage=storage)
    done = opened.study.get_trials(states=[optuna.trial.TrialState.COMPLETE])
    assert len(done) == 14
    assert not opened.reproducible
    (runs,) = BenchResults.load(tmp_path / "out").tasks[0].agents
    assert [run.evaluations for run in runs.runs] == [7, 7]
    values = sorted(value for run in runs.runs for value in run.objective)
    assert sorted(trial.value for trial in done) == pytest.approx(values)
    assert not runs.reproducible
    for path in (tmp_path / "out").glob("runs/*/*/*/best.json"):
        assert json.loads(path.read_text())["reproducible"] is False


def test_a_killed_search_goes_on_with_what_is_left(task, tmp_path):
    options = {"storage": f"journal:{tmp_path}/study.log", "startup": 4, "sampler": "random"}

    class Killed(Exception):
        pass

    def kill(made, best):
        if made == 5:
            raise Killed

    arguments = {"budget": 9, "seed": 1, "options": options, "journal": tmp_path / "journal"}
    with pytest.raises(Killed):
        search(task, "optuna", **arguments, progress=kill)
    found = search(task, "optuna", **arguments)
    assert found.evaluations == 9
    study = make_agent("optuna", task, seed=0, **options).study
    assert len(study.get_trials(states=[optuna.trial.TrialState.COMPLETE])) == 9


def test_a_search_of_its_own_is_reproducible(task):
    assert make_agent("optuna", task, seed=0).reproducible


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"storage": "nosuchdatabase://x"}, "storage 'nosuchdatabase://x' of agent 'optuna'"),
        ({"storage": "journal:"}, "no file is named"),
        ({"storage": "journal:/no/such/folder/x.log"}, "storage"),
        ({"storage": "journal:x", "sampler": "nsga2"}, "allowed tpe, gp, random"),
    ],
)
def test_a_storage_that_cannot_be_shared_is_named(task, options, words):
    with pytest.raises(InputError, match=words):
        make_agent("optuna", task, seed=0, **options)
