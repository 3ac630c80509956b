"""Hypervolume against moocore, and against the volume of a grid."""

import moocore
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as hs
from hypothesis.extra import numpy as hnp

from accelgym.costmodels.errors import InputError
from accelgym.experiments.hypervolume import hypervolume, nondominated

POINTS = hs.integers(1, 4).flatmap(
    lambda m: hnp.arrays(np.float64, hs.tuples(hs.integers(1, 14), hs.just(m)), elements=hs.integers(0, 7))
)


@given(POINTS)
def test_it_counts_the_cells_of_a_grid(points):
    m = points.shape[1]
    cells = np.stack(np.meshgrid(*[np.arange(6)] * m, indexing="ij"), axis=-1).reshape(-1, m)
    dominated = (points[:, None] <= cells).all(axis=2).any(axis=0)
    assert hypervolume(points, np.full(m, 6.0)) == pytest.approx(dominated.sum())


@given(POINTS.filter(lambda x: x.shape[1] > 1), hs.integers(0, 2**32 - 1))
def test_it_is_moocores(points, seed):
    moved = points + np.random.default_rng(seed).random(points.shape)
    end = np.full(points.shape[1], 6.5)
    assert hypervolume(moved, end) == pytest.approx(moocore.hypervolume(moved, ref=end), rel=1e-10, abs=1e-12)
    kept = moocore.is_nondominated(moved, keep_weakly=True)
    np.testing.assert_array_equal(nondominated(moved), kept)


def test_no_point_dominates_nothing():
    assert hypervolume(np.zeros((0, 2)), [1.0, 1.0]) == 0.0
    assert hypervolume([[np.inf, np.inf]], [1.0, 1.0]) == 0.0


@pytest.mark.parametrize("points", [[[0.0, 1.0, 2.0]], [[np.nan, 0.0]], [0.0, 1.0]])
def test_points_of_another_shape_are_refused(points):
    with pytest.raises(InputError, match=r"points|nan"):
        hypervolume(points, [3.0, 3.0])
