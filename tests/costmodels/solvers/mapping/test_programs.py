"""Geometric programs against the cost model, volumes derived by hand, and brute force over small boxes."""

import importlib.util
import itertools
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from hypothesis import HealthCheck, assume, given, settings
from hypothesis import strategies as st

from accelgym.costmodels.architecture import Architecture, LoopNest, StorageLevel
from accelgym.costmodels.architecture.rules import Rules
from accelgym.costmodels.loopnest import LoopnestModel
from accelgym.costmodels.objective import Objective
from accelgym.costmodels.solvers.mapping import MachineTable, MappingSpace, classes
from accelgym.costmodels.solvers.mapping.branch_and_bound import BranchAndBound
from accelgym.costmodels.solvers.mapping.classes import level_classes
from accelgym.costmodels.solvers.mapping.interior_point import Programs, lagrangian_bound, solve_programs
from accelgym.costmodels.solvers.mapping.nodes import Nodes
from accelgym.costmodels.solvers.mapping.traffic import TrafficTerms

_spec = importlib.util.spec_from_file_location("mapping_cases", Path(__file__).with_name("cases.py"))
small = importlib.util.module_from_spec(_spec)
_spec.loader.exec_module(small)

QUIET = {"deadline": None, "suppress_health_check": list(HealthCheck)}
SEEDS = st.integers(0, 2**32 - 1)


# -- programs of single tilings against the cost model ---------------------------------------------------------------


def search_of(case):
    machines = MachineTable.of([case.machine])
    return BranchAndBound(case.space, machines, case.objective, case.keeps)


def point_nodes(search, case, factors, keep):
    """One node per combination of classes that holds a single tiling, factors of shape ``(slots, dims)``."""
    space = search.space
    by_place = np.array([[factors[list(p.slots), d].prod() for d in space.active] for p in space.places])
    extents = np.cumprod(by_place[::-1], axis=0)[::-1]
    numbers = np.array([[np.searchsorted(space.divisors[d], e) for d, e in enumerate(row)] for row in extents])
    chosen = np.array(list(itertools.product(*(range(table.undecided) for table in search.classes))))
    n, levels = len(chosen), len(case.machine.levels)
    return Nodes(
        np.tile(numbers, (n, 1, 1)),
        np.tile(numbers, (n, 1, 1)),
        chosen.reshape(n, levels - 1),
        np.zeros(n, dtype=np.int64),
        np.tile(keep, (n, 1, 1)),
        np.tile(np.array([1, np.iinfo(np.int64).max]), (n, levels, 1)),
        np.tile(np.array([1, space.bounds.max()]), (n, levels, space.dims, 1)),
        np.full(n, -np.inf),
    )


def programs_of(search, nodes):
    nodes = search._admit(nodes)
    spread, possible = search.fanouts.tighten(nodes)
    return search.writer.write(nodes.take(possible), spread[possible])


def objective(programs, y):
    terms = programs.log + np.einsum("bmn,bn->bm", programs.exponents, y)
    return np.exp(terms[:, programs.group == 0]).sum(axis=1)


def tiling(case, seed):
    """A random tiling that fits, with its least objective over all loop orders."""
    rng = np.random.default_rng(seed)
    keep = case.keeps[rng.integers(len(case.keeps))]
    tables = [small.chains(case, d) for d in range(len(case.problem.dims))]
    ranked = [small.orders(case, v) for v in range(len(case.machine.levels) - 1)]
    every = list(itertools.product(*ranked))
    for _ in range(5):
        factors = np.stack([table[rng.integers(len(table))] for table in tables], axis=1)
        ranks = np.tile(np.arange(factors.shape[1])[None, :, None], (len(factors), 1, len(every)))
        for v in range(len(ranked)):
            ranks[case.machine.slot(v, "temporal")] = np.array([row[v] for row in every]).T
        n = len(every)
        values = small.price(case, np.repeat(factors[..., None], n, 2), ranks, np.repeat(keep[..., None], n, 2))
        if np.isfinite(values.min()):
            return factors, keep, float(values.min())
    assume(False)
    return None


def slides_in_space(case, factors):
    """Whether tiles of neighbours overlap, which programs bound from below only."""
    windows = {d for tensor in case.problem.tensors for axis in tensor.axes if len(axis) > 1 for d, _ in axis}
    spatial = [s for s, slot in enumerate(case.machine.slots) if slot.kind != "temporal"]
    return any(factors[s, case.problem.dims.index(d)] > 1 for s in spatial for d in windows)


def may_continue(case, factors):
    """Whether loops of both dimensions of a window lie above a tile: what one finds of the other is bounded only."""
    outer = [case.machine.slot(v, "temporal") for v in range(len(case.machine.levels) - 1)]
    for tensor in case.problem.tensors:
        for axis in tensor.axes:
            looped = {d for d, _ in axis if (factors[outer, case.problem.dims.index(d)] > 1).any()}
            if len(looped) > 1:
                return True
    return False


