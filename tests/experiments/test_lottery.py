"""The lottery: what is run, what is chosen, and what the report says of it."""

import csv
import json

import numpy as np
import pytest

from accelgym.agents import agents as registry
from accelgym.agents import make_agent
from accelgym.agents.base import hyperparameters_of
from accelgym.agents.catalogue import SHIPPED
from accelgym.agents.hyperparameters import Choice, Real, Whole, as_options, draw_setting
from accelgym.costmodels.errors import InputError
from accelgym.envs import make_task
from accelgym.experiments.lottery import load_lottery, report, run_lottery, shipped_lotteries
from accelgym.experiments.lottery.analysis import AgentLottery, analyse, score, variance_between_agents
from accelgym.experiments.results import BenchResults
from accelgym.experiments.statistics import expected_best_of

SMALL = """\
name: small
tasks:
  - {env: ResourceAssignment-v0, split: train, arguments: {workload: confuciux/mobilenet_v2, budget: 0.5}}
  - {env: ResourceAssignment-v0, split: test, arguments: {workload: confuciux/mobilenet_v2, budget: 0.1}}
agents:
  - random
  - {name: ga, settings: 10}
  - {name: aco, settings: 3}
budget: 60
seeds: 3
tuning_seeds: 1
"""


@pytest.fixture(scope="module")
def finished(tmp_path_factory):
    folder = tmp_path_factory.mktemp("lottery")
    (folder / "small.yaml").write_text(SMALL)
    config = load_lottery(folder / "small.yaml")
    result = run_lottery(config, folder / "out", executor="inline")
    assert result.bench.failures == ()
    return config, folder / "out", result


def made(scores, tuning_seeds=1, train=(True, False)):
    """A sweep of one agent with given scores ``(settings, tasks, seeds)``."""

    class Task:
        def __init__(self, split):
            self.split, self.audit = split, None

    scores = np.array(scores, dtype=float)
    tasks = tuple(Task("train" if t else "test") for t in train)
    settings = tuple({} if i == 0 else {"x": i} for i in range(len(scores)))
    return AgentLottery(
        "x", settings, len(settings), 9, tasks, scores, tuning_seeds, np.full(scores.shape, 9.0), (0,) * len(scores)
    )


@pytest.mark.parametrize("name", sorted(set(SHIPPED) - {"oracle", "uniform", "random"}))
def test_drawn_settings_are_options_that_the_agent_takes(name):
    space = hyperparameters_of(name)
    if not space:
        assert name in (
            "pretrained_ppo",
            "nearest",
            "uov",
            "successive_halving",
        )  # Trained elsewhere, or for fidelities.
        return
    env = "Mapping-v0" if name in ("gamma", "random_pruned", "mapping_gradient", "thistle") else "ResourceAssignment-v0"
    task = make_task(env) if env == "Mapping-v0" else make_task(env, workload="confuciux/mobilenet_v2")
    for index in range(4):
        setting = draw_setting(name, space, index)
        assert setting == draw_setting(name, space, index)
        assert setting.keys() == space.keys()
        make_agent(name, task, seed=0, **as_options(setting))


def test_draws_stay_within_their_range_and_reach_its_ends():
    rng = np.random.default_rng(0)
    whole = [Whole(1, 3, log=True).draw(rng) for _ in range(300)]
    assert set(whole) == {1, 2, 3}
    # Lengths of [1, 2), [2, 3) and [3, 4) in the logarithm.
    assert np.mean(np.array(whole) == 1) == pytest.approx(np.log(2) / np.log(4), abs=0.1)
    real = np.array([Real(1e-3, 1e1, log=True).draw(rng) for _ in range(300)])
    assert 1e-3 <= real.min() <= real.max() <= 1e1
    assert np.median(real) == pytest.approx(0.1, rel=0.6)
    assert {Choice(("a", "b")).draw(rng) for _ in range(50)} == {"a", "b"}
    with pytest.raises(InputError, match="rising range, above 0"):
        Real(0.0, 1.0, log=True)


def test_settings_stay_what_they_are_when_more_are_drawn(finished):
    config, _, _ = finished
    more = config.model_copy(update={"agents": tuple(a.model_copy(update={"settings": 12}) for a in config.agents)})
    few, many = ({x.label: x for x in c.bench().agents} for c in (config, more))
    assert few.keys() < many.keys()
    assert all(many[label] == agent for label, agent in few.items())


