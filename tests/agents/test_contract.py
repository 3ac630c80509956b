"""What every agent owes to the search loop, whatever it does inside."""

import inspect
import itertools
import random
from dataclasses import dataclass
from typing import Any

import numpy as np
import pytest
import torch
from small_families import SPECS

from accelgym.agents import Trajectory, agents, make_agent, search
from accelgym.agents.retrieval import SolvedDecisions
from accelgym.agents.transfer import PolicyTrainer, TrainingOptions
from accelgym.costmodels.errors import InputError
from accelgym.envs import Family

BUDGET = 48
# Options that make an agent do all it does within a budget this small.
OPTIONS = {
    "annealing": {"chains": 4},
    "aco": {"ants": 12},
    "ga": {"population": 8, "children": 8},
    "optuna": {"startup": 8},
    "random": {"batch": 16},
    "ppo": {"lanes": 16, "epochs": 2},
    "maskable_ppo": {"lanes": 16, "epochs": 2},
    "a2c": {"lanes": 16},
    "gamma": {"population": 12},
    "random_pruned": {"batch": 2},
    "mapping_gradient": {"starts": 8, "steps": 3, "reorder": 2},
    "thistle": {"nearest": 1, "batch": 1},
}
# Agents that need costs by slot.
ASSIGNMENT_ONLY = {"greedy", "confuciux", "airchitect"}
# Agents that bring what they learnt from other assignment tasks.
LEARNT = {"pretrained_ppo", "nearest"}
# Agents that know what a mapping is.
MAPPING_ONLY = {"random_pruned", "gamma", "mapping_gradient", "thistle"}


def tasks_for(name):
    if name == "thistle":
        return ["mapping", "codesign"]
    if name in MAPPING_ONLY:
        return ["mapping"]
    if name == "uov":
        return ["fine_assignment"]  # Its weights fit no other.
    return (
        ["assignment"] if name in ASSIGNMENT_ONLY | LEARNT else ["assignment", "valley", "mapping", "codesign", "hwgen"]
    )


CASES = [(name, task) for name in agents.names() for task in tasks_for(name)]


@pytest.fixture(scope="module", autouse=True)
def learnt(tmp_path_factory):
    """Makes what the agents of ``LEARNT`` need, and adds it to their options."""
    folder = tmp_path_factory.mktemp("learnt")
    family = Family(**SPECS)
    PolicyTrainer(family, TrainingOptions(evaluations=64, lanes=16, members=2, width=16), 0).policy.save(folder, {})
    SolvedDecisions.of([(task, task.reference().design) for task in family.tasks]).save(folder / "solved.npz")
    OPTIONS["pretrained_ppo"] = {"policy": str(folder), "lanes": 16}
    OPTIONS["nearest"] = {"solved": str(folder / "solved.npz"), "starts": 6}


# Fixtures of the module, for pytest to run all tests of a case one after the other: its searches are done once.
@pytest.fixture(scope="module", params=CASES, ids=lambda case: "-".join(case))
def case(request):
    name, task = request.param
    return name, request.getfixturevalue(task)


def global_states() -> tuple[Any, ...]:
    return random.getstate(), np.random.get_state()[1:3], torch.get_rng_state()  # noqa: NPY002


@dataclass(frozen=True)
class Finished:
    """A search, its journal, and the states of the global generators before and after it."""

    found: Trajectory
    journal: bytes
    before: tuple[Any, ...]
    after: tuple[Any, ...]


@pytest.fixture(scope="module")
def finished(case, tmp_path_factory):
    journal = tmp_path_factory.mktemp("finished") / "journal"
    before = global_states()
    found = run(*case, journal=journal)
    return Finished(found, journal.read_bytes(), before, global_states())


@pytest.fixture(scope="module")
def in_turns(case):
    """Proposals of two agents with different seeds that search in turns, batch by batch."""
    first, second = proposals(*case, seed=5), proposals(*case, seed=6)
    return list(itertools.zip_longest(first, second))


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


def test_spends_the_budget_exactly_and_finds_a_feasible_design(case, finished):
    _, task = case
    found = finished.found
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


