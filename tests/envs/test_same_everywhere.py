"""Proofs and costs are the same on another processor; proofs with other threads and under errors of any sign, too."""

import hashlib

import numpy as np
import pytest
from processors import OLDER_PROCESSOR, answer

from accelgym.agents import make_agent
from accelgym.costmodels.solvers.mapping import branch_and_bound, leaves
from accelgym.costmodels.solvers.mapping.digits import bound_grid, bounds_on_grid, points_on_grid, significant
from accelgym.envs import CoDesignTask, MappingTask, make_task

CASES = {
    "closed": (MappingTask, {"architecture": "eyeriss_thistle", "layer": 2, "objective": "energy"}, None),
    "cut short": (MappingTask, {"architecture": "eyeriss", "layer": 2, "objective": "energy"}, 300),
    "machines": (
        CoDesignTask,
        {"layer": 5, "objective": "edp", "registers": (8, 16), "sram_words": (8192, 32768)},
        300,
    ),
}
THREADS = ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS")
ELSEWHERE = {
    "one thread": dict.fromkeys(THREADS, "1"),
    "two threads": dict.fromkeys(THREADS, "2"),
    "an older processor": OLDER_PROCESSOR,
}


def proved(name):
    """What must not differ: value, design, bound, counts and what ended the search."""
    kind, arguments, most = CASES[name]
    task = kind(**arguments)
    solution = task.solve(tolerance=1e-3, most_nodes=most)
    if solution.closed:
        found = task.certify(solution, 0.0)
        return [found.value, list(found.design), found.lower_bound, found.nodes, solution.evaluations, found.limited_by]
    mapping = solution.mapping
    mapping = None if mapping is None else [x.tolist() for x in (mapping.factors, mapping.ranks, mapping.keep)]
    return [solution.value, mapping, solution.lower_bound, solution.nodes, solution.evaluations, solution.limited_by]


TASKS = {
    "physical": ("ResourceAssignment-v0", {"workload": "mobilenet_v2", "model": "physical", "objective": "edp"}),
    "dataflows": ("ResourceAssignment-v0", {"workload": "confuciux/resnet18", "model": "dataflow_template"}),
    "systolic": ("HwGen-v0", {"workload": "gpt2/decode_block", "min_sqnr_db": 20.0}),
    "mappings": ("NetworkMapping-v0", {"objective": "edp"}),
    "machines": ("CoDesign-v0", {"objective": "edp"}),
    "formats": ("Datatype-v0", {}),
    "joint": ("Joint-v0", {"workload": "gpt2/decode_block", "objective": "energy"}),
}


def evaluated(name):
    """A digest of the costs of random designs, and how many are feasible."""
    task = make_task(TASKS[name][0], **TASKS[name][1])
    found = task.evaluate(make_agent("random", task, seed=0).ask(12))
    columns = [found.objective, found.feasible, found.violation, *found.costs.values()]
    numbers = b"".join(np.ascontiguousarray(column).tobytes() for column in columns)
    return [hashlib.sha256(numbers).hexdigest(), int(found.feasible.sum())]


def test_another_processor_changes_no_cost():
    there = answer(__file__, "{name: t.evaluated(name) for name in t.TASKS}", OLDER_PROCESSOR)
    here = {name: evaluated(name) for name in TASKS}
    assert there == here
    assert sum(feasible > 0 for _, feasible in here.values()) >= 5


@pytest.fixture(scope="module")
def here():
    return {name: proved(name) for name in CASES}


@pytest.mark.parametrize(
    "where", [pytest.param("one thread", marks=pytest.mark.slow), "two threads", "an older processor"]
)
def test_threads_and_processors_change_no_proof(here, where):
    there = answer(__file__, "{name: t.proved(name) for name in t.CASES}", ELSEWHERE[where])
    for name, mine in here.items():
        assert there[name][2] == pytest.approx(mine[2], rel=1e-9), name
        assert there[name][:2] + there[name][3:] == mine[:2] + mine[3:], name
    assert here["closed"][5] == ""
    assert here["cut short"][5] == "nodes"


@pytest.mark.parametrize("seed", [0, 1])
def test_errors_of_the_relaxations_decide_nothing(here, monkeypatch, seed):
    """A hundred times the largest differences seen between two processors, in every number of every program."""
    rng, solve = np.random.default_rng(seed), branch_and_bound.solve_programs

    def noisy(programs, **options):
        found = solve(programs, **options)
        found.bound = found.bound - rng.uniform(0, 2e-11, found.bound.shape)
        found.point = found.point + rng.normal(0, 1e-8, found.point.shape)
        found.sensitivity = found.sensitivity * (1 + rng.normal(0, 1e-11, found.sensitivity.shape))
        return found

    monkeypatch.setattr(branch_and_bound, "solve_programs", noisy)
    assert proved("closed") == here["closed"]


def test_the_size_of_evaluated_blocks_decides_nothing(here, monkeypatch):
    monkeypatch.setattr(leaves, "_BLOCK", 100)
    assert proved("closed") == here["closed"]


def test_seconds_end_a_search_only_where_asked_for_and_are_said():
    kind, arguments, _ = CASES["cut short"]
    solution = kind(**arguments).solve(tolerance=1e-3, seconds=0.0)
    assert (solution.closed, solution.limited_by) == (False, "seconds")


def test_bounds_only_fall_and_by_a_small_part_of_the_tolerance():
    values = np.random.default_rng(0).uniform(-5, 80, 1000)
    for tolerance in (1e-1, 1e-3, 1e-6):
        rounded = bounds_on_grid(values, bound_grid(tolerance))
        assert (rounded <= values).all()
        assert (values - rounded < tolerance / 16).all()
        np.testing.assert_array_equal(bounds_on_grid(rounded, bound_grid(tolerance)), rounded)
    assert bounds_on_grid(np.array([-np.inf, np.inf]), 0.5).tolist() == [-np.inf, np.inf]


def test_rounding_forgets_last_bits_and_little_else():
    values = np.random.default_rng(1).lognormal(0, 5, 1000) * np.array([1, -1] * 500)
    rounded = significant(values, 12)
    np.testing.assert_allclose(rounded, values, rtol=2.0**-12)
    np.testing.assert_array_equal(significant(rounded * (1 + 1e-15), 12), rounded)
    assert significant(np.array([0.0, np.inf]), 12).tolist() == [0.0, np.inf]
    assert np.abs(points_on_grid(values) - values).max() <= 2.0**-13
