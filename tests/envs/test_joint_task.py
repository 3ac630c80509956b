"""Joint-v0: the tables against the cost model, designs against brute force, masks against enumeration, bad input."""

import itertools
import json
import re
from dataclasses import replace

import numpy as np
import pytest
import yaml

from accelgym.costmodels.errors import InputError
from accelgym.costmodels.solvers.joint import solve_joint, two_level_greedy
from accelgym.costmodels.systolic.config import load_config, make_config
from accelgym.costmodels.systolic.energy import EnergyLaw
from accelgym.costmodels.systolic.model import SystolicDesigns, SystolicModel
from accelgym.costmodels.workloads import Layer, LayerKind, Workload, load_workload
from accelgym.costmodels.workloads.activations import activations_of
from accelgym.envs import JointTask, audit, make_task
from accelgym.envs.joint import JointVectorEnv, hardware
from accelgym.envs.joint.hardware import JointRecord, planned_runs
from accelgym.envs.joint.machines import machine_space
from accelgym.envs.joint.network import PAIRS, joint_network
from accelgym.hwgen.cache import ContentCache

TWO = Workload.chain("two", [Layer.conv("a", K=8, C=4, H=5, R=3), Layer.conv("b", K=16, C=8, H=3, R=1)])
TINY = {"workload_object": TWO, "machines": "small", "types": ["int4/int8"], "max_loss": 0.02}


@pytest.fixture(scope="module")
def small():
    return JointTask(machines="small")


def of(task, **values):
    """A design by the values of its parameters, its first option elsewhere."""
    names = {p.name: i for i, p in enumerate(task.space.parameters)}
    row = np.zeros(len(task.space), dtype=np.int64)
    for name, value in values.items():
        row[names[name]] = task.space.parameters[names[name]].values.index(value)
    return row


@pytest.mark.parametrize("template", ["weight_stationary", "output_stationary"])
@pytest.mark.parametrize("objective", ["latency", "energy"])
def test_off_chip_a_design_costs_what_the_systolic_model_says(small, template, objective, monkeypatch):
    """With the widest types and the scheduler's mapping; component laws, as prices of all machines."""
    mapping = {"latency": "fast", "energy": "frugal"}[objective]
    machine = {"types": "int8", "rows": 16, "columns": 8, "port_bits": 32, "template": template, "buffer_depth": 64}
    layers = {f"{name}.types": "int8*int8" for name in small.network.slots}
    layers |= {f"{name}.mapping": mapping for name in small.network.slots}
    found = small.evaluate(of(small, **machine, **layers)[None]).costs
    config = make_config(
        rows=16,
        columns=8,
        template=template,
        **{f"{side}_port_bits": 32 for side in ("input", "weight", "output")},
        **{f"{buffer}_buffer_depth": 64 for buffer in ("input", "weight", "accumulation")},
    )
    monkeypatch.setattr(EnergyLaw, "of", classmethod(lambda cls, config: cls.by(config, None)))
    nests = [nest for nests in small.network.nests for nest in nests]
    costs = SystolicModel(objective).evaluate(SystolicDesigns([config], nests))
    side = sum(e.side_words for e in small.network.activations.edges) * small.machines.word_prices[1, 0, 0]
    assert found["latency_cycles"][0] == costs.latency_cycles.sum()
    assert found["energy_pj"][0] == pytest.approx(costs.energy_pj.sum() + side, rel=1e-9)


def test_an_activation_on_chip_is_that_of_ports_of_a_word(small):
    """Its cycles are those of an accelerator whose ports take an input and an output word a cycle."""
    names = small.network.slots
    machine = {"types": "int8", "rows": 8, "columns": 8, "port_bits": 32, "sram_kib": 8}
    first, second = names[10], names[11]
    base = of(small, **machine, **{f"{name}.types": "int8*int8" for name in names})
    kept = base.copy()
    at = {p.name: i for i, p in enumerate(small.space.parameters)}
    kept[at[f"{first} -> {second}"]] = 1
    rows = np.stack([base, kept])
    before, after = small.evaluate(rows).costs["latency_cycles"]
    figures = small.figures
    cell = (0, 0, 0, 0, 0, 0)
    one, other = figures.kind[10], figures.kind[11]
    cycles = figures._cycles[cell]
    expected = before - cycles[one, 0, 8, 0, 0] - cycles[other, 0, 8, 0, 0]
    expected += cycles[one, 0, 8, 0, 1] + cycles[other, 0, 8, 1, 0]
    assert after == expected < before


