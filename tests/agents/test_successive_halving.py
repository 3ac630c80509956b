"""Successive halving, and the loop that counts what a fidelity costs."""

from dataclasses import replace

import numpy as np
import pytest
from plugin_tasks import Valley

from accelgym.agents import search
from accelgym.agents.fidelity_search import search_at_fidelities
from accelgym.costmodels.errors import InputError
from accelgym.envs.multi_fidelity import Fidelity, MultiFidelityTask


class Asked:
    """A valley, and a cheap view of it that is wrong by up to ``noise``; keeps what it was asked."""

    def __init__(self, noise=0.0, price=0.02):
        self.valley, self.noise = Valley(), noise
        self.rows = {"rough": [], "exact": []}
        self.task = MultiFidelityTask(self.valley, "exact", [Fidelity("rough", self.rough, price)])
        exact = self.task.fidelity("exact").evaluate
        self.task._fidelities["exact"] = replace(self.task.fidelity("exact"), evaluate=self.keep("exact", exact))

    def keep(self, name, evaluate):
        def evaluated(designs):
            self.rows[name] += map(tuple, designs.tolist())
            return evaluate(designs)

        return evaluated

    def rough(self, designs):
        self.rows["rough"] += map(tuple, designs.tolist())
        outcome = self.valley.evaluate(designs)
        wrong = np.sin(designs @ np.array([12.9, 78.2, 37.7, 4.1, 0.0]))
        return replace(outcome, objective=outcome.objective + self.noise * wrong)


def test_the_budget_counts_what_a_fidelity_costs():
    asked = Asked()
    found = search_at_fidelities(asked.task, "successive_halving", budget=40, seed=0)
    cost = 0.02 * len(asked.rows["rough"]) + len(asked.rows["exact"])
    assert found.spent[-1] == pytest.approx(cost)
    assert 40 - 1 < cost <= 40 + 1e-6
    assert (found.fidelity == 0).sum() == len(asked.rows["rough"])
    assert (np.diff(found.spent) > 0).all()


def test_rungs_cost_the_same_and_no_design_is_a_finalist_twice():
    asked = Asked()
    found = search_at_fidelities(asked.task, "successive_halving", budget=32, seed=1, options={"finalists": 8})
    changes = np.flatnonzero(np.diff(found.fidelity)) + 1
    assert [len(rung) for rung in np.split(found.fidelity, changes)] == [400, 8, 400, 8]
    assert len(set(asked.rows["exact"])) == len(asked.rows["exact"])


def test_finalists_are_the_best_of_the_cheap_rung():
    asked = Asked()
    search_at_fidelities(asked.task, "successive_halving", budget=16, seed=2, options={"finalists": 8})
    scores = {row: asked.valley.evaluate(np.array([row])).score[0] for row in asked.rows["rough"]}
    assert sorted(scores.values())[:8] == sorted(scores[row] for row in asked.rows["exact"])


@pytest.mark.parametrize("noise", [0.0, 2.0])
def test_a_cheap_view_helps(noise):
    task = Asked(noise).task
    halving = [search_at_fidelities(task, "successive_halving", budget=24, seed=seed).best for seed in range(9)]
    random = [search_at_fidelities(task, "random", budget=24, seed=seed).best for seed in range(9)]
    assert np.median(halving) < np.median(random)


def test_what_counts_is_the_last_fidelity():
    found = search_at_fidelities(Asked(noise=5.0).task, "successive_halving", budget=30, seed=0)
    best = found.score[found.fidelity == 1].min()
    assert found.best == best
    assert Valley().evaluate(np.array([found.best_design])).objective[0] == best
    assert found.best_within(0.5) == np.inf
    assert found.best_within(30) == best


def test_agents_that_choose_no_fidelity_are_asked_at_the_last():
    asked = Asked()
    found = search_at_fidelities(asked.task, "ga", budget=30, seed=0)
    assert asked.rows["rough"] == []
    assert len(found.score) == 30
    assert found.best == search(asked.task, "ga", budget=30, seed=0).best


def test_a_seed_is_a_search():
    one, two = (search_at_fidelities(Asked(1.0).task, "successive_halving", budget=20, seed=7) for _ in range(2))
    np.testing.assert_array_equal(one.designs, two.designs)


def test_a_budget_below_the_dearest_fidelity_finds_nothing():
    found = search_at_fidelities(Asked().task, "successive_halving", budget=0.1, seed=0)
    assert len(found.score) == 5
    assert found.best_design is None


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"budget": 0}, "budget is 0, allowed > 0"),
        ({"budget": float("nan")}, "budget is nan"),
        ({"budget": "much"}, "budget is 'much'"),
        ({"seed": -1}, "seed is -1"),
        ({"options": {"finalist": 3}}, "did you mean 'finalists'"),
        ({"options": {"finalists": 0}}, "option 'finalists' of agent 'successive_halving' is 0"),
    ],
)
def test_bad_arguments_are_named(arguments, message):
    with pytest.raises(InputError, match=message):
        search_at_fidelities(Asked().task, "successive_halving", **{"budget": 5, "seed": 0} | arguments)


def test_a_task_of_one_fidelity_is_refused():
    with pytest.raises(InputError, match="task is a Valley, allowed: a MultiFidelityTask"):
        search_at_fidelities(Valley(), "successive_halving", budget=5, seed=0)
