"""One call from a map space to a proven optimum: limits, and what the search hands back."""

from __future__ import annotations

import time
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from accelgym.costmodels.objective import Objective
from accelgym.costmodels.solvers.mapping.branch_and_bound import BranchAndBound
from accelgym.costmodels.solvers.mapping.machines import MachineTable
from accelgym.costmodels.solvers.mapping.space import MappingSpace

__all__ = ["Solution", "node_limit", "solve"]

_ROUNDING = 4e-9
"""Kept back from the tolerance, so that the gap is within it when a certificate rounds the bound down to ten digits."""

Ints = npt.NDArray[np.int64]
Bools = npt.NDArray[np.bool_]

_WORK = 3.24e8
_FEWEST_NODES = 2000
"""A program takes a time in proportion to the cube of its variables, twice that with bandwidths: 12,000 programs of 30
variables take about 30 s on a core of 2024."""


@dataclass(frozen=True)
class Solution:
    """What a search hands back."""

    value: float
    """Objective of the best mapping, ``inf`` when none was found."""
    mapping: tuple[Ints, Ints, Bools] | None
    """Its loop factors and positions, shape ``(slots, dims)``, and which level keeps which tensor."""
    machine: int
    """Its row of the machine table."""
    lower_bound: float
    nodes: int
    """Programs solved."""
    evaluations: int
    """Mappings evaluated."""
    seconds: float
    closed: bool
    """Whether the gap is within the tolerance."""
    limited_by: str = ""
    """What ended an open search: ``nodes``, which is the same everywhere, or ``seconds``, which is not."""


def node_limit(space: MappingSpace, machines: MachineTable, objective: Objective) -> int:
    """Programs that a search of a map space solves at most unless told otherwise."""
    variables = max(1, (len(space.places) - 1) * space.dims)
    limited = objective is not Objective.ENERGY and any(np.isfinite(words).any() for _, words in machines.ports)
    return max(_FEWEST_NODES, int(_WORK / variables**3 / (1 + limited)))


def solve(
    space: MappingSpace,
    machines: MachineTable,
    objective: Objective,
    keeps: Bools,
    *,
    tolerance: float = 1e-3,
    most_nodes: int | None = None,
    seconds: float | None = None,
) -> Solution:
    """Finds a proven optimum, or the best within a limit with the gap that remains.

    Value, mapping, bound and counts are the same on every machine and with any number of threads, unless ``seconds``
    end the search.

    Args:
        space: The map space.
        machines: Machines to choose from.
        objective: What is minimised.
        keeps: Bypass choices, shape ``(choices, levels, tensors)``.
        tolerance: Relative gap at which the search ends.
        most_nodes: Limit on the programs solved; that of :func:`node_limit` where neither limit is given.
        seconds: Time limit; at least one round is made.
    """
    begin = time.perf_counter()
    search = BranchAndBound(space, machines, objective, keeps, tolerance=max(tolerance - _ROUNDING, tolerance / 2))
    limit = (
        (np.inf if seconds is not None else node_limit(space, machines, objective))
        if most_nodes is None
        else most_nodes
    )
    ended = ""
    while len(search.open) and not ended:
        search.advance()
        if seconds is not None and time.perf_counter() - begin > seconds:
            ended = "seconds"
        elif search.solved >= limit:
            ended = "nodes"
    best = search.best
    return Solution(
        np.inf if best is None else best.value,
        None if best is None else (*search.evaluator.mapping(best), best.keep),
        -1 if best is None else best.machine,
        search.lower_bound,
        search.solved,
        search.evaluator.spent,
        time.perf_counter() - begin,
        not len(search.open),
        ended if len(search.open) else "",
    )
