"""Statistics of repeated searches: robust means with intervals, curves, hitting times and comparisons.

The aggregate is the interquartile mean with percentile intervals from a stratified bootstrap, as recommended by
Agarwal et al., "Deep Reinforcement Learning at the Edge of the Statistical Precipice", NeurIPS 2021. Expected
running times and their empirical distribution over targets follow Hansen et al., "COCO: A Platform for Comparing
Continuous Optimizers in a Black-Box Setting", 2021. Scores are regrets: smaller is better, ``inf`` where a search
found nothing feasible. A search that missed a target is a censored observation: its time is known to be longer than
what it spent.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

__all__ = [
    "Interval",
    "curves_on_grid",
    "ecdf",
    "evaluation_grid",
    "expected_best_of",
    "expected_running_time",
    "hitting_times",
    "iqm",
    "iqm_interval",
    "kaplan_meier",
    "performance_profile",
    "probability_of_improvement",
    "rank_correlation",
    "ranks",
    "ratio_profile",
    "resample",
    "success_rate",
    "time_to_success",
]

FloatArray = npt.NDArray[np.float64]


@dataclass(frozen=True)
class Interval:
    """A figure with its confidence interval; arrays when the figure is a curve."""

    value: Any
    low: Any
    high: Any


def iqm(scores: Any, axis: int = -1) -> Any:
    """Interquartile mean: the mean without the ``floor(n / 4)`` smallest and largest of ``n`` scores.

    Args:
        scores: Scores; ``inf`` counts as the worst.
        axis: Axis to reduce; it must not be empty.

    Returns:
        The scores' shape without ``axis``; a scalar for a vector.
    """
    ordered = np.sort(np.moveaxis(np.asarray(scores, dtype=np.float64), axis, -1), axis=-1)
    cut = ordered.shape[-1] // 4
    return ordered[..., cut : ordered.shape[-1] - cut].mean(axis=-1)


def resample(strata: Sequence[FloatArray], rng: np.random.Generator, repeats: int) -> FloatArray:
    """Draws bootstrap samples: seeds with replacement within each task, tasks kept.

    Args:
        strata: One array per task, shape ``(runs, ...)``; the number of runs may differ.
        rng: Source of the draws.
        repeats: Samples to draw.

    Returns:
        Shape ``(repeats, runs of all tasks, ...)``.
    """
    drawn = [x[rng.integers(0, len(x), size=(repeats, len(x)))] for x in map(np.asarray, strata)]
    return np.concatenate(drawn, axis=1)


def iqm_interval(
    strata: Sequence[FloatArray],
    *,
    seed: int = 0,
    repeats: int = 2000,
    level: float = 0.95,
) -> Interval:
    """Interquartile mean over all runs of all tasks, with a stratified-bootstrap percentile interval.

    Args:
        strata: One array per task, shape ``(runs,)``, or ``(runs, points)`` for a curve.
        seed: Seed of the bootstrap.
        repeats: Bootstrap samples.
        level: Coverage of the interval.
    """
    samples = iqm(resample(strata, np.random.default_rng(seed), repeats), axis=1)
    tails = [(1 - level) / 2, (1 + level) / 2]
    # Order statistics: interpolating between a finite score and inf would give nan.
    low, high = np.quantile(samples, tails, axis=0, method="nearest")
    return Interval(iqm(np.concatenate(list(strata)), axis=0), low, high)


def evaluation_grid(budget: int, points: int = 60) -> npt.NDArray[np.int64]:
    """Evaluation counts from 1 to the budget, evenly spread on a logarithmic axis, without repeats."""
    return np.unique(np.round(np.geomspace(1, budget, points)).astype(np.int64))


def curves_on_grid(best_so_far: Sequence[FloatArray], grid: npt.NDArray[np.int64]) -> FloatArray:
    """Reads best-so-far curves at common evaluation counts.

    Args:
        best_so_far: One curve per run, shape ``(evaluations,)``; a search that ended early keeps its last value,
            one without any evaluation is ``inf`` throughout.
        grid: Evaluation counts, from 1.

    Returns:
        Shape ``(runs, points)``.
    """
    rows = [x[np.minimum(grid, len(x)) - 1] if len(x) else np.full(len(grid), np.inf) for x in best_so_far]
    return np.array(rows, dtype=np.float64).reshape(len(rows), len(grid))


def hitting_times(best_so_far: Sequence[FloatArray], target: float) -> FloatArray:
    """Evaluations until each run was at most ``target``, ``inf`` where it never was; shape ``(runs,)``."""
    times = []
    for curve in best_so_far:
        hit = np.flatnonzero(curve <= target)
        times.append(hit[0] + 1.0 if len(hit) else np.inf)
    return np.array(times, dtype=np.float64)


def expected_running_time(times: FloatArray, spent: FloatArray) -> float:
    """Expected cost to hit a target when unsuccessful searches are restarted (ERT).

    Args:
        times: Cost until the target, ``inf`` where it was missed, shape ``(runs,)``.
        spent: Cost of the whole search, charged where the target was missed, shape ``(runs,)``.

    Returns:
        All costs over the number of successes; ``inf`` without a success.
    """
    hit = np.isfinite(times)
    if not hit.any():
        return float("inf")
    return float(np.where(hit, np.where(hit, times, 0.0), spent).sum() / hit.sum())


def ecdf(times: FloatArray, grid: npt.NDArray[np.int64]) -> FloatArray:
    """Share of the hitting times that lie within each evaluation count; shape ``(points,)``."""
    return np.asarray((times.ravel()[:, None] <= grid).mean(axis=0), dtype=np.float64)


def kaplan_meier(times: FloatArray, spent: FloatArray) -> tuple[FloatArray, FloatArray]:
    """Estimates the share of searches that have hit a target by a time, where some were given up (Kaplan, Meier, 1958).

    Searches with different budgets are compared rightly: one that ended early says nothing about what came later.

    Args:
        times: Cost until the target, ``inf`` where it was missed, shape ``(runs,)``.
        spent: Cost of the whole search, shape ``(runs,)``.

    Returns:
        The distinct hitting times in order, and the estimated share at each, shapes ``(events,)``.
    """
    hit = np.isfinite(times)
    events = np.unique(times[hit])
    observed = np.where(hit, times, spent)
    at_risk = (observed >= events[:, None]).sum(axis=1)
    deaths = (times == events[:, None]).sum(axis=1)
    return events, np.asarray(1 - np.cumprod(1 - deaths / np.maximum(at_risk, 1)), dtype=np.float64)


def time_to_success(times: FloatArray, spent: FloatArray, share: float = 0.5) -> float:
    """Time by which the given share of searches has hit a target, ``inf`` where that is not observed.

    Args:
        times: As for :func:`kaplan_meier`.
        spent: Likewise.
        share: 0.5 for the median.
    """
    events, reached = kaplan_meier(times, spent)
    enough = np.flatnonzero(reached >= share - 1e-12)
    return float(events[enough[0]]) if len(enough) else float("inf")


def success_rate(successes: int, runs: int, *, level: float = 0.95) -> Interval:
    """Share of successful searches with Wilson's score interval, which holds for few runs and shares of 0 and 1.

    Args:
        successes: Searches that hit a target.
        runs: All of them, at least one.
        level: Coverage of the interval.
    """
    share, z = successes / runs, _normal_quantile((1 + level) / 2)
    centre = (share + z * z / (2 * runs)) / (1 + z * z / runs)
    half = z / (1 + z * z / runs) * math.sqrt(share * (1 - share) / runs + z * z / (4 * runs * runs))
    return Interval(share, max(0.0, centre - half), min(1.0, centre + half))


def performance_profile(
    strata: Sequence[FloatArray],
    thresholds: FloatArray,
    *,
    seed: int = 0,
    repeats: int = 2000,
    level: float = 0.95,
) -> Interval:
    """Share of runs at or below each score, tasks weighing the same, with a stratified-bootstrap band.

    The run-score distribution of Agarwal et al.

    Args:
        strata: One array of scores per task, shape ``(runs,)``.
        thresholds: Scores, shape ``(points,)``.
        seed: Seed of the bootstrap.
        repeats: Bootstrap samples.
        level: Coverage of the band.
    """
    rng = np.random.default_rng(seed)
    below = [np.asarray(x)[:, None] <= thresholds for x in strata]
    value = np.mean([b.mean(axis=0) for b in below], axis=0)
    samples = np.zeros((repeats, len(thresholds)))
    for b in below:
        # How often each run is drawn: a sample is a product of counts and runs.
        counts = rng.multinomial(len(b), np.full(len(b), 1 / len(b)), size=repeats)
        samples += counts @ b / (len(b) * len(below))
    low, high = np.quantile(samples, [(1 - level) / 2, (1 + level) / 2], axis=0)
    return Interval(value, low, high)


def ratio_profile(costs: FloatArray, factors: FloatArray) -> FloatArray:
    """Share of tasks that each agent solves within a factor of the best agent's cost (Dolan and More, 2002).

    Args:
        costs: Positive, ``inf`` where an agent does not solve a task, shape ``(tasks, agents)``.
        factors: From 1, shape ``(points,)``.

    Returns:
        Shape ``(agents, points)``; tasks that no agent solves count for none.
    """
    best = costs.min(axis=1, keepdims=True)
    ratio = np.divide(costs, best, out=np.full_like(costs, np.inf), where=np.isfinite(costs) & np.isfinite(best))
    return np.asarray((ratio[:, :, None] <= factors).mean(axis=0), dtype=np.float64)


def expected_best_of(selection: FloatArray, values: FloatArray | None = None) -> FloatArray:
    """Expected value of the best of ``k`` of ``n`` settings drawn without repeats, for every ``k``.

    The best is the one with the least ``selection``; what counts is its entry of ``values``. With both measured on
    different runs the curve is free of the optimism of a minimum over noise. Without repeats it is unbiased (Dodge et
    al., "Show Your Work", EMNLP 2019, draw with repeats, which is not).

    Args:
        selection: What settings are chosen by, shape ``(n,)``; of equal ones each is as likely.
        values: What the chosen one is worth, ``selection`` itself when left out.

    Returns:
        Shape ``(n,)``; entry ``k - 1`` is for ``k``.
    """
    chosen_by = np.asarray(selection, dtype=np.float64)
    worth = chosen_by if values is None else np.asarray(values, dtype=np.float64)
    # Equal settings share the mean of what they are worth.
    _, place = np.unique(chosen_by, return_inverse=True)
    shared = np.bincount(place, worth) / np.bincount(place)
    ordered = np.sort(place)
    n = len(chosen_by)
    # The (i + 1)th best is the best of k when the other k - 1 come from the n - 1 - i behind it.
    weight = np.array([[math.comb(n - 1 - i, k - 1) / math.comb(n, k) for i in range(n)] for k in range(1, n + 1)])
    with np.errstate(invalid="ignore"):
        terms = np.where(weight > 0, weight * shared[ordered], 0.0)
    return np.asarray(terms.sum(axis=1), dtype=np.float64)


def probability_of_improvement(
    ours: Sequence[FloatArray],
    theirs: Sequence[FloatArray],
    *,
    seed: int = 0,
    repeats: int = 2000,
    level: float = 0.95,
) -> Interval:
    """Probability that a run of ours beats one of theirs on a task, averaged over tasks; ties count half.

    Args:
        ours: One array of scores per task, shape ``(runs,)``.
        theirs: The same for the other agent, in the same order of tasks.
        seed: Seed of the bootstrap over runs.
        repeats: Bootstrap samples.
        level: Coverage of the interval.
    """
    rng = np.random.default_rng(seed)
    value, samples = 0.0, np.zeros(repeats)
    for x, y in zip(ours, theirs, strict=True):
        wins = (x[:, None] < y) + 0.5 * (x[:, None] == y)
        value += float(wins.mean()) / len(ours)
        rows = rng.integers(0, len(x), size=(repeats, len(x), 1))
        columns = rng.integers(0, len(y), size=(repeats, 1, len(y)))
        samples += wins[rows, columns].mean(axis=(1, 2)) / len(ours)
    low, high = np.quantile(samples, [(1 - level) / 2, (1 + level) / 2])
    return Interval(value, float(low), float(high))


def rank_correlation(first: Sequence[float] | FloatArray, second: Sequence[float] | FloatArray) -> float:
    """Returns Spearman's coefficient of two columns of numbers, 0 where one of them is constant.

    Equal values share their mean rank.
    """
    one, other = (ranks(np.asarray(values, dtype=np.float64)) for values in (first, second))
    if min(one.std(), other.std()) == 0:
        return 0.0
    both: FloatArray = np.asarray(np.corrcoef(np.stack((one, other))))
    return float(both[0, 1])


def ranks(values: FloatArray) -> FloatArray:
    """Returns ranks from 1, the least first; equal values share their mean rank."""
    _, place, count = np.unique(values, return_inverse=True, return_counts=True)
    ends = np.cumsum(count)
    return np.asarray((ends - (count - 1) / 2)[place], dtype=np.float64)


def _normal_quantile(probability: float) -> float:
    from statistics import NormalDist

    return NormalDist().inv_cdf(probability)
