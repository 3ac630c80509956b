"""BoTorch drives a task: designs as points of the unit cube, outcomes as tensors.

Needs torch alone (extra ``agents``); BoTorch itself is the user's to install.

Example::

    cube = UnitCube(task)
    x = cube.from_designs(task.sample_feasible(rng, 32))
    y, g = cube.evaluate(x)
    model = ModelListGP(SingleTaskGP(x, y), SingleTaskGP(x, g))   # maximise y where g <= 0
    candidates, _ = optimize_acqf(..., bounds=cube.bounds)
    y, g = cube.evaluate(candidates)

"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from accelgym.agents.adapters.counter import DesignRepair, EvaluationCounter, figures, objective_names
from accelgym.costmodels.errors import InputError, MissingExtraError
from accelgym.envs.space import Designs
from accelgym.envs.task import Task

try:
    import torch
    from torch import Tensor
except ImportError as error:
    raise MissingExtraError("the BoTorch adapter", "torch", "agents") from error

__all__ = ["UnitCube"]


class UnitCube:
    """A task over the unit cube: value ``i`` of ``n`` owns the cell ``[i / n, (i + 1) / n)`` of its axis.

    Tensors are float64, as BoTorch recommends.

    Args:
        task: The task.
        counter: Counts the evaluations and keeps the best feasible design.
        repair: Evaluate feasible designs near the points, which themselves stay as they are.
        seed: Of the repairs.
        objectives: Names of costs in place of the task's objective, such as ``energy_pj``.
    """

    def __init__(
        self,
        task: Task,
        counter: EvaluationCounter | None = None,
        *,
        repair: bool = False,
        seed: int = 0,
        objectives: Sequence[str] | None = None,
    ) -> None:
        self.task = task
        self.counter = counter or EvaluationCounter(task)
        self._mend, self._names = DesignRepair(task, repair, seed), objective_names(objectives)

    @property
    def bounds(self) -> Tensor:
        """Corners of the cube, shape ``(2, parameters)``."""
        d = len(self.task.space)
        return torch.stack((torch.zeros(d, dtype=torch.float64), torch.ones(d, dtype=torch.float64)))

    def from_designs(self, designs: Designs) -> Tensor:
        """Returns the centres of the designs' cells, shape ``(n, parameters)``."""
        space = self.task.space
        return torch.from_numpy((space.check(designs) + 0.5) / space.nvec)

    def to_designs(self, points: Tensor) -> Designs:
        """Returns the designs whose cells hold the points.

        Args:
            points: In the unit cube, shape ``(n, parameters)``; a coordinate of 1 belongs to the last cell.

        Raises:
            InputError: Wrong shape, or a point outside the cube.
        """
        array = np.asarray(points.detach().cpu(), dtype=np.float64)
        if array.ndim != 2 or array.shape[1] != len(self.task.space):
            raise InputError(f"points have shape {array.shape}, expected (n, {len(self.task.space)})")
        if not ((array >= 0) & (array <= 1)).all():
            raise InputError(f"points range over {array.min()}..{array.max()}, allowed 0..1")
        nvec = self.task.space.nvec
        return np.minimum((array * nvec).astype(np.int64), nvec - 1)

    def evaluate(self, points: Tensor) -> tuple[Tensor, Tensor]:
        """Evaluates points.

        Args:
            points: Shape ``(n, parameters)``.

        Returns:
            Objectives to be maximised (the task's, negated), shape ``(n, objectives)``, and constraint, feasible where
            it is ``<= 0`` (relative overshoot of the budget), shape ``(n, 1)``. Both are finite: an invalid design has
            the worst value of a valid one so far, and the largest violation.

        Raises:
            InputError: Bad points, or the task has no such cost.
        """
        found = figures(self.counter, self.counter.evaluate(self._mend(self.to_designs(points))), self._names)
        return torch.from_numpy(-found.objectives), torch.from_numpy(found.violation[:, None].copy())
