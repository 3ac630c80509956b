"""The datatype task: brute force over the table, what hardware can run, and what is really lost."""

import itertools
from dataclasses import replace

import numpy as np
import pytest
import torch
import yaml
from torch import nn

from accelgym.costmodels.errors import InputError
from accelgym.costmodels.files.strict_model import load_spec
from accelgym.costmodels.quantization import QuantizationSpec
from accelgym.costmodels.systolic.model import SystolicDesigns, SystolicModel
from accelgym.costmodels.systolic.operand_types import OperandTypes
from accelgym.costmodels.workloads import Layer
from accelgym.envs import DatatypeTask
from accelgym.envs.accuracy.network import TracedNetwork
from accelgym.envs.accuracy.oracle import MeasuredOracle
from accelgym.envs.accuracy.reference_models import reference_oracle
from accelgym.envs.datatype.losses import LossTable, measured_networks, measured_table
from accelgym.envs.datatype.measure import enumerate_measured, measure_design, measure_losses
from accelgym.envs.datatype.options import OPTIONS
from accelgym.envs.hardness import audit

NESTS = (
    (Layer.conv("stem", K=8, C=3, H=8, R=3, padding=1),),
    (Layer.gemm("scores", M=6, K=6, C=4, batch=2, weights_are_parameters=False),
     Layer.gemm("mixture", M=6, K=4, C=6, batch=2, weights_are_parameters=False)),
    (Layer.gemm("head", M=1, K=10, C=32),),
)  # fmt: skip


def random_table(seed, layers=3):
    rng = np.random.default_rng(seed)
    losses = {name: rng.integers(0, 60, size=(layers, len(OPTIONS))) for name in ("cross_entropy", "accuracy")}
    return LossTable("measured", "random", ("stem", "attention", "head")[:layers], NESTS[:layers], OPTIONS, losses, 100)


@pytest.mark.parametrize("objective", ["latency", "energy", "traffic"])
@pytest.mark.parametrize("hardware", ["integer", "microscaling"])
@pytest.mark.parametrize("seed", range(3))
def test_the_reference_is_the_best_of_all_designs(hardware, objective, seed):
    task = DatatypeTask(losses=random_table(seed), hardware=hardware, objective=objective, max_loss=0.004)
    choices = itertools.product(*(range(n) for n in task.action_sizes))
    outcome = task.evaluate(task.designs(np.array(list(choices))))
    assert 0 < outcome.feasible.sum() < len(outcome)
    assert task.reference().value == pytest.approx(outcome.score.min(), rel=1e-12)
    assert task.reference().exact


def test_costs_are_those_of_the_cost_model():
    task = DatatypeTask(losses=random_table(0), objective="energy", max_loss=1.0)
    design = task.sample_feasible(np.random.default_rng(0), 1)
    chosen = [task.options[i] for i in task.actions(design)[0]]
    energy = latency = 0.0
    for option, nests in zip(chosen, NESTS, strict=True):
        types = [OperandTypes(option.activation, option.weight)] * len(nests)
        costs = SystolicModel("energy").evaluate(SystolicDesigns([task.config], nests, types))
        energy, latency = energy + costs.energy_pj.sum(), latency + costs.latency_cycles.sum()
    outcome = task.evaluate(design)
    assert outcome.objective[0] == outcome.costs["energy_pj"][0] == pytest.approx(energy, rel=1e-12)
    assert outcome.costs["latency_cycles"][0] == latency


def test_traffic_counts_both_operands_and_their_scales():
    task = DatatypeTask(losses=random_table(0, 1), hardware="microscaling", objective="traffic", max_loss=1.0)
    design = task.space.encode({"stem.weight_type": "e2m1", "stem.activation_type": "e4m3", "stem.group_size": 32})
    bits = 8 * 3 * 9 * (4 + 8 / 32) + 3 * 8 * 8 * (8 + 8 / 32)
    assert task.evaluate(design[None]).objective[0] == pytest.approx(bits)


def test_a_floor_that_nothing_meets_says_what_is_reachable():
    table = random_table(1)
    least = table.losses["accuracy"][:, :9].min(axis=1).sum() / 100
    with pytest.raises(InputError, match=rf"max_loss=0.0: nothing on 'integer' hardware.*best reachable is {least:g}"):
        DatatypeTask(losses=table, metric="accuracy", max_loss=0.0)
    assert DatatypeTask(losses=table, metric="accuracy", max_loss=least).reference().exact
    for value in (-1.0, float("nan"), float("inf"), "much"):
        with pytest.raises(InputError, match="max_loss"):
            DatatypeTask(losses=table, max_loss=value)


