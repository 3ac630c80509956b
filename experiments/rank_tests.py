"""Tests of whether agents differ over tasks: Friedman with critical difference, and Wilcoxon with Holm's correction.

The procedure is that of Demsar, "Statistical Comparisons of Classifiers over Multiple Data Sets", JMLR 7, 2006. That
pairs are tested by Wilcoxon and corrected after Holm follows Benavoli et al., "Should We Really Use Post-Hoc Tests
Based on Mean-Ranks?", JMLR 17, 2016: the critical difference of two agents depends on which others take part, a test of
the pair does not. Scores are to be minimised; ``inf`` is worse than every number and ties with itself.
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from accelgym.costmodels.errors import InputError, MissingExtraError
from accelgym.experiments.statistics import ranks

__all__ = [
    "Friedman",
    "PairedTest",
    "critical_difference",
    "friedman",
    "groups_alike",
    "holm",
    "wilcoxon",
    "wilcoxon_holm",
]

FloatArray = npt.NDArray[np.float64]

_MOST_EXACT = 400
"""Pairs up to which the distribution of the rank sum is counted; its table grows with the cube of that."""


@dataclass(frozen=True)
class Friedman:
    """Whether several agents have equal ranks over tasks."""

    mean_ranks: tuple[float, ...]
    """Of each agent, 1 is best; ties share their mean rank."""
    chi_square: float
    """Friedman's statistic with the correction for ties."""
    p_value: float
    """Of its F form (Iman and Davenport, 1980); exact where all tasks rank the agents alike."""
    critical_difference: float
    """Nemenyi's, at the level asked for: mean ranks that differ by less are not told apart."""


@dataclass(frozen=True)
class PairedTest:
    """Two agents over the same tasks."""

    first: int
    second: int
    p_value: float
    """Two-sided, of Wilcoxon's signed ranks."""
    corrected: float
    """After Holm, over all pairs."""
    wins: int
    """Tasks on which the first is better."""
    losses: int


def friedman(scores: Any, *, level: float = 0.05) -> Friedman:
    """Tests whether agents have equal ranks over tasks.

    Args:
        scores: Shape ``(tasks, agents)``, at least two of each.
        level: Of the critical difference.

    Raises:
        InputError: Too few tasks or agents, or a score that is not a number.
        MissingExtraError: SciPy is not installed.
    """
    table = _table(scores)
    tasks, agents = table.shape
    ranked = np.array([ranks(row) for row in table])
    means = ranked.mean(axis=0)
    ties = sum(float((n**3 - n).sum()) for n in (np.unique(row, return_counts=True)[1] for row in table))
    scale = 1 - ties / (tasks * (agents**3 - agents))
    between = 12 * tasks / (agents * (agents + 1)) * float(((means - (agents + 1) / 2) ** 2).sum())
    chi = between / scale if scale > 0 else 0.0
    most = tasks * (agents - 1)
    p = 1.0
    if chi >= most - 1e-9:
        # All tasks rank alike, where F is infinite: exactly, the probability that the others repeat the first one.
        alike = np.unique(ranked[0], return_counts=True)[1]
        p = (math.prod(math.factorial(int(n)) for n in alike) / math.factorial(agents)) ** (tasks - 1)
    elif chi > 0:
        f = (tasks - 1) * chi / (most - chi)
        p = float(_scipy_stats().f.sf(f, agents - 1, (agents - 1) * (tasks - 1)))
    return Friedman(tuple(map(float, means)), chi, p, critical_difference(tasks, agents, level=level))


def critical_difference(tasks: int, agents: int, *, level: float = 0.05) -> float:
    """Returns Nemenyi's critical difference of mean ranks.

    Args:
        tasks: Number of tasks.
        agents: Number of agents.
        level: Of the test over all pairs.

    Raises:
        MissingExtraError: SciPy is not installed.
    """
    q = float(_scipy_stats().studentized_range.isf(level, agents, np.inf)) / math.sqrt(2)
    return q * math.sqrt(agents * (agents + 1) / (6 * tasks))