@given(small.cases(most=10_000), SEEDS)
@settings(max_examples=30, **QUIET)
def test_no_program_of_a_single_tiling_lies_above_its_best_order(case, seed):
    factors, keep, best = tiling(case, seed)
    search = search_of(case)
    programs = programs_of(search, point_nodes(search, case, factors, keep))
    assert len(programs), "the tiling was taken for one that does not fit"
    assert np.exp(solve_programs(programs).bound.min()) <= best * (1 + 1e-6) + 1e-60


@given(small.cases(most=10_000), SEEDS)
@settings(max_examples=30, **QUIET)
def test_the_best_class_equals_the_best_order_where_nothing_is_relaxed(case, seed):
    levels = tuple(replace(level, block_size=1, leakage_pj=0.0) for level in case.machine.levels)
    silent = replace(case.machine.compute, leakage_pj=0.0)
    case.objective, case.machine = Objective.ENERGY, replace(case.machine, levels=levels, compute=silent)
    factors, keep, best = tiling(case, seed)
    assume(not slides_in_space(case, factors) and not may_continue(case, factors))
    search = search_of(case)
    programs = programs_of(search, point_nodes(search, case, factors, keep))
    np.testing.assert_allclose(programs.low, programs.high, atol=1e-12)
    assert objective(programs, programs.low).min() == pytest.approx(best, rel=1e-9, abs=1e-60)


@given(small.cases(most=20_000, constrained=True), SEEDS)
@settings(max_examples=40, **QUIET)
def test_no_multipliers_and_no_point_give_a_root_bound_above_the_optimum(case, seed):
    search = search_of(case)
    best = small.optimum(case)
    assume(np.isfinite(best) and best > 0 and len(search.open))
    spread, possible = search.fanouts.tighten(search.open)
    programs = search.writer.write(search.open.take(possible), spread[possible])
    relaxed = solve_programs(programs, tolerance=1e-6)
    rng = np.random.default_rng(seed)
    posynomials = len(np.unique(programs.group)) - 1
    for scale in (0.0, 0.01, 1.0):
        y = relaxed.point + scale * rng.normal(size=relaxed.point.shape)
        multipliers = scale * rng.exponential(size=(len(programs), posynomials))
        rows = scale * rng.exponential(size=programs.limits.shape)
        bound = np.maximum(relaxed.bound, lagrangian_bound(programs, y, multipliers, rows))
        assert bound.min() <= np.log(best) + 1e-9


def test_dropped_classes_are_never_missed(monkeypatch):
    problem = LoopNest.conv("c", K=2, C=2, P=4, Q=1, R=3, S=1)
    levels = (
        StorageLevel("DRAM", read_pj=60.0, write_pj=60.0),
        StorageLevel("SRAM", 30, read_pj=5.0, write_pj=5.0, fanout_x=2),
        StorageLevel("RF", 7, read_pj=1.0, write_pj=1.0),
    )
    machine = Architecture("m", levels)
    case = small.Case(problem, machine, Objective.ENERGY, small.bypasses(problem, machine, free=False))
    pruned = case.solve(tolerance=1e-9)
    number = len(search_of(case).classes[0].counted)
    monkeypatch.setattr(classes, "_undominated", lambda rows, *, outer: rows)
    assert case.solve(tolerance=1e-9).value == pytest.approx(pruned.value, rel=1e-9)
    assert len(search_of(case).classes[0].counted) > number


# -- the interior-point method against brute force -------------------------------------------------------------------


def random_programs(rng, count):
    """Programs in two variables: an objective and two constraints of three monomials each, and one row."""
    shape = (count, 9)
    return Programs(
        rng.normal(size=shape) - np.repeat([0.0, 1.5, 1.5], 3),
        rng.normal(size=(*shape, 2)),
        np.repeat([0, 1, 2], 3),
        rng.normal(size=(count, 1, 2)),
        rng.uniform(0.0, 2.0, size=(count, 1)),
        np.full((count, 2), -1.5),
        np.full((count, 2), 2.0),
    )


def on_grid(programs, steps=201):
    """Least logarithm of the objective over feasible points of a grid."""
    axis = np.linspace(-1.5, 2.0, steps)
    points = np.stack(np.meshgrid(axis, axis), axis=-1).reshape(-1, 2)
    terms = programs.log[:, :, None] + np.einsum("bmn,pn->bmp", programs.exponents, points)
    values = [np.log(np.exp(terms[:, programs.group == k]).sum(axis=1)) for k in range(3)]
    rows = np.einsum("brn,pn->bp", programs.rows, points) - programs.limits
    feasible = (values[1] <= 0) & (values[2] <= 0) & (rows <= 0)
    return np.where(feasible, values[0], np.inf).min(axis=1)


