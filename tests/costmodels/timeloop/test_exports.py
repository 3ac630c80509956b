"""Exports load in timeloop-model as written and mean what was exported, by an independent strict reader."""

import importlib.util
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import yaml
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from accelgym.costmodels.architecture import Architecture, Compute, LoopNest, StorageLevel, Tensor
from accelgym.costmodels.errors import InputError
from accelgym.costmodels.loopnest import LoopnestModel, Mappings, sample_mappings
from accelgym.costmodels.timeloop import read_timeloop, write_timeloop
from accelgym.costmodels.timeloop.presets import preset, preset_names

_spec = importlib.util.spec_from_file_location("strict_reader", Path(__file__).with_name("strict_reader.py"))
strict = importlib.util.module_from_spec(_spec)
_spec.loader.exec_module(strict)

PROBLEMS = [
    LoopNest.conv("conv", K=8, C=8, P=14, Q=7, R=3, S=3, stride=(2, 1), dilation=(1, 2)),
    LoopNest.conv("depthwise", K=8, C=8, P=14, Q=14, R=3, S=3, groups=8),
    LoopNest.gemm("gemm", I=12, J=8, L=18),
    LoopNest.gemm("batched gemm", I=12, J=8, L=18, batch=3),
    LoopNest.conv1d("conv1d", M=4, P=9, R=3, C=2, stride=2),
    LoopNest(
        "attention: long names",
        ("batch", "K", "key", "K1", "head"),
        (2, 4, 6, 2, 3),
        (
            Tensor("Q", ((("batch", 1),), (("head", 1),), (("K", 1), ("K1", 2)))),
            Tensor("S", ((("key", 1),), (("head", 1),), (("K1", 1),))),
            Tensor("O", ((("batch", 1),), (("head", 1),), (("K", 1),), (("key", 1),)), read_write=True),
        ),
    ),
]


def random_keep(batch, rng):
    """Bypasses what a coin says, where the level may store it at all."""
    levels, tensors = batch.architecture.levels, batch.problem.tensor_names
    keep = rng.random((len(batch), len(levels), len(tensors))) < 0.7
    keep[:, 0] = True
    keep &= np.array([[level.may_store(t) for t in tensors] for level in levels])
    return replace(batch, keep=keep)


def one_direction_each(batch):
    """Moves what lies along x and y of one fan-out to time: Timeloop has one factor per fan-out."""
    factors, machine = batch.factors.copy(), batch.architecture
    for v in range(len(machine.levels)):
        x, y, time = (machine.slot(v, kind) for kind in ("x", "y", "temporal"))
        if x is not None and y is not None:
            both = (factors[:, x] > 1) & (factors[:, y] > 1)
            factors[:, time] *= np.where(both, factors[:, y], 1)
            factors[:, y] = np.where(both, 1, factors[:, y])
    return replace(batch, factors=factors)


def in_mesh(batch):
    """Rows whose spatial factors fit the fan-outs; Timeloop refuses others whatever the file says."""
    good = np.ones(len(batch), dtype=bool)
    for s, slot in enumerate(batch.architecture.slots):
        level = batch.architecture.levels[slot.level]
        if slot.kind != "temporal":
            good &= batch.factors[:, s].prod(axis=1) <= (level.fanout_x if slot.kind == "x" else level.fanout_y)
    return batch[np.flatnonzero(good)]


def storable(problem, machine):
    """Lets per-tensor memories of a preset hold tensors of the same place where the names differ."""
    names = dict(zip(("Weights", "Inputs", "Outputs"), problem.tensor_names, strict=True))
    if set(problem.tensor_names) == {"Weights", "Inputs", "Outputs"}:
        return machine
    levels = tuple(
        level if level.stores is None else replace(level, stores=frozenset(names[t] for t in level.stores))
        for level in machine.levels
    )
    return replace(machine, levels=levels, constraints=())


