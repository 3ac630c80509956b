"""The scheduling problem of one chip as a mixed-integer linear program, solved by HiGHS."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

import numpy as np
import numpy.typing as npt

from accelgym.costmodels.errors import MissingExtraError
from accelgym.costmodels.solvers.scheduling.problem import SchedulingProblem

__all__ = ["ENERGY_TOLERANCE", "ChipProgram", "Found"]

Floats = npt.NDArray[np.float64]
Ints = npt.NDArray[np.int64]

ENERGY_TOLERANCE = 1e-6
"""Relative error that a bound in pJ allows for HiGHS's tolerances. Makespans are whole ticks, and need none."""
_SCALE = 1e4
"""What the energy is scaled to, so that HiGHS's absolute tolerances are small beside it."""
_BETWEEN = 24
"""Layers up to which the load between every pair of layers is bounded, too."""


@dataclass(frozen=True)
class Found:
    """What a program says."""

    bound: float
    """Lower bound of the objective, ticks or pJ; ``inf`` where nothing meets the limits."""
    assignment: Ints | None
    """Of the best solution, ``(L,)``."""
    start: Floats | None
    """Of its operations, ``(L, batches)``; without the disjunctions accelerators may be taken twice."""
    nodes: int
    closed: bool
    """Whether the node limit was not reached."""


@dataclass(frozen=True)
class _Result:
    """What HiGHS says."""

    status: str
    """``optimal``, ``infeasible`` or ``limited``."""
    bound: float
    values: Floats | None
    nodes: int


@dataclass
class _Rows:
    """Sparse rows ``sum of coefficients >= least``."""

    begin: list[int] = field(default_factory=list)
    """Place of the first coefficient of each row."""
    column: list[int] = field(default_factory=list)
    value: list[float] = field(default_factory=list)
    least: list[float] = field(default_factory=list)

    def add(self, terms: dict[int, float], least: float = 0.0) -> None:
        self.begin.append(len(self.column))
        self.column += terms.keys()
        self.value += terms.values()
        self.least.append(least)


def _run_highs(rows: _Rows, goal: Floats, lower: Floats, upper: Floats, whole: Floats, node_limit: int) -> _Result:
    """Minimises a mixed-integer program: one thread, no limit of time, the same everywhere.

    Args:
        rows: Constraints.
        goal: Coefficients of the objective, ``(variables,)``.
        lower: Bounds of the variables.
        upper: Likewise.
        whole: 1 where a variable is an integer.
        node_limit: Of the search.
    """
    try:
        import highspy
    except ImportError as error:
        raise MissingExtraError("the reference of a schedule", "highspy", "oracle") from error

    program = highspy.HighsLp()
    program.num_col_, program.num_row_ = len(goal), len(rows.least)
    program.col_cost_, program.col_lower_, program.col_upper_ = goal, lower, upper
    program.row_lower_ = np.array(rows.least)
    program.row_upper_ = np.full(len(rows.least), highspy.kHighsInf)
    program.a_matrix_.format_ = highspy.MatrixFormat.kRowwise
    program.a_matrix_.start_ = np.array([*rows.begin, len(rows.column)], dtype=np.int32)
    program.a_matrix_.index_ = np.array(rows.column, dtype=np.int32)
    program.a_matrix_.value_ = np.array(rows.value)
    kinds = highspy.HighsVarType
    program.integrality_ = [kinds.kInteger if flag else kinds.kContinuous for flag in whole]
    solver: Any = highspy.Highs()  # type: ignore[no-untyped-call]
    options = {"output_flag": False, "threads": 1, "mip_max_nodes": node_limit, "mip_rel_gap": 0.0, "mip_abs_gap": 1e-6}
    for name, value in options.items():
        solver.setOptionValue(name, value)
    solver.passModel(program)
    solver.run()
    status, info, ends = solver.getModelStatus(), solver.getInfo(), highspy.HighsModelStatus
    nodes = max(int(info.mip_node_count), 0)
    if status in (ends.kInfeasible, ends.kUnboundedOrInfeasible):
        return _Result("infeasible", np.inf, None, nodes)
    bound = float(info.mip_dual_bound)
    solution = solver.getSolution()
    values = np.array(solution.col_value) if solution.value_valid and len(solution.col_value) else None
    # A bound is 0 where the root is not solved: nothing is negative.
    return _Result(
        "optimal" if status == ends.kOptimal else "limited",
        bound if np.isfinite(bound) else 0.0,
        values,
        nodes,
    )


