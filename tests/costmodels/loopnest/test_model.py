"""The model's contract: one source for NumPy and torch, batches equal to singles, bad rows with a reason."""

import json
from dataclasses import replace

import numpy as np
import pytest

from accelgym.costmodels.architecture import LEAKAGES, Architecture, Compute, LoopNest, StorageLevel, Tensor
from accelgym.costmodels.costs import CostModel, Reason
from accelgym.costmodels.errors import InputError
from accelgym.costmodels.loopnest import (
    LoopnestModel,
    Mappings,
    evaluate_rows,
    sample_mappings,
    sample_valid_mappings,
)
from accelgym.costmodels.timeloop.presets import preset, preset_names
from accelgym.costmodels.workloads.layer import Layer

CONV = LoopNest.conv("k", K=32, C=16, P=28, Q=14, R=3, S=3, stride=(2, 1))
GEMM = LoopNest.gemm("g", I=24, J=36, L=48, batch=2)


@pytest.mark.parametrize("name", preset_names())
@pytest.mark.parametrize("problem", [CONV, GEMM], ids=["conv", "gemm"])
def test_batch_equals_singles_and_blocks(name, problem):
    machine = preset(name)
    model = LoopnestModel(problem, machine)
    assert isinstance(model, CostModel)
    batch = sample_mappings(problem, machine, 40, np.random.default_rng(0))
    whole, blocked = model.evaluate(batch), model.evaluate(batch, block=7)
    assert whole.technology == machine.technology
    for row in (0, 17, 39):
        single = model.evaluate(batch[row : row + 1])
        assert single.energy_pj[0] == whole.energy_pj[row]
        assert single.reason[0] == whole.reason[row]
        for key, values in single.breakdown.items():
            assert values[0] == whole.breakdown[key][row]
    for key, values in whole.breakdown.items():
        np.testing.assert_array_equal(values, blocked.breakdown[key])


@pytest.mark.parametrize("name", ["eyeriss_thistle", "simba_like"])
@pytest.mark.parametrize("problem", [CONV, GEMM], ids=["conv", "gemm"])
def test_torch_counts_the_same(name, problem):
    torch = pytest.importorskip("torch")
    machine = preset(name)
    batch = sample_mappings(problem, machine, 200, np.random.default_rng(3))
    keep = np.random.default_rng(4).random((len(machine.levels), 3, 200)) < 0.7
    keep[0] = True
    batch = Mappings(problem, machine, batch.factors, batch.ranks, keep)
    tensors = Mappings(problem, machine, *(torch.from_numpy(x.copy()) for x in (batch.factors, batch.ranks, keep)))
    model = LoopnestModel(problem, machine)
    ours, theirs = model.evaluate(batch), model.evaluate(tensors)
    np.testing.assert_array_equal(ours.reason, theirs.reason.numpy())
    np.testing.assert_array_equal(ours.latency_cycles, theirs.latency_cycles.numpy())
    np.testing.assert_allclose(ours.energy_pj, theirs.energy_pj.numpy(), rtol=1e-14)
    for key, values in ours.breakdown.items():
        np.testing.assert_allclose(values, theirs.breakdown[key].numpy(), rtol=1e-14)


def test_float32_ranks_like_float64():
    machine = preset("eyeriss_thistle")
    model = LoopnestModel(CONV, machine)
    batch = sample_mappings(CONV, machine, 5000, np.random.default_rng(5))
    exact = model.evaluate(batch)
    energy, cycles, valid = model.score(batch.factors.astype(np.float32), batch.ranks.astype(np.float32))
    assert energy.dtype == np.float32
    np.testing.assert_array_equal(valid, exact.valid)
    np.testing.assert_allclose(energy[valid], exact.energy_pj[valid], rtol=2e-6)
    np.testing.assert_allclose(cycles[valid], exact.latency_cycles[valid], rtol=2e-6)


def test_energy_has_gradients_in_the_factors():
    torch = pytest.importorskip("torch")
    machine = preset("eyeriss_thistle")
    batch = sample_valid_mappings(GEMM, machine, 20, np.random.default_rng(6))
    factors = torch.from_numpy(batch.factors.astype(np.float64)).requires_grad_()
    energy, _, _ = LoopnestModel(GEMM, machine).score(factors, torch.from_numpy(batch.ranks.astype(np.float64)))
    energy.sum().backward()
    assert torch.isfinite(factors.grad).all()
    assert (factors.grad != 0).any(dim=0).any(dim=0).all()


