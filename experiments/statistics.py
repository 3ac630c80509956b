"""Statistics of repeated searches: robust means with intervals, curves, hitting times and comparisons.

The aggregate is the interquartile mean with percentile intervals from a stratified bootstrap, as recommended by
Agarwal et al., "Deep Reinforcement Learning at the Edge of the Statistical Precipice", NeurIPS 2021. Expected
running times and their empirical distribution over targets follow Hansen et al., "COCO: A Platform for Comparing
Continuous Optimizers in a Black-Box Setting", 2021. Scores are regrets: smaller is better, ``inf`` where a search
found nothing feasible.
"""

from __future__ import annotations

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
    "expected_running_time",
    "hitting_times",
    "iqm",
    "iqm_interval",
    "probability_of_improvement",
    "resample",
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
    one, other = (_ranks(np.asarray(values, dtype=np.float64)) for values in (first, second))
    if min(one.std(), other.std()) == 0:
        return 0.0
    both: FloatArray = np.asarray(np.corrcoef(np.stack((one, other))))
    return float(both[0, 1])


def _ranks(values: FloatArray) -> FloatArray:
    _, place, count = np.unique(values, return_inverse=True, return_counts=True)
    ends = np.cumsum(count)
    return np.asarray((ends - (count - 1) / 2)[place], dtype=np.float64)
