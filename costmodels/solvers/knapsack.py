"""Exact multiple-choice knapsack: one option per group, a summed resource under a capacity.

``minimise_sum`` is a dynamic program over Pareto-optimal (resource, cost) states in the spirit of Pisinger,
"A minimal algorithm for the multiple-choice knapsack problem" (EJOR 83, 1995): the linear relaxation gives a
bound for every completion, so only states that can still beat the incumbent are kept. Resources may be any
non-negative reals; nothing is rounded.
"""

from __future__ import annotations

import itertools
import time
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from accelgym.costmodels.certificate import Certificate

__all__ = ["CAPACITY_SLACK", "minimise_max", "minimise_sum"]

FloatArray = npt.NDArray[np.float64]
IntArray = npt.NDArray[np.int64]
BoolArray = npt.NDArray[np.bool_]

CAPACITY_SLACK = 1e-9
"""Relative slack on the capacity: sums of reals taken in another order must not change feasibility."""

_COST_TOLERANCE = 1e-12
"""Improvements below this relative size are rounding noise and are not pursued."""


@dataclass(frozen=True)
class _Group:
    """Pareto-optimal options of one group, resource ascending and cost strictly descending."""

    options: IntArray
    resource: FloatArray
    cost: FloatArray


@dataclass(frozen=True)
class _Relaxation:
    """Linear relaxation of the remaining groups: a convex piecewise-linear function of the capacity."""

    resource: FloatArray
    cost: FloatArray

    def bound(self, capacity: FloatArray) -> FloatArray:
        """Lower bound of the cost at each capacity; ``inf`` where nothing fits."""
        value = np.interp(capacity, self.resource, self.cost)
        return np.where(capacity < self.resource[0], np.inf, value)

    def rounded(self, capacity: FloatArray) -> FloatArray:
        """Cost of the integral completion that takes whole steps only."""
        last = np.searchsorted(self.resource, capacity, side="right") - 1
        return np.where(last < 0, np.inf, self.cost[np.maximum(last, 0)])


def minimise_sum(
    cost: FloatArray,
    resource: FloatArray,
    capacity: float,
    allowed: BoolArray | None = None,
    *,
    max_states: int = 2_000_000,
) -> Certificate:
    """Minimises the summed cost of one option per group under a summed resource.

    Args:
        cost: ``(groups, options)``, finite where allowed.
        resource: ``(groups, options)``, non-negative where allowed.
        capacity: Upper limit of the summed resource, with a relative slack of ``CAPACITY_SLACK``.
        allowed: ``(groups, options)``; all when omitted.
        max_states: States kept per group; beyond it the worst-bounded ones are dropped and the certificate
            states the gap that remains.

    Returns:
        The certificate; ``design`` holds one option index per group. ``value`` is ``inf`` and ``design``
        ``None`` when no selection fits.
    """
    start = time.perf_counter()
    limit = capacity * (1 + CAPACITY_SLACK) if np.isfinite(capacity) else np.inf
    groups = _pareto_groups(cost, resource, allowed)
    if any(len(g.options) == 0 for g in groups) or sum(g.resource[0] for g in groups) > limit:
        return _infeasible("multiple-choice knapsack dynamic program", start)

    incumbent, choice, price = _greedy(groups, limit)
    groups = _drop_by_reduced_cost(groups, limit, incumbent, price)
    # Groups with few options left first: the state list stays short until the bounds are sharp.
    order = sorted(range(len(groups)), key=lambda i: len(groups[i].options))
    search = _StateSearch([groups[i] for i in order], limit, incumbent, max_states)
    value, picks = search.run()
    if picks is not None:
        for i, pick in zip(order, picks, strict=True):
            choice[i] = groups[i].options[pick]
    integral = bool(np.all(np.equal(np.mod(cost[allowed] if allowed is not None else cost, 1.0), 0.0)))
    exact_to = 0.0 if integral and value < 1 / _COST_TOLERANCE else _COST_TOLERANCE * abs(value)
    bound = min(value - exact_to, search.dropped_bound)
    return Certificate(
        value=float(value),
        design=tuple(int(o) for o in choice),
        lower_bound=float(bound),
        gap=float((value - bound) / value) if value else 0.0,
        method="multiple-choice knapsack dynamic program",
        relaxations=() if search.dropped_bound == np.inf else ("state list truncated",),
        nodes=search.states,
        seconds=time.perf_counter() - start,
    )


