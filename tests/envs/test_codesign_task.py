"""The co-design task: references against every design and every machine, masks, budget, files, errors."""

import itertools
import json

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from accelgym.costmodels.architecture.loop_nest import LoopNest
from accelgym.costmodels.components.technologies import technology
from accelgym.costmodels.costs import Reason
from accelgym.costmodels.errors import InputError
from accelgym.costmodels.loopnest import LoopnestModel, Mappings
from accelgym.costmodels.loopnest.sampler import divisor_chains
from accelgym.costmodels.mapspace import MapSpace, MemorySize
from accelgym.costmodels.mapspace.construction import Construction
from accelgym.costmodels.timeloop import read_timeloop
from accelgym.envs import CoDesignEnv, CoDesignTask

GEMM = LoopNest.gemm("gemm", I=4, J=2, L=2)
CONV1D = LoopNest.conv1d("conv1d", M=2, P=4, R=3)
STRIDED = LoopNest.conv1d("strided", M=2, P=3, R=2, stride=3)
PROBLEMS = (GEMM, CONV1D, STRIDED)
OBJECTIVES = ("energy", "latency", "edp")
TOLERANCE = 1.1e-3

TIGHT = {"area_um2": 9_000.0, "registers": (4, 8), "sram_words": (12, 24, 2048)}
"""Six pairs of sizes, of which those with the largest SRAM exceed the area; 5 or 6 PEs."""
SMALL = {"area_um2": 3_200.0, "registers": (3, 16, 32), "sram_words": (12, 24)}
"""Two PEs each; the largest register file leaves room for one, which is no machine of the family."""


def family_task(problem, objective="energy", **sizes):
    return CoDesignTask(problem=problem, objective=objective, **(sizes or TIGHT))


def every_mapping(problem, architecture):
    """All factorisations over the machine's own slots, crossed with all orders of all outer levels."""
    chains = [divisor_chains(bound, architecture) for bound in problem.bounds]
    tilings = np.stack([np.stack(row, axis=-1) for row in itertools.product(*chains)])
    orders = np.array(list(itertools.permutations(range(len(problem.dims)))))
    outer = [architecture.slot(v, "temporal") for v in range(len(architecture.levels) - 1)]
    grid = np.array(list(itertools.product(range(len(orders)), repeat=len(outer))))
    ranks = np.tile(np.arange(len(problem.dims)), (len(grid), len(architecture.slots), 1))
    for column, slot in enumerate(outer):
        ranks[:, slot] = orders[grid[:, column]]
    factors = np.repeat(tilings, len(grid), axis=0)
    ranks = np.tile(ranks, (len(tilings), 1, 1))
    return Mappings(problem, architecture, np.moveaxis(factors, 0, -1), np.moveaxis(ranks, 0, -1))


def every_design(task):
    return np.stack([x.ravel() for x in np.indices(tuple(task.space.nvec))], axis=1)


def enumerated(task):
    """Least energy, cycles and product on any machine, each machine priced by itself and without the task."""
    rows = []
    for machine in task.family.machines:
        costs = LoopnestModel(task.problem, machine.architecture).evaluate(
            every_mapping(task.problem, machine.architecture)
        )
        if costs.valid.any():
            energy, cycles = costs.energy_pj[costs.valid], costs.latency_cycles[costs.valid]
            rows.append((energy.min(), cycles.min(), (energy * cycles).min()))
    return dict(zip(OBJECTIVES, np.min(rows, axis=0), strict=True))


@pytest.mark.parametrize("sizes", [TIGHT, SMALL], ids=["tight", "small"])
@pytest.mark.parametrize("problem", PROBLEMS, ids=lambda p: p.name)
def test_the_reference_is_the_best_mapping_on_the_best_machine(problem, sizes):
    best = enumerated(family_task(problem, **sizes))
    for objective in OBJECTIVES:
        task = family_task(problem, objective, **sizes)
        reference = task.reference()
        assert task.bound <= reference.lower_bound * (1 + 1e-9)  # rounded down to ten digits
        assert reference.lower_bound <= best[objective] * (1 + 1e-9)
        assert best[objective] * (1 - 1e-12) <= reference.value <= best[objective] * (1 + TOLERANCE)
        assert task.evaluate(np.array([reference.design])).objective[0] == reference.value


@pytest.mark.parametrize("problem", PROBLEMS, ids=lambda p: p.name)
def test_no_design_of_the_whole_space_is_better_and_the_area_holds(problem):
    task = family_task(problem)
    outcome = task.evaluate(every_design(task))
    assert outcome.objective[outcome.feasible].min() == pytest.approx(enumerated(task)["energy"], rel=1e-12)
    assert 0 < outcome.feasible.sum() < len(outcome.feasible)
    assert outcome.costs["area_um2"][outcome.feasible].max() <= TIGHT["area_um2"]
    assert (outcome.costs["utilized_pes"] <= outcome.costs["pes"])[outcome.feasible].all()


