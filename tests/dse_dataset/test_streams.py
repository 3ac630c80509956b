"""A row's random numbers depend on seed and row alone."""

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from accelgym.dse_dataset.layers import draw_airchitect, draw_log_uniform
from accelgym.dse_dataset.streams import RowStreams, mix

ROWS = np.arange(5000)


@given(st.integers(0, 2**63 - 1), st.integers(0, 4990), st.integers(0, 63))
def test_a_row_draws_the_same_alone_and_among_others(seed, row, draw):
    together = RowStreams.of(seed, ROWS).uniform(draw)[row]
    assert RowStreams.of(seed, np.array([row])).uniform(draw)[0] == together
    assert 0 <= together < 1


def test_splitmix64_is_the_published_one():
    # First outputs of the generator with state 0, as in the reference implementation by Vigna.
    golden = 0x9E3779B97F4A7C15
    states = np.array([golden * n % 2**64 for n in (1, 2, 3)], dtype=np.uint64)
    assert mix(states).tolist() == [0xE220A8397B1DCDAF, 0x6E789E6AA1B965F4, 0x06C45D188009454F]


def test_draws_are_even_and_unrelated():
    streams = RowStreams.of(7, np.arange(40_000))
    first, second = streams.uniform(0), streams.uniform(1)
    again = streams.again(np.arange(40_000)).uniform(0)
    other = RowStreams.of(8, np.arange(40_000)).uniform(0)
    for values in (first, second, again, other):
        assert np.abs(np.histogram(values, 20, (0, 1))[0] / 2000 - 1).max() < 0.15
    for values in (second, again, other, np.roll(first, 1)):
        assert abs(np.corrcoef(first, values)[0, 1]) < 0.02


@given(st.integers(1, 300), st.integers(0, 5000))
def test_log_integers_stay_in_range_and_spread_over_octaves(low, more):
    high = low + more
    values = RowStreams.of(1, ROWS).log_integers(3, low, high)
    assert values.min() >= low
    assert values.max() <= high
    if high >= 16 * low:
        per_octave = [np.mean((values >= low * 2**i) & (values < low * 2 ** (i + 1))) for i in range(3)]
        assert max(per_octave) < 1.25 * min(per_octave)


def test_samplers_keep_to_their_ranges():
    grid = draw_airchitect(RowStreams.of(0, ROWS))
    assert set(np.unique(grid.K)) <= set(range(2, 513, 2))
    assert set(np.unique(grid.Y)) == {1, *range(8, 257, 8)}
    assert set(np.unique(grid.R)) == {1, 3, 5, 7, 9}
    free = draw_log_uniform(RowStreams.of(0, ROWS))
    assert free.legal.all()
    product = (free.R == 1) & (free.X == 1) & ~free.depthwise
    assert 0.35 < product.mean() < 0.5
    assert (free.K[free.depthwise] == 1).all()
    assert free.K.max() > 14_000
