"""The strongest greedy rule known for the joint problem: a designer's two levels.

Every machine is tried. On each, layers run with the scheduler's best mapping (of the objective, layer by layer); types
start with the least loss and are traded for cost by the best ratio of saving to loss; activations come on chip by the
best ratio of saving to room and time. On the best machines a descent follows: a change of one layer's types or mapping,
types of two layers at once, an activation on chip or back in memory, or one in place of another.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

import numpy as np
import numpy.typing as npt

from accelgym.costmodels.solvers.joint.problem import Choice, JointProblem, MachineTables
from accelgym.costmodels.solvers.joint.residency import on_chip_traffic, peak_words

__all__ = ["REFINED", "two_level_greedy"]

Bools = npt.NDArray[np.bool_]
Floats = npt.NDArray[np.float64]
Ints = npt.NDArray[np.int64]

REFINED = 16
"""Machines on which the descent follows."""
_MOST_MOVES = 1000
_BETTER = 1 - 1e-12


class _Keeping:
    """Activations on chip, of any machine: by candidate sets of edges, a layer's readers or one of them."""

    def __init__(self, problem: JointProblem) -> None:
        self.activations = problem.activations
        self.layers = np.arange(problem.layers)
        edges = self.activations.edges
        by_layer = [[i for i, e in enumerate(edges) if e.producer == u] for u in range(problem.layers)]
        self.sets = [tuple(found) for found in by_layer if found]
        self.sets += [(i,) for found in by_layer if len(found) > 1 for i in found]
        self.span = np.array(
            [
                self.activations.words[edges[found[0]].producer]
                * (max(edges[i].consumer for i in found) - edges[found[0]].producer + 1)
                for found in self.sets
            ],
            dtype=np.float64,
        )

    @cached_property
    def members(self) -> Bools:
        """Edges of every set, shape ``(sets, edges)``."""
        result = np.zeros((len(self.sets), len(self.activations.edges)), dtype=bool)
        for row, found in zip(result, self.sets, strict=True):
            row[list(found)] = True
        return result

    @cached_property
    def alone(self) -> tuple[Ints, Ints]:
        """Flags and words of every set alone on chip."""
        return self.traffic(self.members)

    def traffic(self, resident: Bools) -> tuple[Ints, Ints]:
        """What activations on chip change, see :func:`on_chip_traffic`."""
        return on_chip_traffic(self.activations, resident)