def test_processing_elements_fill_the_area_by_hand():
    """Table III: areas per word and per multiplier; one more element would not fit."""
    task = family_task(GEMM)
    law = technology("thistle-table3")
    multiplier = law.component("intmac", depth=1, width=16, attributes={}).area_um2
    for machine in task.family.machines:
        sram = law.component("sram", depth=machine.sram_words, width=16, attributes={}).area_um2
        registers = law.component("regfile", depth=machine.registers, width=16, attributes={}).area_um2
        area = sram + machine.pes * (registers + multiplier)
        assert machine.architecture.area_um2 == pytest.approx(area)
        assert area <= TIGHT["area_um2"] < area + registers + multiplier


def test_sizes_that_exceed_the_area_are_invalid_rows():
    assert family_task(GEMM, **SMALL).mapspace.machine_table.tolist() == [[0, 1], [2, -1], [-1, -1]]
    task = family_task(GEMM)
    assert task.mapspace.machine_table.tolist() == [[0, 1, -1], [2, 3, -1]]
    designs = every_design(task)
    over = designs[:, 1] == 2
    outcome = task.evaluate(designs)
    assert not outcome.valid[over].any()
    assert not outcome.feasible[over].any()
    assert np.isinf(outcome.objective[over]).all()
    assert np.isinf(outcome.costs["area_um2"][over]).all()
    assert (outcome.costs["reason"][over] == Reason.CAPACITY).all()
    assert (outcome.costs["pes"][over] == 0).all()
    invalid = ~outcome.valid
    assert (outcome.costs["reason"][invalid] != Reason.OK).all()
    assert (outcome.costs["reason"][outcome.feasible] == Reason.OK).all()


# -- masks -----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("sizes", [TIGHT, SMALL], ids=["tight", "small"])
@pytest.mark.parametrize("problem", [GEMM, STRIDED], ids=lambda p: p.name)
def test_masked_paths_are_exactly_the_feasible_canonical_designs(problem, sizes):
    """Every complete masked walk, found by breadth-first search, against every design priced."""
    task = family_task(problem, **sizes)
    designs = every_design(task)
    canonical = task.mapspace.canonical(designs)
    canonical[:, :2] = designs[:, :2]  # a mapping does not say the sizes
    wanted = designs[(canonical == designs).all(axis=1) & task.evaluate(designs).feasible]

    prefixes = np.zeros((1, 0), dtype=np.int64)
    for at in range(len(task.mapspace.decisions)):
        state, rows = Construction(task.mapspace, len(prefixes)), np.arange(len(prefixes))
        for before in range(at):
            state.choose(rows, before, prefixes[:, before])
        mask = state.mask(rows, at, canonical=True)
        assert mask.any(axis=1).all(), "no prefix gets stuck"
        row, choice = np.nonzero(mask)
        prefixes = np.concatenate([prefixes[row], choice[:, None]], axis=1)
    reached = task.designs(prefixes)
    assert len(np.unique(reached, axis=0)) == len(reached)
    assert set(map(tuple, reached)) == set(map(tuple, wanted))


@settings(max_examples=15, deadline=None)
@given(st.sampled_from(PROBLEMS), st.sampled_from([TIGHT, SMALL]), st.integers(0, 2**32 - 1))
def test_sampled_and_repaired_designs_are_feasible(problem, sizes, seed):
    task = family_task(problem, **sizes)
    rng = np.random.default_rng(seed)
    sampled = task.sample_feasible(rng, 100)
    assert task.evaluate(sampled).feasible.all()
    assert len(np.unique(task.machines(sampled))) > 1
    uniform = task.space.sample(rng, 200)
    feasible = task.evaluate(uniform).feasible
    repaired = task.repair(uniform, rng)
    assert task.evaluate(repaired).feasible.all()
    np.testing.assert_array_equal(repaired[feasible], uniform[feasible])


def test_the_environment_walks_to_the_reference_within_its_masks():
    task = family_task(CONV1D)
    env = CoDesignEnv(task=task)
    env.reset()
    for action in task.actions(np.array([task.reference().design]))[0]:
        assert env.action_masks()[action]
        _, reward, ended, _, info = env.step(action)
    assert ended
    assert info["objective"] == task.reference().value
    scale = 1 + np.log(task.evaluate(task.outermost[None]).objective[0] / task.bound)
    assert reward == pytest.approx(-np.log(task.reference().value / task.bound) / scale)


def test_a_machine_beyond_the_area_earns_less_than_all_loops_outermost():
    task = family_task(CONV1D)
    env = CoDesignEnv(task=task)

    def play(design):
        env.reset()
        total = 0.0
        for choice in task.actions(design[None])[0]:
            _, reward, ended, _, info = env.step(choice)
            total += reward
        assert ended
        return total, info

    lazy, info = play(task.outermost)
    assert info["feasible"]
    over = task.outermost.copy()
    over[1] = 2
    reward, info = play(over)
    assert not info["feasible"]
    assert -2 <= reward < -1 < lazy


