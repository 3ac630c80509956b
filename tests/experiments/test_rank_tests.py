"""Tests of differences between agents, against SciPy, enumeration and published tables."""

import itertools

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as hs
from hypothesis.extra import numpy as hnp
from scipy import stats

from accelgym.costmodels.errors import InputError
from accelgym.experiments.rank_tests import (
    critical_difference,
    friedman,
    groups_alike,
    holm,
    wilcoxon,
    wilcoxon_holm,
)

SCORES = hnp.arrays(np.float64, hs.tuples(hs.integers(2, 9), hs.integers(3, 6)), elements=hs.integers(0, 6))


@given(SCORES)
def test_friedmans_statistic_is_scipys_and_its_f_form_that_of_iman_and_davenport(scores):
    found = friedman(scores)
    tasks, agents = scores.shape
    if all(len(set(row)) == 1 for row in scores.tolist()):
        assert (found.chi_square, found.p_value) == (0.0, 1.0)
        return
    expected = stats.friedmanchisquare(*scores.T).statistic
    assert found.chi_square == pytest.approx(expected, abs=1e-9)
    rest = tasks * (agents - 1) - expected
    if rest > 1e-6 and expected > 1e-9:
        f = (tasks - 1) * expected / rest
        assert found.p_value == pytest.approx(stats.f.sf(f, agents - 1, (agents - 1) * (tasks - 1)), rel=1e-6)
    assert np.mean(found.mean_ranks) == pytest.approx((agents + 1) / 2)


@pytest.mark.parametrize("row", [[1, 2, 3], [1, 1, 3], [2, 1, 4, 3]])
def test_tasks_that_all_rank_alike_have_the_share_of_permutations_that_do(row):
    tasks = 3
    others = list(itertools.product(itertools.permutations(row), repeat=tasks - 1))
    alike = np.mean([all(list(p) == row for p in rest) for rest in others])
    assert friedman([row] * tasks).p_value == pytest.approx(alike)


def test_a_search_that_finds_nothing_is_last_and_shares_that_rank():
    found = friedman([[0.1, np.inf, np.inf], [0.2, 0.3, np.inf]])
    assert found.mean_ranks == (1.0, 2.25, 2.75)


@pytest.mark.parametrize(
    ("agents", "level", "q"), [(2, 0.05, 1.960), (5, 0.05, 2.728), (10, 0.05, 3.164), (4, 0.10, 2.291)]
)
def test_the_critical_difference_has_demsars_constants(agents, level, q):
    # Demsar 2006, table 5a.
    assert critical_difference(14, agents, level=level) == pytest.approx(
        q * np.sqrt(agents * (agents + 1) / (6 * 14)), rel=1e-3
    )


@given(hs.lists(hs.integers(-6, 6), min_size=1, max_size=9))
def test_wilcoxon_is_the_share_of_sign_patterns_that_are_as_uneven(differences):
    given_ = np.array(differences, dtype=np.float64)
    kept = given_[given_ != 0]
    if not len(kept):
        assert wilcoxon(given_, np.zeros_like(given_)) == 1.0
        return
    rank = stats.rankdata(np.abs(kept))
    sums = [rank[np.array(signs, dtype=bool)].sum() for signs in itertools.product((0, 1), repeat=len(kept))]
    least = min(rank[kept > 0].sum(), rank[kept < 0].sum())
    expected = min(1.0, 2 * np.mean(np.array(sums) <= least + 1e-9))
    assert wilcoxon(given_, np.zeros_like(given_)) == pytest.approx(expected)


@given(hs.integers(3, 40), hs.integers(0, 2**32 - 1))
def test_wilcoxon_without_ties_is_scipys_exact_one(tasks, seed):
    x, y = np.random.default_rng(seed).random((2, tasks))
    assert wilcoxon(x, y) == pytest.approx(stats.wilcoxon(x, y, method="exact").pvalue)


def test_many_pairs_take_the_normal_distribution():
    x, y = np.random.default_rng(3).random((2, 500))
    expected = stats.wilcoxon(x, y + 0.02, method="approx", correction=False).pvalue
    assert wilcoxon(x, y + 0.02) == pytest.approx(expected, rel=1e-9)


def test_searches_that_find_nothing_tie_and_lose():
    assert wilcoxon([np.inf, np.inf], [np.inf, np.inf]) == 1.0
    # All ten signs alike: two patterns of 2^10.
    assert wilcoxon([np.inf] * 10, list(range(10))) == pytest.approx(2 / 2**10)


@given(hs.lists(hs.floats(0, 1), min_size=1, max_size=8))
def test_holm_rejects_what_the_step_down_procedure_rejects(p_values):
    corrected = holm(p_values)
    assert all(0 <= p <= c <= 1 for p, c in zip(p_values, corrected, strict=True))
    for level in (0.01, 0.05, 0.2, 0.5):
        rejected = set()
        for place, index in enumerate(sorted(range(len(p_values)), key=lambda i: p_values[i])):
            if p_values[index] * (len(p_values) - place) > level:
                break
            rejected.add(index)
        assert {i for i, c in enumerate(corrected) if c <= level} == rejected


@settings(max_examples=20)
@given(SCORES)
def test_every_pair_is_tested_and_counted(scores):
    found = wilcoxon_holm(scores)
    assert [(t.first, t.second) for t in found] == list(itertools.combinations(range(scores.shape[1]), 2))
    for test in found:
        x, y = scores[:, test.first], scores[:, test.second]
        assert (test.wins, test.losses) == (int((x < y).sum()), int((x > y).sum()))
        assert test.p_value == wilcoxon(x, y)
    assert [t.corrected for t in found] == holm([t.p_value for t in found])


@pytest.mark.parametrize("scores", [[[1.0, 2.0]], [[1.0], [2.0]], [1.0, 2.0], [[1.0, np.nan], [1.0, 2.0]]])
def test_a_table_that_says_nothing_is_refused(scores):
    with pytest.raises(InputError, match="scores"):
        friedman(scores)


@given(hs.lists(hs.integers(0, 12), min_size=1, max_size=7), hs.integers(1, 8))
def test_groups_are_the_largest_sets_within_the_difference(ranks, difference):
    within = [
        set(chosen)
        for size in range(2, len(ranks) + 1)
        for chosen in itertools.combinations(range(len(ranks)), size)
        if max(ranks[i] for i in chosen) - min(ranks[i] for i in chosen) < difference
    ]
    largest = [one for one in within if not any(one < other for other in within)]
    found = groups_alike(ranks, difference)
    assert sorted(map(sorted, found)) == sorted(map(sorted, largest))
    assert all([ranks[i] for i in group] == sorted(ranks[i] for i in group) for group in found)


def test_groups_of_demsars_picture():
    """Four classifiers of his figure 1 (a): two groups that overlap, at a critical difference of 1.25."""
    assert groups_alike([3.143, 2.000, 2.893, 1.964], 1.25) == [(3, 1, 2, 0)]
    assert groups_alike([3.143, 2.000, 2.893, 1.964], 1.16) == [(3, 1, 2), (1, 2, 0)]
