"""Thistle: geometric programs over tile sizes, rounded to divisors."""

from __future__ import annotations

from collections.abc import Iterator
from typing import ClassVar

import numpy as np
import numpy.typing as npt

from accelgym.agents.hyperparameters import Hyperparameters, Whole
from accelgym.agents.mapping.base import MappingAgent
from accelgym.agents.moves import Mover
from accelgym.agents.options import require
from accelgym.costmodels.solvers.mapping.branch_and_bound import BranchAndBound
from accelgym.costmodels.solvers.mapping.nodes import Nodes
from accelgym.envs.space import Designs
from accelgym.envs.task import Outcome, Task

__all__ = ["Thistle"]

Ints = npt.NDArray[np.int64]
Floats = npt.NDArray[np.float64]

_MOST = 4096
"""Tilings rounded from one relaxed optimum."""


class Thistle(MappingAgent):
    """Solves the relaxation of every permutation class and evaluates the divisors nearest to each optimum.

    After Thistle (CGO 2022): loop orders that mean the same for data movement are one class, and with the order
    fixed the tile sizes solve a geometric program. The real optimum of each class is rounded to the ``nearest``
    divisors of every extent; those that fit are proposed, the classes with the lowest relaxed optimum first and in
    turn, without classes whose bound the best design has reached. Unlike the paper's, the programs know reuse across
    levels, and kernel loops may lie at any level. Once all are evaluated, neighbours of the best follow. In co-design
    every machine of the family has its classes.

    Args:
        task: The mapping or co-design task to search.
        seed: Seed of the neighbours; the programs and their rounding hang on no chance.
        nearest: Divisors tried per extent.
        batch: Designs proposed per class and turn.

    Raises:
        InputError: The problem has no geometric program (an output with strided or summed axes).
    """

    name: ClassVar[str] = "thistle"
    hyperparameters: ClassVar[Hyperparameters] = {"nearest": Whole(1, 4), "batch": Whole(4, 64, log=True)}
    codesign: ClassVar[bool] = True

    def __init__(self, task: Task, *, seed: int, nearest: int = 2, batch: int = 16) -> None:
        super().__init__(task, seed=seed)
        require(self.name, 1, nearest=nearest, batch=batch)
        self.nearest, self.batch = nearest, batch
        mapping = self.mapping
        self._search = BranchAndBound(
            mapping.mapspace,
            mapping.solver_machines,
            mapping.spec.objective,
            mapping.mapspace.bypass.all_choices(),
        )
        self._mover = Mover(task, {"step": 1.0, "reset": 1.0})
        self._proposals = self._rounded()
        self._seen: set[bytes] = set()
        self._best: Ints | None = None
        self._score = np.inf

    def ask(self, count: int) -> Designs:
        for designs in self._proposals:
            fresh = [k for k, design in enumerate(designs) if design.tobytes() not in self._seen][:count]
            if fresh:
                self._seen.update(designs[k].tobytes() for k in fresh)
                return designs[fresh]
        if self._best is None:
            return self.task.sample_feasible(self.rng, min(count, self.batch))
        return self._mover.move_within_budget(np.repeat(self._best[None], min(count, self.batch), axis=0), self.rng)

    def tell(self, designs: Designs, outcome: Outcome) -> None:
        i = int(outcome.score.argmin())
        if outcome.score[i] < self._score:
            self._score, self._best = float(outcome.score[i]), designs[i].copy()

    def _rounded(self) -> Iterator[Designs]:
        """Designs near the relaxed optima, class by class in turn."""
        search = self._search
        nodes, relaxed = search.relax(search.open)
        points = search.tile_figures(relaxed.point)
        order = np.argsort(nodes.bound, kind="stable")
        tilings: dict[int, Ints] = {}
        begin = 0
        while len(order):
            for k in order.tolist():
                if nodes.bound[k] >= np.log(self._score):
                    continue
                if k not in tilings:
                    tilings[k] = self._tilings(points[k])
                designs = self._designs(nodes.take(np.array([k])), tilings[k][:, :, begin : begin + self.batch])
                if len(designs):
                    yield designs
            begin += self.batch
            # A class passed over lies above the best design, for good.
            order = np.array(
                [k for k in order.tolist() if k in tilings and tilings[k].shape[2] > begin], dtype=np.int64
            )

    def _tilings(self, point: Floats) -> Ints:
        """Chains of divisors around a relaxed optimum, nearest first, shape ``(sites, dims, n)``."""
        space = self._search.space
        rows, distances = [], []
        for d, chains in enumerate(space.chains):
            away = np.abs(np.log(space.divisor_table[d][chains[:, 1:]]) - point[:, d])
            gaps = np.abs(np.log(space.divisors[d])[:, None] - point[:, d])
            limit = np.sort(gaps, axis=0)[min(self.nearest, len(gaps)) - 1]
            near = np.flatnonzero((away <= limit + 1e-9).all(axis=1))
            total = away.sum(axis=1)
            near = near if len(near) else np.array([total.argmin()])
            rows.append(near[np.argsort(total[near], kind="stable")][: max(2, int(_MOST ** (1 / space.dims)))])
            distances.append(total[rows[-1]])
        far = sum(np.meshgrid(*distances, indexing="ij"), np.zeros(1)).ravel()
        return self._search.evaluator.grid(rows)[:, :, np.argsort(far, kind="stable")]

    def _designs(self, node: Nodes, tilings: Ints) -> Designs:
        """Those that fit, as designs."""
        n = tilings.shape[2]
        classes, keep = np.repeat(node.classes.T, n, axis=1), np.repeat(node.keep[0][:, :, None], n, axis=2)
        candidates, fits = self._search.evaluator.candidates(tilings, classes, np.repeat(node.machine, n), keep)
        return self.mapping.encode_solved(int(node.machine[0]), candidates.take(np.flatnonzero(fits)))
