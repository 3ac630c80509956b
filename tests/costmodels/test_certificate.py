"""One definition of regret."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as hs

from accelgym.costmodels.certificate import Certificate, relative_gap
from accelgym.costmodels.errors import BoundError

POSITIVE = hs.floats(1e-6, 1e12)


def certificate(value, bound):
    return Certificate(value, (0,), bound, (value - bound) / value if value else 0.0, "by hand")


@given(POSITIVE, hs.floats(1, 100))
def test_to_an_optimum_it_is_the_ratio_minus_1(optimum, factor):
    found = certificate(optimum, optimum).regret(optimum * factor)
    assert found == pytest.approx(factor - 1, abs=1e-9)
    assert found >= 0


@given(POSITIVE, hs.floats(0.1, 0.99), hs.floats(1, 100))
def test_with_a_gap_it_is_never_less_than_the_regret_to_the_true_optimum(value, share, factor):
    proof = certificate(value, value * share)
    assert proof.regret(value * factor) >= factor - 1
    assert proof.regret(proof.lower_bound) == 0


def test_it_keeps_the_shape_and_the_infinite():
    proof = certificate(2.0, 2.0)
    np.testing.assert_array_equal(proof.regret(np.array([[2.0, 3.0, np.inf]])), [[0.0, 0.5, np.inf]])
    assert isinstance(proof.regret(2.0), float)
    assert proof.regret(np.inf) == np.inf
    assert proof.regret(np.zeros(0)).shape == (0,)


@pytest.mark.parametrize("value", [1.9, -5.0, 0.0, -np.inf, np.nan])
def test_an_objective_below_the_bound_is_an_error(value):
    proof = Certificate(2.5, (0,), 2.0, 0.2, "by hand")
    with pytest.raises(BoundError, match=r"below the certified bound 2\.0 \(by hand\)"):
        proof.regret(value)
    with pytest.raises(BoundError):
        proof.regret(np.array([3.0, value]))


def test_the_order_of_a_sum_is_no_error_and_no_regret():
    proof = certificate(3.0, 3.0)
    assert proof.regret(3.0 * (1 - 1e-12)) == 0.0
    assert proof.regret(3.0 * (1 + 1e-12)) == 0.0


def test_an_optimum_of_zero_and_bounds_that_say_nothing():
    assert certificate(0.0, 0.0).regret(np.array([0.0, 1.0])).tolist() == [0.0, np.inf]
    assert Certificate(4.0, (0,), 0.0, 1.0, "").regret(6.0) == 0.5
    assert Certificate(4.0, (0,), -np.inf, np.inf, "").regret(2.0) == -0.5
    nothing = Certificate(np.inf, None, np.inf, 0.0, "")
    assert nothing.regret(np.inf) == np.inf
    with pytest.raises(BoundError):
        nothing.regret(1.0)


def test_json_keeps_it():
    for proof in (certificate(3.5, 3.0), Certificate(np.inf, None, np.inf, 0.0, "m", ("r",), 3, 0.5)):
        data = {k: None if isinstance(v, float) and np.isinf(v) else v for k, v in proof.to_json().items()}
        assert Certificate.from_json(data) == proof


def test_the_gap_of_what_costs_nothing_is_none():
    assert [relative_gap(0.0, 0.0), relative_gap(4.0, 4.0), relative_gap(4.0, 3.0)] == [0.0, 0.0, 0.25]