def test_the_optimum_is_that_of_all_designs():
    task = JointTask(**TINY)
    grids = [np.arange(size) for size in task.space.nvec]
    machines = np.argwhere(task.feasible)
    rest = np.array(list(itertools.product(*grids[8:])))
    best = np.inf
    for machine in machines:
        designs = np.concatenate((np.tile(machine, (len(rest), 1)), rest), axis=1)
        best = min(best, float(task.evaluate(designs).score.min()))
    found = task.reference()
    assert found.exact
    assert found.value == best


@pytest.mark.parametrize("order", ["machine_first", "machine_last"])
def test_masks_leave_exactly_what_can_be_completed(order):
    """All prefixes of a task of one array, three layers and two edges."""
    layers = [Layer.gemm(f"g{i}", M=40, K=16 + 32 * (i == 1), C=16) for i in range(3)]
    edges = ((0, 1), (1, 2))
    task = JointTask(
        workload_object=Workload("three", tuple(layers), edges),
        machines="small",
        types=["int4/int8", "int8", "int4"],
        max_loss=0.03,
        area_budget=260_000,
        order=order,
    )
    # Mappings do not matter to any limit: the first stands for all.
    fixed = {p.name for p in task.space.parameters if p.knob == "mapping"}
    free = [i for i, p in enumerate(task.space.parameters) if p.name not in fixed]
    pairs = [PAIRS.index(pair) for pair in (("int4", "int4"), ("int8", "int8"), ("int4", "int8"))]
    choices = [
        pairs if p.knob == "layer_types" else range(len(p.values)) if i in free else [0]
        for i, p in enumerate(task.space.parameters)
    ]
    designs = np.array(list(itertools.product(*choices)))
    designs = designs[task.fits(designs)]
    assert len(designs) > 100
    rng = np.random.default_rng(0)
    for position in range(len(task.space)):
        alive = {tuple(row) for row in designs[:, : position + 1]}
        prefixes = np.unique(designs[:, :position], axis=0)
        prefixes = prefixes[rng.permutation(len(prefixes))[:300]]
        actions = np.zeros((len(prefixes), len(task.space)), dtype=np.int64)
        actions[:, :position] = prefixes
        mask = task.masks(actions, position)
        for prefix, row in zip(prefixes, mask, strict=True):
            wanted = {value for value in choices[position] if (*prefix, value) in alive}
            assert {value for value in choices[position] if row[value]} == wanted


def test_the_order_changes_neither_designs_nor_their_figures(small):
    last = JointTask(machines="small", order="machine_last")
    assert last.reference().value == small.reference().value
    designs = small.sample_feasible(np.random.default_rng(1), 50)
    moved = np.concatenate((designs[:, 8:], designs[:, :8]), axis=1)
    np.testing.assert_array_equal(last.evaluate(moved).objective, small.evaluate(designs).objective)
    assert last.id != small.id


def test_no_sample_and_no_rule_beats_the_reference(small):
    found = small.reference()
    assert found.exact
    designs = small.sample_feasible(np.random.default_rng(0), 2000)
    outcome = small.evaluate(designs)
    assert outcome.feasible.all()
    found.check(outcome.score)
    choice, evaluations = two_level_greedy(small.problem)
    greedy = small.evaluate(small.design(choice)[None])
    assert greedy.feasible[0]
    assert greedy.objective[0] < np.median(outcome.objective)
    assert evaluations > len(small.problem.machines)
    found.check(greedy.score)


def test_a_tolerance_is_kept_and_said(small):
    exact = small.reference().value
    loose, _ = solve_joint(small.problem, tolerance=0.05)
    assert loose.lower_bound <= exact <= loose.value * (1 + 1e-12)
    assert loose.gap <= 0.05 + 1e-9


def test_a_proof_cut_short_says_so(small):
    found, choice = solve_joint(small.problem, max_nodes=1)
    assert found.limited_by == "nodes"
    assert found.gap > 0
    assert choice is not None
    assert found.lower_bound <= small.reference().value <= found.value


