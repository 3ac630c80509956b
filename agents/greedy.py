"""Marginal allocation: probe the constant designs, then buy the best saving per resource."""

from __future__ import annotations

from typing import ClassVar

import numpy as np
import numpy.typing as npt

from accelgym.agents.base import Agent
from accelgym.agents.hyperparameters import Hyperparameters, Whole
from accelgym.agents.options import require
from accelgym.costmodels.errors import InputError
from accelgym.costmodels.solvers import allocate_greedily
from accelgym.envs.layout import Layout
from accelgym.envs.space import Designs
from accelgym.envs.task import Outcome, Task

__all__ = ["Greedy"]

FloatArray = npt.NDArray[np.float64]
IntArray = npt.NDArray[np.int64]

_NEEDED = ("slot_cost", "slot_resource", "slot_valid", "resource")


class Greedy(Agent):
    """Learns what every option costs in every slot, allocates greedily, then improves the allocation.

    1. *Probing* evaluates the constant designs, one per option (144 for the 12 x 12 levels). Each tells the cost
       and resource of its option in every slot at once, so that this many evaluations tabulate the whole problem.
       They count like any other.
    2. *Allocation* starts from the cheapest options and buys the largest saving per resource until nothing fits
       (:func:`accelgym.costmodels.solvers.allocate_greedily`), and evaluates the result: one evaluation.
    3. *Improvement*, by iterated greedy (Ruiz and Stützle, EJOR 2007): frees a few slots of the best design, forces
       another option on one of them, allocates the rest again and evaluates; the better design stays. The agent
       proposes nothing it has proposed before, and stops after ``patience`` barren attempts.

    The budget is not told to it: it follows from a design that broke it, by its resource and relative overshoot.
    When every probe fits, the largest resource seen is taken. It needs a task whose slots contribute separately
    and whose outcomes say so (``slot_cost``, ``slot_resource``, ``slot_valid``, ``resource``).

    ``freed`` and ``patience`` are not tuned: the allocation alone is mostly optimal.

    Args:
        task: The task to search.
        seed: Seed of the improvement, and of the subset of probes when the budget is smaller than their number.
        freed: Slots freed per improvement; 0 stops after the allocation.
        patience: Attempts in a row that yield nothing new to evaluate, before the search ends.
    """

    name: ClassVar[str] = "greedy"
    hyperparameters: ClassVar[Hyperparameters] = {"freed": Whole(1, 16, log=True), "patience": Whole(5, 500, log=True)}

    def __init__(self, task: Task, *, seed: int, freed: int = 4, patience: int = 50) -> None:
        super().__init__(task, seed=seed)
        require(self.name, 0, freed=freed)
        require(self.name, 1, patience=patience)
        self.freed, self.patience = freed, patience
        self._layout = Layout(task.space)
        self._probes: Designs | None = None
        self._table: _SlotTable | None = None
        self._best: IntArray | None = None
        self._best_score = np.inf
        self._proposed: IntArray | None = None
        self._seen: set[bytes] = set()

    def ask(self, count: int) -> Designs:
        if self._probes is None:
            # The last evaluation is kept for the allocation.
            self._probes = self.task.constant_designs(self.rng, max(1, count - 1))
            return self._probes
        assert self._table is not None
        choice = self._table.allocate() if not self._seen else self._improve(self._table)
        if choice is None:
            # Not even the cheapest probed options fit together, or nothing new is left.
            return self._nothing() if self._seen else self._fall_back()
        self._seen.add(choice.tobytes())
        self._proposed = choice
        return self._design(choice)

    def tell(self, designs: Designs, outcome: Outcome) -> None:
        if self._table is None:
            self._table = _SlotTable.read(designs, outcome)
            return
        if self._proposed is not None and outcome.score[0] < self._best_score:
            self._best, self._best_score = self._proposed, float(outcome.score[0])

    def _improve(self, table: _SlotTable) -> IntArray | None:
        slots, options = table.cost.shape
        if self._best is None or self.freed == 0:
            return None
        for _ in range(self.patience):
            freed = self.rng.permutation(slots)[: self.freed]
            keep = np.ones(slots, dtype=bool)
            keep[freed] = False
            fixed = np.where(keep, self._best, -1)
            fixed[freed[0]] = self.rng.integers(options)
            choice = table.allocate(fixed)
            if choice is not None and choice.tobytes() not in self._seen:
                return choice
        return None

    def _design(self, choice: IntArray) -> Designs:
        """Puts a probe's values into each slot, shape ``(1, parameters)``."""
        assert self._probes is not None
        return self._probes[choice[self._layout.slot], np.arange(len(self._layout.slot))][None]

    def _fall_back(self) -> Designs:
        self._seen.add(b"")
        self._proposed = None
        return self.task.sample_feasible(self.rng, 1)

    def _nothing(self) -> Designs:
        return np.zeros((0, len(self.task.space)), dtype=np.int64)


class _SlotTable:
    """Cost and resource of every probed option in every slot, shape ``(slots, options)``."""

    def __init__(
        self, cost: FloatArray, resource: FloatArray, allowed: npt.NDArray[np.bool_], capacity: float, largest: bool
    ) -> None:
        self.cost, self.resource, self.allowed = cost, resource, allowed
        self.capacity = capacity
        self.largest = largest

    @classmethod
    def read(cls, designs: Designs, outcome: Outcome) -> _SlotTable:
        """Tabulates the outcomes of the constant designs.

        Raises:
            InputError: The task does not report costs by slot.
        """
        missing = [key for key in _NEEDED if key not in outcome.costs]
        if missing:
            raise InputError(
                f"agent 'greedy' needs outcomes by slot, and this task's have no {', '.join(missing)}; "
                f"'ga' and 'annealing' search any task"
            )
        cost, used = outcome.costs["slot_cost"], outcome.costs["resource"]
        broken = outcome.valid & ~outcome.feasible
        if broken.any():
            capacity = float((used[broken] / (1 + outcome.violation[broken])).min())
        else:
            capacity = float(used[outcome.valid].max(initial=0.0))
        valid = outcome.valid
        largest = bool(np.array_equal(cost[valid].max(axis=1), outcome.objective[valid])) and cost.shape[1] > 1
        return cls(cost.T, outcome.costs["slot_resource"].T, outcome.costs["slot_valid"].T, capacity, largest)

    def allocate(self, fixed: IntArray | None = None) -> IntArray | None:
        """Allocates greedily; slots with an entry in ``fixed`` that is not -1 keep that option."""
        allowed = self.allowed
        if fixed is not None:
            allowed = allowed & ((fixed[:, None] < 0) | (np.arange(self.cost.shape[1]) == fixed[:, None]))
        return allocate_greedily(self.cost, self.resource, self.capacity, allowed, aggregate_max=self.largest)
