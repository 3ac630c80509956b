"""Schedules of several accelerators against a simulation written otherwise, and their optimum against all designs."""

from itertools import permutations, product

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from accelgym.costmodels.errors import InputError
from accelgym.costmodels.objective import Objective
from accelgym.costmodels.solvers.scheduling import (
    Limits,
    SchedulingProblem,
    chip_bounds,
    codes_of_order,
    objective_bound,
    order_of_codes,
    rule_designs,
    run_schedules,
    solve_schedule,
    worth,
)
from accelgym.costmodels.solvers.scheduling.problem import antichain_width, find_cycle


def random_problem(seed, layers=None, batches=None, accelerators=2, objective=None):
    rng = np.random.default_rng(seed)
    batches = batches or int(rng.integers(1, 3))
    layers = layers or (3 if batches == 2 else int(rng.integers(3, 6)))
    shape = (layers, accelerators, 2)
    edges = tuple((a, b) for b in range(layers) for a in range(b) if rng.random() < 0.3 * batches)
    allowed = rng.random(shape) < 0.9
    allowed[np.arange(layers), rng.integers(0, accelerators, layers)] = True
    area = np.sort(rng.integers(1, 9, (accelerators, 2)).astype(float), axis=1)
    return SchedulingProblem(
        tuple("abcdefghij"[:layers]),
        tuple("xyz"[:accelerators]),
        rng.integers(1, 30, shape),
        rng.integers(1, 1000, shape).astype(float),
        allowed,
        area,
        rng.integers(0, 20, (accelerators, 2)).astype(float),
        edges,
        batches,
        float(area[:, 0].sum() + rng.integers(0, 6)),
        objective or list(Objective)[seed % 3],
    )


def simulate(problem, sizes, assignment, order):
    """Makespan of operations ((layer, batch), ...) dispatched in order; None if a consumer precedes its producer."""
    end, free = {}, dict.fromkeys(range(len(problem.accelerators)), 0)
    for layer, batch in order:
        needed = [(p, batch) for p, c in problem.edges if c == layer]
        if any(one not in end for one in needed):
            return None
        k = assignment[layer]
        begin = max([free[k], *(end[one] for one in needed)])
        end[layer, batch] = free[k] = begin + int(problem.ticks[layer, k, sizes[k]])
    return max(end.values())


def objective_of(problem, sizes, assignment, makespan):
    energy = sum(problem.energy_pj[i, k, sizes[k]] for i, k in enumerate(assignment)) * problem.batches
    energy += makespan * sum(problem.leakage_pj[k, s] for k, s in enumerate(sizes))
    return {"latency": makespan, "energy": energy, "edp": makespan * energy}[problem.objective.value]


def makespan_of(order, needs, where, length):
    """As :func:`simulate`, by numbers of operations."""
    end, free = [0] * len(order), [0] * (max(where) + 1)
    for n in order:
        end[n] = free[where[n]] = max([free[where[n]], *[end[m] for m in needs[n]]]) + length[n]
    return max(free)


def brute_force(problem):
    """The optimum over all chips, assignments and permutations of the operations; batches in any sequence."""
    operations = [(i, b) for i in range(len(problem.layers)) for b in range(problem.batches)]
    at = {one: n for n, one in enumerate(operations)}
    arrows = [(at[p, b], at[c, b]) for p, c in problem.edges for b in range(problem.batches)]
    orders = [o for o in permutations(range(len(operations))) if all(o.index(a) < o.index(b) for a, b in arrows)]
    best = np.inf
    needs = [[a for a, b in arrows if b == n] for n in range(len(operations))]
    for sizes in product(range(2), repeat=len(problem.accelerators)):
        if sum(problem.area_um2[k, s] for k, s in enumerate(sizes)) > problem.area_limit_um2:
            continue
        for assignment in product(range(len(problem.accelerators)), repeat=len(problem.layers)):
            if not all(problem.allowed[i, k, sizes[k]] for i, k in enumerate(assignment)):
                continue
            where = [assignment[i] for i, _ in operations]
            length = [int(problem.ticks[i, assignment[i], sizes[assignment[i]]]) for i, _ in operations]
            least = min(makespan_of(order, needs, where, length) for order in orders)
            best = min(best, objective_of(problem, sizes, assignment, least))
    return best


