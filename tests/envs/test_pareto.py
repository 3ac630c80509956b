"""Hypervolume against the volume of a grid, and fronts against all pairs."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as hs
from hypothesis.extra import numpy as hnp

pytest.importorskip("moocore", reason="extra bo")

from accelgym.costmodels.errors import InputError
from accelgym.envs.pareto import hypervolume, nondominated, relative_hypervolume

POINTS = hs.integers(1, 4).flatmap(
    lambda m: hnp.arrays(np.float64, hs.tuples(hs.integers(1, 14), hs.just(m)), elements=hs.integers(0, 7))
)


@given(POINTS)
def test_it_counts_the_cells_of_a_grid(points):
    m = points.shape[1]
    cells = np.stack(np.meshgrid(*[np.arange(6)] * m, indexing="ij"), axis=-1).reshape(-1, m)
    dominated = (points[:, None] <= cells).all(axis=2).any(axis=0)
    assert hypervolume(points, np.full(m, 6.0)) == pytest.approx(dominated.sum())


@given(POINTS)
def test_points_that_none_dominates_are_found(points):
    no_worse, better = (points[:, None] <= points).all(axis=2), (points[:, None] < points).any(axis=2)
    np.testing.assert_array_equal(nondominated(points), ~(no_worse & better).any(axis=0))


def test_relative_hypervolume_is_that_of_two_rectangles():
    front = np.array([[0.0, 1.0], [1.0, 0.0]])
    # Corner at (1.1, 1.1): the union of 1.1 x 0.1 and 0.1 x 1.1.
    assert relative_hypervolume(front, front) == pytest.approx(1.0)
    assert relative_hypervolume(front[:1], front) == pytest.approx(0.11 / (0.11 + 0.1 * 1.0))
    assert relative_hypervolume(np.full((1, 2), np.inf), front) == 0.0
    # The corner at the worst of each: the ends of a front add nothing.
    three = np.array([[0.0, 4.0], [1.0, 1.0], [4.0, 0.0]])
    assert relative_hypervolume([[2.0, 2.0]], three, beyond=1.0) == pytest.approx(4 / 9)


@pytest.mark.parametrize("odd", [np.nan, np.inf, -np.inf])
def test_rows_that_are_not_finite_do_not_count(odd):
    front = np.array([[0.0, 1.0], [1.0, 0.0]])
    assert relative_hypervolume([[odd, 0.0], *front[:1]], front) == relative_hypervolume(front[:1], front)
    assert relative_hypervolume([[odd, 0.0]], front) == relative_hypervolume([], front) == 0.0


def test_no_point_dominates_nothing():
    assert hypervolume(np.zeros((0, 2)), [1.0, 1.0]) == 0.0
    assert hypervolume([[np.inf, np.inf]], [1.0, 1.0]) == 0.0


@pytest.mark.parametrize("points", [[[0.0, 1.0, 2.0]], [[np.nan, 0.0]], [0.0, 1.0]])
def test_points_of_another_shape_are_refused(points):
    with pytest.raises(InputError, match=r"points|nan"):
        hypervolume(points, [3.0, 3.0])