def test_sampled_factors_multiply_and_fit_the_fanout():
    machine = preset("simba_like")
    batch = sample_mappings(CONV, machine, 2000, np.random.default_rng(7))
    np.testing.assert_array_equal(batch.factors.prod(axis=0), np.tile(np.array(CONV.bounds)[:, None], 2000))
    reasons = set(LoopnestModel(CONV, machine).evaluate(batch).reason.tolist())
    assert reasons <= {Reason.OK, Reason.CAPACITY}
    again = sample_mappings(CONV, machine, 2000, np.random.default_rng(7))
    np.testing.assert_array_equal(batch.factors, again.factors)
    np.testing.assert_array_equal(batch.ranks, again.ranks)


def test_sampled_factorisations_are_uniform_where_nothing_binds():
    machine = Architecture("two", (StorageLevel("A"), StorageLevel("B")), Compute())
    batch = sample_mappings(LoopNest.gemm("g", I=12, J=1, L=1), machine, 60_000, np.random.default_rng(8))
    _, counts = np.unique(batch.factors[0, 0], return_counts=True)
    assert len(counts) == 6
    # Six outcomes of 10000 +- 91 each: five standard deviations.
    assert np.abs(counts - 10_000).max() < 460


def test_valid_sampling_returns_valid_rows_only():
    machine = preset("eyeriss_thistle")
    batch = sample_valid_mappings(CONV, machine, 500, np.random.default_rng(9))
    assert len(batch) == 500
    assert LoopnestModel(CONV, machine).evaluate(batch).valid.all()
    tiny = machine.with_level("RF", capacity_words=1)
    with pytest.raises(InputError, match="found 0 of 5 valid"):
        sample_valid_mappings(CONV, tiny, 5, np.random.default_rng(9), max_draws=1000)


MACHINE = Architecture("m", (StorageLevel("A"), StorageLevel("B", 20, fanout_x=4), StorageLevel("C", 6)), Compute())
SMALL = LoopNest.gemm("g", I=4, J=2, L=2)


def mapped(**levels):
    names = {"a": "A", "b": "B", "c": "C"}
    temporal = {
        names[key]: [{"dim": d, "bound": n} for d, n in loops.items()] for key, loops in levels.items() if key in names
    }
    spatial = {"x": [{"dim": d, "bound": n} for d, n in levels.get("x", {}).items()], "y": []}
    return {"temporal": temporal, "spatial": {"between": ["B", "C"], **spatial}}


@pytest.mark.parametrize(
    ("mapping", "reason"),
    [
        (mapped(a={"I": 4, "J": 2, "L": 2}), Reason.OK),
        (mapped(a={"I": 4, "J": 2}), Reason.FACTORISATION),
        (mapped(a={"I": 8, "J": 2, "L": 2}), Reason.FACTORISATION),
        (mapped(x={"I": 4, "J": 2}, a={"L": 2}), Reason.FANOUT),
        (mapped(x={"I": 4}, b={"J": 2, "L": 2}), Reason.OK),
        (mapped(b={"I": 4, "J": 2, "L": 2}), Reason.OK),
        (mapped(c={"I": 4, "J": 2, "L": 2}), Reason.CAPACITY),
    ],
)
@pytest.mark.parametrize("counting", ["closed", "walk", "sampled"])
def test_invalid_rows_carry_the_reason(mapping, reason, counting):
    batch = Mappings.from_loops(SMALL, MACHINE, [mapping])
    costs = LoopnestModel(SMALL, MACHINE, counting=counting).evaluate(batch)
    assert costs.reason[0] == reason
    assert costs.valid[0] == (reason is Reason.OK)


