"""Thistle as in the paper: Equation 3, loop orders within a level, kernel loops in the register tile, CVXPY.

For comparison only. Its optimum bounds nothing that the cost model counts: a word multicast to many processing
elements is charged once, and tiles never outlive the level above.
"""

from __future__ import annotations

import itertools
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from accelgym.costmodels.architecture.loop_nest import LoopNest
from accelgym.costmodels.architecture.machine import Architecture
from accelgym.costmodels.architecture.rules import BYPASSED, Rules
from accelgym.costmodels.errors import unknown_name
from accelgym.costmodels.loopnest.model import LoopnestModel
from accelgym.costmodels.objective import Objective
from accelgym.costmodels.solvers.mapping.classes import level_classes
from accelgym.costmodels.solvers.mapping.cvxpy_check import solve_as_geometric
from accelgym.costmodels.solvers.mapping.interior_point import Programs
from accelgym.costmodels.solvers.mapping.machines import MachineTable
from accelgym.costmodels.solvers.mapping.nodes import Nodes, propagate
from accelgym.costmodels.solvers.mapping.programs import Convention, ProgramWriter
from accelgym.costmodels.solvers.mapping.room import Fanouts
from accelgym.costmodels.solvers.mapping.space import MappingSpace

__all__ = ["PaperOptimum", "paper_optimum", "paper_programs"]


@dataclass(frozen=True)
class PaperOptimum:
    """The relaxed optimum of the paper's formulation."""

    energy_pj: float
    classes: int
    """Geometric programs solved: permutation classes of all levels."""


def paper_programs(problem: LoopNest, machine: Architecture, *, untiled: Sequence[str] = ("R", "S")) -> Programs:
    """Writes the geometric program of every permutation class.

    Args:
        problem: A layer.
        machine: A fixed machine.
        untiled: Dimensions that lie whole in the innermost tile, where the problem has them.

    Raises:
        InputError: A dimension in ``untiled`` is not one of the problem's.
    """
    for name in untiled:
        if name not in problem.dims:
            raise unknown_name("untiled dimension", name, problem.dims)
    rules = Rules.build(problem, machine, bypass=False)
    space, table = MappingSpace(problem, machine, rules), LoopnestModel(problem, machine).terms
    machines = MachineTable.of([machine])
    levels = len(machine.levels)
    classes = tuple(level_classes(space, table, v) for v in range(levels - 1))
    # A tile that outlives a level, or slides on with another loop, is unknown to the paper.
    numbers = [one.plain[~one.unit[one.plain].any(axis=1)] for one in classes]
    rows = np.array(list(itertools.product(*numbers)), dtype=np.int64).reshape(-1, levels - 1)
    keep = np.repeat((rules.keep != BYPASSED)[None], len(rows), axis=0)
    nodes = Nodes.whole(space, rows, np.zeros(len(rows), dtype=np.int64), keep)
    for name in untiled:
        dim = problem.dims.index(name)
        if dim in space.active:
            nodes.low[:, :, space.active.index(dim)] = nodes.high[:, :, space.active.index(dim)]
    writer = ProgramWriter(space, table, classes, machines, Objective.ENERGY, convention=Convention.THISTLE)
    propagate(space, nodes, writer.unit(nodes))
    spread, _ = Fanouts(space, machines).tighten(nodes)
    return writer.write(nodes, spread)


def paper_optimum(problem: LoopNest, machine: Architecture, *, untiled: Sequence[str] = ("R", "S")) -> PaperOptimum:
    """Solves every class with CVXPY and returns the least relaxed energy (extra ``oracle``; seconds a layer).

    Args:
        problem: A layer.
        machine: A fixed machine.
        untiled: Dimensions that lie whole in the innermost tile.
    """
    programs = paper_programs(problem, machine, untiled=untiled)
    values = [solve_as_geometric(programs, row) for row in range(len(programs))]
    return PaperOptimum(float(np.exp(min(values))), len(values))