def test_only_formats_of_the_hardware_are_offered(tmp_path):
    def hardware(text):
        path = tmp_path / "hardware.yaml"
        path.write_text(f"rows: 8\ncolumns: 8\n{text}\n")
        return str(path)

    task = DatatypeTask(losses=random_table(2), hardware=hardware("weight_type: [int4, int8]"), max_loss=1.0)
    assert [option.name for option in task.options] == ["int4*int8", "int8*int8"]
    scaled = "input_type: e4m3\nweight_type: [e2m1, e4m3]\nscale_type: e8m0\nblock_size: 32"
    task = DatatypeTask(losses=random_table(2), hardware=hardware(scaled), max_loss=1.0)
    assert [option.name for option in task.options] == [
        *("e2m1*e4m3/32", "e2m1*e4m3/64", "e4m3*e4m3/32", "e4m3*e4m3/64")
    ]
    with pytest.raises(InputError, match=r"runs none of the formats of the table: int4\*int4"):
        DatatypeTask(losses=random_table(2), hardware=hardware("input_type: posit8_1\nweight_type: posit8_1"))
    with pytest.raises(InputError, match=r"unknown hardware 'integers'.*integer"):
        DatatypeTask(losses=random_table(2), hardware="integers")
    partial = replace(random_table(2), options=(OPTIONS[0], OPTIONS[4]))
    with pytest.raises(InputError, match=r"int4\*int4, int6\*int6, allowed: every type with every other"):
        DatatypeTask(losses=partial)
    with pytest.raises(InputError, match="unknown network"):
        DatatypeTask(network="resnet18")


def test_networks_without_weights_have_a_proxy_and_no_accuracy():
    task = DatatypeTask(workload="alexnet", max_loss=0.05)
    outcome = task.evaluate(task.space.sample(np.random.default_rng(0), 3))
    assert "proxy_loss" in outcome.costs
    assert not any("accuracy" in name or name == "table_loss" for name in outcome.costs)
    assert task.describe()["table"][0] == "proxy"
    assert "proxy" in task.convention()
    with pytest.raises(InputError, match="no accuracy"):
        DatatypeTask(workload="alexnet", metric="accuracy")
    # Wider types are less noisy.
    noise = dict(zip([option.name for option in OPTIONS], task.losses.losses["proxy"][0], strict=True))
    assert noise["int4*int4"] > noise["int4*int8"] > noise["int6*int6"] > noise["int8*int8"] > 0
    assert noise["e2m1*e2m1/64"] > noise["e2m1*e4m3/64"] > noise["e4m3*e4m3/64"] > noise["e4m3*e4m3/16"] * 0.9


def test_the_front_holds_the_optimum_of_every_limit():
    designs, objective, loss = DatatypeTask(network="text_lm", slots="block").front()
    assert (np.diff(loss) > 0).all()
    assert (np.diff(objective) < 0).all()
    for limit in (loss[0], 0.05, 0.2, loss[-1]):
        task = DatatypeTask(network="text_lm", slots="block", max_loss=limit)
        assert task.reference().value == pytest.approx(objective[loss <= limit * (1 + 1e-12)].min(), rel=1e-12)
        found = task.evaluate(designs)
        np.testing.assert_allclose(found.costs["table_loss"], loss, rtol=1e-12)
        np.testing.assert_array_equal(found.feasible, loss <= limit * (1 + 1e-12))


def test_blocks_share_their_formats():
    names = ("stem.0", "blocks.0.qkv", "blocks.0.fc", "blocks.1.qkv", "head")
    nests = tuple((Layer.gemm(name, M=2, K=4, C=4),) for name in names)
    losses = {"cross_entropy": np.arange(5)[:, None] + np.zeros((5, len(OPTIONS)), dtype=np.int64)}
    table = LossTable("measured", "blocks", names, nests, OPTIONS, losses)
    task = DatatypeTask(losses=table, slots="block", max_loss=1.0)
    assert list(task.slot_layers) == ["stem", "blocks.0", "blocks.1", "head"]
    np.testing.assert_array_equal(task.table.resource[:, 0], [0, 3, 3, 4])
    assignment = task.assignment(task.space.sample(np.random.default_rng(0), 1)[0])
    assert assignment["blocks.0.qkv"] == assignment["blocks.0.fc"]


