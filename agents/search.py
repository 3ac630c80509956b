"""The loop that every agent runs in: it evaluates, counts and times."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from accelgym.agents.base import Agent, make_agent
from accelgym.agents.journal import Batch, Journal
from accelgym.agents.trajectory import Trajectory
from accelgym.costmodels.errors import InputError
from accelgym.envs.task import Task

__all__ = ["Progress", "search"]

Progress = Callable[[int, float], None]
"""Called after every batch with the evaluations made and the best feasible objective."""


def search(
    task: Task,
    agent: str,
    *,
    budget: int,
    seed: int,
    options: dict[str, Any] | None = None,
    journal: Path | None = None,
    progress: Progress | None = None,
) -> Trajectory:
    """Runs an agent on a task until its evaluations are spent.

    One evaluation is one complete design. A design proposed twice counts twice.

    Args:
        task: The task.
        agent: Name of a registered agent.
        budget: Evaluations allowed.
        seed: Seed of the agent.
        options: Hyperparameters of the agent.
        journal: File that makes the search resumable: batches found in it are replayed, not evaluated again,
            and new ones are appended.
        progress: Called after every batch.

    Raises:
        InputError: Unknown agent or option, a budget below 1, or the journal of another search.
    """
    if budget < 1:
        raise InputError(f"budget is {budget} evaluations, allowed >= 1")
    options = options or {}
    record = None
    if journal is not None:
        identity = {"task": task.id, "agent": agent, "seed": seed, "budget": budget, "options": options}
        record = Journal(journal, identity)
    watch = _Stopwatch()
    searcher = make_agent(agent, task, seed=seed, **options)
    log = _Log()
    past = record.replay() if record is not None else iter(())
    while log.evaluations < budget:
        batch = _step(task, searcher, budget - log.evaluations, past, watch)
        if batch is None:
            break
        if record is not None and not watch.replayed:
            record.append(batch)
        log.add(batch)
        if progress is not None:
            progress(log.evaluations, log.best)
        watch.restart()
    return log.trajectory(agent, task, seed, budget, options)


@dataclass
class _Stopwatch:
    """CPU time of the agent since the last batch.

    The agent is charged for set-up, asking and telling, not for the bookkeeping between two batches.
    """

    cpu: float = field(default_factory=time.process_time)
    wall: float = field(default_factory=time.perf_counter)
    replayed: bool = False

    def restart(self) -> None:
        """Forgets the time since the last batch."""
        self.cpu, self.wall = time.process_time(), time.perf_counter()


def _step(task: Task, agent: Agent, left: int, past: Iterator[Batch], watch: _Stopwatch) -> Batch | None:
    """Asks for one batch, evaluates or replays it, and tells its outcome."""
    designs = agent.ask(left)
    if len(designs) == 0:
        return None
    if len(designs) > left:
        raise RuntimeError(f"{type(agent).__name__}.ask({left}) returned {len(designs)} designs")
    asked = time.process_time()
    known = next(past, None)
    watch.replayed = known is not None
    if known is not None and not np.array_equal(known.designs, designs):
        raise InputError("the journal does not match: it was written by another version of the agent")
    outcome = known.outcome if known is not None else task.evaluate(designs)
    evaluated = time.process_time()
    agent.tell(designs, outcome)
    spent = (asked - watch.cpu) + (time.process_time() - evaluated)
    return known or Batch(designs, outcome, spent, evaluated - asked, time.perf_counter() - watch.wall)


class _Log:
    """Accumulates batches."""

    def __init__(self) -> None:
        self.evaluations = 0
        self.best = float("inf")
        self._best_design: tuple[int, ...] | None = None
        self._seen: set[bytes] = set()
        self._objective: list[Any] = []
        self._feasible: list[Any] = []
        self._marks: list[tuple[int, float, float, float]] = []

    def add(self, batch: Batch) -> None:
        """Takes note of one batch."""
        score = batch.outcome.score
        self.evaluations += len(score)
        self._objective.append(batch.outcome.objective)
        self._feasible.append(batch.outcome.feasible)
        self._marks.append((self.evaluations, batch.agent_cpu_s, batch.evaluation_cpu_s, batch.wall_s))
        rows = batch.designs.astype(np.int32)
        self._seen.update(row.tobytes() for row in rows)
        i = int(score.argmin())
        if score[i] < self.best:
            self.best = float(score[i])
            self._best_design = tuple(int(v) for v in batch.designs[i])

    def trajectory(self, agent: str, task: Task, seed: int, budget: int, options: dict[str, Any]) -> Trajectory:
        """Returns the whole search."""
        marks = np.array(self._marks, dtype=np.float64).reshape(-1, 4)
        return Trajectory(
            agent=agent,
            task_id=task.id,
            seed=seed,
            budget=budget,
            objective=np.concatenate([np.zeros(0), *self._objective]),
            feasible=np.concatenate([np.zeros(0, dtype=bool), *self._feasible]),
            batch_evaluations=marks[:, 0].astype(np.int64),
            agent_cpu_s=np.cumsum(marks[:, 1]),
            evaluation_cpu_s=np.cumsum(marks[:, 2]),
            wall_s=np.cumsum(marks[:, 3]),
            best_design=self._best_design,
            distinct_designs=len(self._seen),
            options=options,
        )
