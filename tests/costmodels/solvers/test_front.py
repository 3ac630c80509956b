"""The front of two sums against brute force and against the knapsack."""

import itertools

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from accelgym.costmodels.errors import InputError
from accelgym.costmodels.solvers import minimise_both, minimise_sum


@st.composite
def tables(draw):
    rng = np.random.default_rng(draw(st.integers(0, 2**32 - 1)))
    shape = draw(st.integers(1, 5)), draw(st.integers(1, 4))
    high = draw(st.sampled_from([3, 40]))
    first, second = (rng.integers(0, high, shape).astype(float) for _ in range(2))
    return first, second, rng.random(shape) > draw(st.sampled_from([0.0, 0.3]))


def brute_force(first, second, allowed, limit=np.inf):
    """All undominated pairs of sums, by comparing everything with everything."""
    rows = np.arange(len(first))
    picks = itertools.product(*(np.flatnonzero(row) for row in allowed))
    points = {(first[rows, list(p)].sum(), second[rows, list(p)].sum()) for p in picks}
    points = {p for p in points if p[1] <= limit}
    return {p for p in points if not any(q != p and q[0] <= p[0] and q[1] <= p[1] for q in points)}


@settings(max_examples=300, deadline=None)
@given(tables(), st.sampled_from([np.inf, 30.0, 5.0]))
def test_the_front_is_that_of_brute_force_and_its_choices_reach_it(table, limit):
    first, second, allowed = table
    front = minimise_both(first, second, allowed, limit=limit)
    assert len(front) == len(expected := brute_force(first, second, allowed, limit))
    assert set(zip(front.first, front.second, strict=True)) == expected
    rows = np.arange(len(first))
    for point, choice in enumerate(front.choices):
        assert allowed[rows, choice].all()
        assert first[rows, choice].sum() == front.first[point]
        assert second[rows, choice].sum() == front.second[point]


@settings(max_examples=100, deadline=None)
@given(tables())
def test_every_knapsack_optimum_lies_on_the_front(table):
    first, second, allowed = table
    front = minimise_both(first, second, allowed)
    for capacity in range(int(second.sum()) + 1):
        within = front.first[front.second <= capacity]
        assert minimise_sum(first, second, capacity, allowed).value == (within.min() if len(within) else np.inf)


def test_a_sum_that_is_the_limit_itself_stays():
    """The parts, 0.3 and what the least of the others take, round to more than their sum."""
    second = np.array([[0.3], [0.2], [0.1]])
    front = minimise_both(np.ones((3, 1)), second, limit=0.3 + 0.2 + 0.1)
    assert front.second.tolist() == [0.3 + 0.2 + 0.1]
    assert not len(minimise_both(np.ones((3, 1)), second, limit=np.nextafter(0.3 + 0.2 + 0.1, 0)))


def test_more_states_than_allowed_are_an_error():
    powers = 2.0 ** np.arange(12)
    with pytest.raises(InputError, match=r"max_points=100: 128 trade-offs after 7 of 12 groups"):
        minimise_both(np.stack((powers, 0 * powers), 1), np.stack((0 * powers, powers), 1), max_points=100)