@dataclass
class _Machine:
    """A design on one machine, and what its neighbours cost."""

    problem: JointProblem
    tables: MachineTables
    keeping: _Keeping
    number: int

    def __post_init__(self) -> None:
        layers, objective = self.keeping.layers, self.problem.objective
        shape = (*self.tables.latency.shape[1:4], 4)
        self.latency, self.energy = self.tables.latency[0].reshape(shape), self.tables.energy[0].reshape(shape)
        best = objective.combine(self.energy, self.latency).argmin(axis=1)
        self.best = best  # The scheduler's mapping, (layers, pairs, flags).
        self.fast, self.cheap = (
            np.take_along_axis(figure, best[:, None], axis=1)[:, 0] for figure in (self.latency, self.energy)
        )
        self.taken = self.tables.supports[0]
        losses = np.where(self.taken, self.problem.losses, np.iinfo(np.int64).max)
        cost = objective.combine(self.cheap[..., 0], self.fast[..., 0])
        self.pair = np.lexsort((cost, losses), axis=1)[:, 0]
        self.resident = np.zeros(len(self.keeping.activations.edges), dtype=bool)
        self.flags, self.words = (part[0] for part in self.keeping.traffic(self.resident[None]))
        self.mapping = best[layers, self.pair, 0]
        self.loss = int(self.problem.losses[layers, self.pair].sum())
        self.evaluations = 1

    @property
    def sums(self) -> Floats:
        """Latency and energy of the design."""
        at = self.keeping.layers, self.mapping, self.pair, self.flags
        return np.array([self.latency[at].sum(), self.energy[at].sum() + self.words @ self.tables.word_prices[0]])

    @property
    def value(self) -> float:
        """Objective of the design."""
        return float(self._product(*self.sums))

    def _product(self, latency: Floats, energy: Floats) -> Floats:
        return np.asarray(self.problem.objective.combine(energy, latency))

    # -- the two ratio rules -----------------------------------------------------------------------------------

    def trade_types(self) -> None:
        """From the least loss, the change of types of the best saving a unit of loss, until none fits."""
        layers, losses = self.keeping.layers, self.problem.losses
        latency, energy = self.fast[layers, :, self.flags], self.cheap[layers, :, self.flags]
        while True:
            total = self.sums
            change = (latency - latency[layers, self.pair][:, None], energy - energy[layers, self.pair][:, None])
            saving = self._product(*total) - self._product(total[0] + change[0], total[1] + change[1])
            extra = losses - losses[layers, self.pair][:, None]
            fits = self.taken & (saving > 0) & (self.loss + extra <= self.problem.limit)
            self.evaluations += int(self.taken.sum()) * len(layers)
            rate = np.where(fits, saving / np.maximum(extra, 0.5), -np.inf)
            layer, pair = divmod(int(rate.argmax()), rate.shape[1])
            if not fits[layer, pair]:
                return
            self.loss += int(extra[layer, pair])
            self.pair[layer] = pair
            self.mapping[layer] = self.best[layer, pair, self.flags[layer]]

    def keep_activations(self) -> None:
        """Sets of edges by their saving over room and time, each taken if it still fits."""
        keeping, room = self.keeping, int(self.tables.room[0])
        if not room or not keeping.sets:
            return
        flags, words = keeping.alone
        latency, energy = self._with(flags, words)
        saving = (self.value - self._product(latency, energy)) / keeping.span
        self.evaluations += len(keeping.sets)
        for at in np.argsort(-saving, kind="stable"):
            if saving[at] <= 0:
                break
            resident = self.resident | keeping.members[at]
            if peak_words(keeping.activations, resident[None])[0] <= room:
                self.resident = resident
        self._settle()

    def _with(self, flags: Ints, words: Ints) -> tuple[Floats, Floats]:
        """Latency and energy with other activations on chip, and the scheduler's mappings, shape ``(n,)``."""
        at = self.keeping.layers, self.pair, flags
        return self.fast[at].sum(axis=1), self.cheap[at].sum(axis=1) + words @ self.tables.word_prices[0]

    def _settle(self) -> None:
        self.flags, self.words = (part[0] for part in self.keeping.traffic(self.resident[None]))
        self.mapping = self.best[self.keeping.layers, self.pair, self.flags]

    # -- the descent -------------------------------------------------------------------------------------------

    def descend(self) -> None:
        """Takes the best of all changes until none is better."""
        for _ in range(_MOST_MOVES):
            if not (self._change_layer() or self._swap_types() or self._swap_activations()):
                return

    def _change_layer(self) -> bool:
        """The best change of mapping and types of one layer."""
        layers, losses = self.keeping.layers, self.problem.losses
        latency, energy = (figure[layers, :, :, self.flags] for figure in (self.latency, self.energy))
        total = self.sums
        new = self._product(
            total[0] + latency - latency[layers, self.mapping, self.pair][:, None, None],
            total[1] + energy - energy[layers, self.mapping, self.pair][:, None, None],
        )
        extra = losses - losses[layers, self.pair][:, None]
        fits = self.taken & (self.loss + extra <= self.problem.limit)
        new = np.where(fits[:, None], new, np.inf)
        self.evaluations += new.size
        if not new.min() < self.value * _BETTER:
            return False
        layer, mapping, pair = (int(i) for i in np.unravel_index(new.argmin(), new.shape))
        self.mapping[layer], self.pair[layer] = mapping, pair
        self.loss += int(extra[layer, pair])
        return True

    def _swap_types(self) -> bool:
        """The best change of types of two layers, with the scheduler's mappings."""
        layers, losses = self.keeping.layers, self.problem.losses
        columns = np.flatnonzero(self.taken)
        now = layers, self.mapping, self.pair, self.flags
        change = [
            (figure[layers[:, None], columns, self.flags[:, None]] - whole[now][:, None]).ravel()
            for figure, whole in ((self.fast, self.latency), (self.cheap, self.energy))
        ]
        extra = (losses[:, columns] - losses[layers, self.pair][:, None]).ravel()
        owner = np.repeat(layers, len(columns))
        total = self.sums
        better, worse = np.flatnonzero(extra > 0), np.flatnonzero(extra < 0)
        if not len(better) or not len(worse):
            return False
        new = self._product(
            total[0] + change[0][better][:, None] + change[0][worse],
            total[1] + change[1][better][:, None] + change[1][worse],
        )
        fits = self.loss + extra[better][:, None] + extra[worse] <= self.problem.limit
        new = np.where(fits & (owner[better][:, None] != owner[worse]), new, np.inf)
        self.evaluations += new.size
        if not new.min() < self.value * _BETTER:
            return False
        for at in (i[j] for i, j in zip((better, worse), np.unravel_index(new.argmin(), new.shape), strict=True)):
            layer, pair = int(owner[at]), int(columns[at % len(columns)])
            self.pair[layer], self.mapping[layer] = pair, self.best[layer, pair, self.flags[layer]]
            self.loss += int(extra[at])
        return True

    def _swap_activations(self) -> bool:
        """The best set of edges to bring on chip or back, or to put in the place of another."""
        keeping, room = self.keeping, int(self.tables.room[0])
        if not room or not keeping.sets:
            return False
        members = keeping.members
        ins, outs = self.resident | members, self.resident & ~members
        swaps = (outs[:, None] | members).reshape(-1, members.shape[1])
        near = np.unique(np.concatenate((ins, outs, swaps)), axis=0)
        near = near[peak_words(keeping.activations, near) <= room]
        latency, energy = self._with(*keeping.traffic(near))
        new = self._product(latency, energy)
        self.evaluations += len(near)
        if not len(new) or not new.min() < self.value * _BETTER:
            return False
        before = self.resident, self.flags, self.words, self.mapping
        value = self.value
        self.resident = near[int(new.argmin())]
        self._settle()
        if self.value < value * _BETTER:
            return True
        self.resident, self.flags, self.words, self.mapping = before
        return False

    @property
    def choice(self) -> Choice:
        """The design."""
        mapping, pair = (tuple(int(i) for i in part) for part in (self.mapping, self.pair))
        return Choice(self.number, mapping, pair, tuple(bool(i) for i in self.resident))


def two_level_greedy(problem: JointProblem) -> tuple[Choice | None, int]:
    """Returns the design of the rule and the designs it looked at; ``None`` where no machine keeps the limit."""
    keeping = _Keeping(problem)
    tried: list[_Machine] = []
    evaluations = 0
    for at in range(len(problem.machines)):
        one = problem.machines[at : at + 1]
        machine = _Machine(problem, problem.tables(one), keeping, int(one[0]))
        if machine.loss > problem.limit:
            continue
        machine.trade_types()
        machine.keep_activations()
        evaluations += machine.evaluations
        machine.evaluations = 0
        tried.append(machine)
        if len(tried) > 2 * REFINED:
            tried = sorted(tried, key=lambda m: m.value)[:REFINED]
    for machine in (refined := sorted(tried, key=lambda m: m.value)[:REFINED]):
        machine.descend()
        evaluations += machine.evaluations
    if not refined:
        return None, evaluations
    return min(refined, key=lambda m: m.value).choice, evaluations