def test_types_cost_area_and_room():
    machines = machine_space("small", ("int4", "int8", "int4/int8"))
    narrow, wide, both = machines.area_nand2[:, 0].reshape(3, -1)
    assert (narrow < wide).all()
    assert (wide < both).all()
    np.testing.assert_array_equal(machines.room_words[0], 2 * machines.room_words[1])
    np.testing.assert_array_equal(machines.room_words[1], machines.room_words[2])


def test_files_of_a_design_read_back(small, tmp_path):
    design = np.array(small.reference().design)
    files = small.artifacts(design)
    (tmp_path / "config.yaml").write_text(files["config.yaml"])
    config = load_config(tmp_path / "config.yaml")
    values = small.space.decode(design)
    assert (config.rows, config.columns, config.pe_pipeline) == tuple(
        values[n] for n in ("rows", "columns", "pe_pipeline")
    )
    types = yaml.safe_load(files["quantization.yaml"])["layers"]
    for name in small.network.slots:
        found = types[name]["weight"]["datatype"], types[name]["input"]["datatype"]
        assert "*".join(found) == values[f"{name}.types"]
    kept = yaml.safe_load(files["joint.yaml"])["on_chip"]
    assert [f"{a} -> {b}" for a, b in kept] == [name for name, value in values.items() if value is True]


# -- activations -----------------------------------------------------------------------------------------------


def test_a_residual_addition_is_read_by_the_layer_that_adds():
    network = load_workload("resnet18")
    found = activations_of(network)
    compute = [layer.name for layer in network.compute_layers]
    assert list(found.layers) == compute
    by_pair = {(e.producer, e.consumer): e for e in found.edges}
    # The first block: the stem's pooled output goes to the first convolution, and is added by the second.
    assert by_pair[0, 1].operand
    assert by_pair[0, 1].side_words == 0
    assert not by_pair[0, 2].operand
    assert by_pair[0, 2].side_words == network.compute_layers[2].output_words
    assert found.leaves[-1]
    assert not any(found.leaves[:-1])


def test_keys_and_values_are_cached_in_memory():
    found = activations_of(load_workload("gpt2/prefill_block"))
    names = list(found.layers)
    key, query, scores = (next(i for i, n in enumerate(names) if n.endswith(part)) for part in ("k", "q", "scores"))
    pairs = {(e.producer, e.consumer) for e in found.edges}
    assert (query, scores) in pairs
    assert (key, scores) not in pairs
    assert found.leaves[key]


@pytest.mark.parametrize("network", ["glyph_cnn", "glyph_vit", "text_lm"])
def test_operands_of_shipped_networks_fit_their_layers(network):
    found = joint_network(network, None)
    for edge in found.activations.edges:
        if edge.operand:
            words, nest = found.activations.words[edge.producer], found.nests[edge.consumer][0]
            # Fused projections, pooled images and strided windows apart.
            assert words >= nest.N * nest.C // nest.groups


# -- bad input -------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        ({"area_budget": 1000.0}, ["area_budget=1000", "it takes"]),
        ({"bandwidth_bits": 90}, ["bandwidth_bits=90", "it has 96"]),
        ({"clock_ghz": 2.0}, ["clock_ghz=2", "it runs at 1."]),
        ({"max_loss": 0.001}, ["max_loss=0.001", "it loses at least 0.0029"]),
        ({"types": ["int4"], "max_loss": 0.02}, ["max_loss=0.02", "it loses at least 0.5475"]),
        ({"types": ["bf16"]}, ["no layer can use 'bf16'", "int4, int6, int8"]),
        ({"types": ["int8*int8/int8"]}, ["lists int8 2 times"]),
        ({"types": ["int8", "int8"]}, ["types", "twice"]),
        ({"types": []}, ["types"]),
        ({"network": "lenet"}, ["network", "'lenet'", "glyph_cnn"]),
        ({"network": "glyph_cnn", "workload": "resnet18"}, ["network and workload"]),
        ({"order": "first"}, ["order", "machine_first"]),
        ({"machines": "huge"}, ["machines", "small"]),
        ({"objective": "area"}, ["objective", "edp"]),
        ({"max_loss": float("nan")}, ["max_loss"]),
        ({"workload": "stable_diffusion_1_5"}, ["behind layer 'time.linear2' 22 readings", "up to 8"]),
    ],
)
def test_bad_input_is_refused_with_the_key_and_the_nearest_that_would_do(arguments, words):
    with pytest.raises(InputError) as error:
        make_task("accelgym/Joint-v0", **({"machines": "small"} | arguments))
    for word in words:
        assert word in str(error.value)