class ChipProgram:
    """Assignment, start times and makespan of one chip.

    Variables are the accelerator of each layer, the start of each operation, the makespan and, in the whole program,
    the order of every two operations that no dependency orders and that might share an accelerator. Without those
    orders it is a relaxation, which is much easier. What keeps it tight: all batches of the layers after a layer
    (before it, between two) that share an accelerator need their time there after its first start (before its last
    end).

    Args:
        problem: The problem.
        sizes: Of the accelerators, ``(K,)``.
        whole: Whether with the orders.
    """

    def __init__(self, problem: SchedulingProblem, sizes: Ints, *, whole: bool) -> None:
        columns = np.arange(len(problem.accelerators)), sizes
        self.problem, self.sizes, self.whole = problem, sizes, whole
        self.allowed = problem.allowed[:, *columns]
        self.ticks = np.where(self.allowed, problem.ticks[:, *columns], 0).astype(np.float64)
        self.energy: Floats = np.where(self.allowed, problem.energy_pj[:, *columns], 0.0)
        self.leakage = float(problem.leakage_pj[columns].sum())
        self.pairs = self.unordered_pairs(problem) if whole else []

    @staticmethod
    def unordered_pairs(problem: SchedulingProblem) -> list[tuple[tuple[int, int], tuple[int, int]]]:
        """Returns the operations that dependencies and the sequence of batches leave in either order."""
        found, batches, before = [], range(problem.batches), problem.before
        for one in range(len(problem.layers)):
            for other in range(one + 1, len(problem.layers)):
                if before[one, other] or before[other, one]:
                    first, then = (one, other) if before[one, other] else (other, one)
                    found += [((first, a), (then, b)) for a in batches for b in range(a)]
                else:
                    found += [((one, a), (other, b)) for a in batches for b in batches]
        return found

    def solve(self, *, energy: bool, deadline: int, node_limit: int, most_pj: float | None = None) -> Found:
        """Minimises makespan or energy.

        Args:
            energy: Whether the energy, leakage included, rather than the makespan.
            deadline: Most ticks of the makespan.
            node_limit: Of HiGHS.
            most_pj: Limit on the energy.

        Raises:
            MissingExtraError: HiGHS is not installed.
        """
        problem, (layers, count) = self.problem, self.allowed.shape
        operations, last = layers * problem.batches, layers * count + layers * problem.batches
        low, high = self._windows(deadline)
        if (low > high).any():
            return Found(np.inf, None, None, 0, True)
        rows = self._rows(last, low, high)
        scale = _SCALE / max(float(self.energy.max(axis=1).sum()) * problem.batches, 1e-300)
        spent = np.zeros(last + 1 + len(self.pairs))
        spent[: layers * count] = (problem.batches * scale * self.energy).ravel()
        spent[last] = scale * self.leakage
        if most_pj is not None:
            rows.add({int(i): -float(spent[i]) for i in np.flatnonzero(spent)}, -most_pj * scale)
        goal = spent if energy else np.eye(1, len(spent), last)[0]
        upper = np.concatenate((self.allowed.ravel(), high.ravel(), [deadline], np.ones(len(self.pairs))))
        lower = np.concatenate((np.zeros(layers * count), low.ravel(), np.zeros(1 + len(self.pairs))))
        whole = np.ones(len(spent))
        whole[layers * count : layers * count + operations] = 0
        result = _run_highs(rows, goal, lower, upper, whole, node_limit)
        if result.status == "infeasible":
            return Found(np.inf, None, None, result.nodes, True)
        bound = result.bound / scale * (1 - ENERGY_TOLERANCE) if energy else float(np.ceil(result.bound - 0.5))
        if result.values is None:
            return Found(bound, None, None, result.nodes, False)
        chosen = result.values[: layers * count].reshape(layers, count).argmax(axis=1)
        start = result.values[layers * count : last].reshape(layers, problem.batches)
        return Found(bound, chosen, start, result.nodes, result.status == "optimal")

    def _windows(self, deadline: int) -> tuple[Floats, Floats]:
        """Earliest and latest start of each operation, ``(L, batches)``."""
        shortest = np.where(self.allowed, self.ticks, np.inf).min(axis=1)
        batch = np.arange(self.problem.batches)
        low = self.problem.heads(shortest)[:, None] + shortest[:, None] * batch
        after = self.problem.tails(shortest)[:, None] + shortest[:, None] * (batch[::-1] + 1)
        return low, deadline - after

    def _rows(self, last: int, low: Floats, high: Floats) -> _Rows:
        """All rows but limits on the energy; ``last`` is the number of the makespan's variable."""
        problem, (layers, count) = self.problem, self.allowed.shape
        rows, batches = _Rows(), problem.batches

        def start(layer: int, batch: int) -> int:
            return int(layers * count + layer * batches + batch)

        def duration(layer: int, sign: float) -> dict[int, float]:
            return {layer * count + k: sign * float(self.ticks[layer, k]) for k in range(count)}

        def load(of: Ints, accelerator: int) -> dict[int, float]:
            return {int(i) * count + accelerator: -batches * float(self.ticks[i, accelerator]) for i in of}

        def sum_of(*terms: dict[int, float]) -> dict[int, float]:
            found: dict[int, float] = {}
            for term in terms:
                for key, value in term.items():
                    found[key] = found.get(key, 0.0) + value
            return found

        end = batches - 1
        for layer in range(layers):
            place = {layer * count + k: 1.0 for k in range(count)}
            rows.add(place, 1.0)
            rows.add(dict.fromkeys(place, -1.0), -1.0)
            for consumer in problem.successors[layer]:
                for b in range(batches):
                    rows.add({start(consumer, b): 1.0, start(layer, b): -1.0} | duration(layer, -1.0))
            for b in range(end):
                rows.add({start(layer, b + 1): 1.0, start(layer, b): -1.0} | duration(layer, -1.0))
            rows.add({last: 1.0, start(layer, end): -1.0} | duration(layer, -1.0))
            after, before = np.flatnonzero(problem.before[layer]), np.flatnonzero(problem.before[:, layer])
            for k in range(count):
                rows.add(sum_of({last: 1.0, start(layer, 0): -1.0}, load(np.append(after, layer), k)))
                rows.add(sum_of({last: 1.0, start(layer, 0): -1.0}, duration(layer, -1.0), load(after, k)))
                if len(before):
                    rows.add(sum_of({start(layer, end): 1.0}, load(before, k)))
                    ends = {start(layer, end): 1.0} | duration(layer, 1.0)
                    rows.add(sum_of(ends, load(np.append(before, layer), k)))
                if layers <= _BETWEEN:
                    for then in map(int, after):
                        between = np.flatnonzero(problem.before[layer] & problem.before[:, then])
                        span = {start(then, end): 1.0, start(layer, 0): -1.0}
                        inner = load(np.append(between, [layer, then]), k)
                        rows.add(sum_of(span, duration(then, 1.0), inner))
        for k in range(count):
            rows.add({last: 1.0} | load(np.arange(layers), k))
        longest = self.ticks.max(axis=1)
        for number, ((one, a), (other, b)) in enumerate(self.pairs):
            order = last + 1 + number
            for first, i, then, j, sign in ((one, a, other, b, 1.0), (other, b, one, a, -1.0)):
                slack = float(high[first, i] + longest[first] - low[then, j])
                if slack <= 0:
                    continue  # Their windows keep them apart.
                for k in map(int, np.flatnonzero(self.allowed[first] & self.allowed[then])):
                    # start(then) >= start(first) + duration(first), if in this order and both on k.
                    terms = {start(then, j): 1.0, start(first, i): -1.0, order: -sign * slack}
                    place = {first * count + k: -slack, then * count + k: -slack}
                    least = -3.0 * slack if sign > 0 else -2.0 * slack
                    rows.add(sum_of(terms, place, duration(first, -1.0)), least)
        return rows