def check(batch, row, text, counting="closed"):
    """The strict reader finds the same loops on the same machine, and these cost the same, counter by counter."""
    problem, machine, found = strict.read_export(text)
    ours, theirs = (
        LoopnestModel(x.problem, x.architecture, counting=counting).evaluate(x) for x in (batch[row : row + 1], found)
    )
    assert theirs.reason[0] == ours.reason[0]
    assert theirs.energy_pj[0] == ours.energy_pj[0]
    assert theirs.latency_cycles[0] == ours.latency_cycles[0]
    # A level that may not hold a tensor has no counters of it; one that bypasses it has zeros.
    names = (*batch.architecture.level_names, batch.architecture.compute.name)
    renamed = dict(zip(names, (*machine.level_names, machine.compute.name), strict=True))
    for key, values in ours.breakdown.items():
        part = next((name for name in names if key.startswith(f"{name}.")), None)
        there = key if part is None else renamed[part] + key[len(part) :]
        assert theirs.breakdown[there][0] == values[0], key
    for level, read in zip(batch.architecture.levels, machine.levels, strict=True):
        for key in ("capacity_words", "fanout_x", "fanout_y", "read_bw", "write_bw", "leakage_pj", "min_utilization"):
            assert getattr(read, key) == getattr(level, key)
    letters = dict(zip(batch.problem.dims, problem.dims, strict=True))
    assert problem.bounds == batch.problem.bounds

    def loops(mapping, rename):
        return [(x.level, x.kind, rename(x.dim), x.bound, x.residual) for x in mapping]

    same = loops(batch.loops(row), lambda d: letters[batch.problem.dims[d]])
    assert loops(found.loops(0), lambda d: problem.dims[d]) == same
    if row:
        return
    again = read_timeloop(text)
    reread = LoopnestModel(again.problem, again.architecture, counting=counting).evaluate(again.mappings)
    assert reread.energy_pj[0] == ours.energy_pj[0]


@pytest.mark.parametrize("problem", PROBLEMS, ids=lambda p: p.name)
@pytest.mark.parametrize("name", preset_names())
def test_exports_of_presets_load_and_cost_the_same(name, problem):
    machine = storable(problem, preset(name))
    rng = np.random.default_rng(1)
    batch = in_mesh(one_direction_each(random_keep(sample_mappings(problem, machine, 6, rng), rng)))
    assert len(batch) >= 2
    for row in range(len(batch)):
        check(batch, row, write_timeloop(problem, machine, batch, row))


NAMES = st.sampled_from(["K", "k", "K1", "Kb", "out channels", "élan", "ß", "N", "no", "1", "x.y"])


@st.composite
def machines(draw):
    """Machines as no preset is: unlimited inner memories, odd names and classes, fan-outs anywhere."""
    levels = []
    for name in draw(st.permutations(["L1.5", "buf[0..3]", "no", "7", "Main memory"]))[: draw(st.integers(1, 4))]:
        levels.append(
            StorageLevel(
                name,
                capacity_words=draw(st.sampled_from([None, 4096, 4099])),
                word_bits=draw(st.sampled_from([8, 16])),
                block_size=draw(st.sampled_from([1, 4])),
                read_bw=draw(st.sampled_from([None, 0.3, 2.0])),
                shared_bw=draw(st.sampled_from([None, 1e-05])),
                multiple_buffering=draw(st.sampled_from([1, 2, 1.5])),
                read_pj=draw(st.sampled_from([0.0, 1e-07, 3.0])),
                write_pj=draw(st.sampled_from([0.0, 2.5])),
                update_pj=draw(st.sampled_from([None, 0.0, 7.0])),
                leakage_pj=draw(st.sampled_from([0.0, 0.125])),
                fanout_x=draw(st.sampled_from([1, 1, 2, 3])),
                fanout_y=draw(st.sampled_from([1, 1, 2])),
                component=draw(st.sampled_from(["storage", "dram", "DRAM", "SRAM", "smartbuffer_RF", "scratchpad"])),
                attributes=draw(st.sampled_from([{}, {"vector_access_energy": 3.0}, {"technology": "45nm"}])),
            )
        )
    compute = Compute("mul", 0.5, component=draw(st.sampled_from(["intmac", "multiplier", "compute"])))
    return Architecture(draw(st.sampled_from(["chip", "chip.v2[1]", "L1.5"])), tuple(levels), compute)


@given(machines(), st.lists(NAMES, min_size=3, max_size=3, unique=True), st.integers(0, 2**32 - 1))
@settings(max_examples=60, deadline=None, suppress_health_check=list(HealthCheck))
def test_exports_of_any_machine_load_and_cost_the_same(machine, dims, seed):
    a, b, c = dims
    tensors = (
        Tensor("A", (((a, 1), (b, 2)),)),
        Tensor("no", (((b, 1),), ((c, 1),))),
        Tensor("Z", (((a, 1),), ((c, 1),)), read_write=True),
    )
    problem = LoopNest("p", tuple(dims), (4, 6, 5), tensors)
    rng = np.random.default_rng(seed)
    batch = in_mesh(one_direction_each(random_keep(sample_mappings(problem, machine, 2, rng), rng)))
    for row in range(len(batch)):
        check(batch, row, write_timeloop(problem, machine, batch, row), counting="walk")


