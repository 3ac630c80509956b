"""The agent, and a network in one shot, with the weights that ship."""

import warnings

import numpy as np
import pytest

from accelgym.agents import make_agent, search
from accelgym.agents.uov.agent import predict_network
from accelgym.agents.uov.capped import CappedLayers
from accelgym.agents.uov.checkpoint import SHIPPED, load_shipped, shipped_names
from accelgym.agents.uov.network_plan import NetworkPlan
from accelgym.costmodels.errors import InputError, InputWarning
from accelgym.costmodels.workloads import Layer, Workload
from accelgym.dse_dataset.layers import network_layers
from accelgym.envs import HwGenTask, ResourceAssignmentTask

FIXED = {"model": "maestro", "model_options": {"compat": False, "noc_bw": None}, "granularity": "fine64"}


def task(**arguments):
    return ResourceAssignmentTask(**{**FIXED, "workload": "confuciux/resnet18", "budget": 0.1, **arguments})


def test_shipped_weights_are_small_and_have_a_card():
    assert shipped_names() == ("airchitect-v2", "capped")
    assert sum(path.stat().st_size for path in SHIPPED.iterdir()) < 5e6
    card = (SHIPPED / "README.md").read_text()
    for name in shipped_names():
        policy = load_shipped(name)
        assert policy.schema.name == name
        assert f"## {name}" in card
        assert f"{policy.card['rows']['train']:,}" in card


@pytest.mark.parametrize(
    "arguments",
    [
        {},
        {"dataflow": "shi", "objective": "edp", "constraint": "power"},
        {"dataflow": "eye", "objective": "energy", "budget": 0.02},
        {"aggregate": "max"},
    ],
)
def test_one_evaluation_is_near_the_optimum_of_a_network_never_seen(arguments):
    """ConfuciuX's layer tables are not among the training data, which are drawn at random."""
    here = task(**arguments)
    found = search(here, "uov", budget=1, seed=0, options={"top": 1})
    assert found.evaluations == 1
    assert found.feasible[0]
    assert here.reference().regret(found.best) < 0.5


def test_more_evaluations_are_at_least_as_good():
    here = task()
    one, five, fifty = (search(here, "uov", budget=n, seed=0).best for n in (1, 5, 50))
    assert one >= five >= fifty
    assert here.reference().regret(fifty) < 0.02


def test_a_product_under_a_power_budget_is_no_guess():
    """Its steps are steepest: proposals just below one look best, and cost twice what was predicted (42 % before)."""
    here = task(workload="resnet50", dataflow="shi", objective="edp", constraint="power")
    one, five = (here.reference().regret(search(here, "uov", budget=n, seed=0).best) for n in (1, 5))
    assert five <= one < 0.1


def test_what_a_layer_costs_is_known_wherever_it_runs():
    here = task(workload="resnet50")
    plan = NetworkPlan.of(load_shipped("capped"), here)
    design = plan.best()
    plan.tell(design, here.evaluate(design))
    chosen = here.actions(design)[0]
    exact = np.take_along_axis(here.table.cost, plan.options, axis=1)
    for slot in range(len(chosen)):
        same = np.flatnonzero(plan.layer == plan.layer[slot])
        rows, columns = np.nonzero(plan.options[same] == chosen[slot])
        np.testing.assert_allclose(plan.cost[same[rows], columns], exact[same[rows], columns], rtol=1e-12)
    assert len(np.unique(plan.layer)) < len(chosen)


def test_an_agent_goes_on_after_its_corrections():
    found = search(task(), "uov", budget=30, seed=0, options={"local": False, "top": 12})
    assert 12 <= found.evaluations < 30
    assert len(np.unique(found.designs, axis=0)) == found.evaluations