def minimise_max(
    cost: FloatArray, resource: FloatArray, capacity: float, allowed: BoolArray | None = None
) -> Certificate:
    """Minimises the largest cost of one option per group under a summed resource.

    Args and result as in :func:`minimise_sum`; among optimal selections each group takes its cheapest option.
    """
    start = time.perf_counter()
    method = "threshold search"
    limit = capacity * (1 + CAPACITY_SLACK) if np.isfinite(capacity) else np.inf
    open_cost = np.where(allowed, cost, np.inf) if allowed is not None else cost
    thresholds = np.unique(open_cost[np.isfinite(open_cost)])

    def cheapest(threshold: float) -> FloatArray:
        return np.where(open_cost <= threshold, resource, np.inf)

    low, high = 0, len(thresholds)
    while low < high:
        middle = (low + high) // 2
        if cheapest(thresholds[middle]).min(axis=1).sum() <= limit:
            high = middle
        else:
            low = middle + 1
    if low == len(thresholds):
        return _infeasible(method, start)
    design = cheapest(thresholds[low]).argmin(axis=1)
    value = float(thresholds[low])
    return Certificate(
        value=value,
        design=tuple(int(o) for o in design),
        lower_bound=value,
        gap=0.0,
        method=method,
        nodes=len(thresholds),
        seconds=time.perf_counter() - start,
    )


def _infeasible(method: str, start: float) -> Certificate:
    return Certificate(np.inf, None, np.inf, 0.0, method, seconds=time.perf_counter() - start)


def _pareto_groups(cost: FloatArray, resource: FloatArray, allowed: BoolArray | None) -> list[_Group]:
    groups = []
    for i in range(len(cost)):
        options = np.arange(cost.shape[1]) if allowed is None else np.flatnonzero(allowed[i])
        order = options[np.lexsort((cost[i, options], resource[i, options]))]
        keep = order[_strictly_falling(cost[i, order])]
        groups.append(_Group(keep, resource[i, keep], cost[i, keep]))
    return groups


def _strictly_falling(cost: FloatArray) -> BoolArray:
    """Marks entries below every earlier one."""
    best = np.minimum.accumulate(cost)
    return np.concatenate(([True], cost[1:] < best[:-1])) if len(cost) else np.zeros(0, dtype=bool)


def _lower_hull(resource: FloatArray, cost: FloatArray) -> list[int]:
    """Indices of the lower convex hull of a Pareto front."""
    hull: list[int] = []
    for i in range(len(resource)):
        while len(hull) > 1:
            a, b = hull[-2], hull[-1]
            rise = (cost[b] - cost[a]) * (resource[i] - resource[a])
            if rise >= (cost[i] - cost[a]) * (resource[b] - resource[a]):
                hull.pop()
            else:
                break
        hull.append(i)
    return hull


def _hull_steps(groups: list[_Group]) -> tuple[IntArray, IntArray, FloatArray, FloatArray]:
    """All hull steps of all groups, best saving per resource first: group, option, d_resource, d_cost."""
    rows: list[tuple[int, int, float, float]] = []
    for g, group in enumerate(groups):
        hull = _lower_hull(group.resource, group.cost)
        for a, b in itertools.pairwise(hull):
            rows.append((g, b, group.resource[b] - group.resource[a], group.cost[b] - group.cost[a]))
    table = np.array(rows, dtype=np.float64).reshape(-1, 4)
    table = table[np.argsort(table[:, 3] / table[:, 2], kind="stable")]
    return table[:, 0].astype(np.int64), table[:, 1].astype(np.int64), table[:, 2], table[:, 3]