def test_imperfect_factors_load():
    machine, problem = preset("eyeriss_thistle"), LoopNest.gemm("g", I=512, J=2, L=2)
    loops = {"temporal": {"DRAM": [{"dim": "I", "bound": 86}], "SRAM": [{"dim": "I", "bound": 6, "residual": 2}]}}
    loops["temporal"]["RF"] = [{"dim": "J", "bound": 2}, {"dim": "L", "bound": 2}]
    batch = Mappings.from_loops(problem, machine, [loops])
    check(batch, 0, write_timeloop(problem, machine, batch))


def test_renamed_dimensions_are_stated_in_the_file():
    batch = sample_mappings(
        PROBLEMS[-1], storable(PROBLEMS[-1], preset("eyeriss_thistle")), 1, np.random.default_rng(0)
    )
    text = write_timeloop(batch.problem, batch.architecture, one_direction_each(batch), notes=["1 pJ in all"])
    comments = [line for line in text.splitlines() if line.startswith("#")]
    assert "# dimension 'batch' is called 'B' here" in comments
    assert "# dimension 'K1' is called 'A' here" in comments
    assert not any("'K' is called" in line for line in comments)
    assert "# 1 pJ in all" in comments


def test_what_timeloop_cannot_say_is_refused():
    machine, problem = preset("eyeriss_thistle"), LoopNest.gemm("g", I=64, J=2, L=2)
    both = {"temporal": {"DRAM": [{"dim": "I", "bound": 16}], "RF": [{"dim": d, "bound": 2} for d in "JL"]}}
    both["spatial"] = {"between": ["SRAM", "RF"]} | {side: [{"dim": "I", "bound": 2}] for side in "xy"}
    batch = Mappings.from_loops(problem, machine, [both])
    with pytest.raises(InputError, match="I lies along x and y below 'SRAM'"):
        write_timeloop(problem, machine, batch)
    problem = LoopNest.gemm("g", I=2**31, J=1, L=1)
    batch = Mappings.from_loops(problem, machine, [{"temporal": {"DRAM": [{"dim": "I", "bound": 2**31}]}}])
    with pytest.raises(InputError, match="bound 2147483648 of I, Timeloop takes at most"):
        write_timeloop(problem, machine, batch)


EDITS = {
    "no effect": lambda d: d.update(architecture_constraints={"targets": []}),
    "is not one letter": lambda d: d["problem"]["shape"]["dimensions"].append("K1"),
    "specified_": lambda d: d["architecture"]["subtree"][0]["local"][0].update({"class": "storage"}),
    "a DRAM without attributes": lambda d: d["architecture"]["subtree"][0]["local"][0].pop("attributes"),
    "without meshX": lambda d: d["architecture"]["subtree"][0]["subtree"][0]["local"][-1]["attributes"].pop("meshX"),
    "list of factors": lambda d: d["mapping"][0].update(factors=["I=2"]),
    "list as permutation": lambda d: d["mapping"][0].update(permutation=["I", "J", "L"]),
    "permutation 'IJ'": lambda d: d["mapping"][0].update(permutation="IJ"),
    "product of all factors": lambda d: d["mapping"][0].update(factors="I=1 J=1 L=7"),
    "a second directive": lambda d: d["mapping"].append(d["mapping"][0]),
    "needs a version": lambda d: d["architecture"].pop("version"),
    "are missing": lambda d: d["ERT"]["tables"].pop(),
}


@pytest.mark.parametrize("message", EDITS)
def test_the_strict_reader_rejects(message):
    machine, problem = preset("eyeriss_thistle"), PROBLEMS[2]
    batch = one_direction_each(sample_mappings(problem, machine, 1, np.random.default_rng(0)))
    data = yaml.safe_load(write_timeloop(problem, machine, batch))
    EDITS[message](data)
    with pytest.raises(strict.Refused, match=message):
        strict.read_export(yaml.safe_dump(data, sort_keys=False))