def test_one_shot_ends_after_one_shot():
    found = search(task(), "uov", budget=20, seed=0, options={"top": 1, "local": False})
    assert found.evaluations == 1


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"granularity": "levels"}, "knob 'num_pes' has the values"),
        ({"model_options": {}}, "cost_model_version is 1-fixed, not 1-compat"),
        ({"model": "physical", "model_options": {}}, "cost_model is maestro, not physical"),
        ({"constraint": "pes"}, "constraint 'pes'"),
        ({"objective": "lap"}, "objective 'lap'"),
        ({"dataflow": "mix"}, "its knobs are buffer_level, num_pes, not"),
        ({"deployment": "sequential"}, "deployment is sequential, allowed: pipelined"),
    ],
)
def test_tasks_that_the_weights_do_not_fit_are_refused(arguments, message):
    with pytest.raises(InputError, match=message):
        make_agent("uov", task(**arguments), seed=0)


def test_another_kind_of_task_is_refused():
    other = HwGenTask(workload_object=Workload.chain("one", [Layer.gemm("g", M=4, K=24, C=16)]), area_budget=400_000.0)
    with pytest.raises(InputError, match="are for layers of accelgym/ResourceAssignment-v0, not for accelgym/HwGen-v0"):
        make_agent("uov", other, seed=0)
    with pytest.raises(InputError, match="the weights 'airchitect-v2' do not fit"):
        make_agent("uov", task(), seed=0, weights="airchitect-v2")


def test_layers_beyond_the_training_are_answered_with_a_warning():
    huge = Workload.chain("huge", [Layer.gemm("g", M=100_000, K=30_000, C=20_000)])
    here = ResourceAssignmentTask(**FIXED, workload_object=huge, budget=0.1)
    with pytest.warns(InputWarning, match=r"K is 30000, outside the range that capped was trained on, 1\.\.16383"):
        agent = make_agent("uov", here, seed=0)
    assert here.evaluate(agent.ask(1)).feasible[0]


def test_a_network_in_one_shot_is_said_as_it_is_evaluated():
    with warnings.catch_warnings():
        warnings.simplefilter("error", InputWarning)
        found = predict_network("resnet50", 0.1, {})
    here = task(workload="resnet50")
    values = {f"{s}.{k}": v for s, row in found.design.items() for k, v in zip(found.knobs, row, strict=True)}
    outcome = here.evaluate(here.space.encode(values)[None])
    assert outcome.objective[0] == found.objective
    assert bool(outcome.feasible[0]) is found.feasible is True
    assert 0.5 < found.predicted / found.objective < 2
    assert 0.5 < found.used <= 1.0


def test_caps_are_those_of_the_dataset(capped):
    """Feasible designs and cap from the layer and the fraction alone agree with the labelled rows."""
    from accelgym.costmodels.maestro.designs import Dataflow
    from accelgym.costmodels.models import cost_models
    from accelgym.dse_dataset.layers import LayerTable

    examples = capped.splits["train"]
    a = examples.arrays
    layers = LayerTable(*(a[n].astype(np.int64) for n in ("K", "C", "Y", "X", "R", "S")), a["depthwise"] == "True")
    flows = np.array([int(Dataflow[name.upper()]) for name in a["dataflow"]])
    model = cost_models.build("maestro", compat=False, noc_bw=None)
    for cap in ("none", "area", "power"):
        mine = np.flatnonzero(a["cap"] == cap)
        known = CappedLayers.of(capped.schema, model, layers.take(mine), flows[mine], cap)
        arrays, feasible = known.questions("edp", np.arange(len(mine)), a["cap_fraction"][mine])
        np.testing.assert_allclose(arrays["cap_value"], a["cap_value"][mine], rtol=1e-12)
        np.testing.assert_array_equal(feasible, examples.feasible[mine])
        assert (arrays["dataflow"] == a["dataflow"][mine]).all()


def test_real_layers_lie_inside_the_training_range():
    layers, _ = network_layers(["resnet50", "bert_base", "gpt2/prefill_block"])
    known = {entry.name: entry for entry in load_shipped("capped").schema.inputs}
    for name, values in layers.columns().items():
        if name != "depthwise":
            assert (values >= known[name].low).all()
            assert (values <= known[name].high).all()
