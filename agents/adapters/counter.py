"""Counts the evaluations of a loop that AccelGym does not own, and gives it numbers that it can compute with."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from accelgym.costmodels.errors import InputError, shown, unknown_name
from accelgym.costmodels.files.plain import count, distinct_names
from accelgym.envs.space import Designs
from accelgym.envs.task import Outcome, Task

__all__ = ["MOST_VIOLATION", "DesignRepair", "EvaluationCounter", "Figures", "figures", "objective_names"]

MOST_VIOLATION = 1e6
"""Violation of an invalid design: finite, and more than that of any other."""

Floats = npt.NDArray[np.float64]


class EvaluationCounter:
    """Evaluates designs of a task, counts them and remembers the best.

    Every design costs one evaluation, repeats included, as in :func:`accelgym.agents.search`.
    """

    def __init__(self, task: Task) -> None:
        self.task = task
        self.evaluations = 0
        """Designs evaluated so far."""
        self.best = float("inf")
        """Best feasible objective so far."""
        self.best_design: tuple[int, ...] | None = None
        """Design of :attr:`best`, ``None`` before a feasible one was seen."""
        self.worst: dict[str, float] = {}
        """Largest finite value so far of the objective and of every cost, over valid designs."""

    def evaluate(self, designs: Designs) -> Outcome:
        """Evaluates a batch, shape ``(n, parameters)``."""
        outcome = self.task.evaluate(designs)
        self.evaluations += len(outcome)
        score = outcome.score
        if len(score) and score.min() < self.best:
            i = int(score.argmin())
            self.best = float(score[i])
            self.best_design = tuple(int(v) for v in designs[i])
        return outcome

    @property
    def regret(self) -> float:
        """Regret of the best feasible objective, see :meth:`~accelgym.costmodels.certificate.Certificate.regret`."""
        return self.task.reference().regret(self.best)


class DesignRepair:
    """Replaces designs that do not fit by feasible ones near them, before they are evaluated.

    Args:
        task: The task.
        wanted: Whether to do so at all.
        seed: Of the random choices of ``task.repair``.
    """

    def __init__(self, task: Task, wanted: bool, seed: int) -> None:
        self._task, self._wanted = task, wanted
        self._rng = np.random.default_rng(count(seed, "seed", 0))

    def __call__(self, designs: Designs) -> Designs:
        """Returns designs of the same shape."""
        return self._task.repair(designs, self._rng) if self._wanted else designs


@dataclass(frozen=True)
class Figures:
    """What an optimiser computes with; every number is finite."""

    objectives: Floats
    """To be minimised, shape ``(n, objectives)``; of an invalid design the worst value of a valid one so far."""
    violation: Floats
    """0 where feasible, shape ``(n,)``; :data:`MOST_VIOLATION` where invalid."""


def objective_names(objectives: Sequence[str] | None) -> tuple[str, ...]:
    """Returns the names of what is minimised: the task's objective alone where nothing is said.

    Raises:
        InputError: A text in place of a sequence, none, or a name that stands twice.
    """
    names = ("objective",) if objectives is None else distinct_names(objectives)
    if not names:
        raise InputError(f"objectives is {shown(objectives)}, allowed a sequence of different names of costs")
    return names


def figures(counter: EvaluationCounter, outcome: Outcome, names: Sequence[str]) -> Figures:
    """Returns objectives and violations of designs as finite numbers.

    Args:
        counter: Remembers the worst valid values, which stand for those of invalid designs; the task's certified bound
            does before there is one.
        outcome: What the designs are worth.
        names: ``objective``, or names of costs with one number per design.

    Raises:
        InputError: No such cost.
    """
    known = {"objective": outcome.objective}
    known |= {name: values for name, values in outcome.costs.items() if np.ndim(values) == 1}
    columns = []
    for name in names:
        if name not in known:
            raise unknown_name("objective", name, known)
        column = np.asarray(known[name], dtype=np.float64)
        good = outcome.valid & np.isfinite(column)
        if good.any():
            counter.worst[name] = max(counter.worst.get(name, -np.inf), float(column[good].max()))
        # Any number will do while there is no valid one: violations tell such designs apart from others.
        spare = counter.task.bound if name == "objective" else 0.0
        columns.append(np.where(good, column, counter.worst.get(name, spare)))
    violation = np.where(outcome.valid & np.isfinite(outcome.violation), outcome.violation, MOST_VIOLATION)
    return Figures(np.stack(columns, axis=-1), np.minimum(violation, MOST_VIOLATION))
