"""One machine for many layers: the machine with the least sum of optima, proved.

Energy and latency of layers that run one after the other add up, so a machine's bound is the sum of its layers'
bounds. Relaxed optima of all classes bound every machine cheaply; machines are then solved in the order of their
bounds until no other can be better.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

import numpy as np
import numpy.typing as npt

from accelgym.costmodels.errors import InputError
from accelgym.costmodels.objective import Objective
from accelgym.costmodels.solvers.mapping.branch_and_bound import BranchAndBound
from accelgym.costmodels.solvers.mapping.digits import significant
from accelgym.costmodels.solvers.mapping.machines import MachineTable
from accelgym.costmodels.solvers.mapping.solver import Solution, solve
from accelgym.costmodels.solvers.mapping.space import MappingSpace

__all__ = ["SharedMachine", "best_machine", "machine_bounds"]

Floats = npt.NDArray[np.float64]
Bools = npt.NDArray[np.bool_]

_CHUNK = 8
_TIE_BITS = 30
"""Significant digits of sums of bounds that are told apart."""


@dataclass(frozen=True)
class SharedMachine:
    """The best machine for a list of layers."""

    machine: int
    """Row of the machine table."""
    value: float
    """Weighted sum of the layers' objectives on it."""
    lower_bound: float
    """Certified: no machine has a smaller sum."""
    layers: tuple[Solution, ...]
    """Solutions of the layers on it."""
    solved: int
    """Machines that had to be solved, others were excluded by their bounds."""
    seconds: float
    bounds: Floats = field(repr=False)
    """Certified lower bound of every machine, shape ``(machines,)``."""


def machine_bounds(space: MappingSpace, machines: MachineTable, objective: Objective, keeps: Bools) -> Floats:
    """Returns a certified lower bound of one layer's optimum on every machine, shape ``(machines,)``."""
    bounds = np.empty(len(machines))
    for begin in range(0, len(machines), _CHUNK):
        part = machines.take(range(begin, min(begin + _CHUNK, len(machines))))
        bounds[begin : begin + len(part)] = BranchAndBound(space, part, objective, keeps).root_bounds()
    return bounds


def best_machine(
    spaces: Sequence[MappingSpace],
    weights: Sequence[float],
    machines: MachineTable,
    objective: Objective,
    keeps: Sequence[Bools],
    *,
    tolerance: float = 1e-3,
    seconds: float | None = None,
    progress: Callable[[int, int], None] | None = None,
) -> SharedMachine:
    """Finds the machine on which a weighted sum over layers is least.

    Args:
        spaces: One map space a layer.
        weights: How often each layer runs.
        machines: Machines to choose from.
        objective: Energy or latency.
        keeps: Bypass choices of each layer, shape ``(choices, levels, tensors)``.
        tolerance: Relative gap, of every layer and of the choice.
        seconds: Time limit for a layer on a machine; by default a number of nodes, the same everywhere.
        progress: Called with the layers bounded so far and their number.

    Raises:
        InputError: The objective does not add up over layers.
    """
    if objective is Objective.EDP:
        raise InputError("objective is 'edp', allowed energy or latency: products do not add up over layers")
    begin = time.perf_counter()
    share = np.asarray(weights, dtype=np.float64)
    bounds = np.empty((len(spaces), len(machines)))
    for k, (space, keep) in enumerate(zip(spaces, keeps, strict=True)):
        bounds[k] = machine_bounds(space, machines, objective, keep)
        if progress is not None:
            progress(k + 1, len(spaces))
    best: SharedMachine | None = None
    totals = _total(share, bounds)
    solved = 0
    for m in np.argsort(significant(totals, _TIE_BITS), kind="stable"):
        limit = np.inf if best is None else best.value * (1 - tolerance)
        if totals[m] >= limit:
            break
        solved += 1
        found: list[Solution] = []
        table = machines.take([int(m)])
        # The heaviest layers first: they decide soonest that a machine cannot win.
        order = np.argsort(significant(-share * bounds[:, m], _TIE_BITS), kind="stable")
        for k in order:
            found.append(solve(spaces[k], table, objective, keeps[k], tolerance=tolerance, seconds=seconds))
            bounds[k, m] = max(bounds[k, m], found[-1].lower_bound)
            totals[m] = _total(share, bounds[:, m])
            if totals[m] >= limit or not np.isfinite(found[-1].value):
                break
        else:
            solutions = tuple(found[int(np.flatnonzero(order == k)[0])] for k in range(len(spaces)))
            value = float(_total(share, np.array([solution.value for solution in solutions])))
            if best is None or value < best.value:
                best = SharedMachine(int(m), value, 0.0, solutions, 0, 0.0, bounds)
    if best is None:
        raise InputError("no machine runs all layers")
    lower = min(float(totals.min()), best.value)
    return SharedMachine(best.machine, best.value, lower, best.layers, solved, time.perf_counter() - begin, totals)


def _total(share: Floats, parts: Floats) -> Floats:
    """Weighted sum over the first axis, which a matrix product would round as its library likes."""
    return np.asarray((share.reshape(-1, *(1,) * (parts.ndim - 1)) * parts).sum(axis=0))
