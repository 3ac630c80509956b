"""Marginal allocation: the strong, simple rule every search agent must beat."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

__all__ = ["allocate_greedily"]


def allocate_greedily(
    cost: npt.NDArray[np.float64],
    resource: npt.NDArray[np.float64],
    capacity: float,
    allowed: npt.NDArray[np.bool_],
    *,
    aggregate_max: bool = False,
) -> npt.NDArray[np.int64] | None:
    """Starts from the cheapest options and buys the best upgrade until none fits.

    For a summed cost the best upgrade is the one with the largest saving per extra resource over all groups and
    options; for a maximum it is the cheapest one that improves the worst group.

    Args:
        cost: ``(groups, options)``.
        resource: ``(groups, options)``, non-negative.
        capacity: Limit of the summed resource.
        allowed: ``(groups, options)``.
        aggregate_max: Whether the objective is the largest cost instead of the sum.

    Returns:
        One option per group, shape ``(groups,)``, or ``None`` when even the cheapest options do not fit.
    """
    groups = np.arange(len(cost))
    priced = np.where(allowed, resource, np.inf)
    # Among equally cheap options start from the best one.
    cheapest = priced == priced.min(axis=1, keepdims=True)
    best_first = np.where(cheapest, np.minimum(cost, np.finfo(np.float64).max), np.inf)
    chosen: npt.NDArray[np.int64] = best_first.argmin(axis=1)
    used = float(priced[groups, chosen].sum())
    if not used <= capacity:
        return None
    # Groups that have a choice; of these, the upgrades of one change when it is upgraded, and what fits every time.
    rows = np.flatnonzero(allowed.sum(axis=1) > 1)
    costs, resources, choices = cost[rows], resource[rows], allowed[rows]
    extra, rank = np.empty(costs.shape), np.empty(costs.shape)
    changed: slice = slice(0, len(rows))
    while len(rows):
        now = np.arange(len(rows))[changed], chosen[rows[changed]]
        saving = costs[now][:, None] - costs[changed]
        more = extra[changed] = resources[changed] - resources[now][:, None]
        if aggregate_max:
            rate = -more
        else:
            with np.errstate(divide="ignore", invalid="ignore"):
                rate = np.where(more <= 0, np.inf, saving / more)
        rank[changed] = np.where(choices[changed] & (saving > 0), rate, -np.inf)
        fitting = used + extra <= capacity
        if aggregate_max:
            present = cost[groups, chosen]
            fitting[present[rows] < present.max()] = False
        open_ = np.where(fitting, rank, -np.inf)
        row, option = divmod(int(open_.argmax()), cost.shape[1])
        if open_[row, option] == -np.inf:
            break
        used += float(extra[row, option])
        chosen[rows[row]] = option
        changed = slice(row, row + 1)
    return chosen
