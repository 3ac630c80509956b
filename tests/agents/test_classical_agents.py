"""The classical agents against exact optima, enumeration and the rules they implement."""

import logging
import sys
from importlib import import_module

import numpy as np
import optuna
import pytest

from accelgym.agents import make_agent, search
from accelgym.costmodels.errors import InputError, MissingExtraError
from accelgym.costmodels.workloads import Layer, Workload
from accelgym.envs import ResourceAssignmentTask, audit, make_task

CELLS = [(w, b) for w in ("mobilenet_v2", "resnet18", "resnet50", "vgg16") for b in (0.5, 0.1, 0.05)]


def cell(workload, budget):
    return make_task("ResourceAssignment-v0", workload=f"confuciux/{workload}", budget=budget)


def regret(task, name, budget, seed=0, **options):
    return search(task, name, budget=budget, seed=seed, options=options).best / task.reference().value - 1


# -- constant designs ------------------------------------------------------------------------------------------


def test_uniform_finds_the_best_constant_and_stops(assignment):
    found = search(assignment, "uniform", budget=1000, seed=0)
    assert found.evaluations == found.distinct_designs == 144
    slots = len(assignment.slot_names)
    every = np.array([[pes, buffer] * slots for pes in range(12) for buffer in range(12)])
    assert found.best == assignment.evaluate(every).score.min()


def test_uniform_enumerates_a_space_without_slots(valley):
    found = search(valley, "uniform", budget=10_000, seed=0)
    assert found.evaluations == valley.space.cardinality
    assert found.best == valley.reference().value


# -- greedy ----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(("workload", "budget"), [("resnet18", 0.05), ("vgg16", 0.1)])
def test_greedy_needs_as_many_probes_as_options_and_one_for_the_allocation(workload, budget):
    task = cell(workload, budget)
    found = search(task, "greedy", budget=1000, seed=0, options={"freed": 0})
    assert found.evaluations == 145
    assert found.best / task.reference().value - 1 == pytest.approx(audit(task).greedy_regret, abs=1e-12)


def test_greedy_improvement_closes_what_the_rule_left():
    task = cell("vgg16", 0.1)
    assert audit(task).greedy_regret > 5e-4
    assert regret(task, "greedy", 1000) < 5e-4


@pytest.mark.parametrize("arguments", [{}, {"aggregate": "max"}, {"deployment": "sequential"}, {"dataflow": "mix"}])
def test_greedy_reaches_the_optimum_of_small_tasks(arguments):
    layers = [Layer.conv("a", K=24, C=8, H=20, R=3), Layer.conv("b", K=48, C=24, H=18, R=3)]
    task = ResourceAssignmentTask(workload_object=Workload.chain("pair", layers), budget=0.3, **arguments)
    assert regret(task, "greedy", 1500) == pytest.approx(0, abs=1e-9)


@pytest.mark.parametrize("budget", [1, 2, 10])
def test_greedy_makes_do_with_fewer_evaluations_than_options(budget):
    found = search(cell("mobilenet_v2", 0.05), "greedy", budget=budget, seed=0)
    assert 1 <= found.evaluations <= budget


def test_greedy_refuses_a_task_without_costs_by_slot(valley):
    with pytest.raises(InputError, match="slot_cost"):
        search(valley, "greedy", budget=10, seed=0)


# -- population agents -----------------------------------------------------------------------------------------


@pytest.mark.parametrize(("name", "budget"), [("ga", 600), ("annealing", 1000), ("aco", 2500)])
def test_an_enumerable_space_is_solved(name, budget, valley):
    assert regret(valley, name, budget) == 0


@pytest.mark.parametrize(
    ("name", "budget", "bound"), [("ga", 4000, 0.01), ("annealing", 6000, 0.01), ("aco", 8000, 0.03)]
)
def test_near_the_exact_optimum_of_vgg16(name, budget, bound):
    assert regret(cell("vgg16", 0.1), name, budget) <= bound


