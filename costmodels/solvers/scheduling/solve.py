"""The reference of the scheduling problem: chips pruned by bounds, the rest solved by MILP."""

from __future__ import annotations

import time
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from accelgym.costmodels.objective import Objective
from accelgym.costmodels.solvers.scheduling.bounds import chip_bounds, objective_bound
from accelgym.costmodels.solvers.scheduling.descent import evaluate_schedules, improve
from accelgym.costmodels.solvers.scheduling.list_schedule import codes_of_order, order_of_codes, run_schedules
from accelgym.costmodels.solvers.scheduling.problem import SchedulingProblem
from accelgym.costmodels.solvers.scheduling.program import ENERGY_TOLERANCE, ChipProgram, Found
from accelgym.costmodels.solvers.scheduling.rules import ScheduleDesigns, dispatch_order, rule_designs

__all__ = ["Limits", "Reference", "solve_schedule"]

Ints = npt.NDArray[np.int64]

_SLICE = 0.002
"""Width of the intervals of makespans, relative, in which the relaxation bounds an energy-delay product."""


@dataclass(frozen=True)
class Limits:
    """What a proof may cost; the same on every machine."""

    nodes: int = 1000
    """Of HiGHS in each program."""
    pairs: int = 700
    """Unordered pairs of operations up to which the whole program is tried."""
    rounds: int = 150
    """Of the local search for each chip that the bounds leave."""
    chips: int = 12
    """Chips whose programs are solved, the most promising first."""


@dataclass(frozen=True)
class Reference:
    """The best design found, and what is proved."""

    design: ScheduleDesigns
    """One row."""
    value: float
    lower_bound: float
    nodes: int
    seconds: float
    limited: bool
    """Whether a limit ended a proof."""
    disjunctive: bool
    """Whether the bound took the whole program; else relaxations suffice."""


