"""Rules that make a schedule in one pass: greedy list scheduling and HEFT."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from accelgym.costmodels.objective import Objective
from accelgym.costmodels.solvers.scheduling.list_schedule import codes_of_order
from accelgym.costmodels.solvers.scheduling.problem import SchedulingProblem

__all__ = ["RULES_PER_CHIP", "ScheduleDesigns", "dispatch_order", "heft", "list_greedily", "rule_designs"]

Floats = npt.NDArray[np.float64]
Ints = npt.NDArray[np.int64]

_ENERGY_SHARES = {
    Objective.LATENCY: (0.0,),
    Objective.ENERGY: (0.5, 0.8, 0.95, 1.0),
    Objective.EDP: (0.0, 0.3, 0.5, 0.7, 0.9),
}
"""Weights of a layer's energy beside the time when it ends; energies are no matter for the makespan."""
RULES_PER_CHIP = {objective: 2 * len(shares) for objective, shares in _ENERGY_SHARES.items()}
"""Designs that :func:`rule_designs` makes for a chip."""


@dataclass(frozen=True)
class ScheduleDesigns:
    """A batch of designs."""

    sizes: Ints
    """``(n, K)``."""
    assignment: Ints
    """Accelerator of each layer, ``(n, L)``."""
    codes: Ints
    """Order of dispatch, see :class:`ReadyList`, ``(n, T - 1)``."""

    def __len__(self) -> int:
        return len(self.sizes)

    def rows(self, chosen: npt.ArrayLike) -> ScheduleDesigns:
        """Returns some rows."""
        at = np.asarray(chosen)
        return ScheduleDesigns(self.sizes[at], self.assignment[at], self.codes[at])

    @classmethod
    def joined(cls, parts: list[ScheduleDesigns]) -> ScheduleDesigns:
        """Returns all rows of several batches."""
        return cls(*(np.concatenate([getattr(p, f) for p in parts]) for f in ("sizes", "assignment", "codes")))


class _Pass:
    """What both rules share: costs on one chip, and what has been placed.

    Args:
        problem: The problem.
        sizes: Of the accelerators, ``(K,)``.
        share: Weight of energy, 0 to 1.
    """

    def __init__(self, problem: SchedulingProblem, sizes: Ints, share: float) -> None:
        columns = np.arange(len(problem.accelerators)), sizes
        self.problem, self.share = problem, share
        self.allowed = problem.allowed[:, *columns]
        self.ticks: Ints = problem.ticks[:, *columns]
        self.energy: Floats = problem.energy_pj[:, *columns]
        mean = np.where(self.allowed, self.ticks, 0).sum(axis=1) / np.maximum(self.allowed.sum(axis=1), 1)
        self.rank = problem.tails(mean) + mean
        # Energy in ticks: what a tick costs where every layer runs on its cheapest accelerator.
        cheapest = np.where(self.allowed, self.energy, np.inf).argmin(axis=1)
        layers = np.arange(len(problem.layers))
        spent, time = self.energy[layers, cheapest].sum(), self.ticks[layers, cheapest].sum()
        self.rate = time / spent if spent > 0 else 0.0
        self.start = np.full((len(problem.layers), problem.batches), -1, dtype=np.int64)
        self.assignment = np.full(len(problem.layers), -1, dtype=np.int64)

    def cost(self, layer: int, accelerator: int, end: float) -> float:
        """What placing a layer is worth avoiding."""
        if not self.allowed[layer, accelerator]:
            return np.inf
        energy = self.energy[layer, accelerator] * self.rate * self.problem.batches
        return float((1 - self.share) * end + self.share * energy)

    def ready_at(self, layer: int, batch: int) -> int:
        """When the producers of an operation have ended."""
        ends = [self.start[p, batch] + self.ticks[p, self.assignment[p]] for p in self.problem.predecessors[layer]]
        return int(max(ends, default=0))