@given(SEEDS, st.floats(0.0, 3.0))
@settings(max_examples=20, **QUIET)
def test_every_multiplier_certifies_a_bound_below_all_feasible_points(seed, scale):
    rng = np.random.default_rng(seed)
    programs = random_programs(rng, 24)
    least = on_grid(programs)
    y = rng.uniform(-1.5, 2.0, size=(24, 2))
    bound = lagrangian_bound(programs, y, scale * rng.normal(size=(24, 2)), scale * rng.normal(size=(24, 1)))
    assert (bound <= least + 1e-9).all()


@given(SEEDS)
@settings(max_examples=20, **QUIET)
def test_the_interior_point_method_finds_what_a_grid_finds(seed):
    programs = random_programs(np.random.default_rng(seed), 24)
    least = on_grid(programs)
    found = solve_programs(programs, tolerance=1e-7)
    assert (found.bound <= least + 1e-9).all()
    possible = np.isfinite(least)
    tight = found.value - found.bound < 1e-4
    # A step of the grid is 0.0175, and no slope exceeds the largest exponent.
    slope = np.abs(programs.exponents).sum(axis=2).max(axis=1)
    near = least - found.bound < 0.0175 * slope
    assert (possible & tight).sum() >= 0.85 * possible.sum()
    assert (possible & tight & near).sum() >= 0.7 * possible.sum()


# -- volumes of Algorithm 1, derived by hand -------------------------------------------------------------------------


def volumes(problem, order, point):
    """Words of every tensor that registers exchange with the memory, for a loop order named innermost first.

    Args:
        problem: The problem.
        order: Dimensions, innermost first.
        point: Register tile by dimension, any positive numbers.
    """
    machine = Architecture("m", (StorageLevel("Memory"), StorageLevel("Registers")))
    space = MappingSpace(problem, machine, Rules.build(problem, machine, bypass=False))
    table = LoopnestModel(problem, machine).terms
    tables = (level_classes(space, table, 0),)
    names = [problem.dims[d] for d in space.active]
    number = next(k for k, o in enumerate(tables[0].orders) if [names[d] for d in o][: len(order)] == list(order))
    keep = np.ones((1, 2, 3), dtype=bool)
    shape = (1, len(space.places), space.dims)
    low = np.zeros(shape, dtype=np.int64)
    high = np.broadcast_to([len(x) - 1 for x in space.divisors], shape).copy()
    low[:, 0] = high[:, 0]
    for d, name in enumerate(names):  # kernels are whole, as in the paper
        if name in "RS":
            low[:, :, d] = high[:, :, d]
    zero = np.zeros(1, dtype=np.int64)
    nodes = Nodes(low, high, np.array([[number]]), zero, keep, np.ones((1, 2, 2)), np.ones((1, 2, space.dims, 2)), zero)
    extents = np.array([[problem.bound[d] for d in names], [point[d] for d in names], [1.0] * len(names)])
    result = {}
    for movement in TrafficTerms(space, table, tables).movement(nodes, *nodes.logs(space)):
        if movement.child == 1:
            words = movement.requests
            value = np.exp(words.log[0] + (words.exponents[0] * np.log(extents)).sum(axis=(1, 2))).sum()
            result[problem.tensor_names[movement.tensor]] = value
    return result


@given(st.floats(1, 48), st.floats(1, 36), st.floats(1, 60))
@settings(max_examples=30, **QUIET)
def test_volumes_of_a_matrix_product(i, j, k):
    """Tiles of ``i x j x k``: the operand that lacks the innermost loop stays, each other is fetched per tile."""
    I, J, K = 48, 36, 60  # noqa: E741
    problem = LoopNest.gemm("ijk", I=I, J=J, L=K)
    again = {"Inputs": I * K * J / j, "Weights": K * J * I / i, "Outputs": I * J * K / k}
    for inner, still, words in (("L", "Outputs", I * J), ("J", "Inputs", I * K), ("I", "Weights", K * J)):
        found = volumes(problem, [inner], {"I": i, "J": j, "L": k})
        assert found == pytest.approx(again | {still: words}, rel=1e-12)


@given(st.floats(1, 16), st.floats(1, 12), st.floats(1, 28), st.floats(1, 14))
@settings(max_examples=30, **QUIET)
def test_volumes_of_a_convolution_that_slides_along_its_height(k, c, h, w):
    """Height, then width innermost: input rows overlap, so the tile grows to the height; weights stay for both."""
    K, C, H, W, R, S = 16, 12, 28, 14, 3, 5
    problem = LoopNest.conv("khcw", K=K, C=C, P=H, Q=W, R=R, S=S)
    found = volumes(problem, ["P", "Q"], {"K": k, "C": c, "P": h, "Q": w, "R": R, "S": S})
    assert found["Inputs"] == pytest.approx(K / k * C * (H + R - 1) * (W / w) * (w + S - 1), rel=1e-12)
    assert found["Weights"] == pytest.approx(K * C * R * S, rel=1e-12)
    assert found["Outputs"] == pytest.approx(K * H * W * C / c, rel=1e-12)
