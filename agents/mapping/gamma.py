"""GAMMA: a genetic algorithm whose operators know tiles, orders and parallelism."""

from __future__ import annotations

from typing import ClassVar

import numpy as np
import numpy.typing as npt

from accelgym.agents.hyperparameters import Hyperparameters, Real, Whole
from accelgym.agents.mapping.base import MappingAgent
from accelgym.agents.options import require
from accelgym.costmodels.mapspace import LoopChoice
from accelgym.envs.space import Designs
from accelgym.envs.task import Outcome, Task

__all__ = ["Gamma"]

Ints = npt.NDArray[np.int64]
Bools = npt.NDArray[np.bool_]


class Gamma(MappingAgent):
    """Evolves mappings with the operators of GAMMA (Kao and Krishna, ICCAD 2020), batched over the population.

    All operators are on, as in the paper; the authors' command line ships with growth, ageing and the swap of
    parallel dimensions disabled (its constraint file fixes them). The machine's hierarchy is given here, so growth
    fills a fan-out and ageing empties one, where GAMMA adds and removes levels of clusters.

    ==========  ============================================================================================
    operator    what it changes
    ==========  ============================================================================================
    crossover   a dimension's factors at every level come from another parent
    reorder     two loops of a level trade places
    tile        dimensions draw a new factorisation (``loci`` of them)
    growth      prime factors of one dimension move from the time loops into a fan-out
    ageing      all factors in a fan-out return to the time loops of the level above it
    parallel    two directions of fan-outs trade their factors
    ==========  ============================================================================================

    Children are repaired to fit memories and fan-outs before they are proposed.

    Args:
        task: The mapping task to search.
        seed: Seed of every choice.
        population: Designs per generation.
        parents: Share of the population that breeds.
        elite: Share that survives unchanged.
        crossover: Probability of the operator, per child; likewise the following.
        reorder: See above.
        tile: See above.
        growth: See above.
        ageing: See above.
        parallel: See above.
        loci: Dimensions redrawn by ``tile``.
    """

    name: ClassVar[str] = "gamma"
    hyperparameters: ClassVar[Hyperparameters] = {
        "population": Whole(8, 200, log=True),
        "parents": Real(0.1, 0.9),
        "elite": Real(0.02, 0.4),
        "crossover": Real(0.0, 1.0),
        "reorder": Real(0.0, 1.0),
        "tile": Real(0.0, 1.0),
        "growth": Real(0.0, 1.0),
        "ageing": Real(0.0, 1.0),
        "parallel": Real(0.0, 1.0),
        "loci": Whole(1, 4),
    }

    def __init__(
        self,
        task: Task,
        *,
        seed: int,
        population: int = 100,
        parents: float = 0.4,
        elite: float = 0.05,
        crossover: float = 0.57,
        reorder: float = 0.47,
        tile: float = 0.53,
        growth: float = 0.57,
        ageing: float = 0.27,
        parallel: float = 0.1,
        loci: int = 1,
    ) -> None:
        super().__init__(task, seed=seed)
        require(self.name, 2, population=population)
        require(self.name, 1, loci=loci)
        require(self.name, 0, 1, parents=parents, elite=elite, crossover=crossover, reorder=reorder)
        require(self.name, 0, 1, tile=tile, growth=growth, ageing=ageing, parallel=parallel)
        self.population, self.loci = population, loci
        self.num_parents, self.num_elite = max(2, int(parents * population)), max(1, int(elite * population))
        self._operators = (
            (crossover, self._cross),
            (reorder, self._reorder),
            (tile, self._redraw),
            (growth, self._grow),
            (ageing, self._age),
            (parallel, self._swap_parallel),
        )
        slots = self.mapspace.architecture.slots
        self._spatial = np.array([s for s, slot in enumerate(slots) if slot.kind != "temporal"], dtype=np.int64)
        self._time_of = np.array([self.mapspace.architecture.slot(slot.level, "temporal") for slot in slots])
        self._orders = [
            (j, x) for j, x in enumerate(self.mapspace.decisions) if isinstance(x, LoopChoice) and x.digit == 0
        ]
        self._columns = {d: self.place_columns[self.place_dims == d] for d in set(self.place_dims.tolist())}
        self._redrawn = {d: self._chain_actions(d) for d in self._columns}
        self._designs: Designs = np.zeros((0, len(task.space)), dtype=np.int64)
        self._score: npt.NDArray[np.float64] = np.zeros(0)

    def ask(self, count: int) -> Designs:
        if len(self._designs) == 0:
            return self.task.sample_feasible(self.rng, min(self.population, count))
        n = min(self.population - self.num_elite, count)
        chosen = self.rng.integers(0, min(self.num_parents, len(self._designs)), n)
        children = self.mapspace.actions(self._designs[chosen])
        for probability, operator in self._operators:
            rows = np.flatnonzero(self.rng.random(n) < probability)
            if len(rows):
                operator(children, rows)
        return self.task.repair(self.mapspace.designs(children), self.rng)

    def tell(self, designs: Designs, outcome: Outcome) -> None:
        pool = np.concatenate((designs, self._designs[: self.num_elite]))
        score = np.concatenate((outcome.score, self._score[: self.num_elite]))
        distinct = np.sort(np.unique(pool, axis=0, return_index=True)[1])
        keep = distinct[np.argsort(score[distinct], kind="stable")]
        self._designs, self._score = pool[keep], score[keep]

    # -- operators: change actions in place, in the numbering of MapSpace.actions -----------------------------

    def _cross(self, children: Ints, rows: Ints) -> None:
        parents = min(self.num_parents, len(self._designs))
        mates = self.mapspace.actions(self._designs[self.rng.integers(0, parents, len(rows))])
        dims = self._draw_dims(len(rows))
        for d, columns in self._columns.items():
            mine = dims == d
            children[np.ix_(rows[mine], columns)] = mates[mine][:, columns]

    def _reorder(self, children: Ints, rows: Ints) -> None:
        level = self.rng.integers(0, max(1, len(self._orders)), len(rows))
        for number, (column, order) in enumerate(self._orders):
            mine = rows[level == number]
            n = len(order.dims)
            chosen = children[mine, column : column + n - 1]
            last = sum(order.dims) - chosen.sum(axis=1)  # the one that is left over is outermost
            full = np.column_stack((chosen, last))
            first = self.rng.integers(0, n, len(mine))
            second = (first + self.rng.integers(1, n, len(mine))) % n
            everyone = np.arange(len(mine))
            full[everyone, first], full[everyone, second] = full[everyone, second], full[everyone, first]
            children[mine, column : column + n - 1] = full[:, :-1]

    def _redraw(self, children: Ints, rows: Ints) -> None:
        for _ in range(self.loci):
            dims = self._draw_dims(len(rows))
            for d, columns in self._columns.items():
                mine = rows[dims == d]
                table = self._redrawn[d]
                children[np.ix_(mine, columns)] = table[self.rng.integers(0, len(table), len(mine))]

    def _grow(self, children: Ints, rows: Ints) -> None:
        if not len(self._spatial):
            return
        target = self._spatial[self.rng.integers(0, len(self._spatial), len(rows))]
        dims = self._draw_dims(len(rows))
        mine = self.place_dims[None] == dims[:, None]
        in_time = ~np.isin(children[np.ix_(rows, self.place_columns)], self._spatial)
        moved = mine & in_time & self.allowed[:, target].T & (self.rng.random(mine.shape) < 0.5)
        self._place(children, rows, moved, np.broadcast_to(target[:, None], moved.shape))

    def _age(self, children: Ints, rows: Ints) -> None:
        if not len(self._spatial):
            return
        source = self._spatial[self.rng.integers(0, len(self._spatial), len(rows))]
        moved = children[np.ix_(rows, self.place_columns)] == source[:, None]
        target = np.broadcast_to(self._time_of[source][:, None], moved.shape)
        self._place(children, rows, moved, target)

    def _swap_parallel(self, children: Ints, rows: Ints) -> None:
        if len(self._spatial) < 2:
            return
        first = self.rng.integers(0, len(self._spatial), len(rows))
        second = (first + self.rng.integers(1, len(self._spatial), len(rows))) % len(self._spatial)
        here, there = self._spatial[first][:, None], self._spatial[second][:, None]
        now = children[np.ix_(rows, self.place_columns)]
        target = np.where(now == here, there, np.where(now == there, here, now))
        self._place(children, rows, target != now, target)

    def _place(self, children: Ints, rows: Ints, moved: Bools, target: Ints) -> None:
        """Moves factors to other slots where those are open to them; arrays ``(rows, places)``."""
        now = children[np.ix_(rows, self.place_columns)]
        open_there = self.allowed[np.arange(len(self.place_columns))[None], target]
        children[np.ix_(rows, self.place_columns)] = np.where(moved & open_there, target, now)

    def _draw_dims(self, n: int) -> Ints:
        dims = np.array(list(self._columns), dtype=np.int64)
        return dims[self.rng.integers(0, len(dims), n)]

    def _chain_actions(self, d: int) -> Ints:
        """Actions that place the factors of a dimension, one row per factorisation."""
        chains = self.mapspace.factorization.chains(d)
        factors = np.repeat(self.mapspace.factorization.outermost[:, :, None], chains.shape[1], axis=2)
        factors[:, d] = chains
        designs = self.mapspace.to_designs(self.mapspace.candidates(factors))
        return self.mapspace.actions(designs)[:, self._columns[d]]
