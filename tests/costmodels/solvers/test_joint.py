"""The joint optimum against brute force."""

import itertools

import numpy as np
import pytest

from accelgym.costmodels.objective import Objective
from accelgym.costmodels.solvers.joint import JointProblem, MachineTables, solve_joint
from accelgym.costmodels.solvers.joint.residency import on_chip_traffic, peak_words, words_at
from accelgym.costmodels.workloads.activations import Activations, Edge

MAPPINGS, PAIRS = 2, 2


def random_problem(seed):
    """One to four machines, three or four layers, and at most four edges of random kinds."""
    rng = np.random.default_rng(seed)
    layers, machines = int(rng.integers(2, 5)), int(rng.integers(1, 4))
    pairs = [(a, b) for a in range(layers) for b in range(a + 1, layers)]
    chosen = sorted(rng.permutation(len(pairs))[: int(rng.integers(1, 5))])
    edges = []
    for i in chosen:
        operand = bool(rng.random() < 0.7)
        edges.append(Edge(*pairs[i], operand, 0 if operand and rng.random() < 0.8 else int(rng.integers(1, 9))))
    words = tuple(int(w) for w in rng.integers(1, 9, layers))
    leaves = tuple(bool(x) for x in rng.random(layers) < 0.3)
    activations = Activations(tuple(f"layer{i}" for i in range(layers)), words, tuple(edges), leaves)
    shape = (machines, layers, MAPPINGS, PAIRS, 2, 2)
    latency, energy = rng.integers(1, 60, shape).astype(float), rng.random(shape) * 50 + 1
    supports = rng.random((machines, PAIRS)) < 0.8
    supports[:, 1] |= ~supports.any(axis=1)
    tables = MachineTables(latency, energy, supports, rng.random((machines, 3)) * 3, rng.integers(0, 20, machines))
    losses = rng.integers(0, 6, (layers, PAIRS))
    objective = list(Objective)[seed % 3]
    limit = int(rng.integers(0, 5 * layers))
    return JointProblem(activations, losses, limit, np.arange(machines), tables.room, tables.of, objective), tables


def brute_force(problem, tables):
    """The least objective of all designs, from the definition: an activation takes room from writer to last reader."""
    layers, edges = problem.layers, problem.activations.edges
    words, leaves = problem.activations.words, problem.activations.leaves
    best = np.inf
    for machine, resident in itertools.product(
        range(len(problem.machines)), itertools.product((False, True), repeat=len(edges))
    ):
        kept = [edge for edge, bit in zip(edges, resident, strict=True) if bit]
        until = {e.producer: max(x.consumer for x in kept if x.producer == e.producer) for e in kept}
        used = [sum(words[p] for p, last in until.items() if p <= t <= last) for t in range(layers)]
        if max(used) > tables.room[machine]:
            continue
        memory, read, write = tables.word_prices[machine]
        side = sum(e.side_words * (read if bit else memory) for e, bit in zip(edges, resident, strict=True))
        cells = []
        for t in range(layers):
            inputs = [bit for e, bit in zip(edges, resident, strict=True) if e.consumer == t and e.operand]
            outputs = [bit for e, bit in zip(edges, resident, strict=True) if e.producer == t]
            alone = bool(outputs) and all(outputs) and not leaves[t]
            side += words[t] * write * (any(outputs) and not alone)
            cells.append((int(bool(inputs) and all(inputs)), int(alone)))
        options = list(itertools.product(range(MAPPINGS), np.flatnonzero(tables.supports[machine])))
        for chosen in itertools.product(options, repeat=layers):
            if sum(problem.losses[t, pair] for t, (_, pair) in enumerate(chosen)) > problem.limit:
                continue
            at = [(machine, t, m, p, *cells[t]) for t, (m, p) in enumerate(chosen)]
            energy = side + sum(tables.energy[i] for i in at)
            best = min(best, float(problem.objective.combine(energy, sum(tables.latency[i] for i in at))))
    return best


@pytest.mark.parametrize("seed", range(20))
def test_room_and_traffic_follow_from_the_definition(seed):
    """By design and layer: what is kept from its writer to its last reader, and what is read and written where."""
    activations = random_problem(seed)[0].activations
    edges, layers = activations.edges, len(activations.layers)
    resident = np.array(list(itertools.product((False, True), repeat=len(edges))))
    flags, words = on_chip_traffic(activations, resident)
    peaks = peak_words(activations, resident)
    for row, bits in enumerate(resident):
        kept = [edge for edge, bit in zip(edges, bits, strict=True) if bit]
        held = []
        for t in range(layers):
            writers = {e.producer for e in kept if e.producer <= t <= e.consumer}
            writers |= {
                e.producer for e in kept for x in kept if e.producer == x.producer and e.producer <= t <= x.consumer
            }
            held.append(sum(activations.words[p] for p in writers))
            assert words_at(activations, resident[row : row + 1], t)[0] == held[-1]
            inputs = [e in kept for e in edges if e.consumer == t and e.operand]
            outputs = [e in kept for e in edges if e.producer == t]
            alone = bool(outputs) and all(outputs) and not activations.leaves[t]
            assert flags[row, t] == 2 * (bool(inputs) and all(inputs)) + alone
        assert peaks[row] == max(held)
        assert words[row, 1] == sum(e.side_words for e in kept)
        assert words[row, 0] == sum(e.side_words for e in edges if e not in kept)


@pytest.mark.parametrize("seed", range(50))
def test_the_solver_equals_brute_force(seed):
    problem, tables = random_problem(seed)
    expected = brute_force(problem, tables)
    found, choice = solve_joint(problem, tolerance=0.0)
    assert found.value == pytest.approx(expected, rel=1e-9)
    assert found.gap <= 1e-9
    assert (choice is None) == np.isinf(expected)
    loose, _ = solve_joint(problem, tolerance=0.05)
    assert loose.lower_bound <= expected * (1 + 1e-9) <= loose.value * (1 + 2e-9)
    assert loose.gap <= 0.05 + 1e-9


@pytest.mark.parametrize("objective", list(Objective))
def test_a_tolerance_leaves_its_gap_where_a_dearer_design_is_met_first(objective):
    """The cheapest, 98, uses up the limit of the loss; 100 loses nothing, 50 too much."""
    costs = np.array([100.0, 98.0, 50.0]).reshape(1, 1, 1, 3, 1, 1) + np.zeros((1, 1, 1, 3, 2, 2))
    tables = MachineTables(costs, costs, np.ones((1, 3), dtype=bool), np.zeros((1, 3)), np.zeros(1, dtype=np.int64))
    alone = Activations(("layer",), (1,), (), (True,))
    problem = JointProblem(alone, np.array([[0, 2, 3]]), 2, np.arange(1), tables.room, tables.of, objective)
    least = objective.combine(98.0, 98.0)
    for tolerance in (0.05, 0.0):
        found, _ = solve_joint(problem, tolerance=tolerance)
        assert found.lower_bound <= least <= found.value <= least / (1 - 0.05)
    assert found.value == found.lower_bound == least
