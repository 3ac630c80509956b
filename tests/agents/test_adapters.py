"""Loops that are not ours drive a task: counts, values and constraints are the task's."""

import numpy as np
import optuna
import pytest
import torch
from optuna.trial import FixedTrial
from pymoo.algorithms.moo.nsga2 import NSGA2
from pymoo.algorithms.soo.nonconvex.ga import GA
from pymoo.operators.crossover.sbx import SBX
from pymoo.operators.mutation.pm import PM
from pymoo.operators.repair.rounding import RoundingRepair
from pymoo.operators.sampling.rnd import IntegerRandomSampling
from pymoo.optimize import minimize

from accelgym.agents.adapters import MOST_VIOLATION, EvaluationCounter
from accelgym.agents.adapters.botorch import UnitCube
from accelgym.agents.adapters.optuna import optuna_objective, space_distributions, suggest_design
from accelgym.agents.adapters.pymoo import FeasibleSampling, TaskProblem, TaskRepair
from accelgym.costmodels.errors import InputError
from accelgym.costmodels.workloads import Layer, Workload
from accelgym.envs import MappingTask, ResourceAssignmentTask


@pytest.fixture(params=["assignment", "valley"])
def task(request):
    return request.getfixturevalue(request.param)


@pytest.fixture(scope="module")
def with_invalid_designs():
    """Under eye, some options of a small map are invalid."""
    layers = [Layer.conv("a", K=8, C=8, H=8, R=3), Layer.conv("b", K=8, C=8, H=10, R=3)]
    task = ResourceAssignmentTask(workload_object=Workload.chain("small", layers), dataflow="eye", budget=1.0)
    assert not task.table.allowed.all()
    return task


def test_the_counter_counts_repeats_and_keeps_the_best_feasible(task):
    counter = EvaluationCounter(task)
    designs = task.space.sample(np.random.default_rng(0), 500)
    counter.evaluate(designs[:200])
    counter.evaluate(designs[200:])
    counter.evaluate(designs)
    score = task.evaluate(designs).score
    assert counter.evaluations == 1000
    assert counter.best == score.min()
    assert counter.best_design == tuple(designs[score.argmin()])
    assert counter.regret == pytest.approx(score.min() / task.reference().value - 1)


def test_nothing_feasible_means_no_best_design(assignment):
    counter = EvaluationCounter(assignment)
    counter.evaluate(assignment.space.nvec[None] - 1)
    assert counter.best == float("inf")
    assert counter.best_design is None


# -- Optuna ----------------------------------------------------------------------------------------------------


def test_optuna_sees_ordered_parameters_as_integers_and_others_as_categories(valley):
    kinds = {name: type(d).__name__ for name, d in space_distributions(valley.space).items()}
    assert kinds == {
        "x": "IntDistribution",
        "y": "IntDistribution",
        "z": "IntDistribution",
        "colour": "CategoricalDistribution",
        "fixed": "CategoricalDistribution",
    }


def test_a_trial_suggests_the_design_of_its_parameters(task):
    design = task.space.sample(np.random.default_rng(0), 1)[0]
    trial = FixedTrial(dict(zip((p.name for p in task.space.parameters), design.tolist(), strict=True)))
    np.testing.assert_array_equal(suggest_design(trial, task), design)
    assert optuna_objective(task)(trial) == task.evaluate(design[None]).objective[0]


def test_a_study_optimises_under_the_constraint(valley):
    counter = EvaluationCounter(valley)
    study = optuna.create_study(sampler=optuna.samplers.TPESampler(seed=0))
    study.optimize(optuna_objective(valley, counter), n_trials=60)
    assert counter.evaluations == 60
    assert counter.best == study.best_value, "the best trial is the best feasible one"
    assert any(t.constraints["budget"] > 0 for t in study.trials)
    for trial in study.trials:
        design = np.array([[trial.params[p.name] for p in valley.space.parameters]])
        outcome = valley.evaluate(design)
        assert trial.value == outcome.objective[0]
        assert trial.constraints["budget"] == outcome.violation[0]


