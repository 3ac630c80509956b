"""The batched interior-point method and CVXPY with CLARABEL solve the same programs."""

import numpy as np
import pytest

from accelgym.costmodels.architecture import LoopNest
from accelgym.costmodels.architecture.rules import Rules
from accelgym.costmodels.errors import InputError
from accelgym.costmodels.objective import Objective
from accelgym.costmodels.solvers.mapping import MachineTable, MappingSpace
from accelgym.costmodels.solvers.mapping.branch_and_bound import BranchAndBound
from accelgym.costmodels.solvers.mapping.cvxpy_check import solve_as_geometric, solve_in_logarithms
from accelgym.costmodels.solvers.mapping.interior_point import solve_programs
from accelgym.costmodels.timeloop.presets import preset

pytest.importorskip("cvxpy", reason="the extra 'oracle' is not installed")

PROBLEMS = {
    "conv": LoopNest.conv("c", K=64, C=32, P=28, Q=28, R=3, S=3),
    "pointwise": LoopNest.conv("p", K=128, C=64, P=14, Q=14, R=1, S=1, stride=(2, 2)),
    "gemm": LoopNest.gemm("g", I=512, J=256, L=384),
}


def roots(name, objective, machine=None):
    problem, machine = PROBLEMS[name], machine or preset("eyeriss_thistle")
    space = MappingSpace(problem, machine, Rules.build(problem, machine, bypass=False))
    keeps = np.ones((1, len(machine.levels), 3), dtype=bool)
    search = BranchAndBound(space, MachineTable.of([machine]), objective, keeps)
    spread, possible = search.fanouts.tighten(search.open)
    return search.writer.write(search.open.take(possible), spread[possible])


@pytest.mark.parametrize("name", PROBLEMS)
def test_clarabel_agrees_on_energy(name):
    programs = roots(name, Objective.ENERGY)
    ours = solve_programs(programs, tolerance=1e-8)
    for row in np.linspace(0, len(programs) - 1, 4).astype(int):
        logarithms = solve_in_logarithms(programs, int(row))
        assert ours.value[row] == pytest.approx(logarithms, abs=1e-6)
        assert ours.bound[row] == pytest.approx(logarithms, abs=1e-6)
        assert solve_as_geometric(programs, int(row)) == pytest.approx(logarithms, abs=1e-6)


def test_clarabel_agrees_on_energy_times_delay_behind_narrow_ports():
    machine = preset("eyeriss_thistle").with_level("DRAM", read_bw=4.0, write_bw=4.0).with_level("SRAM", read_bw=16.0)
    programs = roots("conv", Objective.EDP, machine)
    ours = solve_programs(programs, tolerance=1e-8)
    for row in (0, len(programs) // 2):
        assert solve_in_logarithms(programs, row) == pytest.approx(ours.bound[row], abs=1e-6)


def test_both_say_that_nothing_is_feasible():
    programs = roots("gemm", Objective.ENERGY).take(np.array([0]))
    programs.limits[:] = -50.0
    assert solve_in_logarithms(programs, 0) == np.inf
    assert solve_as_geometric(programs, 0) == np.inf
    assert solve_programs(programs, cutoff=100.0).bound[0] >= 100.0


def test_an_unknown_solver_is_refused():
    with pytest.raises(InputError, match="NO_SUCH"):
        solve_in_logarithms(roots("gemm", Objective.ENERGY), 0, solver="NO_SUCH")