def heft(problem: SchedulingProblem, sizes: Ints, share: float = 0.0) -> tuple[Ints, Ints]:
    """Heterogeneous earliest finish time (Topcuoglu, Hariri, Wu, TPDS 2002), one accelerator for all batches.

    Layers by falling upward rank; each goes where the last of its batches ends first, in the first gap that is wide
    enough.

    Args:
        problem: The problem.
        sizes: Of the accelerators, ``(K,)``.
        share: Weight of energy beside that end.

    Returns:
        Assignment ``(L,)`` and start times ``(L, batches)``.
    """
    run = _Pass(problem, sizes, share)
    busy: list[list[tuple[int, int]]] = [[] for _ in problem.accelerators]
    order = dict.fromkeys(problem.topological)
    for layer in sorted(order, key=lambda i: -run.rank[i]):
        best: tuple[float, int, list[tuple[int, int]]] | None = None
        for accelerator in range(len(problem.accelerators)):
            length, taken = int(run.ticks[layer, accelerator]), busy[accelerator]
            own: list[tuple[int, int]] = []
            begin = 0
            for batch in range(problem.batches):
                begin = _first_gap(sorted(taken + own), max(begin, run.ready_at(layer, batch)), length)
                own.append((begin, begin + length))
                begin += length
            cost = run.cost(layer, accelerator, float(own[-1][1]))
            if best is None or cost < best[0]:
                best = cost, accelerator, own
        assert best is not None
        run.assignment[layer], run.start[layer] = best[1], [begin for begin, _ in best[2]]
        busy[best[1]] += best[2]
    return run.assignment, run.start


def _first_gap(busy: list[tuple[int, int]], ready: int, length: int) -> int:
    """Returns the earliest start of an interval between others, which are sorted."""
    begin = ready
    for first, end in busy:
        if begin + length <= first:
            break
        begin = max(begin, end)
    return begin


def list_greedily(problem: SchedulingProblem, sizes: Ints, share: float = 0.0) -> tuple[Ints, Ints]:
    """Greedy list scheduling: of all ready operations and accelerators the pair that ends first.

    Args:
        problem: The problem.
        sizes: Of the accelerators, ``(K,)``.
        share: Weight of energy beside that end.

    Returns:
        Assignment ``(L,)`` and start times ``(L, batches)``.
    """
    run = _Pass(problem, sizes, share)
    free = np.zeros(len(problem.accelerators), dtype=np.int64)
    done = np.zeros(len(problem.layers), dtype=np.int64)
    for _ in range(len(problem.operations)):
        best: tuple[float, float, int, int, int] | None = None
        for layer, batch in enumerate(done):
            if batch == problem.batches or any(done[p] <= batch for p in problem.predecessors[layer]):
                continue
            ready, given = run.ready_at(layer, int(batch)), int(run.assignment[layer])
            for accelerator in range(len(free)) if given < 0 else (given,):
                begin = max(ready, int(free[accelerator]))
                cost = run.cost(layer, accelerator, float(begin + run.ticks[layer, accelerator]))
                key = (cost, -float(run.rank[layer]), layer, accelerator, begin)
                best = key if best is None or key < best else best
        assert best is not None
        _, _, layer, accelerator, begin = best
        run.assignment[layer], run.start[layer, done[layer]] = accelerator, begin
        free[accelerator] = begin + run.ticks[layer, accelerator]
        done[layer] += 1
    return run.assignment, run.start


def dispatch_order(problem: SchedulingProblem, start: npt.ArrayLike) -> Ints:
    """Returns the operations by start time, ``(n, T)``, for starts of shape ``(n, L, batches)``."""
    times = np.asarray(start)[:, problem.operations[:, 0], problem.operations[:, 1]]
    # The numbers of operations break ties: a producer's is lower, and it ends later than it starts.
    return np.asarray(np.argsort(times, axis=1, kind="stable"))


def rule_designs(problem: SchedulingProblem, chips: Ints) -> ScheduleDesigns:
    """Returns what both rules make of chips, for several weights of energy.

    Args:
        problem: The problem.
        chips: Sizes, ``(chips, K)``.
    """
    sizes, found, starts = [], [], []
    for chip in chips:
        for share in _ENERGY_SHARES[problem.objective]:
            for rule in (heft, list_greedily):
                assignment, start = rule(problem, chip, share)
                sizes.append(chip)
                found.append(assignment)
                starts.append(start)
    codes = codes_of_order(problem, dispatch_order(problem, np.array(starts)))
    return ScheduleDesigns(np.array(sizes), np.array(found), codes)