def test_trials_of_invalid_designs_end_with_finite_numbers(with_invalid_designs):
    study = optuna.create_study(sampler=optuna.samplers.RandomSampler(seed=0))
    study.optimize(optuna_objective(with_invalid_designs), n_trials=60)
    assert {t.state.name for t in study.trials} == {"COMPLETE"}
    worst = with_invalid_designs.bound
    invalid = 0
    for trial in study.trials:
        outcome = with_invalid_designs.evaluate(np.array([list(trial.params.values())]))
        if outcome.valid[0]:
            worst = max(worst, outcome.objective[0])
            assert trial.constraints["budget"] == outcome.violation[0] < MOST_VIOLATION
        else:
            invalid += 1
            assert (trial.value, trial.constraints["budget"]) == (worst, MOST_VIOLATION)
    assert invalid
    assert with_invalid_designs.evaluate(np.array([study.best_trial.user_attrs["design"]])).feasible[0]


@pytest.fixture(scope="module")
def mapping():
    """Hardly any of its designs is feasible."""
    task = MappingTask(workload="alexnet", layer=7, objective="edp")
    assert not task.evaluate(task.space.sample(np.random.default_rng(1), 50)).valid.any()
    return task


def test_repair_makes_every_evaluation_feasible(mapping):
    counter = EvaluationCounter(mapping)
    study = optuna.create_study(sampler=optuna.samplers.TPESampler(seed=0))
    study.optimize(optuna_objective(mapping, counter, repair=True), n_trials=20)
    assert study.best_value == counter.best < float("inf")
    for trial in study.trials:
        assert trial.constraints["budget"] == 0
        assert mapping.evaluate(np.array([trial.user_attrs["design"]])).objective[0] == trial.value
    problem = TaskProblem(mapping, repair=True)
    found = problem.evaluate(mapping.space.sample(np.random.default_rng(1), 20), return_as_dictionary=True)
    assert (found["G"] == 0).all()
    cube = UnitCube(mapping, repair=True)
    y, g = cube.evaluate(cube.from_designs(mapping.space.sample(np.random.default_rng(1), 20)))
    assert (g == 0).all()
    assert cube.counter.best == -y.max().item()


def test_without_repair_what_is_invalid_has_finite_numbers(mapping):
    designs = mapping.space.sample(np.random.default_rng(1), 30)
    found = TaskProblem(mapping).evaluate(designs, return_as_dictionary=True)
    assert np.isfinite(found["F"]).all()
    assert (found["G"] == MOST_VIOLATION).all()
    cube = UnitCube(mapping)
    y, g = cube.evaluate(cube.from_designs(designs))
    assert torch.isfinite(y).all()
    assert (g == MOST_VIOLATION).all()


def test_several_objectives_are_costs_of_the_task(mapping):
    names = ("energy_pj", "latency_cycles")
    designs = mapping.sample_feasible(np.random.default_rng(0), 40)
    costs = np.stack([mapping.evaluate(designs).costs[name] for name in names], axis=-1)
    problem = TaskProblem(mapping, objectives=names)
    np.testing.assert_array_equal(problem.evaluate(designs, return_as_dictionary=True)["F"], costs)
    cube = UnitCube(mapping, objectives=names)
    np.testing.assert_array_equal(-cube.evaluate(cube.from_designs(designs))[0], costs)
    algorithm = NSGA2(pop_size=16, sampling=FeasibleSampling(), repair=TaskRepair())
    front = minimize(problem, algorithm, ("n_eval", 64), seed=1).F
    assert front.shape[1] == 2
    assert all(not ((front < point).all(axis=1)).any() for point in front)
    study = optuna.create_study(sampler=optuna.samplers.NSGAIISampler(seed=0), directions=["minimize"] * 2)
    study.optimize(optuna_objective(mapping, repair=True, objectives=names), n_trials=10)
    assert all(len(trial.values) == 2 for trial in study.best_trials)


@pytest.mark.parametrize("objectives", ["energy_pj", (), ("energy_pj", "energy_pj"), ("enrgy_pj",), 3, [["energy_pj"]]])
def test_objectives_that_are_none_are_named(mapping, objectives):
    designs = mapping.sample_feasible(np.random.default_rng(0), 1)
    with pytest.raises(InputError, match="objective"):
        TaskProblem(mapping, objectives=objectives).evaluate(designs)


# -- pymoo -----------------------------------------------------------------------------------------------------


def test_pymoo_evaluates_the_task_in_batches(task):
    problem = TaskProblem(task)
    designs = task.space.sample(np.random.default_rng(0), 64)
    found = problem.evaluate(designs, return_as_dictionary=True)
    outcome = task.evaluate(designs)
    np.testing.assert_array_equal(found["F"][outcome.valid, 0], outcome.objective[outcome.valid])
    np.testing.assert_array_equal(found["G"][outcome.valid, 0], outcome.violation[outcome.valid])
    np.testing.assert_array_equal(problem.xu + 1, task.space.nvec)
    assert problem.counter.evaluations == 64


