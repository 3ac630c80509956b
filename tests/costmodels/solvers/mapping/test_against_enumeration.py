"""Branch and bound against every tiling, every loop order and every bypass of small problems."""

import importlib.util
import itertools
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings

from accelgym.costmodels.architecture import Architecture, Compute, Constraint, LoopNest, StorageLevel
from accelgym.costmodels.objective import Objective
from accelgym.costmodels.solvers.mapping import branch_and_bound
from accelgym.costmodels.timeloop.presets import preset

_spec = importlib.util.spec_from_file_location("mapping_cases", Path(__file__).with_name("cases.py"))
small = importlib.util.module_from_spec(_spec)
_spec.loader.exec_module(small)

QUIET = {"deadline": None, "suppress_health_check": list(HealthCheck)}
few_and_many = pytest.mark.parametrize("examples", [8, pytest.param(20, marks=pytest.mark.slow)])
TOLERANCE = 1e-3


@pytest.fixture
def long_way(monkeypatch):
    """Leaves of one mapping and a single root: bounds, boxes and undecided classes do all the work."""
    monkeypatch.setattr(branch_and_bound, "_LEAF", 1.0)
    monkeypatch.setattr(branch_and_bound, "_MOST_ROOTS", 1)


def check(case, best, **options):
    found = case.solve(tolerance=TOLERANCE, **options)
    assert found.lower_bound <= best * (1 + 1e-9)
    if np.isinf(best):
        assert np.isinf(found.value)
        return found
    assert best * (1 - 1e-9) <= found.value
    if found.closed:
        assert found.value <= best * (1 + 1.1 * TOLERANCE)
        assert found.lower_bound >= found.value * (1 - 1.1 * TOLERANCE)
    again = priced(case, found)
    assert again == pytest.approx(found.value, rel=1e-12)
    return found


def priced(case, found):
    """What the cost model says about the mapping that a solver hands back."""
    mapping = found.mapping
    assert (mapping.factors[:, :, 0].prod(axis=0) == case.problem.bounds).all()
    return float(small.price(case, mapping.factors, mapping.ranks, mapping.keep)[0])


@few_and_many
def test_the_proven_optimum_is_the_best_of_all_mappings(examples):
    @given(small.cases(most=40_000))
    @settings(max_examples=examples, **QUIET)
    def holds(case):
        assert check(case, small.optimum(case)).closed

    holds()


@few_and_many
def test_bounds_alone_close_in_on_the_optimum(long_way, examples):
    @given(small.cases(most=20_000))
    @settings(max_examples=examples, **QUIET)
    def holds(case):
        check(case, small.optimum(case))

    holds()


@few_and_many
def test_slides_that_several_loops_continue_are_bounded(examples):
    @given(small.cases(most=40_000, problem=small.windows()))
    @settings(max_examples=examples, **QUIET)
    def holds(case):
        assert check(case, small.optimum(case)).closed

    holds()


@few_and_many
def test_bounds_alone_close_in_on_slides_that_several_loops_continue(long_way, examples):
    @given(small.cases(most=20_000, problem=small.windows()))
    @settings(max_examples=examples, **QUIET)
    def holds(case):
        check(case, small.optimum(case))

    holds()


@few_and_many
def test_prescribed_orders_and_limits_bind_solver_and_enumeration_alike(examples):
    @given(small.cases(most=20_000, constrained=True))
    @settings(max_examples=examples, **QUIET)
    def holds(case):
        check(case, small.optimum(case))

    holds()


@few_and_many
def test_smallest_factors_and_utilisations_bind_solver_and_enumeration_alike(examples):
    @given(small.cases(most=40_000, floors=True))
    @settings(max_examples=examples, **QUIET)
    def holds(case):
        check(case, small.optimum(case))

    holds()


@few_and_many
def test_bounds_alone_close_in_where_something_must_be_used(long_way, examples):
    @given(small.cases(most=20_000, floors=True))
    @settings(max_examples=examples, **QUIET)
    def holds(case):
        check(case, small.optimum(case))

    holds()


@few_and_many
def test_the_order_of_the_innermost_loops_is_indifferent(examples):
    @given(small.cases(most=500))
    @settings(max_examples=examples, **QUIET)
    def holds(case):
        assert small.optimum(case, innermost=True) == small.optimum(case)

    holds()


@pytest.mark.slow
@given(small.cases(most=400_000, constrained=True))
@settings(max_examples=200, **QUIET)
def test_bounds_alone_close_in_on_the_optimum_of_larger_cases(long_way, case):
    check(case, small.optimum(case))


def case_of(problem, *levels, objective=Objective.ENERGY, mac_pj=1.0, free=False):
    machine = Architecture("m", levels, Compute(mac_pj=mac_pj))
    return small.Case(problem, machine, objective, small.bypasses(problem, machine, free=free))


def memory(name, pj, words=None, **fields):
    return StorageLevel(name, capacity_words=words, read_pj=pj, write_pj=pj, **fields)


@pytest.mark.parametrize("objective", list(Objective))
def test_a_stride_beyond_the_kernel_leaves_holes_and_sound_bounds(long_way, objective):
    problem = LoopNest.conv("c", K=2, C=2, P=4, Q=2, R=1, S=1, stride=(3, 2))
    case = case_of(
        problem,
        memory("DRAM", 50.0, read_bw=1.0),
        memory("SRAM", 5.0, 24, fanout_x=2, fanout_y=2),
        memory("RF", 1.0, 5),
        objective=objective,
    )
    check(case, small.optimum(case))


def test_a_register_file_with_room_for_one_word_each(long_way):
    case = case_of(
        LoopNest.conv("c", K=3, C=2, P=4, Q=1, R=3, S=1),
        memory("DRAM", 50.0),
        memory("SRAM", 5.0, 12, fanout_x=3),
        memory("RF", 1.0, 3),
    )
    found = check(case, small.optimum(case))
    assert (found.mapping.factors[-1] == 1).all(), "no loop fits inside the registers"


