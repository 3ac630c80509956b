"""The loop for tasks with several fidelities: it evaluates, and counts what each evaluation costs."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from accelgym.agents.base import Agent, make_agent
from accelgym.agents.successive_halving import SuccessiveHalving
from accelgym.costmodels.errors import InputError, shown
from accelgym.costmodels.files.plain import count
from accelgym.envs.multi_fidelity.task import MultiFidelityTask

__all__ = ["FidelityTrajectory", "search_at_fidelities"]

_MOST_ROWS = 10**7
"""Of one search; they are kept in memory."""
_ROUNDING = 1e-9


@dataclass(frozen=True)
class FidelityTrajectory:
    """Every evaluation of one search, in order; arrays of shape ``(evaluations,)`` unless said otherwise."""

    agent: str
    task_id: str
    seed: int
    budget: float
    fidelities: tuple[str, ...]
    designs: npt.NDArray[np.int64]
    """Shape ``(evaluations, parameters)``."""
    fidelity: npt.NDArray[np.int64]
    """Index into :attr:`fidelities`."""
    score: npt.NDArray[np.float64]
    """Objective at that fidelity, ``inf`` where infeasible."""
    spent: npt.NDArray[np.float64]
    """Cost of all evaluations up to this one, in evaluations of the last fidelity."""

    @property
    def best_so_far(self) -> npt.NDArray[np.float64]:
        """Best objective at the last fidelity after each evaluation, ``inf`` before the first."""
        counts = self.fidelity == len(self.fidelities) - 1
        return np.minimum.accumulate(np.where(counts, self.score, np.inf))

    @property
    def best(self) -> float:
        """Best objective at the last fidelity, ``inf`` when none was found."""
        return float(self.best_so_far[-1]) if len(self.score) else math.inf

    @property
    def best_design(self) -> tuple[int, ...] | None:
        """The design it belongs to."""
        if not math.isfinite(self.best):
            return None
        counts = self.fidelity == len(self.fidelities) - 1
        return tuple(self.designs[np.where(counts, self.score, np.inf).argmin()].tolist())

    def best_within(self, spent: float) -> float:
        """Best objective at the last fidelity within a part of the budget."""
        until = int(np.searchsorted(self.spent, spent * (1 + _ROUNDING), side="right"))
        return float(self.best_so_far[until - 1]) if until else math.inf


def search_at_fidelities(
    task: MultiFidelityTask,
    agent: str,
    *,
    budget: float,
    seed: int,
    options: Mapping[str, Any] | None = None,
) -> FidelityTrajectory:
    """Runs an agent until its budget is spent; agents that choose no fidelity are asked at the last.

    Args:
        task: The task.
        agent: Name of a registered agent.
        budget: In evaluations of the last fidelity; one at another costs its price.
        seed: Seed of the agent.
        options: Hyperparameters of the agent.

    Raises:
        InputError: A task with one fidelity, an unknown agent or option, a budget that is not positive, a negative
            seed.
        NoFidelityError: A fidelity does not exist for a design.
    """
    if not isinstance(task, MultiFidelityTask):
        raise InputError(f"task is a {type(task).__name__}, allowed: a MultiFidelityTask; for others there is search")
    if (
        isinstance(budget, bool)
        or not isinstance(budget, (int, float, np.number))
        or not 0 < float(budget) <= _MOST_ROWS
    ):
        raise InputError(f"budget is {shown(budget)}, allowed > 0 and <= {_MOST_ROWS}")
    seed, left = count(seed, "seed", 0), float(budget)
    searcher: Agent = make_agent(agent, task, seed=seed, **dict(options or {}))
    if isinstance(searcher, SuccessiveHalving):
        searcher.choose_fidelities()
    rows: list[tuple[npt.NDArray[np.int64], int, npt.NDArray[np.float64], float]] = []
    while True:
        fidelity = task.fidelity(getattr(searcher, "fidelity", None))
        room = min(int(left / fidelity.price + _ROUNDING), _MOST_ROWS)
        designs = searcher.ask(room) if room else np.zeros((0, len(task.space)), dtype=np.int64)
        if not len(designs):
            break
        if len(designs) > room:
            raise RuntimeError(f"{type(searcher).__name__}.ask({room}) returned {len(designs)} designs")
        outcome = task.evaluate(designs, fidelity.name)
        searcher.tell(designs, outcome)
        left -= len(designs) * fidelity.price
        rows.append((designs, task.fidelities.index(fidelity.name), outcome.score, fidelity.price))
    sizes = [len(designs) for designs, *_ in rows]
    return FidelityTrajectory(
        agent,
        task.id,
        seed,
        float(budget),
        task.fidelities,
        np.concatenate([np.zeros((0, len(task.space)), dtype=np.int64), *(row[0] for row in rows)]),
        np.repeat(np.array([row[1] for row in rows], dtype=np.int64), sizes),
        np.concatenate([np.zeros(0), *(row[2] for row in rows)]),
        np.cumsum(np.repeat([row[3] for row in rows], sizes)) if rows else np.zeros(0),
    )
