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
    order = np.lexsort((np.where(allowed, cost, np.inf), priced), axis=1)
    chosen = order[:, 0].astype(np.int64)
    used = float(priced[groups, chosen].sum())
    if not used <= capacity:
        return None
    while True:
        saving = cost[groups, chosen][:, None] - cost
        extra = resource - resource[groups, chosen][:, None]
        open_ = allowed & (saving > 0) & (used + extra <= capacity)
        if aggregate_max:
            open_[cost[groups, chosen] < cost[groups, chosen].max()] = False
            rank = np.where(open_, -extra, -np.inf)
        else:
            free = open_ & (extra <= 0)
            with np.errstate(divide="ignore", invalid="ignore"):
                rate = np.where(free, np.inf, saving / extra)
            rank = np.where(open_, rate, -np.inf)
        best = int(rank.argmax())
        group, option = divmod(best, cost.shape[1])
        if not open_[group, option]:
            return chosen
        used += float(extra[group, option])
        chosen[group] = option