def test_four_levels_with_two_fan_outs_and_bypass(long_way):
    case = case_of(
        LoopNest.gemm("g", I=4, J=2, L=2),
        memory("DRAM", 80.0),
        memory("L2", 9.0, 24, fanout_x=2),
        memory("L1", 3.0, 10, fanout_y=2),
        memory("RF", 1.0, 4),
    )
    case.keeps = small.bypasses(case.problem, case.machine, free=True)[::37]
    check(case, small.optimum(case))


def test_no_mapping_at_all_is_said_so():
    found = case_of(LoopNest.gemm("g", I=4, J=2, L=2), memory("DRAM", 1.0), memory("RF", 1.0, 2)).solve()
    assert (found.value, found.mapping, found.machine) == (np.inf, None, -1)
    assert found.closed


@pytest.mark.parametrize(
    "objective", [Objective.EDP, Objective.LATENCY, pytest.param(Objective.ENERGY, marks=pytest.mark.slow)]
)
def test_a_search_that_is_cut_short_states_a_valid_gap(long_way, objective):
    problem = LoopNest.conv("c", K=4, C=4, P=4, Q=2, R=3, S=1)
    case = case_of(
        problem,
        memory("DRAM", 50.0, read_bw=2.0),
        memory("SRAM", 5.0, 40, fanout_x=2),
        memory("RF", 1.0, 8),
        objective=objective,
    )
    best = case.solve(tolerance=1e-6).value
    bounds = []
    for rounds in (1, 200, 800, 3000):
        found = case.solve(tolerance=1e-6, most_nodes=rounds)
        assert found.lower_bound <= best <= found.value
        bounds.append(found.lower_bound)
    assert all(b >= a * (1 - 1e-6) for a, b in itertools.pairwise(bounds))
    assert not case.solve(tolerance=1e-6, seconds=0.0).closed


def test_mirror_images_are_not_searched_twice_and_nothing_is_lost(monkeypatch):
    problem = LoopNest.conv("c", K=2, C=1, P=4, Q=4, R=2, S=2)
    case = case_of(problem, memory("DRAM", 50.0, fanout_x=2), memory("RF", 1.0, 20))
    found = check(case, small.optimum(case))
    monkeypatch.setattr(branch_and_bound, "mirrors", lambda *_: None)
    twice = case.solve(tolerance=TOLERANCE)
    assert twice.value == pytest.approx(found.value, rel=1.1 * TOLERANCE)
    assert found.nodes + found.evaluations < twice.nodes + twice.evaluations


@pytest.mark.parametrize(("level", "dim"), [("DRAM", "Q"), ("RF", "Q"), ("DRAM", "S"), ("RF", "S")])
def test_a_smallest_factor_of_one_direction_has_no_mirror_image(level, dim):
    problem = LoopNest.conv("c", K=1, C=1, P=3, Q=3, R=2, S=2)
    case = case_of(problem, memory("DRAM", 100.0), memory("RF", 1.0, 8))
    least = Constraint(level, "temporal", {dim: (">=", 2)})
    case.machine = replace(case.machine, constraints=(least,))
    assert check(case, small.optimum(case)).closed


@pytest.mark.parametrize("objective", list(Objective))
def test_a_machine_of_one_memory_has_no_order_to_choose(objective):
    problem = LoopNest.conv("c", K=2, C=1, P=4, Q=4, R=2, S=2)
    case = case_of(problem, memory("DRAM", 50.0, read_bw=3.0, fanout_x=4, fanout_y=2), objective=objective)
    assert check(case, small.optimum(case)).closed


def five_by_five():
    return case_of(
        LoopNest.conv("c", K=4, C=4, P=4, Q=4, R=5, S=5),
        memory("DRAM", 100.0),
        memory("SRAM", 6.0, 120, fanout_x=2),
        memory("RF", 1.0, 16),
    )


def test_extents_that_windows_hide_are_decided_early(long_way, monkeypatch):
    found = five_by_five().solve(tolerance=TOLERANCE)
    monkeypatch.setattr(branch_and_bound.BranchAndBound, "_weigh_windows", lambda *_: None)
    late = five_by_five().solve(tolerance=TOLERANCE)
    assert found.closed
    assert found.value == pytest.approx(late.value, rel=1.1 * TOLERANCE)
    assert found.nodes < 0.8 * late.nodes


def test_a_class_needs_a_loop_of_every_tensor_that_it_does_not_hoist(long_way, monkeypatch):
    found = five_by_five().solve(tolerance=TOLERANCE)
    monkeypatch.setattr(branch_and_bound, "ask_for_loops", lambda _space, _classes, nodes: np.ones(len(nodes), bool))
    monkeypatch.setattr(branch_and_bound.ProgramWriter, "_needed", no_rows)
    without = five_by_five().solve(tolerance=TOLERANCE)
    assert found.value == pytest.approx(without.value, rel=1.1 * TOLERANCE)
    assert found.nodes < without.nodes


def no_rows(writer, nodes):
    shape = (len(nodes), 0, len(writer.space.sites) + 1, writer.space.dims)
    return np.zeros(shape), np.zeros((len(nodes), 0))


@pytest.mark.slow
def test_a_kernel_of_five_on_eyeriss_is_proven():
    problem = LoopNest.conv("c", K=64, C=64, P=28, Q=28, R=5, S=5)
    machine = preset("eyeriss")
    found = small.Case(problem, machine, Objective.ENERGY, small.bypasses(problem, machine, free=False)).solve(
        tolerance=TOLERANCE
    )
    assert found.closed