class _Search:
    """The best design so far, and the work done.

    Args:
        problem: The problem.
        limits: Of the proof.
    """

    def __init__(self, problem: SchedulingProblem, limits: Limits) -> None:
        self.problem, self.limits = problem, limits
        self.rng = np.random.default_rng(0)
        self.best: ScheduleDesigns | None = None
        self.value = np.inf
        self.nodes, self.limited, self.disjunctive = 0, False, False
        self.whole = len(ChipProgram.unordered_pairs(problem)) <= limits.pairs

    def offer(self, designs: ScheduleDesigns) -> None:
        """Keeps the best of some designs, if it is better."""
        values = evaluate_schedules(self.problem, designs)
        if values.min() < self.value:
            self.best, self.value = designs.rows([int(values.argmin())]), float(values.min())

    def offer_found(self, sizes: Ints, found: Found) -> None:
        """Lets the local search start from the solution of a program."""
        if found.assignment is None or found.start is None:
            return
        codes = codes_of_order(self.problem, dispatch_order(self.problem, self._distinct(found.start)[None]))
        both = np.concatenate((codes, np.zeros_like(codes)))
        two = ScheduleDesigns(np.tile(sizes, (2, 1)), np.tile(found.assignment, (2, 1)), both)
        self.offer(improve(self.problem, two, self.rng, self.limits.rounds)[0])

    def _distinct(self, start: npt.NDArray[np.float64]) -> npt.NDArray[np.float64]:
        """Starts of which no consumer's is below its producer's, as tolerances may leave them."""
        fixed = np.maximum.accumulate(start, axis=1)
        for layer in self.problem.topological:
            for producer in self.problem.predecessors[layer]:
                fixed[layer] = np.maximum(fixed[layer], fixed[producer])
            fixed[layer] = np.maximum.accumulate(fixed[layer])
        return fixed

    def run(self, program: ChipProgram, *, energy: bool, deadline: float, most_pj: float | None = None) -> Found:
        """Solves a program, offers its solution and counts the work."""
        most = int(min(deadline, 2**50))
        found = program.solve(energy=energy, deadline=most, node_limit=self.limits.nodes, most_pj=most_pj)
        self.nodes += found.nodes
        self.offer_found(program.sizes, found)
        return found

    def horizon(self) -> float:
        """Makespan that no useful schedule exceeds: everything in turn where it takes longest."""
        ticks = np.where(self.problem.allowed, self.problem.ticks, 0).max(axis=(1, 2))
        return float(ticks.sum() * self.problem.batches)

    def chip_bound(self, sizes: Ints, makespan: float, energy: float) -> float:
        """Bounds the objective on one chip, whose parts have the given bounds."""
        bound = float(objective_bound(self.problem, np.array(makespan), np.array(energy)))
        for whole in (False, True) if self.whole else (False,):
            if bound >= self.value:
                break
            program = ChipProgram(self.problem, sizes, whole=whole)
            before = bound
            if self.problem.objective is Objective.EDP:
                bound = max(bound, self._edp_bound(program, makespan, energy))
            else:
                saves = self.problem.objective is Objective.ENERGY
                limit = self.horizon() if saves else self.value - 1
                found = self.run(
                    program,
                    energy=saves,
                    deadline=limit,
                    most_pj=self.value * (1 + ENERGY_TOLERANCE) if saves else None,
                )
                bound = max(bound, min(found.bound, self.value))
                self.limited |= whole and not found.closed
            self.disjunctive |= whole and bound > before
        return bound

    def _edp_bound(self, program: ChipProgram, makespan: float, energy: float) -> float:
        """Walks along the front of makespan and energy from its slow end.

        What ends within a deadline needs at least the program's energy, and so beats the best design only if it is
        faster than the best product over that energy: the next deadline. Where that is no progress, a thin slice of
        makespans is bounded by its fast end.
        """
        proved, deadline = np.inf, np.ceil(self.value / energy) - 1
        for _ in range(200):
            if deadline < makespan:
                return float(min(proved, self.value))
            found = self.run(program, energy=True, deadline=deadline)
            if not np.isfinite(found.bound):
                return float(min(proved, self.value))
            least = max(found.bound, energy)
            faster = np.ceil(self.value / least) - 1
            if faster >= deadline:
                faster = np.floor(deadline / (1 + _SLICE))
                if program.whole and found.closed and found.assignment is not None:
                    # Every schedule from this makespan on needs as much energy as this one.
                    faster = self._makespan(program.sizes, found) - 1
                proved = min(proved, least * (faster + 1))
            deadline = faster
        self.limited = True
        return float(min(proved, self.value, makespan * least))

    def _makespan(self, sizes: Ints, found: Found) -> float:
        """Makespan of a program's solution in whole ticks."""
        assert found.assignment is not None
        assert found.start is not None
        codes = codes_of_order(self.problem, dispatch_order(self.problem, self._distinct(found.start)[None]))
        order = order_of_codes(self.problem, codes)
        return float(run_schedules(self.problem, sizes[None], found.assignment[None], order).makespan[0])


def solve_schedule(problem: SchedulingProblem, limits: Limits | None = None) -> Reference:
    """Finds the best chip, assignment and order, and a certified lower bound.

    Chips that fit are sorted by their bounds. Of each in turn that could still beat the best design the relaxed
    program is solved, and then, where it is small enough, the whole one.

    Args:
        problem: The problem; at least one chip fits.
        limits: Of the proof.

    Raises:
        MissingExtraError: HiGHS is not installed.
    """
    begin = time.perf_counter()
    search = _Search(problem, limits or Limits())
    chips = problem.chips
    makespan, energy = chip_bounds(problem, chips)
    bounds = objective_bound(problem, makespan, energy)
    order = np.argsort(bounds, kind="stable")
    by_rule = rule_designs(problem, chips[order])
    search.offer(by_rule)
    share = len(by_rule) // len(chips)
    proved, tried = [], 0
    for place, chip in enumerate(order):
        if bounds[chip] >= search.value:
            break
        own = by_rule.rows(np.arange(place * share, (place + 1) * share))
        search.offer(improve(problem, own, search.rng, search.limits.rounds, float(bounds[chip]))[0])
        if tried == search.limits.chips:
            search.limited = True
            proved.append(float(bounds[chip]))
            continue
        tried += 1
        proved.append(search.chip_bound(chips[chip], float(makespan[chip]), float(energy[chip])))
    bound = min([search.value, *proved])
    assert search.best is not None
    seconds = time.perf_counter() - begin
    return Reference(search.best, search.value, bound, search.nodes, seconds, search.limited, search.disjunctive)