def test_every_setting_is_searched_and_the_default_one_is_the_agents_own(finished):
    config, out, result = finished
    bench = config.bench()
    assert [x.label for x in bench.agents][:3] == ["random.000", "ga.000", "ga.001"]
    assert bench.agents[1].options == {}
    assert len({json.dumps(x.options, sort_keys=True) for x in bench.agents if x.name == "ga"}) == 11
    assert result.bench.jobs == (1 + 11 + 4) * 2 * 3
    rows = list(csv.DictReader((out / "lottery.csv").open()))
    assert len(rows) == result.bench.jobs
    results = BenchResults.load(out)
    for row in rows[:: len(rows) // 7]:
        task = next(t for t in results.tasks if t.record["id"] == row["task_id"])
        label = f"{row['agent']}.{int(row['setting']):03d}"
        runs = next(a for a in task.agents if a.agent.label == label)
        regret = np.clip(runs.final_regret[[r.seed for r in runs.runs].index(int(row["seed"]))], 1e-4, 1e2)
        assert float(row["regret"]) == pytest.approx(regret, rel=1e-9)


def test_the_report_answers_with_the_numbers_of_the_analysis(finished):
    config, out, _ = finished
    words = (out / "lottery.md").read_text()
    assert (out / "lottery.png").read_bytes().startswith(b"\x89PNG")
    data = {entry["agent"]: entry for entry in json.loads((out / "lottery.json").read_text())["agents"]}
    for question in ("equal when tuned?", "How much is luck?", "change with hardness?", "carry over"):
        assert question in words
    found = {agent.agent: agent for agent in analyse(config, BenchResults.load(out))}
    ga = found["ga"]
    assert f"| ga | 60 | 10 | {10 ** ga.measured[0]:.1%} | {10 ** ga.measured[ga.chosen]:.1%} |" in words
    assert f"{variance_between_agents([ga, found['aco']]):.0%} of the variance" in words
    (chosen,) = [line for line in words.splitlines() if line.startswith(f"| ga | {ga.chosen} |")]
    assert all(f"{name}=" in chosen for name in ga.settings[ga.chosen])
    assert data["ga"]["tuning_evaluations"] == 11 * 60
    assert data["aco"]["tuning_evaluations"] == 4 * 60
    assert sum(data["ga"]["importance"].values()) == pytest.approx(1)
    assert data["ga"]["importance"].keys() == hyperparameters_of("ga").keys()
    assert data["aco"]["importance"] is None  # Three settings say nothing.


def test_learning_is_held_against_the_fastest_other_agent(finished, monkeypatch):
    config, out, _ = finished
    monkeypatch.setattr(report, "_LEARNING", ("aco",))
    agents = {agent.agent: agent for agent in analyse(config, BenchResults.load(out))}
    words = report.lottery_markdown(config, list(agents.values()), {})
    aco, needed = agents["aco"], []
    for t, task in enumerate(aco.tasks):
        regret = 10 ** aco.task_score(t, aco.chosen)
        first = {}
        for name in ("random", "ga"):
            label = f"{name}.{agents[name].chosen:03d}"
            runs = next(a for a in task.agents if a.agent.label == label)
            good = [
                run.feasible & (run.objective / task.record["reference"]["value"] - 1 <= regret) for run in runs.runs
            ]
            first[name] = np.median([x.argmax() + 1 if x.any() else np.inf for x in good])
        name = min(first, key=first.get)
        needed.append(first[name])
        cell = f"{first[name]:,.0f}" if np.isfinite(first[name]) else "-"
        assert f"| {task.title} | aco | {regret:.1%} | {name} | {cell} |" in words
    ahead = sum(evaluations > 60 for evaluations in needed)
    assert f"Tuned aco is ahead of every other kind of agent on {ahead} of 2 tasks after 60 evaluations" in words


def test_the_setting_is_chosen_by_other_searches_than_those_that_value_it():
    # By the tuning seed the last one is best, by the others it is the worst.
    found = made([[[-1, -1], [-1, -1]], [[-2, -2], [0, -1]], [[-3, 1], [-2, -2]]])
    assert found.chosen == 2
    assert found.measured.tolist() == [-1, -2, 1]
    assert found.held_out.tolist() == [-1, -0.5, -2]
    assert found.tuning_evaluations == 3 * 9
    assert found.best_of.tolist() == expected_best_of(np.array([-2.0, -3.0]), np.array([-2.0, 1.0])).tolist()
    assert found.task_score(0, 2) == 1  # Trained on: without the seeds that chose it.
    assert found.task_score(1, 1) == -0.5


def test_the_variance_between_agents_is_none_of_equal_ones_and_all_of_constant_ones():
    rng = np.random.default_rng(2)
    same = rng.normal(size=(9, 1, 2))
    assert variance_between_agents([made(same, train=(True,)), made(same, train=(True,))]) == 0
    constant = [made(np.full((9, 1, 2), value), train=(True,)) for value in (0.0, 1.0)]
    assert variance_between_agents(constant) == 1


def test_scores_are_clipped_logarithms():
    assert score([0.0, 1e-4, 0.01, 1.0, np.inf]).tolist() == [-4, -4, -2, 0, 2]


@pytest.mark.parametrize(
    ("old", "new", "words"),
    [
        ("split: train, ", "", ["small.yaml", "every task needs split"]),
        ("split: train", "split: test", ["at least one of them train"]),
        ("seeds: 3", "seeds: 1", ["small.yaml:10:", "seeds", "greater than or equal to 2"]),
        ("tuning_seeds: 1", "tuning_seeds: 3", ["tuning_seeds < its seeds"]),
        ("budget: 60", "budget: 0", ["small.yaml:9:", "budget", "greater than or equal to 1"]),
        ("{name: ga, settings: 10}", "random", ["stands twice", "random"]),
        ("settings: 10", "setings: 10", ["small.yaml:7:", "did you mean 'settings'"]),
        ("name: ga", "name: gaa", ["unknown agent 'gaa'", "did you mean 'ga'"]),
    ],
)
def test_a_fault_in_a_lottery_is_named_and_nothing_is_written(tmp_path, old, new, words):
    (tmp_path / "small.yaml").write_text(SMALL.replace(old, new, 1))
    with pytest.raises(InputError) as error:
        run_lottery(tmp_path / "small.yaml", tmp_path / "out")
    assert all(word in str(error.value) for word in words), str(error.value)
    assert not (tmp_path / "out").exists()


def test_shipped_lotteries_draw_thirty_settings_of_fast_agents():
    assert {"reduced", "standard"} <= set(shipped_lotteries())
    for name in shipped_lotteries():
        config = load_lottery(name)
        fast = [a for a in config.agents if not a.name.endswith("ppo") and hyperparameters_of(a.name)]
        assert fast
        assert all(agent.settings >= 30 for agent in fast)
        assert {agent.name for agent in config.agents} <= set(registry.names())
