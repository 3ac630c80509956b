"""Enumeration of small map spaces: every tiling that fits, with the loop orders that dominate."""

from __future__ import annotations

import math

import numpy as np
import numpy.typing as npt

from accelgym.costmodels.mapspace import CandidateEvaluator, Candidates
from accelgym.costmodels.mapspace.dominant_orders import dominant_orders

__all__ = ["enumerate_all"]

Ints = npt.NDArray[np.int64]
Bools = npt.NDArray[np.bool_]


def enumerate_all(evaluator: CandidateEvaluator, *, most: int) -> tuple[Candidates, float] | None:
    """Finds the optimum by enumerating tilings, dropped as soon as they overflow, with their dominant orders.

    Args:
        evaluator: Evaluates candidates of the map space.
        most: Give up when more candidates than this would have to be evaluated.

    Returns:
        The optimum (one candidate) and its objective, or ``None`` when there are too many candidates.
    """
    mapspace = evaluator.mapspace
    dominant = [dominant_orders(mapspace, v) for v in range(mapspace.permutation.levels)]
    if math.prod(len(codes) for codes in dominant) > most:
        return None
    orders = mapspace.permutation.all_orders(dominant)
    keeps = mapspace.bypass.all_choices()
    best: tuple[Candidates, float] | None = None
    by_size = sorted(mapspace.active, key=lambda d: mapspace.problem.bounds[d])
    # Of equal optima the one counts that keeps more tensors further out.
    for i in np.lexsort(~keeps.reshape(-1, keeps.shape[2])[::-1]):
        keep = keeps[:, :, i : i + 1]
        # What is not enumerated yet lies in its outermost slot and needs no capacity.
        factors = mapspace.factorization.outermost[:, :, None]
        for d in by_size:
            chains = mapspace.factorization.chains(d)
            if factors.shape[2] * chains.shape[1] * orders.shape[1] > 64 * most:
                return None
            wide = np.repeat(factors, chains.shape[1], axis=2)
            wide[:, d] = np.tile(chains, factors.shape[2])
            factors = wide[:, :, mapspace.fits(wide, keep)]
        if factors.shape[2] * orders.shape[1] * keeps.shape[2] > most:
            return None
        if not factors.shape[2]:
            continue  # What these levels would have to keep fits nowhere.
        found = _best_of_grid(evaluator, factors, keep, orders)
        if best is None or found[1] < best[1]:
            best = found
    return best


def _best_of_grid(evaluator: CandidateEvaluator, factors: Ints, keep: Bools, orders: Ints) -> tuple[Candidates, float]:
    """The best of tilings crossed with orders, a block at a time."""
    step = max(1, 65_536 // orders.shape[1])
    best, value = None, np.inf
    for begin in range(0, factors.shape[2], step):
        part = factors[:, :, begin : begin + step]
        n = part.shape[2]
        tilings = evaluator.mapspace.candidates(part, np.repeat(keep, n, axis=2)).repeat(orders.shape[1])
        candidates = Candidates(tilings.factors, np.tile(orders, n), tilings.keep)
        values = evaluator(candidates)
        i = int(values.argmin())
        if best is None or values[i] < value:
            best, value = candidates.take(slice(i, i + 1)), float(values[i])
    assert best is not None  # there is a tiling
    return best, value
