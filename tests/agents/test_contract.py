"""What every agent owes to the search loop, whatever it does inside."""

import random

import numpy as np
import pytest
import torch

from accelgym.agents import agents, make_agent, search
from accelgym.costmodels.errors import InputError

BUDGET = 60
# Options that make an agent do all it does within a budget this small.
OPTIONS = {
    "annealing": {"chains": 4},
    "aco": {"ants": 12},
    "ga": {"population": 8, "children": 8},
    "optuna": {"startup": 8},
    "random": {"batch": 16},
    "ppo": {"lanes": 16},
    "maskable_ppo": {"lanes": 16},
    "a2c": {"lanes": 16},
    "gamma": {"population": 12},
    "random_pruned": {"batch": 2},
    "mapping_gradient": {"starts": 8, "steps": 3, "reorder": 2},
    "thistle": {"nearest": 1, "batch": 1},
}
# Agents that need costs by slot.
ASSIGNMENT_ONLY = {"greedy", "confuciux", "airchitect"}
# Agents that know what a mapping is.
MAPPING_ONLY = {"random_pruned", "gamma", "mapping_gradient", "thistle"}


def tasks_for(name):
    if name == "thistle":
        return ["mapping", "codesign"]
    if name in MAPPING_ONLY:
        return ["mapping"]
    return ["assignment"] if name in ASSIGNMENT_ONLY else ["assignment", "valley", "mapping", "codesign", "hwgen"]


CASES = [(name, task) for name in agents.names() for task in tasks_for(name)]


@pytest.fixture(params=CASES, ids=lambda case: "-".join(case))
def case(request):
    name, task = request.param
    return name, request.getfixturevalue(task)


def run(name, task, *, seed=3, budget=BUDGET, journal=None):
    return search(task, name, budget=budget, seed=seed, options=OPTIONS.get(name, {}), journal=journal)


def proposals(name, task, seed, turns=3):
    """Batches of an agent, yielded one by one so that two agents can be interleaved."""
    agent = make_agent(name, task, seed=seed, **OPTIONS.get(name, {}))
    left = BUDGET
    for _ in range(turns):
        designs = agent.ask(left)
        if len(designs) == 0:
            return
        yield designs.copy()
        agent.tell(designs, task.evaluate(designs))
        left -= len(designs)
        if left == 0:
            return


def test_spends_the_budget_exactly_and_finds_a_feasible_design(case):
    name, task = case
    found = run(name, task)
    assert found.evaluations == BUDGET
    outcome = task.evaluate(np.array([found.best_design]))
    assert outcome.feasible[0]
    assert outcome.objective[0] == found.best
    assert found.best >= task.reference().value * (1 - 1e-12)


@pytest.mark.parametrize("count", [1, 2, 7])
def test_proposes_designs_of_the_space_and_no_more_than_it_may(case, count):
    name, task = case
    agent = make_agent(name, task, seed=0, **OPTIONS.get(name, {}))
    for _ in range(4):
        designs = agent.ask(count)
        assert len(designs) <= count
        if len(designs) == 0:
            break
        assert np.issubdtype(designs.dtype, np.integer)
        task.space.check(designs)
        before = designs.copy()
        agent.tell(designs, task.evaluate(designs))
        assert (designs == before).all(), "tell changed the designs it was given"


def test_a_seed_fixes_the_search_even_beside_another_agent(case):
    name, task = case
    alone = list(proposals(name, task, seed=5))
    first, second = proposals(name, task, seed=5), proposals(name, task, seed=6)
    for expected in alone:
        np.testing.assert_array_equal(next(first), expected)
        next(second, None)


def test_another_seed_searches_elsewhere(case):
    name, task = case
    batches = [np.concatenate(list(proposals(name, task, seed))) for seed in (1, 2)]
    # Thistle proposes the rounded optima first, whatever the seed.
    assert np.array_equal(*batches) == (name == "thistle")


def test_a_killed_search_resumes_as_if_it_had_not_been(case, tmp_path):
    name, task = case
    whole = run(name, task, journal=tmp_path / "journal")
    written = (tmp_path / "journal").read_bytes()
    for share in (0.3, 0.8):
        (tmp_path / "journal").write_bytes(written[: int(share * len(written))])
        again = run(name, task, journal=tmp_path / "journal")
        np.testing.assert_array_equal(again.objective, whole.objective)
        np.testing.assert_array_equal(again.feasible, whole.feasible)
        assert again.best_design == whole.best_design
        assert (tmp_path / "journal").stat().st_size == len(written)


def test_leaves_the_global_random_state_alone(case):
    name, task = case
    before = (random.getstate(), np.random.get_state()[1:3], torch.get_rng_state())  # noqa: NPY002
    run(name, task)
    after = (random.getstate(), np.random.get_state()[1:3], torch.get_rng_state())  # noqa: NPY002
    assert before[0] == after[0]
    np.testing.assert_array_equal(before[1][0], after[1][0])
    assert before[1][1] == after[1][1]
    assert torch.equal(before[2], after[2])


@pytest.mark.parametrize("name", agents.names())
def test_an_unknown_option_is_refused_by_name(name, assignment):
    with pytest.raises(InputError, match=f"option of agent '{name}' 'no_such_option'"):
        make_agent(name, assignment, seed=0, no_such_option=1)


@pytest.mark.parametrize("name", agents.names())
def test_an_agent_knows_its_name(name, request):
    task = request.getfixturevalue(tasks_for(name)[0])
    assert make_agent(name, task, seed=0).name == name


def test_an_unknown_agent_is_refused_with_the_nearest_name(assignment):
    with pytest.raises(InputError, match="'annealing'"):
        make_agent("anealing", assignment, seed=0)
