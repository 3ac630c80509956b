"""Canonical optima against a plain search."""

import numpy as np
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import array_shapes, arrays

from accelgym.dse_dataset.optimum import find_optima

VALUES = st.sampled_from([1.0, 2.0, 3.0, 7.0, np.inf])


@given(arrays(np.float64, array_shapes(min_dims=2, max_dims=2, max_side=9), elements=VALUES), st.integers(1, 12))
def test_optima_are_those_of_a_sorted_list(objective, top):
    found = find_optima(objective.copy(), top)
    for row, values in enumerate(objective):
        order = sorted((v, i) for i, v in enumerate(values.tolist()) if np.isfinite(v))
        expected = [i for _, i in order][:top]
        assert found.top[row].tolist() == expected + [-1] * (top - len(expected))
        assert found.feasible[row] == len(order)
        assert found.best[row] == (expected[0] if expected else -1)
        assert found.ties[row] == sum(v == order[0][0] for v, _ in order) if order else found.ties[row] == 0


def test_rounding_does_not_break_a_tie():
    objective = np.array([[3.0, 1.0 + 1e-15, 1.0, 2.0]])
    assert find_optima(objective.copy(), 1).best.tolist() == [2]
    loose = find_optima(objective.copy(), 3, 1e-12)
    assert (loose.best[0], loose.ties[0], loose.top[0].tolist()) == (1, 2, [1, 2, 3])