# -- one evaluation --------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("sizes", [TIGHT, SMALL], ids=["tight", "small"])
def test_a_design_costs_the_same_alone_as_in_a_batch(sizes):
    task = family_task(CONV1D, **sizes)
    designs = task.space.sample(np.random.default_rng(0), 60)
    batch = task.evaluate(designs)
    assert 0 < batch.feasible.sum() < len(designs)
    for row in range(len(designs)):
        alone = task.evaluate(designs[row : row + 1])
        for name in ("objective", "feasible", "violation", "valid"):
            np.testing.assert_array_equal(getattr(alone, name)[0], getattr(batch, name)[row])
        for name, values in batch.costs.items():
            np.testing.assert_array_equal(alone.costs[name][0], values[row])


@pytest.mark.parametrize("sizes", [TIGHT, SMALL], ids=["tight", "small"])
def test_artifacts_state_the_machine_and_read_back_with_the_same_costs(sizes):
    task = family_task(CONV1D, **sizes)
    for design in task.sample_feasible(np.random.default_rng(1), 12):
        read = read_timeloop(task.artifacts(design)["timeloop.yaml"])
        costs = LoopnestModel(read.problem, read.architecture).evaluate(read.mappings)
        ours = task.evaluate(design[None])
        assert costs.energy_pj[0] == pytest.approx(ours.costs["energy_pj"][0], rel=1e-12)
        assert costs.latency_cycles[0] == ours.costs["latency_cycles"][0]
        machine = task.family.machines[int(task.machines(design[None])[0])]
        found = [level.capacity_words for level in read.architecture.levels]
        assert found == [None, machine.sram_words, machine.registers]
        assert read.architecture.num_multipliers == machine.pes


# -- arguments ---------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"area_um2": 500.0}, "no machine of the family of 'eyeriss_thistle' fits into 500 um2"),
        ({"area_um2": -1.0}, r"area_um2 is -1\.0"),
        ({"architecture": "simba_like"}, "'simba_like': co-design needs a DRAM, an SRAM and a fan-out"),
        ({"architecture": "eyeriss_thistel"}, "did you mean 'eyeriss_thistle'"),
        ({"registers": (8, 4)}, r"registers is \(8, 4\), allowed ascending sizes"),
        ({"sram_words": (16, 16)}, r"sram_words is \(16, 16\), allowed ascending sizes"),
        ({"sram_words": ()}, r"sram_words is \(\), allowed ascending sizes"),
        ({"registers": (0, 4)}, "registers is 0"),
        ({"sram_unit": "bytes"}, "sram_unit is 'bytes'"),
        ({"bypass": True}, "bypass is True"),
        ({"dram_bandwidth": 0.0}, r"dram_bandwidth is 0\.0"),
        ({"technology": "thistle"}, "unknown technology 'thistle': did you mean 'thistle-table3'"),
        ({"register": (4,)}, "unknown argument 'register': did you mean 'registers'"),
        ({"problem": LoopNest.gemm("one", I=1, J=1, L=1)}, "nothing to map"),
    ],
)
def test_bad_arguments_are_named(arguments, message):
    with pytest.raises(InputError, match=message):
        CoDesignTask(**arguments)


def test_every_argument_changes_the_id():
    changes = [
        {},
        {"workload": "thistle/yolo9000"},
        {"layer": 3},
        {"objective": "latency"},
        {"padding": 0.5},
        {"area_um2": 2e6},
        {"technology": "aladdin-cacti-45nm"},
        {"sram_unit": "bits"},
        {"dram_bandwidth": 8.0},
        {"dram_bandwidth": None},
        {"sram_bandwidth": 32.0},
        {"registers": (4, 8)},
        {"sram_words": (256, 512)},
    ]
    tasks = [CoDesignTask(**change) for change in changes]
    assert len({task.id for task in tasks}) == len({json.dumps(task.describe()) for task in tasks}) == len(changes)
    assert CoDesignTask(layer=1).id == CoDesignTask().id


def test_more_area_is_never_worse():
    task = family_task(GEMM, "latency", area_um2=3_000.0, registers=(4, 8), sram_words=(12, 24))
    values = [task.with_area(area).reference().value for area in (3_000.0, 6_000.0, 12_000.0)]
    assert values == sorted(values, reverse=True)
    assert values[-1] < values[0]


def test_sizes_come_first_and_the_mapping_is_that_of_the_machine():
    task = family_task(CONV1D)
    assert [isinstance(x, MemorySize) for x in task.mapspace.decisions[:3]] == [True, True, False]
    inner = task.on_machine(3)
    drawn = inner.sample_feasible(np.random.default_rng(0), 20)
    joined = task.join(3, drawn)
    assert (task.machines(joined) == 3).all()
    np.testing.assert_array_equal(task.evaluate(joined).objective, inner.evaluate(drawn).objective)
    assert len(MapSpace(CONV1D, task.family.machines[3].architecture).decisions) == len(task.mapspace.decisions) - 2
