"""Statistics against closed forms, enumeration and SciPy."""

import itertools

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as hs
from hypothesis.extra import numpy as hnp
from scipy import stats

from accelgym.experiments import statistics as st

REGRETS = hs.floats(0, 100, allow_subnormal=False)


@given(hnp.arrays(np.float64, hs.integers(1, 40), elements=REGRETS))
def test_iqm_is_scipys_trimmed_mean(scores):
    assert st.iqm(scores) == pytest.approx(stats.trim_mean(scores, 0.25), rel=1e-12, abs=1e-12)


def test_iqm_forgets_a_quarter_of_failed_runs_and_no_more():
    assert st.iqm([1.0, 2.0, 3.0, np.inf]) == 2.5
    assert st.iqm([1.0, 2.0, np.inf, np.inf]) == np.inf


def test_the_interval_is_the_quantile_of_all_bootstrap_samples():
    scores = np.array([0.1, 0.4, 0.9, 1.6, 3.0])
    exact = np.sort([st.iqm(np.array(s)) for s in itertools.product(scores, repeat=5)])
    found = st.iqm_interval([scores], repeats=40_000, level=0.9)
    assert found.value == pytest.approx(scores[1:4].mean())
    for end, tail in ((found.low, 0.05), (found.high, 0.95)):
        # Its rank among all 5^5 equally likely samples is the tail, up to the noise of 40,000 draws.
        below, up_to = (exact < end - 1e-12).mean(), (exact <= end + 1e-12).mean()
        assert below - 0.01 <= tail <= up_to + 0.01


def test_the_bootstrap_keeps_every_task_in_every_sample():
    sample = st.resample([np.zeros(3), np.ones(2)], np.random.default_rng(0), 200)
    assert sample.shape == (200, 5)
    assert (sample.sum(axis=1) == 2).all()
    found = st.iqm_interval([np.zeros(4), np.ones(4)])
    assert (found.value, found.low, found.high) == (0.5, 0.5, 0.5)


def test_a_run_without_a_feasible_design_makes_an_infinite_end_and_no_nan():
    found = st.iqm_interval([np.array([0.1, 0.2, 0.3, 0.4, np.inf])])
    assert found.value == pytest.approx(0.3)
    assert np.isfinite(found.low)
    assert found.high == np.inf


@given(hs.integers(1, 10**6), hs.integers(2, 80))
def test_the_grid_runs_from_one_evaluation_to_the_budget(budget, points):
    grid = st.evaluation_grid(budget, points)
    assert grid[0] == 1
    assert grid[-1] == budget
    assert (np.diff(grid) > 0).all()


def test_curves_are_read_at_the_grid_and_stay_level_after_the_end():
    curves = [np.array([5.0, 4.0, 3.0]), np.array([2.0]), np.zeros(0)]
    found = st.curves_on_grid(curves, np.array([1, 3, 7]))
    assert found.tolist() == [[5, 3, 3], [2, 2, 2], [np.inf] * 3]


@given(hs.lists(hnp.arrays(np.float64, hs.integers(0, 12), elements=REGRETS), min_size=1, max_size=5), REGRETS)
def test_hitting_times_are_those_of_a_loop(values, target):
    curves = [np.minimum.accumulate(v) for v in values]
    expected = [next((i for i, x in enumerate(curve, start=1) if x <= target), np.inf) for curve in curves]
    assert st.hitting_times(curves, target).tolist() == expected


@given(hs.integers(1, 9), hs.integers(0, 9), hs.floats(1, 50), hs.floats(50, 500))
def test_expected_running_time_is_that_of_independent_restarts(hits, misses, time, budget):
    times = np.array([time] * hits + [np.inf] * misses)
    spent = np.array([time] * hits + [budget] * misses)
    success = hits / (hits + misses)
    expected = time + (1 - success) / success * budget
    assert st.expected_running_time(times, spent) == pytest.approx(expected)


def test_no_success_has_no_expected_running_time():
    assert st.expected_running_time(np.array([np.inf, np.inf]), np.array([10.0, 10.0])) == np.inf


@given(hnp.arrays(np.float64, (3, 4), elements=hs.one_of(hs.integers(1, 20), hs.just(np.inf))))
def test_ecdf_is_scipys(times):
    grid = np.arange(1, 21)
    finite = times[np.isfinite(times)]
    share = stats.ecdf(finite).cdf.evaluate(grid) * finite.size / times.size if finite.size else np.zeros(20)
    assert st.ecdf(times, grid) == pytest.approx(share)


@given(
    hnp.arrays(np.float64, hs.integers(2, 8), elements=hs.integers(0, 5)),
    hnp.arrays(np.float64, hs.integers(2, 8), elements=hs.integers(0, 5)),
)
def test_probability_of_improvement_is_mann_whitneys(ours, theirs):
    found = st.probability_of_improvement([ours], [theirs], repeats=20)
    u = stats.mannwhitneyu(theirs, ours, method="asymptotic").statistic if np.ptp([*ours, *theirs]) else None
    expected = 0.5 if u is None else u / (len(ours) * len(theirs))
    assert found.value == pytest.approx(expected)
    assert 0 <= found.low <= found.high <= 1


