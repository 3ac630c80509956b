"""The loop that every agent runs in: it evaluates, counts and times."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from accelgym.agents.base import Agent, make_agent
from accelgym.agents.journal import Batch, Journal
from accelgym.agents.trajectory import Trajectory
from accelgym.costmodels.certificate import Certificate
from accelgym.costmodels.errors import InputError, shown
from accelgym.costmodels.files.arrays import compact
from accelgym.costmodels.files.plain import as_path, count, is_table, native
from accelgym.envs.space import Designs
from accelgym.envs.task import Outcome, Task, of_rows

__all__ = ["MOST_EVALUATIONS", "Progress", "search"]

MOST_EVALUATIONS = 10**9
"""Of one search; its trajectory is kept in memory."""

Progress = Callable[[int, float], None]
"""Called after every batch with the evaluations made and the best feasible objective."""


def search(
    task: Task,
    agent: str,
    *,
    budget: int,
    seed: int,
    options: Mapping[str, Any] | None = None,
    journal: Path | str | None = None,
    progress: Progress | None = None,
    certificate: Certificate | None = None,
    evaluate: Callable[[Designs], Outcome] | None = None,
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
        certificate: What is proved about the task; every outcome is held against it.
        evaluate: Returns what ``task.evaluate`` would, from a cache say; evaluations count all the same.

    Raises:
        InputError: Unknown agent or option, a budget below 1, a negative seed, or the journal of another search.
        BoundError: A feasible design is better than the certificate says is possible.
    """
    budget, seed = count(budget, "budget", 1, MOST_EVALUATIONS), count(seed, "seed", 0)
    if options is not None and not is_table(options):
        raise InputError(f"options is {shown(options)}, allowed a table of options by name")
    settings: dict[str, Any] = native(dict(options or {}))
    journal = None if journal is None else as_path(journal, "journal")
    watch = _Stopwatch()
    searcher = make_agent(agent, task, seed=seed, **settings)
    record = None
    if journal is not None:
        identity = {"task": task.id, "agent": agent, "seed": seed, "budget": budget, "options": settings}
        record = Journal(journal, identity)
    log = _Log()
    past = record.replay() if record is not None else iter(())
    if not searcher.reproducible:
        # What it learnt from these batches lies where it shares it, and it would not propose them again.
        for made in past:
            log.add(made)
    while log.evaluations < budget:
        batch = _step(task, evaluate or task.evaluate, searcher, budget - log.evaluations, past, watch)
        if batch is None:
            break
        if certificate is not None:
            certificate.check(batch.outcome.score)
        if record is not None and not watch.replayed:
            record.append(batch)
        log.add(batch)
        if progress is not None:
            progress(log.evaluations, log.best)
        watch.restart()
    return log.trajectory(agent, task, seed, budget, settings)


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


def _step(
    task: Task,
    evaluate: Callable[[Designs], Outcome],
    agent: Agent,
    left: int,
    past: Iterator[Batch],
    watch: _Stopwatch,
) -> Batch | None:
    """Asks for one batch, evaluates or replays it, and tells its outcome."""
    designs = agent.ask(left)
    if not isinstance(designs, np.ndarray):
        raise RuntimeError(f"{type(agent).__name__}.ask({left}) returned {shown(designs)}, allowed an array of indices")
    if len(designs) == 0:
        return None
    if len(designs) > left:
        raise RuntimeError(f"{type(agent).__name__}.ask({left}) returned {len(designs)} designs")
    asked = time.process_time()
    # What is kept is nobody's to change: agents go on working with their arrays.
    kept = designs.copy()
    known = next(past, None)
    watch.replayed = known is not None
    if known is not None and not np.array_equal(known.designs, designs):
        raise InputError("the journal was written by another version of the agent: remove it to search again")
    outcome = known.outcome if known is not None else _evaluated(task, evaluate, agent, designs)
    own = _copied(outcome)
    evaluated = time.process_time()
    agent.tell(designs, own)
    spent = (asked - watch.cpu) + (time.process_time() - evaluated)
    return known or Batch(kept, outcome, spent, evaluated - asked, time.perf_counter() - watch.wall)


def _evaluated(task: Task, evaluate: Callable[[Designs], Outcome], agent: Agent, designs: Designs) -> Outcome:
    """Returns the outcome; designs that the space does not have are the agent's fault, no bad input of the user."""
    try:
        outcome = evaluate(designs)
    except InputError:
        try:
            task.space.check(designs)
        except InputError as error:
            raise RuntimeError(f"{type(agent).__name__}.ask: {error}") from error
        raise
    return of_rows(outcome, task, len(designs))


def _copied(outcome: Outcome) -> Outcome:
    return Outcome(
        outcome.objective.copy(),
        outcome.feasible.copy(),
        outcome.violation.copy(),
        outcome.valid.copy(),
        {name: figure.copy() for name, figure in outcome.costs.items()},
    )


class _Log:
    """Accumulates batches."""

    def __init__(self) -> None:
        self.evaluations = 0
        self.best = float("inf")
        self._designs: list[npt.NDArray[Any]] = []
        self._outcomes: list[Outcome] = []
        self._marks: list[tuple[int, float, float, float]] = []

    def add(self, batch: Batch) -> None:
        """Takes note of one batch."""
        outcome = batch.outcome
        main = {name: array for name, array in outcome.costs.items() if np.ndim(array) == 1}
        self.evaluations += len(outcome)
        self.best = min(self.best, float(outcome.score.min()))
        self._designs.append(compact(batch.designs))
        self._outcomes.append(replace(outcome, costs=main))
        self._marks.append((self.evaluations, batch.agent_cpu_s, batch.evaluation_cpu_s, batch.wall_s))

    def trajectory(self, agent: str, task: Task, seed: int, budget: int, options: dict[str, Any]) -> Trajectory:
        """Returns the whole search."""
        marks = np.array(self._marks, dtype=np.float64).reshape(-1, 4)
        outcomes = self._outcomes
        names = outcomes[0].costs if outcomes else ()
        return Trajectory(
            agent=agent,
            task_id=task.id,
            seed=seed,
            budget=budget,
            designs=np.concatenate([np.zeros((0, len(task.space)), dtype=np.uint8), *self._designs]),
            objective=np.concatenate([np.zeros(0), *(x.objective for x in outcomes)]),
            feasible=np.concatenate([np.zeros(0, dtype=bool), *(x.feasible for x in outcomes)]),
            violation=np.concatenate([np.zeros(0), *(x.violation for x in outcomes)]),
            valid=np.concatenate([np.zeros(0, dtype=bool), *(x.valid for x in outcomes)]),
            batch_evaluations=marks[:, 0].astype(np.int64),
            agent_cpu_s=np.cumsum(marks[:, 1]),
            evaluation_cpu_s=np.cumsum(marks[:, 2]),
            wall_s=np.cumsum(marks[:, 3]),
            costs={name: np.concatenate([x.costs[name] for x in outcomes]) for name in names},
            options=options,
        )