def test_multiple_buffering_halves_what_fits():
    batch = Mappings.from_loops(SMALL, MACHINE, [mapped(b={"I": 4, "J": 2, "L": 2})])
    halved = MACHINE.with_level("B", multiple_buffering=2.0)
    batch2 = Mappings(SMALL, halved, batch.factors, batch.ranks)
    assert LoopnestModel(SMALL, MACHINE).evaluate(batch).valid[0]
    assert LoopnestModel(SMALL, halved).evaluate(batch2).reason[0] == Reason.CAPACITY
    full = MACHINE.with_level("B", min_utilization=0.99)
    assert LoopnestModel(SMALL, full).evaluate(Mappings(SMALL, full, batch.factors, batch.ranks)).valid[0]


def test_bad_arrays_are_bad_values():
    batch = sample_mappings(SMALL, MACHINE, 5, np.random.default_rng(0))
    factors, ranks = batch.factors.copy(), batch.ranks.copy()
    factors[0, 0, 0] = 0
    factors[0, 0, 1], factors[1, 0, 1] = -factors[0, 0, 1], -factors[1, 0, 1]
    ranks[0, :, 2] = 0
    ranks[0, 0, 3] = 99
    reason = LoopnestModel(SMALL, MACHINE).evaluate(Mappings(SMALL, MACHINE, factors, ranks)).reason
    assert reason.tolist()[:4] == [Reason.BAD_VALUE] * 4
    keep = np.ones((3, 3, 5), dtype=bool)
    keep[0, 2, 1] = False
    reason = LoopnestModel(SMALL, MACHINE).evaluate(Mappings(SMALL, MACHINE, batch.factors, batch.ranks, keep)).reason
    assert reason[1] == Reason.BAD_VALUE


def test_loops_round_trip():
    machine = preset("simba_like")
    batch = sample_mappings(CONV, machine, 20, np.random.default_rng(1))
    for row in range(20):
        loops = json.loads(json.dumps(batch.to_loops(row)))
        back = Mappings.from_loops(CONV, machine, [loops])
        assert back.loops(0) == batch.loops(row)


@pytest.mark.parametrize("leakage", LEAKAGES)
def test_leakage_makes_idling_cost(leakage):
    machine = replace(preset("eyeriss"), leakage=leakage)
    lossless = Architecture(
        "e",
        tuple(machine.with_level(level.name, leakage_pj=0.0).levels[i] for i, level in enumerate(machine.levels)),
        Compute(mac_pj=2.2),
    )
    batch = sample_valid_mappings(CONV, machine, 50, np.random.default_rng(2))
    leaky = LoopnestModel(CONV, machine).evaluate(batch)
    free = LoopnestModel(CONV, lossless).evaluate(Mappings(CONV, lossless, batch.factors, batch.ranks))
    paid = leaky.energy_pj - free.energy_pj
    compute = CONV.macs * (machine.compute.mac_pj - 2.2)
    used = {level.name: leaky.breakdown[f"{level.name}.instances"] for level in machine.levels}
    if leakage == "whole_chip":
        used = {level.name: machine.instances(v) for v, level in enumerate(machine.levels)}
    per_cycle = sum(level.leakage_pj * used[level.name] for level in machine.levels)
    per_cycle += machine.compute.leakage_pj * machine.num_multipliers * (leakage == "whole_chip")
    np.testing.assert_allclose(paid - compute, per_cycle * leaky.latency_cycles, rtol=1e-6)
    np.testing.assert_allclose(leaky.breakdown["leakage_pj"], per_cycle * leaky.latency_cycles, rtol=1e-12)
    walked = LoopnestModel(CONV, machine, counting="walk").evaluate(batch[:1])
    np.testing.assert_allclose(walked.breakdown["leakage_pj"], leaky.breakdown["leakage_pj"][:1], rtol=1e-12)


def test_layers_become_problems():
    layer = Layer.conv("l", K=32, C=16, H=28, R=3, padding=1, stride=2, groups=4)
    problem = LoopNest.from_layer(layer)
    assert problem.macs == layer.macs
    assert problem.tensor_words("Weights") == layer.weight_words
    assert problem.tensor_words("Outputs") == layer.output_words
    gemm = Layer.gemm("a", M=7, K=5, C=3, batch=6)
    assert LoopNest.from_layer(gemm).macs == gemm.macs
    assert LoopNest.from_layer(gemm).tensor_words("Weights") == gemm.weight_words


