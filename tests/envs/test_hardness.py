"""Hardness is what cheap rules reach: against enumeration, conservation of counts, and a rule run by hand."""

import numpy as np
import pytest

from accelgym.costmodels.certificate import Certificate
from accelgym.envs.hardness import Landscape, audit, classify, hill_climb, landscape
from accelgym.envs.space import Parameter, Space
from accelgym.envs.task import Outcome, Task


class Valley(Task):
    """The sum of distances from a design; with ``trap``, a far corner is better than all else."""

    env_id = "tests/Valley-v0"

    def __init__(self, groups=3, sizes=(5, 4), *, trap=False, limit=None):
        self.trap, self.limit, self.spent = trap, limit, 0
        self.space_of_task = Space(
            tuple(
                Parameter(f"g{g}.k{k}", tuple(range(size)), group=f"g{g}", knob=f"k{k}")
                for g in range(groups)
                for k, size in enumerate(sizes)
            )
        )
        self.target = np.arange(len(self.space)) % self.space.nvec

    @property
    def space(self):
        return self.space_of_task

    def describe(self):
        return {"trap": self.trap}

    def evaluate(self, designs):
        designs = self.space.check(designs)
        self.spent += len(designs)
        objective = 1.0 + np.abs(designs - self.target).sum(axis=1)
        if self.trap:
            objective = np.where((designs == self.space.nvec - 1).all(axis=1), 0.5, objective)
        feasible = np.ones(len(designs), dtype=bool) if self.limit is None else designs.sum(axis=1) <= self.limit
        return Outcome(objective, feasible, np.where(feasible, 0.0, 1.0), np.ones(len(designs), dtype=bool))

    def reference(self):
        value = 0.5 if self.trap else 1.0
        return Certificate(value=value, design=None, lower_bound=value, gap=0.0, method="by hand")

    def sample_feasible(self, rng, count):
        return self.repair(self.space.sample(rng, count), rng)

    def repair(self, designs, rng):
        if self.limit is not None:
            designs = np.where(designs.sum(axis=1, keepdims=True) > self.limit, 0, designs)
        return designs


def test_hill_climbing_descends_a_valley_and_is_caught_by_a_trap():
    value, spent = hill_climb(Valley(), np.random.default_rng(0), 1000)
    assert value == 1.0
    assert 50 < spent < 1000
    value, _ = hill_climb(Valley(trap=True), np.random.default_rng(0), 1000)
    assert value == 1.0


def test_every_neighbour_is_counted():
    task = Valley(groups=4)
    for budget in (10, 60, 75):
        task.spent = 0
        _, spent = hill_climb(task, np.random.default_rng(1), budget)
        assert spent == budget
        assert task.spent >= budget
    one = Valley(groups=1, sizes=(1, 1))
    assert hill_climb(one, np.random.default_rng(0), 1000) == (1.0, 50)


def test_constants_make_the_same_choice_in_all_groups():
    found = audit(Valley(groups=4))
    # By hand: the best common value of each knob is the median of its targets.
    task = Valley(groups=4)
    grid = np.array([[a, b] * 4 for a in range(5) for b in range(4)])
    assert found.constant_regret == pytest.approx(task.evaluate(grid).objective.min() - 1)
    assert found.constant_evaluations == 20
    assert audit(Valley(groups=1)).constant_regret is None


def test_rules_that_find_nothing_feasible_do_not_count():
    assert audit(Valley(groups=4, limit=100)).feasible_fraction == 1
    tight = audit(Valley(groups=4, limit=0))
    assert tight.feasible_fraction < 0.01
    assert tight.constant_regret == tight.random_regret == tight.climb_regret


@pytest.mark.parametrize(
    ("cardinality", "gap", "regrets", "expected"),
    [
        (1000, 0.5, [0.0], "enumerable"),
        (1001, 0.0101, [0.0], "open"),
        (1001, 0.01, [0.3, 0.01, None], "easy"),
        (1001, 0.0, [0.0101, 0.2], "medium"),
        (1001, 0.0, [0.05], "medium"),
        (1001, 0.0, [0.0501, None], "hard"),
        (1001, 0.0, [None], "hard"),
    ],
)
def test_classes(cardinality, gap, regrets, expected):
    assert classify(cardinality, gap, regrets) == expected


def test_a_task_of_ones_own_says_what_it_knows():
    class Known(Valley):
        pass

    @landscape.register
    def known(task: Known, rng: np.random.Generator) -> Landscape:
        return Landscape(task.target[None], 7, tied_optima=2e6, relaxed_optimum=0.995)

    found = audit(Known())
    assert (found.greedy_regret, found.greedy_evaluations) == (0.0, 7)
    assert found.hardness == "easy"
    assert found.flags == ("not binding", "ties")
    assert audit(Valley()).greedy_regret is None


def test_a_seed_fixes_it():
    assert audit(Valley(trap=True), seed=3) == audit(Valley(trap=True), seed=3)