def groups_alike(mean_ranks: Sequence[float], difference: float) -> list[tuple[int, ...]]:
    """Returns the largest groups of agents whose mean ranks all lie less than a critical difference apart.

    Args:
        mean_ranks: Of each agent.
        difference: As :func:`critical_difference` returns it.

    Returns:
        Positions by rank, best first, of every group of at least two that no other contains; groups may overlap.
    """
    order = sorted(range(len(mean_ranks)), key=lambda place: mean_ranks[place])
    groups, reached = [], 0
    for begin, first in enumerate(order):
        end = begin
        while end < len(order) and mean_ranks[order[end]] - mean_ranks[first] < difference:
            end += 1
        if end > max(reached, begin + 1):
            groups.append(tuple(order[begin:end]))
            reached = end
    return groups


def wilcoxon(first: Any, second: Any) -> float:
    """Two-sided p-value of Wilcoxon's signed ranks, tasks with equal scores left out.

    The distribution is counted exactly, ties included; above 400 pairs it is normal.

    Args:
        first: Scores, shape ``(tasks,)``.
        second: Those of the other agent on the same tasks.
    """
    x, y = np.asarray(first, dtype=np.float64), np.asarray(second, dtype=np.float64)
    with np.errstate(invalid="ignore"):
        difference = np.where(x == y, 0.0, x - y)
    difference = difference[difference != 0]
    if not len(difference):
        return 1.0
    # Twice the ranks are whole numbers, ties included.
    doubled = np.rint(2 * ranks(np.abs(difference))).astype(np.int64)
    positive, total = int(doubled[difference > 0].sum()), int(doubled.sum())
    least = min(positive, total - positive)
    if len(doubled) > _MOST_EXACT:
        z = (least - total / 2) / math.sqrt(float((doubled.astype(np.float64) ** 2).sum()) / 4)
        return min(1.0, math.erfc(-z / math.sqrt(2)))
    # Share of the sign patterns with each sum of positive ranks.
    share = np.zeros(total + 1)
    share[0] = 1.0
    for rank in doubled:
        share[rank:] = (share[rank:] + share[:-rank]) / 2
        share[:rank] /= 2
    return min(1.0, 2 * float(share[: least + 1].sum()))


def holm(p_values: Sequence[float]) -> list[float]:
    """Corrects p-values for their number (Holm, 1979): the probability of any false rejection stays below the level."""
    order = np.argsort(np.asarray(p_values, dtype=np.float64), kind="stable")
    corrected, largest = [1.0] * len(p_values), 0.0
    for place, index in enumerate(order):
        largest = max(largest, min(1.0, (len(p_values) - place) * p_values[index]))
        corrected[index] = largest
    return corrected


def wilcoxon_holm(scores: Any) -> list[PairedTest]:
    """Tests every pair of agents over tasks and corrects for their number.

    Args:
        scores: Shape ``(tasks, agents)``, at least two of each.

    Raises:
        InputError: Too few tasks or agents, or a score that is not a number.
    """
    table = _table(scores)
    pairs = list(itertools.combinations(range(table.shape[1]), 2))
    found = [wilcoxon(table[:, i], table[:, j]) for i, j in pairs]
    return [
        PairedTest(i, j, p, fixed, int((table[:, i] < table[:, j]).sum()), int((table[:, i] > table[:, j]).sum()))
        for (i, j), p, fixed in zip(pairs, found, holm(found), strict=True)
    ]


def _table(scores: Any) -> FloatArray:
    table = np.asarray(scores, dtype=np.float64)
    if table.ndim != 2 or min(table.shape) < 2:
        raise InputError(f"scores have shape {table.shape}, allowed (tasks, agents) with at least two of each")
    if np.isnan(table).any():
        raise InputError("scores: nan is no score; a search that found nothing has inf")
    return table


def _scipy_stats() -> Any:
    try:
        from scipy import stats
    except ImportError as error:
        raise MissingExtraError("Friedman's test", "scipy", "report") from error
    return stats
