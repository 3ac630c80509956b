"""Bounds on weighted sums of latency and energy, of many machines at once, with the limit of the loss priced."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from accelgym.costmodels.solvers.joint.problem import MachineTables
from accelgym.costmodels.solvers.joint.residency import Step

__all__ = ["Multiplier", "WeightedCosts", "best_multiplier", "relaxed_paths"]

Bools = npt.NDArray[np.bool_]
Floats = npt.NDArray[np.float64]
Ints = npt.NDArray[np.int64]

_ROUNDS = 40
"""Most lines of the dual function that are looked at; each round ends at one, and a handful is usual."""


@dataclass(frozen=True)
class WeightedCosts:
    """Weighted costs of machines that share the transitions of their activations."""

    cost: Floats
    """Of the best mapping, ``inf`` for pairs that a machine does not take; ``(machines, layers, pairs, 4)``, the last
    axis as ``Step.flags``."""
    mapping: Ints
    """Which mapping that is, the same shape."""
    extra: tuple[Floats, ...]
    """Of every step's transitions, shape ``(machines, states, transitions)``."""

    @classmethod
    def of(cls, tables: MachineTables, steps: Sequence[Step], weights: Floats) -> WeightedCosts:
        """Weighs the figures of machines.

        Args:
            tables: The machines, all of one room.
            steps: Transitions under that room.
            weights: Of latency and energy, shape ``(machines, 2)``.
        """
        by_latency, by_energy = (weights[:, i, None, None, None, None, None] for i in (0, 1))
        whole = by_latency * tables.latency + by_energy * tables.energy
        mapping = whole.argmin(axis=2)
        cost = np.take_along_axis(whole, mapping[:, :, None], axis=2)[:, :, 0]
        shape = (*cost.shape[:3], 4)
        cost = np.where(tables.supports[:, None, :, None], cost.reshape(shape), np.inf)
        prices = weights[:, 1, None] * tables.word_prices
        extra = tuple(np.einsum("stw,mw->mst", step.words, prices) for step in steps)
        return cls(cost, mapping.reshape(shape), extra)

    def of_rows(self, rows: slice) -> WeightedCosts:
        """Returns the costs of some of the machines."""
        return WeightedCosts(self.cost[rows], self.mapping[rows], tuple(extra[rows] for extra in self.extra))


@dataclass(frozen=True)
class Multiplier:
    """The best price of a unit of loss for each machine, and what it proves; arrays of shape ``(machines,)``."""

    price: Floats
    bound: Floats
    """No feasible design costs less; ``inf`` where there is none."""
    pair: Ints
    """Pair of every layer of a feasible design, shape ``(machines, layers)``."""
    moves: Ints
    """Transition of every layer, likewise."""


def relaxed_paths(
    costs: WeightedCosts, steps: Sequence[Step], losses: Ints, price: Floats
) -> tuple[list[Floats], Ints, Ints]:
    """Minimises cost plus priced loss.

    Returns:
        The least cost from every state to the end, by layer, ``(machines, states)`` each, one more than layers; and
        the pair and the transition of every layer on the best path, ``(machines, layers)``.
    """
    machines, layers = costs.cost.shape[:2]
    rows = np.arange(machines)
    priced = costs.cost + (price[:, None, None] * losses)[..., None]
    pairs = priced.argmin(axis=2)
    best = np.take_along_axis(priced, pairs[:, :, None], axis=2)[:, :, 0]
    togo = [np.zeros((machines, 1))]
    taken: list[Ints] = []
    for layer in range(layers - 1, -1, -1):
        step = steps[layer]
        value = best[:, layer][:, step.flags] + costs.extra[layer] + togo[0][:, step.target]
        move = value.argmin(axis=2)
        taken.insert(0, move)
        togo.insert(0, np.take_along_axis(value, move[..., None], axis=2)[..., 0])
    pair, moves = np.empty((machines, layers), dtype=np.int64), np.empty((machines, layers), dtype=np.int64)
    state = np.zeros(machines, dtype=np.int64)
    for layer, step in enumerate(steps):
        moves[:, layer] = taken[layer][rows, state]
        flag = step.flags[state, moves[:, layer]]
        pair[:, layer] = pairs[rows, layer, flag]
        state = step.target[state, moves[:, layer]]
    return togo, pair, moves


def best_multiplier(costs: WeightedCosts, steps: Sequence[Step], losses: Ints, limit: int) -> Multiplier:
    """Maximises the dual function of the limit, a concave function of the price, by its own lines.

    Two designs are kept, one that loses too much and one that does not; the price at which they cost the same either
    finds a design below both lines or is the best.
    """
    machines, layers = costs.cost.shape[:2]
    at = np.arange(layers)

    def look(price: Floats) -> tuple[Floats, Floats, Ints, Ints]:
        """The dual function without its constant, and the loss, pairs and moves of the design."""
        togo, pair, moves = relaxed_paths(costs, steps, losses, price)
        return togo[0][:, 0], losses[at, pair].sum(axis=1).astype(np.float64), pair, moves

    finite = np.where(np.isfinite(costs.cost), costs.cost, 0.0)
    span = finite.max(axis=(2, 3)).sum(axis=1) + sum(extra.max(axis=(1, 2)) for extra in costs.extra) + 1.0
    low = np.zeros(machines)
    value, loss_low, pair, moves = look(low)
    done = loss_low <= limit
    price, bound = low.copy(), value.copy()
    cost_low = value
    value_high, loss_high, pair_high, moves_high = look(span)  # A unit of loss costs more than everything else.
    cost_high = value_high - span * loss_high
    pair = np.where(done[:, None], pair, pair_high)
    moves = np.where(done[:, None], moves, moves_high)
    impossible = ~done & (loss_high > limit)
    bound = np.where(impossible, np.inf, np.where(done, bound, -np.inf))
    done = done | impossible
    for _ in range(_ROUNDS):
        if done.all():
            break
        gap = np.where(done, 1.0, loss_low - loss_high)
        middle = np.where(done, price, (cost_high - cost_low) / gap)
        middle = np.maximum(middle, 0.0)
        value, loss, found, went = look(middle)
        bound = np.where(done, bound, np.maximum(bound, value - middle * limit))
        price = np.where(done, price, middle)
        cost = value - middle * loss
        line = cost_low + middle * loss_low
        ends = ~done & ((value >= line - 1e-12 * np.abs(line)) | (loss == loss_low) | (loss == loss_high))
        fits = ~done & ~ends & (loss <= limit)
        over = ~done & ~ends & (loss > limit)
        pair = np.where(fits[:, None], found, pair)
        moves = np.where(fits[:, None], went, moves)
        loss_high, cost_high = np.where(fits, loss, loss_high), np.where(fits, cost, cost_high)
        loss_low, cost_low = np.where(over, loss, loss_low), np.where(over, cost, cost_low)
        done = done | ends
    return Multiplier(price, bound, pair, moves)
