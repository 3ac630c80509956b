"""The exact solver against brute force, a MILP solver and the greedy rule."""

import itertools

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import sparse
from scipy.optimize import Bounds, LinearConstraint, milp

from accelgym.costmodels.solvers import allocate_greedily, minimise_max, minimise_sum


@st.composite
def problems(draw, groups=5, options=4):
    rng = np.random.default_rng(draw(st.integers(0, 2**32 - 1)))
    shape = draw(st.integers(1, groups)), draw(st.integers(1, options))
    integral = draw(st.booleans())
    cost, resource = rng.uniform(0, 50, shape), rng.uniform(0, 20, shape)
    if integral:
        cost, resource = np.round(cost / 5), np.round(resource / 4)
    allowed = rng.random(shape) > draw(st.sampled_from([0.0, 0.3]))
    low, high = resource.min(axis=1).sum(), resource.max(axis=1).sum()
    return cost, resource, float(low + draw(st.floats(-0.1, 1.1)) * (high - low)), allowed


def brute_force(cost, resource, capacity, allowed, combine):
    best = np.inf
    for pick in itertools.product(*(np.flatnonzero(row) for row in allowed)):
        rows = np.arange(len(cost))
        if resource[rows, list(pick)].sum() <= capacity * (1 + 1e-9):
            best = min(best, combine(cost[rows, list(pick)]))
    return best


@settings(max_examples=300, deadline=None)
@given(problems())
def test_minimise_sum_equals_brute_force(problem):
    found = minimise_sum(*problem)
    expected = brute_force(*problem, np.sum)
    assert found.value == pytest.approx(expected, rel=1e-12)
    if found.design is not None:
        cost, resource, capacity, allowed = problem
        rows = np.arange(len(cost))
        assert cost[rows, found.design].sum() == pytest.approx(found.value, rel=1e-12)
        assert resource[rows, found.design].sum() <= capacity * (1 + 2e-9)
        assert allowed[rows, found.design].all()
        assert found.lower_bound <= expected <= found.value * (1 + 1e-12)


@settings(max_examples=200, deadline=None)
@given(problems())
def test_minimise_max_equals_brute_force(problem):
    assert minimise_max(*problem).value == brute_force(*problem, np.max)


@settings(max_examples=200, deadline=None)
@given(problems(), st.booleans())
def test_greedy_is_feasible_and_never_below_the_optimum(problem, use_max):
    cost, resource, capacity, allowed = problem
    pick = allocate_greedily(cost, resource, capacity * (1 + 1e-9), allowed, aggregate_max=use_max)
    best = (minimise_max if use_max else minimise_sum)(*problem)
    assert (pick is None) == (best.design is None)
    if pick is not None:
        rows = np.arange(len(cost))
        assert allowed[rows, pick].all()
        assert resource[rows, pick].sum() <= capacity * (1 + 3e-9)
        value = cost[rows, pick].max() if use_max else cost[rows, pick].sum()
        assert value >= best.value * (1 - 1e-12)


def upgrades(cost, resource, capacity, allowed, use_max):
    """The rule as it is stated, one comparison at a time; equal upgrades in the order of groups and options."""
    groups = range(len(cost))
    pick = [min(np.flatnonzero(row), key=lambda o, g=g: (resource[g, o], cost[g, o])) for g, row in enumerate(allowed)]
    used = resource[groups, pick].sum()
    while True:
        best = None
        for g, o in np.argwhere(allowed):
            saving, extra = cost[g, pick[g]] - cost[g, o], resource[g, o] - resource[g, pick[g]]
            late = use_max and cost[g, pick[g]] < cost[groups, pick].max()
            if saving > 0 and used + extra <= capacity and not late:
                worth = -extra if use_max else np.inf if extra <= 0 else saving / extra
                if best is None or worth > best[0]:
                    best = worth, g, o, extra
        if best is None:
            return pick
        _, g, o, extra = best
        pick[g], used = o, used + extra


@settings(max_examples=200, deadline=None)
@given(problems(), st.booleans())
def test_greedy_buys_the_best_upgrade_each_time(problem, use_max):
    pick = allocate_greedily(*problem, aggregate_max=use_max)
    if pick is not None:
        assert pick.tolist() == upgrades(*problem, use_max)


def milp_optimum(cost, resource, capacity):
    groups, options = cost.shape
    one_each = sparse.kron(sparse.eye(groups), np.ones((1, options)))
    limits = [LinearConstraint(one_each, 1, 1), LinearConstraint(resource.reshape(1, -1), -np.inf, capacity)]
    found = milp(
        cost.ravel(),
        constraints=limits,
        integrality=np.ones(cost.size),
        bounds=Bounds(0, 1),
        options={"mip_rel_gap": 1e-10},
    )
    return found.fun


@pytest.mark.parametrize("seed", range(6))
def test_minimise_sum_equals_highs_on_layers_that_look_real(seed):
    rng = np.random.default_rng(seed)
    pes = np.repeat([1, 2, 4, 8, 16, 32, 64, 128], 6)
    buffer = np.tile(np.arange(1, 7), 8)
    channels, filters = rng.choice([16, 48, 64, 96, 256], (2, 25, 1))
    pixels = rng.choice([49, 196, 784], (25, 1))
    cost = (np.ceil(filters / buffer) * np.ceil(channels / pes) * pixels * (9 * buffer + 1) + 1).astype(float)
    resource = np.broadcast_to(pes * 1000.3 + buffer * pes * 7.7, cost.shape)
    capacity = resource.min(axis=1).sum() + rng.uniform(0.02, 0.4) * np.ptp(resource, axis=1).sum()
    found = minimise_sum(cost, resource, capacity)
    assert found.gap <= 1e-9
    assert found.value == pytest.approx(milp_optimum(cost, resource, capacity), rel=1e-8)


@pytest.mark.parametrize("seed", [4, 16, 18, 31])
def test_a_truncated_state_list_keeps_an_honest_bound(seed):
    rng = np.random.default_rng(seed)
    cost, resource = rng.uniform(0, 1, (20, 8)), rng.uniform(0, 1, (20, 8))
    exact = minimise_sum(cost, resource, 5.0)
    rough = minimise_sum(cost, resource, 5.0, max_states=4)
    assert rough.relaxations == ("state list truncated",)
    assert rough.lower_bound <= exact.value <= rough.value
    assert rough.gap == pytest.approx((rough.value - rough.lower_bound) / rough.value)


def test_nothing_feasible_is_said():
    cost = resource = np.ones((2, 2))
    for solve in (minimise_sum, minimise_max):
        found = solve(cost, resource, 1.5)
        assert found.design is None
        assert found.value == np.inf