def test_the_nearest_limits_that_are_named_are_met():
    limits = {"area_budget": 1000.0, "clock_ghz": 3.0, "max_loss": 0.0}
    for _ in range(3):
        with pytest.raises(InputError) as error:
            JointTask(machines="small", **limits)
        for name, said in re.findall(r"(\w+)=[\d.e+-]+ \(it [a-z ]+([\d.]+)\)", str(error.value)):
            limits[name] = float(said)
        try:
            found = JointTask(machines="small", **limits)
        except InputError:
            continue
        assert found.feasible.any()
        return
    pytest.fail("the limits that are named do not help")


def test_a_workload_of_vector_operations_has_nothing_to_run():
    softmax = Workload.chain("soft", [Layer("s", LayerKind.SOFTMAX, K=4, C=4, P=3, op="softmax")])
    with pytest.raises(InputError, match="no convolution or GEMM"):
        JointTask(workload_object=softmax)


def test_a_network_with_too_many_branches_is_refused_with_the_layer():
    branches = [Layer.conv(f"branch{i}", K=4, C=4, H=6) for i in range(10)]
    joined = Layer("joined", LayerKind.PERMUTE, K=40, C=40, P=6, Q=6, op="concat")
    edges = tuple((i, 10) for i in range(10))
    with pytest.raises(InputError, match=r"behind layer 'branch8' 9 readings of activations .* allowed up to 8"):
        JointTask(workload_object=Workload("fan", (*branches, joined), edges), machines="small")
    fewer = Workload("fan", (*branches[2:], joined), tuple((i, 8) for i in range(8)))
    assert JointTask(workload_object=fewer, machines="small", max_loss=0.1).network.activations.edges


def test_edges_out_of_order_are_refused():
    found = activations_of(TWO)
    with pytest.raises(InputError, match="consumers run after producers"):
        replace(found, edges=(replace(found.edges[0], producer=1, consumer=0),))


def test_the_audit_knows_the_two_level_rule():
    found = audit(JointTask(**TINY))
    assert found.greedy_regret is not None
    assert found.greedy_evaluations > 0
    assert found.gap == 0


# -- hardware --------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("network", ["glyph_cnn", "text_lm"])
def test_the_runs_that_rtl_proves_add_up_to_the_latency(network):
    task = JointTask(machines="small", network=network, max_loss=0.1)
    designs = [*task.sample_feasible(np.random.default_rng(0), 3), np.array(task.reference().design)]
    for design in designs:
        runs = planned_runs(task, design)
        latency = task.evaluate(design[None]).costs["latency_cycles"][0]
        assert sum(run.cycles for run in runs) == latency
    assert len({run.config.model_dump_json() for run in runs}) > 1, "the optimum keeps activations on chip"


def test_the_best_design_of_a_lane_is_built_once(monkeypatch):
    built = []

    def prove(task, design):
        built.append(tuple(design))
        return JointRecord(True, True, False, 1, 2, 0, 10, 10)

    monkeypatch.setattr(hardware, "prove", prove)
    task = JointTask(**TINY)
    env = JointVectorEnv(1, task=task, verify="best")
    _, infos = env.reset()
    assert infos["level"] == [-1]
    for turn in range(2):
        for action in task.reference().design:
            _, rewards, over, _, infos = env.step(np.array([action]))
        assert over[0]
        last = infos["final_info"]
        assert last["level"] == [2 if turn == 0 else -1]
        assert rewards[0] == pytest.approx(2 / 3 if turn == 0 else 1.0)
    assert json.loads(last["record"][0] or "{}") == {}
    assert built == [task.reference().design]
    with pytest.raises(InputError, match="verify"):
        JointVectorEnv(1, task=task, verify="always")


@pytest.mark.slow
def test_the_optimum_is_bit_exact_and_cycle_exact_in_rtl(tmp_path):
    task = JointTask(**TINY)
    found = hardware.prove(task, np.array(task.reference().design), ContentCache(tmp_path))
    assert found.level == 3, found
    assert found.left_out == 0
    assert found.accelerators == 2
    assert found.cycles_rtl == found.latency_cycles
