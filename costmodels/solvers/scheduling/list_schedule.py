"""Schedules of batches of designs: list scheduling as an array program."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from accelgym.costmodels.objective import Objective
from accelgym.costmodels.solvers.scheduling.problem import SchedulingProblem

__all__ = ["ReadyList", "Schedules", "codes_of_order", "order_of_codes", "run_schedules", "worth"]

Bools = npt.NDArray[np.bool_]
Floats = npt.NDArray[np.float64]
Ints = npt.NDArray[np.int64]


class ReadyList:
    """The operations that could come next, in rows of designs, most urgent first.

    An order is written as a code a step: how many ready operations that are more urgent are passed over. Every order
    that keeps the dependencies, with the batches of a layer in sequence, has exactly one row of codes; all zeros is
    list scheduling by urgency.

    Args:
        problem: The problem.
        rows: Number of designs.
    """

    def __init__(self, problem: SchedulingProblem, rows: int) -> None:
        count = len(problem.operations)
        self._after = problem.operation_successors
        waits = np.bincount(self._after.ravel(), minlength=count + 1)
        waits[count] = np.iinfo(np.int32).max  # The padding is never ready.
        self._start = waits.astype(np.int32)
        self._waits = np.tile(self._start, (rows, 1))
        self.ready: Bools = np.tile(waits[:count] == 0, (rows, 1))
        """``(rows, T)``."""

    def restart(self, rows: Ints) -> None:
        """Empties some schedules."""
        self._waits[rows] = self._start
        self.ready[rows] = self._start[:-1] == 0

    def counts(self, rows: Ints | slice = slice(None)) -> Ints:
        """Returns how many operations are ready, ``(rows,)``."""
        return np.asarray(self.ready[rows].sum(axis=1))

    def pick(self, rows: Ints, codes: Ints) -> Ints:
        """Takes the next operation of some rows; codes beyond the last ready one mean that one.

        Args:
            rows: Row numbers.
            codes: One each.

        Returns:
            Operations, ``(len(rows),)``.
        """
        rank = np.cumsum(self.ready[rows], axis=1, dtype=np.int16)
        wanted = np.minimum(codes, rank[:, -1] - 1) + 1
        chosen = (rank >= wanted[:, None]).argmax(axis=1)
        self.take(rows, chosen)
        return np.asarray(chosen)

    def take(self, rows: Ints, operations: Ints) -> None:
        """Takes given ready operations."""
        self.ready[rows, operations] = False
        after = self._after[operations]
        left = self._waits[rows[:, None], after] - 1
        self._waits[rows[:, None], after] = left
        real = after < self.ready.shape[1]
        which = np.broadcast_to(rows[:, None], after.shape)[real]
        self.ready[which, after[real]] = left[real] == 0


@dataclass(frozen=True)
class Schedules:
    """Times of all operations of a batch of designs, in ticks."""

    start: Ints
    """``(n, L, batches)``."""
    duration: Ints
    """``(n, L)``."""
    makespan: Ints
    """``(n,)``."""
    energy_pj: Floats
    """Of all operations and of the leakage over the makespan, ``(n,)``."""


def order_of_codes(problem: SchedulingProblem, codes: Ints) -> Ints:
    """Returns the operations in the order of their dispatch, ``(n, T)``.

    Args:
        problem: The problem.
        codes: See :class:`ReadyList`, ``(n, T - 1)`` or fewer columns; what is missing is 0.
    """
    count = len(problem.operations)
    if problem.width == 1:
        return np.tile(np.arange(count), (len(codes), 1))
    ready, rows = ReadyList(problem, len(codes)), np.arange(len(codes))
    order = np.empty((len(codes), count), dtype=np.int64)
    nothing = np.zeros(len(codes), dtype=np.int64)
    for step in range(count):
        order[:, step] = ready.pick(rows, codes[:, step] if step < codes.shape[1] else nothing)
    return order


def codes_of_order(problem: SchedulingProblem, order: Ints) -> Ints:
    """Returns the codes of orders that keep the dependencies, ``(n, T - 1)``; inverse of :func:`order_of_codes`."""
    ready, rows = ReadyList(problem, len(order)), np.arange(len(order))
    codes = np.empty((len(order), order.shape[1] - 1), dtype=np.int64)
    for step in range(order.shape[1] - 1):
        codes[:, step] = (ready.ready & (np.arange(order.shape[1]) < order[:, step, None])).sum(axis=1)
        ready.take(rows, order[:, step])
    return codes


def run_schedules(problem: SchedulingProblem, sizes: Ints, assignment: Ints, order: Ints) -> Schedules:
    """Runs operations in the order of their dispatch, each as early as its accelerator and its producers allow.

    Every schedule that starts nothing later than it must follows from the order of its start times, so that the best
    order gives the optimum of the scheduling problem.

    Args:
        problem: The problem.
        sizes: Of the accelerators, ``(n, K)``.
        assignment: Accelerator of each layer, ``(n, L)``.
        order: Operations, ``(n, T)``.
    """
    n, count = order.shape
    rows, layers = np.arange(n), np.arange(len(problem.layers))
    size = np.take_along_axis(sizes, assignment, axis=1)
    duration = problem.ticks[layers, assignment, size]
    finish = np.zeros((n, count + 1), dtype=np.int64)
    free = np.zeros((n, len(problem.accelerators)), dtype=np.int64)
    start = np.empty((n, count), dtype=np.int64)
    layer_of, before = problem.operations[:, 0], problem.operation_predecessors
    for operations in order.T:
        layer = layer_of[operations]
        where = assignment[rows, layer]
        begin = np.maximum(free[rows, where], finish[rows[:, None], before[operations]].max(axis=1))
        start[rows, operations] = begin
        finish[rows, operations] = free[rows, where] = begin + duration[rows, layer]
    makespan = finish.max(axis=1)
    dynamic = problem.energy_pj[layers, assignment, size].sum(axis=1) * problem.batches
    leakage = problem.leakage_pj[np.arange(len(problem.accelerators)), sizes].sum(axis=1)
    return Schedules(start[:, problem.operation_number], duration, makespan, dynamic + leakage * makespan)


def worth(problem: SchedulingProblem, schedules: Schedules) -> Floats:
    """Returns the objective: ticks, pJ, or pJ times ticks, ``(n,)``."""
    if problem.objective is Objective.LATENCY:
        return schedules.makespan.astype(np.float64)
    if problem.objective is Objective.ENERGY:
        return schedules.energy_pj
    return np.asarray(schedules.energy_pj * schedules.makespan)