def _greedy(groups: list[_Group], limit: float) -> tuple[float, list[int], float]:
    """Takes hull steps while they fit: an incumbent, its options, and the price of the first misfit."""
    at = np.zeros(len(groups), dtype=np.int64)
    used = sum(g.resource[0] for g in groups)
    price = 0.0
    blocked: set[int] = set()
    for g, option, d_resource, d_cost in zip(*_hull_steps(groups), strict=True):
        if g in blocked:
            continue
        if used + d_resource > limit:
            price = price or -d_cost / d_resource
            blocked.add(g)
            continue
        used += d_resource
        at[g] = option
    # Spend what is left on any single upgrade off the hull.
    for g, group in enumerate(groups):
        best = int(np.searchsorted(group.resource, group.resource[at[g]] + limit - used, side="right")) - 1
        if best > at[g]:
            used += group.resource[best] - group.resource[at[g]]
            at[g] = best
    value = float(sum(g.cost[i] for g, i in zip(groups, at, strict=True)))
    return value, [int(g.options[i]) for g, i in zip(groups, at, strict=True)], price


def _drop_by_reduced_cost(groups: list[_Group], limit: float, incumbent: float, price: float) -> list[_Group]:
    """Removes options that no solution better than the incumbent can contain (Lagrangian bound)."""
    if not np.isfinite(limit):
        price = 0.0
    priced = [g.cost + price * g.resource for g in groups]
    bound = sum(float(p.min()) for p in priced) - (price * limit if price else 0.0)
    room = incumbent - bound + _COST_TOLERANCE * abs(incumbent)
    kept = []
    for group, p in zip(groups, priced, strict=True):
        keep = p - p.min() <= room
        kept.append(_Group(group.options[keep], group.resource[keep], group.cost[keep]))
    return kept


class _StateSearch:
    """Layer-by-layer merging of Pareto states under the linear-relaxation bound."""

    def __init__(self, groups: list[_Group], limit: float, incumbent: float, max_states: int) -> None:
        self.groups = groups
        self.limit = limit
        self.incumbent = incumbent
        self.max_states = max_states
        self.states = 0
        self.dropped_bound = float("inf")

    def run(self) -> tuple[float, list[int] | None]:
        """Returns the optimum and the option positions, or the incumbent's value and ``None``."""
        suffix = self._suffix_relaxations()
        resource, cost = np.zeros(1), np.zeros(1)
        back: list[tuple[IntArray, IntArray]] = []
        goal = self.incumbent
        for i, group in enumerate(self.groups):
            r = (resource[:, None] + group.resource).ravel()
            c = (cost[:, None] + group.cost).ravel()
            rest = suffix[i + 1]
            left = self.limit - r
            bound = c + rest.bound(left)
            reachable = c + rest.rounded(left)
            # A completion that was just seen to exist lowers the goal; keep its state (hence <=).
            goal = min(goal, float(reachable.min(initial=np.inf)))
            slack = _COST_TOLERANCE * abs(goal)
            keep = np.flatnonzero((bound < self.incumbent - slack) & (bound <= goal + slack))
            keep = keep[np.lexsort((c[keep], r[keep]))]
            keep = keep[_strictly_falling(c[keep])]
            if len(keep) > self.max_states:
                ranked = keep[np.argsort(bound[keep], kind="stable")]
                self.dropped_bound = min(self.dropped_bound, float(bound[ranked[self.max_states]]))
                keep = np.sort(ranked[: self.max_states])
                keep = keep[np.argsort(r[keep], kind="stable")]
            self.states += len(keep)
            if len(keep) == 0:
                return self.incumbent, None
            back.append((keep // len(group.resource), keep % len(group.resource)))
            resource, cost = r[keep], c[keep]
        at = int(cost.argmin())
        value = float(cost[at])
        picks = []
        for parents, options in reversed(back):
            picks.append(int(options[at]))
            at = int(parents[at])
        return value, picks[::-1]

    def _suffix_relaxations(self) -> list[_Relaxation]:
        suffix = [_Relaxation(np.zeros(1), np.zeros(1))]
        for i in range(len(self.groups) - 1, -1, -1):
            rest = self.groups[i:]
            _, _, d_resource, d_cost = _hull_steps(rest)
            base_resource = sum(g.resource[0] for g in rest)
            base_cost = sum(g.cost[0] for g in rest)
            suffix.append(
                _Relaxation(
                    np.concatenate(([base_resource], base_resource + np.cumsum(d_resource))),
                    np.concatenate(([base_cost], base_cost + np.cumsum(d_cost))),
                )
            )
        return suffix[::-1]