def test_a_seed_fixes_the_search_even_beside_another_agent(case, in_turns):
    alone = list(proposals(*case, seed=5))
    beside = [batch for batch, _ in in_turns if batch is not None]
    assert len(alone) == len(beside)
    for expected, batch in zip(alone, beside, strict=True):
        np.testing.assert_array_equal(batch, expected)


def test_another_seed_searches_elsewhere(case, in_turns):
    batches = [np.concatenate([b for b in side if b is not None]) for side in zip(*in_turns, strict=True)]
    # Thistle proposes the rounded optima first, uov what its policy plans and evaluations correct, whatever the seed.
    assert np.array_equal(*batches) == (case[0] in ("thistle", "uov"))


@pytest.mark.parametrize("share", [0.3, pytest.param(0.8, marks=pytest.mark.slow)])
def test_a_killed_search_resumes_as_if_it_had_not_been(case, finished, share, tmp_path):
    whole, written = finished.found, finished.journal
    journal = tmp_path / "journal"
    journal.write_bytes(written[: int(share * len(written))])
    again = run(*case, journal=journal)
    np.testing.assert_array_equal(again.objective, whole.objective)
    np.testing.assert_array_equal(again.feasible, whole.feasible)
    assert again.best_design == whole.best_design
    assert journal.stat().st_size == len(written)


def test_leaves_the_global_random_state_alone(finished):
    before, after = finished.before, finished.after
    assert before[0] == after[0]
    np.testing.assert_array_equal(before[1][0], after[1][0])
    assert before[1][1] == after[1][1]
    assert torch.equal(before[2], after[2])


@pytest.mark.parametrize("name", agents.names())
def test_an_unknown_option_is_refused_by_name(name, assignment):
    with pytest.raises(InputError, match=f"option of agent '{name}' 'no_such_option'"):
        make_agent(name, assignment, seed=0, no_such_option=1)


# Values that no option of the kind takes.
WRONG = {
    "int": (2.5, "3", None, True, -1, 10**400, float("nan"), [1], {}, np.array([1, 2])),
    "float": ("0.5", None, True, -1.0, 10**400, float("inf"), float("nan"), [1], {}, np.array([1, 2])),
    "bool": (1, "yes", None, [1]),
    "str": (3, 2.5, None, True, [1], {}, np.array([1, 2])),
    "Mapping[str, float] | None": (3, "step", True, [1], {"no_such_move": 1.0}),
    "float | None": ("0.5", True, -1.0, [1], {}),
    "Literal['previous', 'current']": (3, None, [1], "next", np.array([1, 2])),
}
TYPED = [
    (name, option, parameter.annotation)
    for name in agents.names()
    for option, parameter in inspect.signature(agents.get(name)).parameters.items()
    if option not in ("task", "seed")
]


@pytest.mark.parametrize(("name", "option", "kind"), TYPED, ids=lambda part: str(part))
def test_an_option_of_another_kind_is_refused_by_name(name, option, kind, request):
    task = request.getfixturevalue(tasks_for(name)[0])
    given = OPTIONS[name] if name in LEARNT else {}
    for value in WRONG[kind]:
        # A name of a file is told from another by opening it, a move by the agent's own table.
        with pytest.raises(InputError, match=f"option '{option}' of agent '{name}'|unknown move"):
            make_agent(name, task, seed=0, **given | {option: value})


@pytest.mark.parametrize("options", [3, "batch", [("batch", 1)], {3: 1}, {None: 1}], ids=str)
def test_options_are_a_table(options, assignment):
    with pytest.raises(InputError, match=r"^options is .*, allowed a table of options by name"):
        search(assignment, "random", budget=3, seed=0, options=options)


@pytest.mark.parametrize("name", [None, 3, ["random"], b"random"], ids=str)
def test_a_name_is_a_text(name, assignment):
    with pytest.raises(InputError, match="unknown agent"):
        make_agent(name, assignment, seed=0)


@pytest.mark.parametrize("name", agents.names())
def test_an_agent_knows_its_name(name, request):
    task = request.getfixturevalue(tasks_for(name)[0])
    options = OPTIONS[name] if name in LEARNT else {}
    assert make_agent(name, task, seed=0, **options).name == name


def test_an_unknown_agent_is_refused_with_the_nearest_name(assignment):
    with pytest.raises(InputError, match="'annealing'"):
        make_agent("anealing", assignment, seed=0)
