"""Optima and lexicographic optima against all mappings of small spaces, and against timeloop-mapper."""

import csv
import itertools
from pathlib import Path

import numpy as np
import pytest

from accelgym.costmodels.architecture.loop_nest import LoopNest
from accelgym.costmodels.architecture.machine import Architecture, Compute, Constraint, StorageLevel
from accelgym.costmodels.errors import InputError
from accelgym.costmodels.mapper import Settings, optimal_mapping
from accelgym.costmodels.timeloop.presets import preset
from accelgym.costmodels.workloads import load_workload
from accelgym.envs.mapping import MappingTask

GOLDEN = Path(__file__).parents[2] / "golden" / "timeloop" / "mapper.csv"
SLACK = 1 + 1e-3


def machine(rf=12, fanout=(2, 2), *, read_bw=None, constraints=()):
    levels = (
        StorageLevel("Dram", read_pj=64.0, write_pj=60.0, read_bw=read_bw),
        StorageLevel("Sram", 40, read_pj=6.0, write_pj=7.0, fanout_x=fanout[0], fanout_y=fanout[1]),
        StorageLevel("Rf", rf, read_pj=0.7, write_pj=0.9),
    )
    return Architecture("small", levels, Compute(mac_pj=0.5), constraints=constraints)


def everything(problem, architecture, *, bypass):
    """Energy and cycles of every mapping that fits, by plain enumeration of the task's designs."""
    task = MappingTask(problem=problem, machine=architecture, objective="energy", bypass=bypass)
    sizes = [len(parameter.values) for parameter in task.space.parameters]
    assert np.prod(sizes, dtype=float) < 3e5
    energy, cycles = [], []
    designs = np.array(list(itertools.product(*map(range, sizes))), dtype=np.int64)
    for part in np.array_split(designs, max(1, len(designs) // 20_000)):
        outcome = task.evaluate(part)
        energy.append(outcome.costs["energy_pj"][outcome.feasible])
        cycles.append(outcome.costs["latency_cycles"][outcome.feasible])
    return np.concatenate(energy), np.concatenate(cycles)


PROBLEMS = (
    LoopNest.gemm("gemm", I=2, J=3, L=4),
    LoopNest.conv1d("window", M=2, P=4, R=3),
)
METRICS = (
    ("energy",),
    ("delay",),
    ("edp",),
    ("delay", "energy"),
    ("energy", "delay"),
    ("edp", "delay"),
    ("energy", "edp"),
    ("delay", "energy", "edp"),
)


@pytest.mark.parametrize(
    ("problem", "bypass", "read_bw"),
    [
        (PROBLEMS[0], False, None),
        (PROBLEMS[0], False, 1.0),
        (PROBLEMS[1], False, None),
        (LoopNest.gemm("cube", I=2, J=2, L=2), True, None),
        (LoopNest.gemm("cube", I=2, J=2, L=2), True, 1.0),
    ],
    ids=lambda x: getattr(x, "name", str(x)),
)
def test_each_metric_is_least_among_the_mappings_that_those_before_it_leave(problem, bypass, read_bw):
    arch = machine(read_bw=read_bw)
    energy, cycles = everything(problem, arch, bypass=bypass)
    values = {"energy": energy, "delay": cycles, "edp": energy * cycles}
    for metrics in METRICS[:4:3] if bypass else METRICS:
        found = optimal_mapping(problem, arch, metrics, Settings(bypass=bypass))
        left = np.ones(len(energy), dtype=bool)
        for metric, proof in zip(metrics, found.proofs, strict=True):
            least = values[metric][left].min()
            assert proof.lower_bound <= least * (1 + 1e-9)
            assert proof.value >= least * (1 - 1e-9)
            if metric == metrics[0]:
                assert proof.value <= least * SLACK * (1 + 1e-9)
            left &= values[metric] <= least * SLACK
        if len(metrics) == 1:
            assert found.value == pytest.approx(least, rel=1e-9)
            assert found.gap <= 1e-8
        # The mapping is one of the space, with the costs it is said to have.
        assert np.isclose(energy, found.energy_pj, rtol=1e-12).any()
        assert found.costs["cycles"] == found.cycles


def test_delay_then_energy_is_the_cheapest_of_the_fastest():
    arch = machine()
    energy, cycles = everything(PROBLEMS[0], arch, bypass=False)
    found = optimal_mapping(PROBLEMS[0], arch, ("delay", "energy"))
    assert found.cycles == cycles.min()
    assert found.energy_pj == pytest.approx(energy[cycles == cycles.min()].min(), rel=1e-9)
    assert [proof.gap < 1e-8 for proof in found.proofs] == [True, True]
    assert "no mapping with at most" in found.proofs[1].statement


def test_the_limit_of_a_search_leaves_an_honest_gap_and_a_heuristic_narrows_it():
    problem, arch = LoopNest.conv("wide", K=16, C=8, P=7, Q=7, R=3, S=3), preset("eyeriss_thistle")
    best = optimal_mapping(problem, arch, ("energy",))
    assert best.certificate.limited_by == ""
    assert best.gap <= 1.0001e-3
    calls = []

    def heuristic(space, metric, multipliers, starts):
        calls.append((space.problem.name, metric, multipliers))
        assert all(start.problem == problem for start in starts)
        return best.mappings

    short = optimal_mapping(problem, arch, ("energy",), Settings(nodes=1), heuristic)
    assert calls == [("wide", "energy", 1)]
    assert short.certificate.limited_by == "nodes"
    assert short.energy_pj <= best.energy_pj
    assert 0 < short.lower_bound <= best.energy_pj
    assert short.gap == pytest.approx(1 - short.lower_bound / short.value)


@pytest.mark.parametrize(
    ("arch", "message"),
    [
        (machine(rf=2), r"'Rf' \(Inputs, Weights, Outputs\) take 3 words, 1 more than the 2"),
        (
            machine(constraints=(Constraint("Rf", "temporal", {"J": ("=", 3), "L": ("=", 4)}),)),
            r"'Rf' \(Inputs, Weights, Outputs\) take 19 words, 7 more than the 12",
        ),
    ],
)
def test_a_layer_that_nothing_fits_names_the_memory_and_what_is_missing(arch, message):
    with pytest.raises(InputError, match=f"no mapping of 'gemm' fits 'small': the smallest tiles at {message}"):
        optimal_mapping(PROBLEMS[0], arch, ("energy",))


def test_a_machine_without_prices_costs_nothing_and_is_as_fast():
    free = Architecture("free", (StorageLevel("Dram"), StorageLevel("Rf", 8, fanout_x=2)), Compute())
    found = optimal_mapping(PROBLEMS[0], free, ("delay", "energy"))
    assert (found.cycles, found.energy_pj, found.gap) == (12, 0.0, 0.0)


def test_bad_arguments_are_named():
    with pytest.raises(InputError, match="tolerance is 0"):
        Settings(tolerance=0.0)
    with pytest.raises(InputError, match="unknown metric"):
        optimal_mapping(PROBLEMS[0], machine(), ("speed",))
    with pytest.raises(InputError, match="single multiplication"):
        optimal_mapping(LoopNest.gemm("one", I=1, J=1, L=1), machine(), ("energy",))


def rows():
    with GOLDEN.open() as file:
        return list(csv.DictReader(line for line in file if not line.startswith("#")))


def cases():
    """Rows as parameters; those with long proofs are slow."""
    for row in rows():
        quick = row["metric"] == "delay" or (row["workload"], row["layer"]) == ("thistle/resnet18", "L1")
        name = f"{row['workload']}-{row['layer']}-{row['metric']}"
        yield pytest.param(row, id=name, marks=() if quick else pytest.mark.slow)


@pytest.mark.parametrize("row", list(cases()))
def test_no_mapping_of_timeloop_mapper_is_better(row):
    layer = next(x for x in load_workload(row["workload"]).layers if x.name == row["layer"])
    problem = LoopNest.from_layer(layer)
    found = optimal_mapping(problem, preset("eyeriss_thistle"), (row["metric"],), Settings(nodes=4000))
    theirs = float(row["pj_per_mac"]) * problem.macs if row["metric"] == "energy" else problem.macs / float(row["ipc"])
    # Printed with two decimals.
    assert found.value <= theirs * (1 + 5e-4)
    assert found.lower_bound <= theirs * (1 + 5e-4)
    assert found.lower_bound <= found.value
