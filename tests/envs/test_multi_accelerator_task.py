"""Several accelerators on one chip: costs, graphs, limits and pictures."""

import json
import sys

import numpy as np
import pytest

from accelgym.costmodels.dataflow_template import LayerDesigns, TemplateModel
from accelgym.costmodels.errors import InputError, MissingExtraError
from accelgym.costmodels.workloads import Layer, LayerKind, Workload, load_workload
from accelgym.envs import make_task
from accelgym.envs.hardness import audit
from accelgym.envs.multi_accelerator import MultiAcceleratorTask
from accelgym.envs.multi_accelerator.costs import PE_SIZES, layer_graph
from accelgym.envs.multi_accelerator.render import draw_gantt, format_schedule

ALEXNET = {"workloads": ("alexnet",)}


@pytest.fixture(scope="module")
def alexnet():
    return MultiAcceleratorTask(**ALEXNET)


def test_costs_are_those_of_the_cost_model(alexnet):
    layers = load_workload("alexnet").compute_layers
    pes, kib = PE_SIZES[2]
    costs = TemplateModel("latency").evaluate(
        LayerDesigns(layers, np.arange(8), np.array(1), np.array(pes), np.array(kib * 1024))
    )
    problem = alexnet.problem
    np.testing.assert_array_equal(problem.ticks[:, 1, 2], np.ceil(costs.latency_cycles / 1000))
    np.testing.assert_allclose(problem.energy_pj[:, 1, 2], costs.energy_pj - costs.breakdown["leakage_pj"], rtol=1e-12)
    leaks = problem.leakage_pj[1, 2] / 1000 * costs.latency_cycles
    np.testing.assert_allclose(leaks, costs.breakdown["leakage_pj"], rtol=1e-9)
    assert problem.area_um2[1, 2] == pytest.approx(float(costs.area_um2.max()))


def test_one_accelerator_alone_takes_the_sum_of_its_layers(alexnet):
    """A chain that stays on one accelerator: nothing overlaps, whatever the order."""
    design = np.zeros((1, len(alexnet.space)), dtype=np.int64)
    outcome = alexnet.evaluate(design)
    ticks = alexnet.problem.ticks[:, 0, 0].sum() * 2
    assert outcome.costs["makespan_cycles"][0] == ticks * 1000
    leakage = alexnet.problem.leakage_pj[:, 0].sum() * ticks
    assert outcome.costs["energy_pj"][0] == pytest.approx(alexnet.problem.energy_pj[:, 0, 0].sum() * 2 + leakage)


def test_vector_layers_hand_on_their_dependencies():
    pool = Layer("pool", LayerKind.ACTIVATION, K=4, C=4, P=4)
    net = Workload("net", (Layer.gemm("a", M=2, K=2, C=2), pool, Layer.gemm("b", M=2, K=2, C=2)), ((0, 1), (1, 2)))
    graph = layer_graph([net, net], [("net#2/b", "net/a")])
    assert graph.names == ("net/a", "net/b", "net#2/a", "net#2/b")
    assert graph.edges == ((0, 1), (2, 3), (3, 0))
    assert graph.ends == (0, 1, 2, 3)


def test_residual_branches_of_resnet_are_dependencies():
    graph = layer_graph([load_workload("resnet18")], [])
    place = graph.names.index
    found = {(graph.names[a], graph.names[b]) for a, b in graph.edges}
    down = [name for name in graph.names if "downsample" in name]
    assert len(down) == 3
    for name in down:
        # What follows the addition waits for the shortcut and for the second convolution beside it.
        after = {b for a, b in found if a == name}
        beside = {a for a, b in found if b in after} - {name}
        assert after
        assert beside
        assert all(place(b) > place(name) for b in after)


def test_more_area_and_more_accelerators_never_cost_time():
    tight = MultiAcceleratorTask(**ALEXNET, budget=0.1).prove()
    loose = MultiAcceleratorTask(**ALEXNET, budget=0.6).prove()
    assert loose.value < tight.value
    assert tight.exact
    assert loose.exact


def test_narrow_types_keep_off_the_ends():
    task = MultiAcceleratorTask(**ALEXNET, accelerators=("int4", "int8"), batches=1)
    assert not task.problem.allowed[[0, -1], 0].any()
    assert task.problem.allowed[1:-1].all()
    free = MultiAcceleratorTask(**ALEXNET, accelerators=("int4", "int8"), batches=1, wide_ends=False)
    assert free.problem.allowed.all()


