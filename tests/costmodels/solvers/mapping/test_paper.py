"""Equation 3 of Thistle against a walk through the loops, and its relaxation through two solvers."""

import itertools

import numpy as np
import pytest

from accelgym.costmodels.architecture.loop_nest import LoopNest
from accelgym.costmodels.architecture.machine import Architecture, Compute, StorageLevel
from accelgym.costmodels.architecture.rules import Rules
from accelgym.costmodels.errors import InputError
from accelgym.costmodels.loopnest.model import LoopnestModel
from accelgym.costmodels.objective import Objective
from accelgym.costmodels.solvers.mapping.classes import level_classes
from accelgym.costmodels.solvers.mapping.interior_point import lagrangian_bound, solve_programs
from accelgym.costmodels.solvers.mapping.machines import MachineTable
from accelgym.costmodels.solvers.mapping.nodes import Nodes
from accelgym.costmodels.solvers.mapping.paper import paper_optimum, paper_programs
from accelgym.costmodels.solvers.mapping.programs import Convention, ProgramWriter
from accelgym.costmodels.solvers.mapping.room import Fanouts
from accelgym.costmodels.solvers.mapping.space import MappingSpace
from accelgym.costmodels.timeloop.presets import preset

MACHINE = Architecture(
    "three",
    (
        StorageLevel("DRAM", read_pj=128.0, write_pj=128.0),
        StorageLevel("SRAM", capacity_words=10_000, read_pj=4.5, write_pj=4.5, fanout_x=8),
        StorageLevel("RF", capacity_words=512, read_pj=4.6, write_pj=4.6),
    ),
    Compute(mac_pj=2.2),
)
MACHINES = MachineTable.of([MACHINE])
TENSORS = (("i", "k"), ("k", "j"), ("i", "j"))


def transfers(order, relevant):
    """Loads of a tile under time loops of two, outermost first: those iterations in which it changes."""
    previous, count = None, 0
    for point in itertools.product(*(range(2) for _ in order)):
        tile = tuple(index for dim, index in zip(order, point, strict=True) if dim in relevant)
        count += tile != previous
        previous = tile
    return count


def equation_3(dram, sram):
    """Energy of 16 x 16 x 16, split in two at every place, from the orders of both levels, outermost first."""
    energy = 16**3 * (2.2 + 4 * 4.6)
    for tensor in TENSORS:
        twice = 2 if tensor == ("i", "j") else 1
        # Tiles of 8 x 8 words in the SRAM; 2 x 2 in each register file, spread over four of the eight positions.
        energy += twice * (128.0 + 4.5) * 8 * 8 * transfers(dram, tensor)
        energy += twice * (4.5 + 4.6) * 2 * 2 * 4 * transfers((*dram, *sram), tensor)
    return energy


def test_the_program_of_every_class_is_equation_3_at_a_tiling():
    problem = LoopNest.gemm("matmul", I=16, J=16, L=16)
    name = {problem.dims.index(dim): short for dim, short in zip("IJL", "ijk", strict=True)}
    space = MappingSpace(problem, MACHINE, Rules.build(problem, MACHINE, bypass=False))
    table = LoopnestModel(problem, MACHINE).terms
    classes = tuple(level_classes(space, table, v) for v in range(2))
    writer = ProgramWriter(space, table, classes, MACHINES, Objective.ENERGY, convention=Convention.THISTLE)
    extents = np.array([16, 8, 4, 2])
    number = np.searchsorted(space.divisors[0], extents)[None, :, None].repeat(3, axis=2)
    seen = set()
    for pair in itertools.product(*(range(one.undecided) for one in classes)):
        if any(one.unit[c].any() for one, c in zip(classes, pair, strict=True)):
            continue
        nodes = Nodes(
            number.copy(),
            number.copy(),
            np.array([pair]),
            np.zeros(1, dtype=np.int64),
            np.ones((1, 3, 3), dtype=bool),
            np.tile(np.array([1, 1 << 40]), (1, 3, 1)),
            np.tile(np.array([1, 1 << 40]), (1, 3, 3, 1)),
            np.full(1, -np.inf),
        )
        spread, possible = Fanouts(space, MACHINES).tighten(nodes)
        assert possible.all()
        programs = writer.write(nodes, spread)
        # Everything is decided: the bound at the point is the value.
        none = np.zeros((1, programs.group.max()))
        value = lagrangian_bound(programs, programs.low, none, np.zeros_like(programs.limits))
        orders = [
            tuple(name[space.active[d]] for d in reversed(one.orders[c])) for one, c in zip(classes, pair, strict=True)
        ]
        assert np.exp(value[0]) == pytest.approx(equation_3(*orders), rel=1e-9)
        seen.add(tuple(orders))
    # Three signatures a level: which tensor stays put innermost.
    assert len(seen) == 9


def test_a_three_by_three_kernel_has_the_papers_64_classes():
    problem = LoopNest.conv("L2", K=64, C=64, P=56, Q=56, R=3, S=3)
    programs = paper_programs(problem, preset("eyeriss_thistle"))
    assert len(programs) == 64
    batched = solve_programs(programs, tolerance=1e-6)
    found = paper_optimum(problem, preset("eyeriss_thistle"))
    assert found.classes == 64
    assert np.log(found.energy_pj) == pytest.approx(batched.value.min(), abs=2e-6)
    # Figure 4: 20 to 30 pJ per multiply-accumulate.
    assert 20 < found.energy_pj / problem.macs < 30


def test_an_unknown_untiled_dimension_is_named():
    with pytest.raises(InputError, match="'X'"):
        paper_programs(LoopNest.gemm("matmul", I=4, J=4, L=4), MACHINE, untiled=("X",))
