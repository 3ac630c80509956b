"""Unified ordinal vectors: encoding and decoding are inverses, and heads decode what they encode."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from accelgym.agents.uov.ordinal import HEADS, OrdinalCode, level_code
from accelgym.costmodels.errors import InputError

SIZES = st.integers(1, 128).flatmap(lambda levels: st.tuples(st.just(levels), st.integers(1, levels)))


@given(SIZES)
def test_every_level_comes_back(size):
    code = OrdinalCode(*size)
    levels = np.arange(code.levels)
    assert np.allclose(code.decode(code.encode(levels)), levels, atol=1e-9)


@given(SIZES, st.floats(0, 1))
def test_so_does_every_number_between_levels(size, share):
    code = OrdinalCode(*size)
    y = share * (code.levels - 1)
    assert code.decode(code.encode(y)) == pytest.approx(y, abs=1e-9)


@given(SIZES)
def test_vectors_rise_with_the_level_and_stay_below_one(size):
    vectors = OrdinalCode(*size).encode(np.arange(size[0]))
    assert vectors.shape == size
    assert (np.diff(vectors, axis=0) >= 0).all()
    assert ((vectors >= 0) & (vectors <= 1)).all()
    assert len(np.unique(vectors, axis=0)) == size[0]


def test_a_bucket_of_sixteen_by_hand():
    """64 levels in 16 buckets of 4: level 6 lies 6/4 beyond the first boundary and 2/4 beyond the second."""
    vector = OrdinalCode(64, 16).encode(6)
    assert vector[:3] == pytest.approx([1 - np.exp(-1.5), 1 - np.exp(-0.5), 0.0])
    assert OrdinalCode(64, 16).decode(vector) == pytest.approx(6.0)


@given(SIZES)
def test_a_head_that_says_the_vector_of_a_level_says_that_level(size):
    levels, buckets = size
    code = level_code("uov", levels, buckets)
    u = np.clip(OrdinalCode(levels, buckets).encode(np.arange(levels)), 1e-12, 1 - 1e-12)
    scores = np.log(u / (1 - u)) @ code.table.T + code.offset
    assert (scores.argmax(axis=1) == np.arange(levels)).all()


def test_scores_are_divergences_up_to_a_constant():
    code = level_code("uov", 12, 4)
    t = OrdinalCode(12, 4).encode(np.arange(12))
    z = np.random.default_rng(0).normal(size=4)
    u = 1 / (1 + np.exp(-z))
    with np.errstate(divide="ignore", invalid="ignore"):
        terms = np.where(t > 0, t * np.log(t / u), 0.0) + np.where(t < 1, (1 - t) * np.log((1 - t) / (1 - u)), 0.0)
    assert np.ptp(z @ code.table.T + code.offset + terms.sum(axis=1)) == pytest.approx(0, abs=1e-9)


@pytest.mark.parametrize("head", HEADS)
def test_every_head_can_say_every_level(head):
    levels = np.arange(24)
    u = np.clip(OrdinalCode(24, 24).encode(levels), 1e-12, 1 - 1e-12)
    outputs = {"uov": np.log(u / (1 - u)), "softmax": np.eye(24), "regression": levels[:, None] / 23}[head]
    code = level_code(head, 24, 24)
    assert ((outputs @ code.table.T + code.offset).argmax(axis=1) == levels).all()


@pytest.mark.parametrize(("levels", "buckets"), [(4, 0), (4, 5), (0, 1)])
def test_impossible_bucket_counts_are_refused(levels, buckets):
    with pytest.raises(InputError, match=f"buckets is {buckets}, allowed: 1"):
        OrdinalCode(levels, buckets)


def test_an_unknown_head_is_refused():
    with pytest.raises(InputError, match=r"head 'uovs'.*uov"):
        level_code("uovs", 4, 4)