def test_designs_and_the_reference_survive_the_rules_of_the_audit(alexnet):
    found = audit(alexnet)
    assert found.greedy_regret is not None
    assert found.greedy_evaluations == 2 * len(alexnet.problem.chips)
    assert 0 < found.budget_used <= 1
    assert 0 <= found.gap <= 1e-9


def test_the_reference_does_not_change(alexnet):
    one, two = alexnet.prove(), MultiAcceleratorTask(**ALEXNET).prove()
    assert (one.value, one.design, one.lower_bound, one.nodes) == (two.value, two.design, two.lower_bound, two.nodes)
    assert alexnet.bound <= one.lower_bound


def test_without_highs_the_reference_says_what_is_missing_and_rewards_do_without(alexnet, monkeypatch):
    monkeypatch.setitem(sys.modules, "highspy", None)
    task = MultiAcceleratorTask(**ALEXNET, budget=0.4)
    lanes = task.vector_env(4)
    lanes.reset()
    for _ in range(len(task.space)):
        _, rewards, *_ = lanes.step(lanes.action_masks().argmax(axis=1))
    assert (rewards > 0).all()
    with pytest.raises(MissingExtraError, match=r"accelgym\[oracle\]"):
        MultiAcceleratorTask(**ALEXNET, budget=0.2, batches=3).prove()


def test_pictures_show_the_schedule(alexnet):
    design = np.array(alexnet.reference().design)
    text = format_schedule(alexnet, design)
    assert text.count("fc8") == 1 + 2
    assert f"makespan {alexnet.reference().value:,.0f} cycles" in text
    assert "feasible" in text
    open_ = design.copy()
    open_[5:] = -1
    assert "open" in format_schedule(alexnet, open_)
    drawn, empty = draw_gantt(alexnet, design), draw_gantt(alexnet, open_)
    assert drawn.dtype == np.uint8
    assert drawn.shape[2] == 3
    assert len(np.unique(drawn.reshape(-1, 3), axis=0)) > len(np.unique(empty.reshape(-1, 3), axis=0)) > 2


def test_the_report_adds_up(alexnet):
    design = np.array(alexnet.reference().design)
    busy = alexnet.report(design)
    assert set(busy) == {"busy_dla", "busy_eye"}
    assert all(0 <= share <= 1 for share in busy.values())
    json.dumps(busy)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"accelerators": ("dla", "nvdla")}, "unknown accelerator 'nvdla'"),
        ({"accelerators": ("dla", "int8")}, "allowed dataflows .* or datatypes, not both"),
        ({"accelerators": ("dla",)}, "accelerators is .*at least 2"),
        ({"accelerators": ("dla",) * 4}, "accelerators is .*at most 3"),
        ({"accelerators": ("int4", "int4")}, "'conv1' runs on none of the accelerators int4, int4: wide_ends keeps"),
        ({"after": (("fc8", "conv1"),)}, "cycle, so that no schedule exists: conv1 -> conv2 -> .* -> fc8 -> conv1"),
        ({"after": (("conv1", "conv1"),)}, "cycle, so that no schedule exists: conv1 -> conv1"),
        ({"after": (("conv9", "conv1"),)}, "unknown layer in after 'conv9': did you mean"),
        ({"budget": -0.1}, "no chip fits .* um2; the smallest has .*, budget 0"),
        ({"area_um2": 1000.0}, "area_um2=1000.0: no chip is that small; the smallest has 399385 um2"),
        ({"area_um2": -1.0}, "area_um2 is -1.0"),
        ({"budget": float("nan")}, "budget is nan"),
        ({"batches": 0}, "batches is 0"),
        ({"batches": 2.5}, "batches is 2.5"),
        ({"batches": 65}, "batches is 65"),
        ({"tick_cycles": 0}, "tick_cycles is 0"),
        ({"objective": "latency"}, "objective is 'latency': .*makespan"),
        ({"workloads": ()}, "allowed one or more networks"),
        ({"workloads": ("alexnet", "alexnett")}, "unknown workload 'alexnett'"),
        ({"workload": "alexnet"}, "unknown argument 'workload': did you mean 'workloads'"),
        ({"workloads": ("resnet50",), "batches": 10}, "batches=10 of 54 layers are 540 operations, allowed 512"),
    ],
)
def test_bad_input_is_named(arguments, message):
    with pytest.raises(InputError, match=message):
        make_task("MultiAccelerator-v0", **ALEXNET | arguments)


def test_a_text_lists_networks_and_accelerators():
    task = make_task("MultiAccelerator-v0", workloads="alexnet", accelerators="dla,shi")
    assert task.spec.accelerators == ("dla", "shi")
    assert task.id == MultiAcceleratorTask(workloads=("alexnet",), accelerators=("dla", "shi")).id