@pytest.mark.parametrize("seed", [*range(20), *(pytest.param(seed, marks=pytest.mark.slow) for seed in range(20, 50))])
def test_the_reference_is_what_brute_force_finds(seed):
    problem = random_problem(seed)
    if not len(problem.chips):
        pytest.skip("nothing fits")
    truth, found = brute_force(problem), solve_schedule(problem)
    assert found.value == pytest.approx(truth, rel=1e-9)
    assert found.lower_bound <= truth * (1 + 1e-12)
    assert found.lower_bound >= truth * (1 - 2e-6)
    assert not found.limited


@given(st.integers(0, 10**6), st.integers(4, 8), st.integers(1, 3), st.integers(2, 3))
@settings(max_examples=60, deadline=None)
def test_schedules_keep_every_rule_and_bounds_hold(seed, layers, batches, accelerators):
    problem = random_problem(seed, layers, batches, accelerators)
    if not len(problem.chips):
        return
    rng, n = np.random.default_rng(seed), 8
    sizes = problem.chips[rng.integers(0, len(problem.chips), n)]
    fits = problem.allowed[np.arange(layers)[:, None, None], np.arange(accelerators), sizes]
    assignment = np.where(fits, rng.random(fits.shape), -1).argmax(axis=2).T
    codes = rng.integers(0, problem.width, (n, layers * batches - 1))
    order = order_of_codes(problem, codes)
    run = run_schedules(problem, sizes, assignment, order)
    for row in range(n):
        assert sorted(order[row]) == list(range(layers * batches))
        operations = [tuple(problem.operations[i].tolist()) for i in order[row]]
        makespan = simulate(problem, sizes[row].tolist(), assignment[row].tolist(), operations)
        assert makespan == run.makespan[row]
        objective = objective_of(problem, sizes[row].tolist(), assignment[row].tolist(), makespan)
        assert worth(problem, run)[row] == pytest.approx(objective, rel=1e-12)
    np.testing.assert_array_equal(order_of_codes(problem, codes_of_order(problem, order)), order)
    bounds = objective_bound(problem, *chip_bounds(problem, sizes))
    assert (bounds <= worth(problem, run) * (1 + 1e-9)).all()


@given(st.integers(0, 10**6))
@settings(max_examples=30, deadline=None)
def test_rules_give_schedules_that_their_designs_repeat(seed):
    problem = random_problem(seed, 7, 2, 3)
    if not len(problem.chips):
        return
    designs = rule_designs(problem, problem.chips)
    run = run_schedules(problem, designs.sizes, designs.assignment, order_of_codes(problem, designs.codes))
    assert problem.allowed[
        np.arange(7), designs.assignment, np.take_along_axis(designs.sizes, designs.assignment, 1)
    ].all()
    ends = run.start + run.duration[:, :, None]
    assert ends.max() <= run.makespan.max()
    for producer, consumer in problem.edges:
        assert (run.start[:, consumer] >= ends[:, producer]).all()


def test_limits_of_the_proof_leave_a_gap_and_say_so():
    problem = random_problem(0, 9, 3, 2, Objective.LATENCY)
    found = solve_schedule(problem, Limits(nodes=1, pairs=10**6, rounds=1, chips=0))
    assert found.limited
    assert found.lower_bound < found.value
    assert solve_schedule(problem).lower_bound >= found.lower_bound


def test_a_cycle_is_named():
    with pytest.raises(InputError, match="cycle, so that no schedule exists: b -> c -> b"):
        SchedulingProblem(
            ("a", "b", "c"),
            ("x",),
            np.ones((3, 1, 1), dtype=np.int64),
            np.ones((3, 1, 1)),
            np.ones((3, 1, 1), dtype=bool),
            np.ones((1, 1)),
            np.ones((1, 1)),
            ((0, 1), (1, 2), (2, 1)),
            1,
            1.0,
            Objective.LATENCY,
        )


def test_cycles_and_widths_of_small_graphs():
    assert find_cycle(3, [(0, 1), (1, 2)]) == ()
    assert set(find_cycle(4, [(0, 1), (1, 2), (2, 1), (2, 3)])) == {1, 2}
    assert find_cycle(2, [(1, 1)]) == (1,)
    chain = np.triu(np.ones((4, 4), dtype=bool), 1)
    assert antichain_width(chain) == 1
    assert antichain_width(np.zeros((4, 4), dtype=bool)) == 4
    diamond = chain.copy()
    diamond[1, 2] = False
    assert antichain_width(diamond) == 2