def test_a_design_becomes_a_file_that_the_command_reads(tmp_path):
    task = DatatypeTask(losses=random_table(0), hardware="microscaling", max_loss=1.0)
    design = task.sample_feasible(np.random.default_rng(1), 1)[0]
    files = task.artifacts(design)
    (tmp_path / "q.yaml").write_text(files["quantization.yaml"])
    read = load_spec(QuantizationSpec, tmp_path / "q.yaml").assignment(task.losses.layers)
    assert read == task.assignment(design)
    assert yaml.safe_load(files["hardware.yaml"])["scale_type"] == "e8m0"


@pytest.fixture(scope="module")
def oracle():
    torch.manual_seed(0)
    net = nn.Sequential(nn.Linear(12, 16), nn.ReLU(), nn.Linear(16, 6)).eval()
    rng = np.random.default_rng(0)
    inputs = rng.standard_normal((150, 12)).astype(np.float32)
    with torch.no_grad():
        targets = net(torch.from_numpy(inputs)).argmax(dim=1).numpy()
    network = TracedNetwork(net, (torch.zeros(2, 12),), "net")
    return MeasuredOracle(network, [inputs[50:]], targets[50:], [inputs[:50]], keep=False)


def test_tables_and_designs_are_measured(oracle):
    table = measure_losses(oracle, "net", OPTIONS[:9])
    assert table.losses["cross_entropy"].shape == (2, 9)
    assert table.losses["cross_entropy"][:, 0].max() > table.losses["cross_entropy"][:, 8].max()
    task = DatatypeTask(losses=table, max_loss=0.02, objective="traffic")
    before = oracle.layers_run
    designs, objective, losses = enumerate_measured(task, oracle)
    # Sharing the first layer: 9 of it and 81 of the second, beside the float network's two.
    assert oracle.layers_run - before <= 9 + 81 + 2
    assert len(designs) == 81
    best = np.array(task.reference().design)
    found = measure_design(task, best, oracle)
    row = int((designs == best).all(axis=1).argmax())
    assert found.measured_loss == pytest.approx(losses[row], abs=1e-9)
    assert objective[row] == task.reference().value
    assert found.table_loss <= task.spec.max_loss
    assert found.meets_floor == (found.measured_loss <= 0.02 + 1e-4)
    assert found.table_error == found.measured_loss - found.table_loss
    assert found.float_value == 100


def test_what_cannot_be_measured_is_refused(oracle):
    proxy = DatatypeTask(workload="alexnet", max_loss=0.05)
    with pytest.raises(InputError, match="nothing to measure"):
        measure_design(proxy, np.array(proxy.reference().design), oracle)
    other = DatatypeTask(losses=random_table(0), max_loss=1.0)
    with pytest.raises(InputError, match="the table is of 'random', not of 'net'"):
        enumerate_measured(other, oracle)
    many = measure_losses(oracle, "net", OPTIONS[:1])
    wide = LossTable("measured", "net", many.layers, many.nests, OPTIONS, {"cross_entropy": np.zeros((2, 21), int)})
    assert enumerate_measured(DatatypeTask(losses=wide), oracle)[0].shape == (81, 4)


@pytest.mark.parametrize("network", measured_networks())
def test_the_shipped_tables_are_what_is_measured(network):
    table = measured_table(network)
    oracle = reference_oracle(network, table.examples, keep=False)
    assert oracle.layer_names == table.layers
    assert oracle.layers() == dict(zip(table.layers, table.nests, strict=True))
    row = len(table.layers) - 2
    column = 0
    base = oracle.accuracy({})
    assert base.value == pytest.approx(table.value, rel=2e-3)
    loss = oracle.accuracy({table.layers[row]: table.options[column].formats}).cross_entropy - base.cross_entropy
    # Sums in another order round a few activations the other way.
    assert max(0.0, loss) == pytest.approx(table.losses["cross_entropy"][row, column] * 1e-4, abs=2e-3)


def test_the_audit_says_how_far_a_greedy_rule_gets():
    """Additive losses: the ratio rule is nearly optimal, and the audit says so."""
    found = audit(DatatypeTask())
    assert found.gap < 1e-9
    assert found.greedy_regret is not None
    assert found.greedy_regret < 0.05
    assert "not binding" not in found.flags
