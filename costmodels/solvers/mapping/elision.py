"""First accumulations: the reads and fills that need not happen, the only negative terms of the cost model.

Each level elides one read and one fill per output word it owns, and words are owned once per instance that reduces
in space: ``owned * z`` with ``z`` the product of the reducing spatial factors further out. A posynomial has no
negative terms. Where the constant part of the energy (multiplications, operand reads) exceeds what is elided, the
difference ``constant - price * owned * z`` is concave in ``log z`` and its chord over the box a sound monomial,
exact once ``z`` is decided. Elsewhere ``content - owned * z`` is at least ``content * (1 - 1 / r)``, with ``r`` the
least ratio of the two in the box.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from accelgym.costmodels.mapspace import SiteFactorization
from accelgym.costmodels.solvers.mapping.machines import MachineTable
from accelgym.costmodels.solvers.mapping.nodes import Nodes
from accelgym.costmodels.solvers.mapping.traffic import Posynomial, TrafficTerms, log_of

__all__ = ["Elision"]

Floats = npt.NDArray[np.float64]
Bools = npt.NDArray[np.bool_]
Ints = npt.NDArray[np.int64]

_SPARE = 0.999
"""Share of the constant that may be elided, so that its logarithm exists."""


@dataclass
class _Loss:
    saved: Floats
    exponents: Floats
    least: Floats
    most: Floats


@dataclass
class Elision:
    """How the elided accesses of a batch of nodes are accounted for."""

    constant: Floats
    """Constant energy less what is elided independently of the tiling, shape ``(nodes,)``."""
    absorbed: Bools
    """Levels whose elided accesses are taken off the constant, shape ``(nodes, levels)``."""
    owned: list[tuple[Floats, Floats]]
    """Log coefficient and exponents of the words that a level's instances own."""
    losses: list[_Loss]

    @classmethod
    def plan(
        cls, space: SiteFactorization, machines: MachineTable, traffic: TrafficTerms, nodes: Nodes, constant: Floats
    ) -> Elision:
        """Decides which levels the constant can pay for, from the innermost outwards.

        Args:
            space: The map space.
            machines: The machines that nodes name.
            traffic: Movement terms of the map space.
            nodes: The nodes.
            constant: Energy that is the same for every tiling, less than or equal to the true one.
        """
        depth, n = len(space.architecture.levels), len(nodes)
        t, rows = traffic.output, nodes.machine
        words = float(traffic.table.transfers[t][0].constant)
        exponents, least, most = traffic.zeros(n), np.zeros(n), np.zeros(n)
        owned = []
        for v in range(depth):
            if v and space.fan(v - 1) is not None:
                exponents = exponents + traffic.fan_exponents(n, v - 1, traffic.irrelevant[t])
                least = least + np.log(nodes.reducing_children_bounds[:, v - 1, 0])
                most = most + np.log(nodes.reducing_children_bounds[:, v - 1, 1])
            owned.append((exponents, least, most))
        absorbed, losses = np.zeros((n, depth), dtype=bool), []
        budget = constant.copy()
        for v in reversed(range(depth)):
            exponents, least, most = owned[v]
            price = machines.read_pj[rows, v] + (machines.fill_pj[rows, v] if v else 0.0)
            saved = words * price * nodes.keep[:, v, t]
            good = saved * np.exp(most) < _SPARE * budget
            absorbed[:, v] = good
            saved = np.where(good, saved, 0.0)
            budget = budget - saved * np.exp(most)
            if exponents.any():
                losses.append(_Loss(saved, exponents, least, most))
            else:
                constant = constant - saved
        powers = [(np.log(words) + np.zeros(n), exponents) for exponents, _, _ in owned]
        return cls(constant, absorbed, powers, losses)

    def remaining(self, level: Ints, words: Posynomial, low: Floats, high: Floats) -> Floats:
        """Share of an access of the output that is certainly not elided, shape ``(nodes,)``; 1 where absorbed.

        Args:
            level: The level that reads or is filled.
            words: Accesses before elision.
            low: Logarithms of the least extents.
            high: Of the largest.
        """
        rows = np.arange(len(level))
        exponents = np.stack([x for _, x in self.owned])[level, rows]
        log = np.stack([x for x, _ in self.owned])[level, rows]
        difference = words.exponents[:, 0] - exponents
        ratio = words.log[:, 0] - log + np.where(difference > 0, difference * low, difference * high).sum(axis=(1, 2))
        share = np.maximum(0.0, 1.0 - np.exp(-np.maximum(ratio, 0.0)) * (1 + 1e-12))
        return np.where(self.absorbed[rows, level], 1.0, share)

    def parts(self, constant: Floats) -> list[Posynomial]:
        """The constant energy less what is absorbed, as monomials.

        Args:
            constant: :attr:`constant` and further constant terms, shape ``(nodes,)``.
        """
        shape = self.owned[0][1].shape
        if not self.losses:
            return [Posynomial(log_of(constant)[:, None], np.zeros((shape[0], 1, *shape[1:])))]
        worst = np.array([loss.saved * np.exp(loss.most) for loss in self.losses])
        total = worst.sum(axis=0)
        even = np.full_like(worst, 1.0 / len(self.losses))
        share = np.where(total > 0.0, worst / np.where(total > 0.0, total, 1.0), even)
        result = []
        for loss, part in zip(self.losses, share, strict=True):
            budget = constant * part
            left = log_of(budget - loss.saved * np.exp(loss.least))
            right = log_of(budget - loss.saved * np.exp(loss.most))
            width = loss.most - loss.least
            slope = np.where(width > 1e-9, (right - left) / np.maximum(width, 1e-9), 0.0)
            log = np.where(width > 1e-9, left - slope * loss.least, np.minimum(left, right))
            result.append(Posynomial(log[:, None], (loss.exponents * slope[:, None, None])[:, None]))
        return result
