"""Counts the evaluations of a loop that AccelGym does not own."""

from __future__ import annotations

from accelgym.envs.space import Designs
from accelgym.envs.task import Outcome, Task

__all__ = ["EvaluationCounter"]


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
