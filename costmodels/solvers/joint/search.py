"""The joint optimum: machines in the order of their bounds, those that may hold it solved exactly.

A sum of latencies or energies is one weighted sum. The product of both sums is quasi-concave, so its least value over
the convex hull of all designs of a machine is taken at a vertex of the hull, which some weighted sum has as its least:
the product is bounded over what the weighted sums solved so far leave of the plane, and the next weights are the
gradient where that bound is taken. On machines that are only bounded, the same is done with Lagrangian bounds.
"""

from __future__ import annotations

import time
from collections.abc import Iterator
from dataclasses import dataclass, field

import numpy as np
import numpy.typing as npt

from accelgym.costmodels.certificate import Certificate
from accelgym.costmodels.objective import Objective
from accelgym.costmodels.solvers.joint.lagrangian import Multiplier, WeightedCosts, best_multiplier
from accelgym.costmodels.solvers.joint.problem import Choice, JointProblem, MachineTables
from accelgym.costmodels.solvers.joint.program import best_path
from accelgym.costmodels.solvers.joint.residency import Step, residency_steps

__all__ = ["METHOD", "figures_of", "solve_joint"]

Bools = npt.NDArray[np.bool_]
Floats = npt.NDArray[np.float64]
Ints = npt.NDArray[np.int64]

METHOD = "machines by Lagrangian bound, dynamic program over loss and activations on chip"
_BLOCK = 128
"""Machines that are bounded together."""
_TANGENTS = 6
"""Weighted sums by which the product is bounded on a machine before it is solved."""
_OFFERS = 8
"""Machines of a block whose design is looked at as an incumbent."""
_MOST_SUMS = 500
"""Weighted sums solved on one machine, at most."""
_ROUNDING = 1e-11
"""Relative error of sums of rounded terms, taken off every bound."""
_SAME = 1e-10
"""Relative gap that counts as none."""


@dataclass
class _Plane:
    """What weighted sums leave of the plane of latency and energy: ``a * latency + b * energy >= h``."""

    a: list[float] = field(default_factory=list)
    b: list[float] = field(default_factory=list)
    h: list[float] = field(default_factory=list)

    def add(self, weights: Floats, bound: float) -> None:
        """Takes in what a weighted sum proves."""
        self.a.append(float(weights[0]))
        self.b.append(float(weights[1]))
        self.h.append(bound * (1 - _ROUNDING))

    def corner(self) -> Floats:
        """The point of least product, shape ``(2,)``."""
        a, b, h = (np.array(values) for values in (self.a, self.b, self.h))
        i, j = np.triu_indices(len(a), 1)
        det = a[i] * b[j] - a[j] * b[i]
        scale = np.abs(a[i] * b[j]) + np.abs(a[j] * b[i])
        good = np.abs(det) > 1e-14 * scale
        i, j, det = i[good], j[good], det[good]
        x, y = (h[i] * b[j] - h[j] * b[i]) / det, (a[i] * h[j] - a[j] * h[i]) / det
        # A corner that breaks a bound by rounding alone counts: it can only lower the result.
        inside = (a[:, None] * x + b[:, None] * y >= h[:, None] * (1 - 1e-9)).all(axis=0)
        if not inside.any():  # The first two planes bound latency and energy alone.
            return np.array([h[0] / a[0], h[1] / b[1]])
        x, y = x[inside], y[inside]
        at = int((x * y).argmin())
        return np.array([x[at], y[at]])


def figures_of(problem: JointProblem, tables: MachineTables, steps: tuple[Step, ...], choice: Choice) -> Floats:
    """Returns latency and energy of a design on the only machine of some tables, shape ``(2,)``."""
    total = np.zeros(2)
    state = 0
    for layer, step in enumerate(steps):
        kept = tuple(i for i, e in enumerate(problem.activations.edges) if e.producer == layer and choice.resident[i])
        move = step.kept[state].index(kept)
        flag = int(step.flags[state, move])
        cell = (0, layer, choice.mapping[layer], choice.pair[layer], *divmod(flag, 2))
        total += tables.latency[cell], tables.energy[cell] + step.words[state, move] @ tables.word_prices[0]
        state = int(step.target[state, move])
    return total