def test_problems_without_a_closed_form_say_so():
    axis = (("P", 1), ("R", 1), ("S", 1))
    problem = LoopNest(
        "t",
        ("P", "R", "S"),
        (4, 2, 2),
        (Tensor("W", ((("R", 1),), (("S", 1),))), Tensor("I", (axis,)), Tensor("O", ((("P", 1),),), read_write=True)),
    )
    machine = Architecture("m", (StorageLevel("A"), StorageLevel("B")), Compute())
    batch = sample_mappings(problem, machine, 3, np.random.default_rng(0))
    with pytest.raises(InputError, match="sums 3 dimensions"):
        LoopnestModel(problem, machine).evaluate(batch)
    walked = LoopnestModel(problem, machine, counting="walk").evaluate(batch)
    np.testing.assert_array_equal(walked.breakdown["B.W.reads"], problem.macs)


ROW = {
    "id": "r",
    "problem": {"kind": "gemm", "dims": {"I": 4, "J": 2, "L": 2}},
    "arch": {
        "mesh": {"x": 4, "y": 1},
        "levels": [
            {"name": "A", "capacity_words": None, "energy_read_pJ": 1.0, "energy_write_pJ": 1.0},
            {"name": "B", "capacity_words": 6, "energy_read_pJ": 1.0, "energy_write_pJ": 1.0},
        ],
        "mac_energy_pJ": 1.0,
    },
    "mapping": {
        "temporal": {"A": [{"dim": "J", "bound": 2}]},
        "spatial": {"between": ["A", "B"], "x": [{"dim": "I", "bound": 4}]},
    },
}


def edited(*path, value):
    row = json.loads(json.dumps(ROW))
    at = row
    for key in path[:-1]:
        at = at[key]
    at[path[-1]] = value
    return row


@pytest.mark.parametrize(
    ("row", "message"),
    [
        (edited("problem", "dims", "I", value=0), "line 1 .id 'r'.: problem.dims.I is 0"),
        (edited("problem", "dims", "Z", value=2), "dimension in problem.dims 'Z'"),
        (edited("problem", "kind", value="fft"), "problem.kind 'fft'"),
        (edited("arch", "levels", 1, "energy_read_pJ", value="x"), "arch.levels.1..energy_read_pJ is 'x'"),
        (edited("mapping", "temporal", "L9", value=[]), "storage level .* 'L9'"),
        (edited("mapping", "temporal", "A", value=[{"dim": "Z", "bound": 2}]), "dimension in mapping.temporal.A 'Z'"),
        (edited("mapping", "temporal", "A", value=[{"dim": "J", "bound": 2.5}]), "bound of J is 2.5"),
        (edited("mapping", "bypass", value={"B": ["Bias"]}), "tensor in mapping.bypass.B 'Bias'"),
        (edited("variant", value="wild"), "variant 'wild'"),
        (edited("engine", value="v9"), "engine 'v9'"),
        (edited("linkk", value=True), "key 'linkk'"),
        ([1], "the row is list"),
    ],
)
def test_bad_rows_are_named(row, message):
    with pytest.raises(InputError, match=message):
        list(evaluate_rows([row]))


def test_invalid_mappings_are_explained():
    rows = [
        ROW,
        edited("mapping", "temporal", "B", value=[{"dim": "L", "bound": 2}]),
        edited("mapping", "temporal", value={"B": [{"dim": "J", "bound": 2}, {"dim": "L", "bound": 2}]}),
        edited("mapping", "spatial", "x", value=[{"dim": "I", "bound": 4}, {"dim": "J", "bound": 2}]),
    ]
    rows[3]["mapping"]["temporal"] = {"A": [{"dim": "L", "bound": 2}]}
    results = [r["result"] for r in evaluate_rows(rows)]
    assert results[0]["message"] == "mapping: the factors of L cover 1, the bound is 2"
    assert results[1]["utilized_pes"] == 4
    assert results[2]["message"] == "mapping: tiles of 8 words overflow 'B', which holds 6"
    assert results[3]["message"] == "mapping.spatial.x: 8 below 'A', the fan-out is 4"
    linked = next(evaluate_rows([edited("link_transfers", value=True) | {"mapping": rows[1]["mapping"]}]))
    assert linked["result"]["counting"] == "sampled"