def test_pymoo_optimises_with_its_own_constraint_handling(valley):
    problem = TaskProblem(valley)
    algorithm = GA(
        pop_size=20,
        sampling=IntegerRandomSampling(),
        crossover=SBX(vtype=float, repair=RoundingRepair()),
        mutation=PM(vtype=float, repair=RoundingRepair()),
        eliminate_duplicates=True,
    )
    result = minimize(problem, algorithm, ("n_eval", 600), seed=1)
    assert problem.counter.evaluations == 600
    assert result.F[0] == problem.counter.best
    assert result.G[0] == 0
    assert valley.evaluate(problem.designs(result.X[None])).objective[0] == result.F[0]
    assert problem.counter.regret < 0.5


def test_pymoo_with_feasible_sampling_and_repair_evaluates_feasible_designs_only(assignment):
    class Watched(EvaluationCounter):
        feasible = True

        def evaluate(self, designs):
            outcome = super().evaluate(designs)
            self.feasible &= bool(outcome.feasible.all())
            return outcome

    problem = TaskProblem(assignment, Watched(assignment))
    algorithm = GA(
        pop_size=16,
        sampling=FeasibleSampling(),
        repair=TaskRepair(),
        crossover=SBX(vtype=float),
        mutation=PM(vtype=float),
    )
    result = minimize(problem, algorithm, ("n_eval", 320), seed=1)
    assert problem.counter.feasible
    assert result.F[0] == problem.counter.best
    again = minimize(TaskProblem(assignment), algorithm, ("n_eval", 320), seed=1)
    assert again.F[0] == result.F[0]


def test_pymoo_ranks_invalid_designs_last(with_invalid_designs):
    problem = TaskProblem(with_invalid_designs)
    algorithm = GA(pop_size=20, sampling=IntegerRandomSampling(), crossover=SBX(vtype=float), mutation=PM(vtype=float))
    result = minimize(problem, algorithm, ("n_eval", 200), seed=0)
    assert result.F[0] == problem.counter.best < float("inf")


# -- BoTorch ---------------------------------------------------------------------------------------------------


def test_designs_and_points_of_the_cube_round_trip(task):
    cube = UnitCube(task)
    designs = task.space.sample(np.random.default_rng(0), 200)
    points = cube.from_designs(designs)
    assert points.dtype == torch.float64
    assert points.shape == designs.shape
    assert ((points > cube.bounds[0]) & (points < cube.bounds[1])).all()
    np.testing.assert_array_equal(cube.to_designs(points), designs)


def test_every_value_owns_an_equal_share_of_its_axis(valley):
    cube = UnitCube(valley)
    steps = 16 * 9 * 10
    line = torch.linspace(0, 1, steps + 1, dtype=torch.float64)[:-1, None].expand(-1, 5) + 0.5 / steps
    designs = cube.to_designs(line)
    for column, parameter in enumerate(valley.space.parameters):
        counts = np.bincount(designs[:, column])
        assert (counts == steps // len(parameter.values)).all()
    corner = cube.to_designs(cube.bounds)
    np.testing.assert_array_equal(corner, [[0] * 5, valley.space.nvec - 1])


def test_outcomes_are_to_be_maximised_and_feasible_below_zero(with_invalid_designs):
    cube = UnitCube(with_invalid_designs)
    designs = with_invalid_designs.space.sample(np.random.default_rng(0), 100)
    y, g = cube.evaluate(cube.from_designs(designs))
    outcome = with_invalid_designs.evaluate(designs)
    assert y.shape == g.shape == (100, 1)
    assert y.dtype == g.dtype == torch.float64
    np.testing.assert_array_equal(-y[:, 0][torch.from_numpy(outcome.valid)], outcome.objective[outcome.valid])
    np.testing.assert_array_equal((g <= 0)[:, 0], outcome.feasible)
    assert torch.isfinite(y).all()
    assert (y[~torch.from_numpy(outcome.valid)] == y.min()).all()
    assert cube.counter.evaluations == 100


@pytest.mark.parametrize(
    ("points", "message"),
    [
        (torch.zeros(3, 4), "shape"),
        (torch.zeros(5), "shape"),
        (torch.full((2, 5), 1.5), "allowed 0..1"),
        (torch.full((2, 5), float("nan")), "nan"),
    ],
)
def test_points_outside_the_cube_are_refused(points, message, valley):
    with pytest.raises(InputError, match=message):
        UnitCube(valley).to_designs(points)