class _Search:
    """The incumbent, the work done, and the least bound of what was left out."""

    def __init__(self, problem: JointProblem, tolerance: float, max_nodes: int) -> None:
        self.problem, self.tolerance, self.max_nodes = problem, tolerance, max_nodes
        self.value = self.left = np.inf
        self.choice: Choice | None = None
        self.nodes, self.cut = 0, False

    @property
    def goal(self) -> float:
        """Bound from which on nothing can be better by more than the tolerance."""
        return self.value * (1 - max(self.tolerance, _SAME))

    def offer(self, machine: int, tables: MachineTables, costs: WeightedCosts, pair: Ints, moves: Ints) -> Floats:
        """Takes a design of one machine as the incumbent if it is better; returns its latency and energy."""
        steps = residency_steps(self.problem.activations, int(tables.room[0]))
        mapping, resident = [], [False] * len(self.problem.activations.edges)
        state = 0
        for layer, step in enumerate(steps):
            move = int(moves[layer])
            for edge in step.kept[state][move]:
                resident[edge] = True
            mapping.append(int(costs.mapping[0, layer, pair[layer], step.flags[state, move]]))
            state = int(step.target[state, move])
        choice = Choice(machine, tuple(mapping), tuple(int(p) for p in pair), tuple(resident))
        figures = figures_of(self.problem, tables, steps, choice)
        value = float(self.problem.objective.combine(figures[1], figures[0]))
        if value < self.value:
            self.value, self.choice = value, choice
        return figures


def solve_joint(
    problem: JointProblem, *, tolerance: float = 1e-3, max_nodes: int = 20_000_000
) -> tuple[Certificate, Choice | None]:
    """Finds the best machine with types, mappings and activations on chip.

    Args:
        problem: The tables.
        tolerance: Relative gap that may remain; 0 for the optimum up to rounding.
        max_nodes: States of the dynamic programs, all machines together; where it is reached, the bounds of what was
            not solved stand.

    Returns:
        The certificate, without a design, and the design; ``None`` where no machine keeps the limit of the loss.
    """
    start = time.perf_counter()
    search = _Search(problem, tolerance, max_nodes)
    weights = {Objective.LATENCY: (1.0, 0.0), Objective.ENERGY: (0.0, 1.0)}.get(problem.objective)
    bounds = np.full(len(problem.machines), np.inf)
    planes = [_Plane() for _ in problem.machines]
    for rows, tables, steps in _blocks(problem):
        if weights is not None:
            bounds[rows] = _bound(search, rows, tables, steps, np.tile(weights, (len(rows), 1))) * (1 - _ROUNDING)
        else:
            bounds[rows] = _product_bounds(search, rows, tables, steps, planes)
    order = np.argsort(bounds, kind="stable")
    for number in order:
        if bounds[number] >= search.goal or search.cut:
            search.left = min(search.left, float(bounds[number]))
            break
        tables = problem.tables(problem.machines[number : number + 1])
        steps = residency_steps(problem.activations, int(tables.room[0]))
        machine = int(problem.machines[number])
        if weights is not None:
            proved = _solve(search, machine, tables, steps, np.array(weights), search.goal) * (1 - _ROUNDING)
        else:
            proved = _solve_product(search, machine, tables, steps, planes[number])
        # A machine that holds nothing below the incumbent is bounded by it.
        search.left = min(search.left, max(float(bounds[number]), proved))
    if search.choice is None:
        return Certificate(np.inf, None, np.inf, 0.0, METHOD, seconds=time.perf_counter() - start), None
    bound = min(search.value, search.left)
    if bound >= search.value * (1 - 2 * _SAME):
        bound = search.value
    certificate = Certificate(
        value=search.value,
        design=None,
        lower_bound=bound,
        gap=(search.value - bound) / search.value if search.value else 0.0,
        method=METHOD,
        relaxations=() if bound == search.value else ("Lagrangian bound of the limit of the loss",),
        nodes=search.nodes,
        seconds=time.perf_counter() - start,
        limited_by="nodes" if search.cut else "",
    )
    return certificate, search.choice