@pytest.mark.slow
@pytest.mark.parametrize("seed", [0, 1])
@pytest.mark.parametrize(("workload", "budget"), CELLS)
def test_ga_comes_within_one_percent_in_20k_evaluations(workload, budget, seed):
    assert regret(cell(workload, budget), "ga", 20_000, seed) <= 0.01


@pytest.mark.parametrize("name", ["ga", "annealing", "aco", "optuna", "random"])
def test_only_feasible_designs_are_proposed(name, assignment):
    found = search(assignment, name, budget=150, seed=0)
    assert found.feasible.all()


def test_ga_keeps_the_best_it_has_seen(assignment):
    agent = make_agent("ga", assignment, seed=0, population=4, children=6)
    seen = {}
    for _ in range(20):
        designs = agent.ask(6)
        outcome = assignment.evaluate(designs)
        seen.update(zip(map(tuple, designs.tolist()), outcome.score.tolist(), strict=True))
        agent.tell(designs, outcome)
        assert agent.survivors[1].tolist() == sorted(agent.survivors[1].tolist())
        assert len({tuple(row) for row in agent.survivors[0].tolist()}) == len(agent.survivors[0])
        assert agent.survivors[1][0] == min(seen.values())
        for row, score in zip(agent.survivors[0].tolist(), agent.survivors[1], strict=True):
            assert seen[tuple(row)] == score


def test_annealing_cools_geometrically_over_the_budget(assignment):
    agent = make_agent("annealing", assignment, seed=0, chains=5, hot=1e-1, cold=1e-3)
    temperatures = []
    for spent in range(0, 100, 5):
        designs = agent.ask(100 - spent)
        temperatures.append(agent.temperature)
        agent.tell(designs, assignment.evaluate(designs))
    np.testing.assert_allclose(temperatures, 1e-1 * 1e-2 ** (np.arange(20) / 20))
    assert agent.temperature == pytest.approx(1e-3)


def test_annealing_accepts_by_the_metropolis_rule(assignment):
    agent = make_agent("annealing", assignment, seed=0, hot=0.02, cold=0.02)
    agent.ask(100)
    n = 40_000
    for rise in (0.0, 0.01, 0.04):
        share = agent.accept(np.full(n, 50.0), np.full(n, 50.0 * (1 + rise))).mean()
        assert share == pytest.approx(np.exp(-rise / 0.02), abs=0.01)
    assert agent.accept(np.array([np.inf, 5.0, np.inf]), np.array([7.0, np.inf, np.inf])).tolist() == [
        True,
        False,
        True,
    ]


def test_cold_annealing_never_goes_uphill(assignment):
    agent = make_agent("annealing", assignment, seed=0, chains=3, hot=1e-9, cold=1e-9, restart=0.0)
    designs = agent.ask(300)
    agent.tell(designs, assignment.evaluate(designs))
    current = assignment.evaluate(designs).score
    for _ in range(50):
        designs = agent.ask(300)
        score = assignment.evaluate(designs).score
        agent.tell(designs, assignment.evaluate(designs))
        current = np.minimum(current, score)
        np.testing.assert_array_equal(agent.score, current)


def test_pheromones_stay_probabilities_with_a_floor(valley):
    agent = make_agent("aco", valley, seed=0, ants=10, evaporation=0.5, floor=0.05)
    nvec = valley.space.nvec
    exists = np.arange(nvec.max()) < nvec[:, None]
    for _ in range(30):
        designs = agent.ask(10)
        agent.tell(designs, valley.evaluate(designs))
        np.testing.assert_allclose(agent.pheromone.sum(axis=1), 1)
        assert (agent.pheromone[~exists] == 0).all()
        assert (agent.pheromone >= 0.05 / nvec[:, None] * exists - 1e-12).all()


def test_pheromone_follows_the_elite(valley):
    agent = make_agent("aco", valley, seed=0, ants=6, elite=2, evaporation=1.0, best_weight=0.0, floor=0.0)
    designs = agent.ask(6)
    outcome = valley.evaluate(designs)
    agent.tell(designs, outcome)
    elite = designs[np.argsort(outcome.score, kind="stable")[:2]]
    for column, parameter in enumerate(valley.space.parameters):
        count = np.bincount(elite[:, column], minlength=len(parameter.values))
        np.testing.assert_allclose(agent.pheromone[column, : len(count)], count / 2)


