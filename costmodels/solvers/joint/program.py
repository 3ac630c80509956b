"""Exact minimum of a weighted sum of latency and energy on one machine: a dynamic program along the layers.

States are what is on chip behind a layer; in each, only designs count that no other beats in both cost and loss, and of
these only those that the Lagrangian completion lets beat the incumbent.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from accelgym.costmodels.solvers.joint.lagrangian import WeightedCosts, relaxed_paths
from accelgym.costmodels.solvers.joint.residency import Step

__all__ = ["Path", "best_path"]

Floats = npt.NDArray[np.float64]
Ints = npt.NDArray[np.int64]

_ROUNDING = 1e-12
"""Relative size of differences that are rounding."""


@dataclass(frozen=True)
class Path:
    """The best design of a machine, and the work to find it."""

    cost: float
    """``inf`` where no design costs less than the incumbent."""
    pair: tuple[int, ...]
    moves: tuple[int, ...]
    """Transition of every layer."""
    nodes: int
    """States kept, all layers together."""
    complete: bool
    """Whether the search was not cut short; if it was, the cost proves nothing."""


@dataclass
class _Front:
    """Designs of the first layers that end in one state, by loss ascending and cost descending."""

    loss: Ints
    cost: Floats
    state: Ints
    """State before the last layer."""
    row: Ints
    """Position in the front of that state."""
    move: Ints
    pair: Ints


def best_path(
    costs: WeightedCosts,
    steps: Sequence[Step],
    losses: Ints,
    limit: int,
    price: float,
    incumbent: float,
    max_nodes: int,
) -> Path:
    """Finds the design of least cost below an incumbent.

    Args:
        costs: Of one machine.
        steps: Its transitions.
        losses: Shape ``(layers, pairs)``.
        limit: Of the summed loss.
        price: Of a unit of loss, any: a good one lets few designs through.
        incumbent: Cost that the design has to beat; ``inf`` for any.
        max_nodes: States kept before the search is cut short.
    """
    layers = len(losses)
    togo, _, _ = relaxed_paths(costs, steps, losses, np.array([price]))
    taken = np.isfinite(costs.cost[0]).any(axis=2)
    least = np.where(taken, losses, np.iinfo(np.int64).max).min(axis=1)
    after = np.concatenate((np.cumsum(least[::-1])[::-1], [0]))
    none = np.zeros(1, dtype=np.int64)
    fronts: list[dict[int, _Front]] = [{0: _Front(none, np.zeros(1), none, none, none, none)}]
    nodes = 0
    ceiling = incumbent - _ROUNDING * abs(incumbent) if np.isfinite(incumbent) else np.inf
    for layer, step in enumerate(steps):
        parts: dict[int, list[_Front]] = {}
        for state, front in fronts[-1].items():
            seen: set[tuple[int, int, float]] = set()
            for move in range(step.target.shape[1]):
                target, flag = int(step.target[state, move]), int(step.flags[state, move])
                extra = float(costs.extra[layer][0, state, move])
                if (target, flag, extra) in seen:
                    continue
                seen.add((target, flag, extra))
                here = costs.cost[0, layer, :, flag]
                loss = front.loss[:, None] + losses[layer]
                cost = front.cost[:, None] + (here + extra)
                bound = cost + price * (loss - limit) + togo[layer + 1][0, target]
                keep = np.nonzero((loss + after[layer + 1] <= limit) & (bound < ceiling))
                if len(keep[0]):
                    same = np.full(len(keep[0]), state), np.full(len(keep[0]), move)
                    found = _Front(loss[keep], cost[keep], same[0], keep[0], same[1], keep[1])
                    parts.setdefault(target, []).append(found)
        fronts.append({target: _pareto(found) for target, found in parts.items()})
        nodes += sum(len(front.loss) for front in fronts[-1].values())
        if nodes > max_nodes:
            return Path(np.inf, (), (), nodes, complete=False)
    last = fronts[-1].get(0)
    if last is None:
        return Path(np.inf, (), (), nodes, complete=True)
    state, row = 0, int(last.cost.argmin())
    value = float(last.cost[row])
    pair, moves = [], []
    for layer in range(layers, 0, -1):
        front = fronts[layer][state]
        pair.append(int(front.pair[row]))
        moves.append(int(front.move[row]))
        state, row = int(front.state[row]), int(front.row[row])
    return Path(value, tuple(pair[::-1]), tuple(moves[::-1]), nodes, complete=True)


def _pareto(parts: list[_Front]) -> _Front:
    """What no other design of a state beats in both loss and cost."""
    joined = {name: np.concatenate([getattr(part, name) for part in parts]) for name in _Front.__dataclass_fields__}
    order = np.lexsort((joined["cost"], joined["loss"]))
    cost = joined["cost"][order]
    best = np.minimum.accumulate(cost)
    keep = order[np.concatenate(([True], cost[1:] < best[:-1]))]
    return _Front(**{name: values[keep] for name, values in joined.items()})