def _blocks(problem: JointProblem) -> Iterator[tuple[Ints, MachineTables, tuple[Step, ...]]]:
    """Yields machines of one room at a time: rows of ``problem.machines``, their tables and transitions."""
    for room in np.unique(problem.rooms):
        members = np.flatnonzero(problem.rooms == room)
        for begin in range(0, len(members), _BLOCK):
            rows = members[begin : begin + _BLOCK]
            yield rows, problem.tables(problem.machines[rows]), residency_steps(problem.activations, int(room))


def _bound(search: _Search, rows: Ints, tables: MachineTables, steps: tuple[Step, ...], weights: Floats) -> Floats:
    """Bounds of weighted sums, shape ``(machines,)``; designs found on the way are offered."""
    problem = search.problem
    costs = WeightedCosts.of(tables, steps, weights)
    found = best_multiplier(costs, steps, problem.losses, problem.limit)
    for at in np.argsort(found.bound, kind="stable")[:_OFFERS]:
        if np.isfinite(found.bound[at]):
            one = slice(at, at + 1)
            search.offer(
                int(problem.machines[rows[at]]), tables.of(one), costs.of_rows(one), found.pair[at], found.moves[at]
            )
    return found.bound


def _product_bounds(
    search: _Search, rows: Ints, tables: MachineTables, steps: tuple[Step, ...], planes: list[_Plane]
) -> Floats:
    """Bounds of the product, shape ``(machines,)``, and the weighted sums behind them in ``planes``."""
    result = np.full(len(rows), np.inf)
    for weights in np.eye(2):
        found = _bound(search, rows, tables, steps, np.tile(weights, (len(rows), 1)))
        for number, bound in zip(rows, found, strict=True):
            planes[number].add(weights, float(bound))
    open_ = np.flatnonzero(np.isfinite(found))
    for turn in range(_TANGENTS + 1):
        corners = np.array([planes[rows[at]].corner() for at in open_]).reshape(-1, 2)
        result[open_] = corners.prod(axis=1)
        further = result[open_] < search.goal
        open_, corners = open_[further], corners[further]
        if turn == _TANGENTS or len(open_) == 0:
            return result
        found = _bound(search, rows[open_], tables.of(open_), steps, 1 / corners)
        for number, weights, bound in zip(rows[open_], 1 / corners, found, strict=True):
            planes[number].add(weights, float(bound))
    return result


def _solve(
    search: _Search, machine: int, tables: MachineTables, steps: tuple[Step, ...], weights: Floats, ceiling: float
) -> float:
    """Returns a bound of a weighted sum on one machine: its least value, or the ceiling where that is no less.

    Args:
        search: Takes the design that is found.
        machine: Number of the machine.
        tables: Of it alone.
        steps: Its transitions.
        weights: Of latency and energy, shape ``(2,)``.
        ceiling: Sums from here on do not matter.
    """
    problem = search.problem
    costs = WeightedCosts.of(tables, steps, weights[None])
    found: Multiplier = best_multiplier(costs, steps, problem.losses, problem.limit)
    if not found.bound[0] < ceiling:
        return float(found.bound[0])
    feasible = search.offer(machine, tables, costs, found.pair[0], found.moves[0])
    reached = min(float(feasible @ weights), ceiling)
    price, left = float(found.price[0]), search.max_nodes - search.nodes
    path = best_path(costs, steps, problem.losses, problem.limit, price, reached, left)
    search.nodes += path.nodes
    if not path.complete:
        search.cut = True
        return float(found.bound[0])
    if not path.pair:
        return reached
    search.offer(machine, tables, costs, np.array(path.pair), np.array(path.moves))
    # Of designs that cost as much as was reached, the cheaper may have been dropped and a dearer one kept.
    return min(path.cost, reached)


def _solve_product(
    search: _Search, machine: int, tables: MachineTables, steps: tuple[Step, ...], plane: _Plane
) -> float:
    """Returns a bound of the product on one machine, which is below the goal only if the search was cut short."""
    for _ in range(_MOST_SUMS):
        corner = plane.corner()
        if corner.prod() >= search.goal or search.cut:
            break
        weights = 1 / corner
        plane.add(weights, _solve(search, machine, tables, steps, weights, np.inf))
    else:
        search.cut = True
    return float(plane.corner().prod())