@pytest.mark.parametrize(
    ("name", "options"),
    [
        ("ga", {"population": 1}),
        ("ga", {"merge": 1.5}),
        ("ga", {"mix": {"jump": 1}}),
        ("ga", {"children": "many"}),
        ("annealing", {"hot": 0}),
        ("annealing", {"restart": -0.1}),
        ("aco", {"evaporation": 2}),
        ("aco", {"ants": 0}),
        ("greedy", {"freed": -1}),
        ("optuna", {"sampler": "cma"}),
        ("optuna", {"startup": -1}),
    ],
)
def test_a_bad_option_is_named_with_its_value(name, options, assignment):
    ((key, value),) = options.items()
    wrong = next(iter(value)) if isinstance(value, dict) else value
    with pytest.raises(InputError, match=str(wrong)) as caught:
        make_agent(name, assignment, seed=0, **options)
    assert key in str(caught.value) or "move" in str(caught.value)


# -- Optuna ----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("sampler", ["tpe", "gp", "cmaes", "nsga2", "random"])
def test_every_sampler_learns_what_was_evaluated(sampler, valley):
    agent = make_agent("optuna", valley, seed=0, sampler=sampler, startup=6)
    evaluated = []
    for _ in range(14):
        designs = agent.ask(10)
        outcome = valley.evaluate(designs)
        agent.tell(designs, outcome)
        evaluated += [(*designs[0].tolist(), outcome.objective[0])]
    names = [p.name for p in valley.space.parameters]
    done = agent.study.get_trials(states=(optuna.trial.TrialState.COMPLETE,))
    assert [(*(t.params[name] for name in names), t.value) for t in done] == evaluated


def test_samplers_search_differently_from_one_start(valley):
    runs = {}
    for sampler in ("tpe", "gp", "cmaes", "nsga2", "random"):
        # One generation of NSGA-II is 50 random trials; beyond it all five differ.
        budget = 20 if sampler == "gp" else 60
        runs[sampler] = search(valley, "optuna", budget=budget, seed=0, options={"sampler": sampler, "startup": 6})
    assert len({tuple(run.objective[:6]) for run in runs.values()}) == 1
    assert len({tuple(run.objective[:20]) for run in runs.values()}) >= 4


def test_tpe_proposes_better_designs_than_random_trials(valley):
    late = {
        sampler: search(valley, "optuna", budget=80, seed=0, options={"sampler": sampler, "startup": 10}).objective[40:]
        for sampler in ("tpe", "random")
    }
    assert late["tpe"].mean() < 0.8 * late["random"].mean()


def test_optuna_is_quiet_and_its_log_level_is_restored(valley, capfd):
    before = optuna.logging.get_verbosity()
    optuna.logging.set_verbosity(logging.DEBUG)
    try:
        search(valley, "optuna", budget=10, seed=0, options={"startup": 4})
        assert optuna.logging.get_verbosity() == logging.DEBUG
    finally:
        optuna.logging.set_verbosity(before)
    assert capfd.readouterr() == ("", "")


@pytest.mark.parametrize(
    ("module", "package"),
    [
        ("accelgym.agents.optuna_agent", "optuna"),
        ("accelgym.agents.adapters.optuna", "optuna"),
        ("accelgym.agents.adapters.pymoo", "pymoo.core.problem"),
        ("accelgym.agents.adapters.botorch", "torch"),
    ],
)
def test_a_missing_package_is_named_with_its_extra(module, package, monkeypatch):
    monkeypatch.setitem(sys.modules, package, None)
    monkeypatch.delitem(sys.modules, module, raising=False)
    with pytest.raises(MissingExtraError, match=r"pip install 'accelgym\[(bo|agents)\]'"):
        import_module(module)