def test_the_interval_of_the_probability_of_improvement_is_the_quantile_of_all_samples():
    ours, theirs = np.array([1.0, 3.0, 5.0]), np.array([2.0, 4.0, 6.0])
    every = [
        np.mean([x < y for x in xs for y in ys])
        for xs in itertools.product(ours, repeat=3)
        for ys in itertools.product(theirs, repeat=3)
    ]
    found = st.probability_of_improvement([ours], [theirs], repeats=20_000, level=0.8)
    for end, tail in ((found.low, 0.1), (found.high, 0.9)):
        below, up_to = np.mean(np.array(every) < end - 1e-12), np.mean(np.array(every) <= end + 1e-12)
        assert below - 0.01 <= tail <= up_to + 0.01


RUNS = hs.lists(hs.tuples(hs.integers(1, 12), hs.booleans()), min_size=1, max_size=12)


@given(RUNS)
def test_kaplan_meier_is_scipys_with_censored_runs(runs):
    time, hit = (np.array(column) for column in zip(*runs, strict=True))
    events, share = st.kaplan_meier(np.where(hit, time, np.inf), time.astype(float))
    if not hit.any():
        assert len(events) == 0
        return
    data = stats.CensoredData(uncensored=time[hit], right=time[~hit])
    expected = stats.ecdf(data).cdf.evaluate(events)
    assert share == pytest.approx(expected, abs=1e-12)


def test_the_median_time_counts_given_up_runs_as_longer():
    times, spent = np.array([3.0, 5.0, np.inf, np.inf]), np.array([3.0, 5.0, 9.0, 4.0])
    # At 3, 4 at risk: 1/4. At 5, one of the 2 left: 1 - 3/4 * 1/2 = 0.625.
    assert st.kaplan_meier(times, spent)[1].tolist() == [0.25, 0.625]
    assert st.time_to_success(times, spent) == 5.0
    assert st.time_to_success(times, spent, 0.7) == np.inf
    assert st.time_to_success(np.array([2.0, 4.0, 6.0]), np.array([2.0, 4.0, 6.0])) == 4.0


@given(hs.integers(0, 30), hs.integers(0, 30))
def test_the_interval_of_a_success_rate_is_wilsons(hits, misses):
    if hits + misses == 0:
        return
    found = st.success_rate(hits, hits + misses)
    expected = stats.binomtest(hits, hits + misses).proportion_ci(0.95, method="wilson")
    assert (found.low, found.high) == pytest.approx((expected.low, expected.high), abs=1e-12)


def test_a_performance_profile_weighs_tasks_alike_and_its_band_is_binomial():
    strata = [np.array([0.0, 0.0, 1.0, 1.0, 1.0]), np.array([0.0])]
    found = st.performance_profile(strata, np.array([-1.0, 0.5, 2.0]), repeats=40_000, level=0.9)
    assert found.value.tolist() == pytest.approx([0.0, (0.4 + 1.0) / 2, 1.0])
    for end, tail in ((found.low[1], 0.05), (found.high[1], 0.95)):
        below = stats.binom.cdf(round((2 * end - 1) * 5) - 1, 5, 0.4)
        assert below - 0.01 <= tail <= stats.binom.cdf(round((2 * end - 1) * 5), 5, 0.4) + 0.01


def test_a_ratio_profile_counts_tasks_within_a_factor_of_the_best():
    costs = np.array([[10.0, 20.0], [np.inf, 5.0], [np.inf, np.inf]])
    assert st.ratio_profile(costs, np.array([1.0, 2.0])).tolist() == [[1 / 3, 1 / 3], [1 / 3, 2 / 3]]


@given(hs.lists(hs.tuples(hs.integers(0, 4), hs.integers(-9, 9)), min_size=1, max_size=7))
def test_the_expected_best_of_k_is_the_mean_over_all_subsets(settings):
    chosen_by, worth = (np.array(column, dtype=float) for column in zip(*settings, strict=True))
    found = st.expected_best_of(chosen_by, worth)
    for k in range(1, len(settings) + 1):
        picks = []
        for subset in map(list, itertools.combinations(range(len(settings)), k)):
            least = chosen_by[subset].min()
            # Of settings that are equal all over, not only in this subset: each is as likely to be the one measured.
            picks.append(worth[chosen_by == least].mean())
        assert found[k - 1] == pytest.approx(np.mean(picks), abs=1e-9)


def test_the_expected_best_of_k_falls_and_ends_at_the_best():
    scores = np.random.default_rng(1).random(30)
    curve = st.expected_best_of(scores)
    assert curve[0] == pytest.approx(scores.mean())
    assert curve[-1] == scores.min()
    assert (np.diff(curve) < 0).all()
    assert st.expected_best_of(np.array([1.0, np.inf])).tolist() == [np.inf, 1.0]
