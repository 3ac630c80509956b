"""Resource assignment on loop nests: the chosen mapping against every mapping of the template, and laws."""

import itertools

import numpy as np
import pytest
import torch
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from accelgym.costmodels.costs import CostModel, Reason
from accelgym.costmodels.dataflow_template import TEMPLATES, LayerDesigns, TemplateModel
from accelgym.costmodels.dataflow_template.templates import build_machine, layer_problem
from accelgym.costmodels.errors import InputError
from accelgym.costmodels.loopnest import LoopnestModel, Mappings
from accelgym.costmodels.maestro.designs import Dataflow
from accelgym.costmodels.models import cost_models
from accelgym.costmodels.workloads import Layer, LayerKind

FLOWS = (Dataflow.DLA, Dataflow.EYE, Dataflow.SHI)
TINY = {
    "conv": Layer.conv("conv", K=4, C=2, H=5, W=4, R=2, S=3),
    "strided": Layer.conv("strided", K=2, C=2, H=9, W=8, R=3, S=2, stride=2),
    "dilated batch": Layer.conv("dilated", N=2, K=2, C=2, H=8, W=3, R=2, S=1, dilation=2),
    "depthwise": Layer.conv("depthwise", K=6, C=6, H=6, W=4, R=3, S=1, groups=6),
    "grouped": Layer.conv("grouped", K=4, C=4, H=4, W=1, R=1, groups=2),
    "gemm": Layer.gemm("gemm", M=6, K=4, C=6),
    "batched gemm": Layer.gemm("batched", M=4, K=2, C=3, batch=2),
}
SIZES = [(1, 64), (3, 96), (4, 128), (12, 4096)]


def every_mapping(problem, template, machine):
    """All mappings of a template written from its definition: exact factors, any order of the DRAM's loops."""
    chains = []
    for dim in problem.dims:
        bound = problem.bound[dim]
        ways = []
        for dram, buffer, x, inside in itertools.product(range(1, bound + 1), repeat=4):
            if dram * buffer * x * inside != bound:
                continue
            spreads = dim in template.spatial or (dim in template.spatial_whole and x == bound)
            if (x > 1 and not spreads) or (dim in "RS" and dram > 1):
                continue
            if inside > 1 and not (dim in template.inside and inside == bound):
                continue
            ways.append((dram, buffer, x, inside))
        chains.append(ways)
    active = [d for d, bound in enumerate(problem.bounds) if bound > 1]
    inner = [problem.dims.index(d) for d in template.order if d in problem.dims]
    inner = [d for d in range(len(problem.dims)) if d not in inner] + inner
    rows, orders = [], []
    for combination in itertools.product(*chains):
        loops = [d for d in active if combination[d][0] > 1]
        for order in itertools.permutations(loops):
            rows.append(combination)
            orders.append([*(d for d in range(len(problem.dims)) if d not in order), *order])
    factors = np.array(rows).transpose(0, 2, 1)
    ranks = np.empty_like(factors)
    for i, order in enumerate(orders):
        ranks[i, 0, order] = np.arange(len(order))
    ranks[:, 1:, inner] = np.arange(len(inner))
    if machine.slot(1, "x") is None:
        alone = factors[:, 2].prod(axis=1) == 1
        factors, ranks = factors[alone][:, [0, 1, 3]], ranks[alone][:, [0, 1, 3]]
    return Mappings(problem, machine, np.moveaxis(factors, 0, -1), np.moveaxis(ranks, 0, -1))


def runs_inside(problem, template, mappings):
    """The rule for loops inside a PE: whole where the registers hold that."""
    held = {d: problem.bound[d] if d in template.inside else 1 for d in problem.dims}
    if sum(problem.tile_words(t, held) for t in problem.tensors) > template.register_words:
        return np.ones(len(mappings), dtype=bool)
    dims = [problem.dims.index(d) for d in template.inside]
    whole = np.array([problem.bounds[d] for d in dims])
    return (mappings.factors[-1, dims] == whole[:, None]).all(axis=0)


def one(layer, flow, pes, size, **options):
    return TemplateModel(**options).evaluate(LayerDesigns((layer,), 0, int(flow), pes, size))


@pytest.mark.parametrize("flow", FLOWS)
@pytest.mark.parametrize("name", TINY)
def test_no_mapping_of_the_template_is_better(name, flow):
    for pes, size in SIZES:
        check_against_every_mapping(TINY[name], flow, pes, size)


def check_against_every_mapping(layer, flow, pes, size):
    problem, template = layer_problem(layer), TEMPLATES[flow]
    machine = build_machine(template, pes, size, noc_bw=8, dram_bw=4)
    mappings = every_mapping(problem, template, machine)
    mappings = mappings[runs_inside(problem, template, mappings)]
    all_costs = LoopnestModel(problem, machine).evaluate(mappings)
    ok = np.asarray(all_costs.valid)
    for objective in ("latency", "energy", "edp"):
        found = one(layer, flow, pes, size, objective=objective, noc_bw=8, dram_bw=4)
        assert bool(found.valid) == ok.any()
        if not ok.any():
            assert found.reason == Reason.CAPACITY
            continue
        latency, energy = all_costs.latency_cycles[ok], all_costs.energy_pj[ok]
        figure = {"latency": latency, "energy": energy, "edp": latency * energy}[objective]
        ours = {
            "latency": found.latency_cycles,
            "energy": found.energy_pj,
            "edp": found.latency_cycles * found.energy_pj,
        }[objective]
        assert ours == pytest.approx(figure.min(), rel=1e-12)
        if objective == "latency":
            assert found.energy_pj == pytest.approx(energy[latency == latency.min()].min(), rel=1e-12)


SMALL = st.sampled_from([1, 2, 3, 4])


@pytest.mark.slow
@settings(max_examples=60, deadline=None, derandomize=True)
@given(
    sizes=st.fixed_dictionaries(dict.fromkeys("NKCPQRS", SMALL)),
    stride=st.tuples(st.integers(1, 3), st.integers(1, 2)),
    dilation=st.tuples(st.integers(1, 2), st.integers(1, 2)),
    groups=st.sampled_from([1, 1, 2, 3]),
    flow=st.sampled_from(FLOWS),
    pes=st.sampled_from([1, 2, 5, 16]),
    size=st.sampled_from([64, 128, 256, 4096]),
)
def test_no_mapping_of_any_small_layer_is_better(sizes, stride, dilation, groups, flow, pes, size):
    assume(1 < np.prod(list(sizes.values())) <= 128)
    channels = {"K": sizes["K"] * groups, "C": sizes["C"] * groups}
    layer = Layer("any", LayerKind.CONV, **{**sizes, **channels}, stride=stride, dilation=dilation, groups=groups)
    check_against_every_mapping(layer, flow, pes, size)


LAYERS = (
    Layer.conv("stem", K=64, C=3, H=56, R=7, stride=2, padding=3),
    Layer.conv("body", K=64, C=32, H=14, R=3, padding=1),
    Layer.conv("depthwise", K=96, C=96, H=14, R=3, padding=1, groups=96),
    Layer.conv("grouped", K=64, C=64, H=14, R=3, padding=1, groups=4),
    Layer.gemm("scores", M=48, K=96, C=64, batch=6),
    Layer.gemm("classifier", M=1, K=1000, C=512),
)
PES = np.array([1, 2, 7, 16, 32, 128])
BYTES = np.array([512, 1024, 4096, 65536])


@pytest.fixture(scope="module", params=FLOWS)
def costs(request):
    index = np.arange(len(LAYERS))[:, None, None]
    designs = LayerDesigns(LAYERS, index, int(request.param), PES[:, None], BYTES)
    return request.param, {
        objective: TemplateModel(objective=objective).evaluate(designs) for objective in ("latency", "energy", "edp")
    }


def test_a_row_is_what_the_loopnest_model_says_of_its_mapping(costs):
    flow, by_objective = costs
    for objective, table in by_objective.items():
        model = TemplateModel(objective=objective)
        for i, p, b in ((0, 5, 3), (1, 0, 1), (2, 4, 2), (3, 2, 2), (4, 3, 3), (5, 5, 1)):
            machine, mappings = model.mapping(LAYERS[i], flow, int(PES[p]), int(BYTES[b]))
            single = LoopnestModel(mappings.problem, machine).evaluate(mappings)
            assert single.valid[0]
            assert single.latency_cycles[0] == table.latency_cycles[i, p, b]
            assert table.energy_pj[i, p, b] == pytest.approx(single.energy_pj[0], rel=1e-12)
            assert table.area_um2[i, p, b] == pytest.approx(single.area_um2[0], rel=1e-12)
            assert table.power_mw[i, p, b] == pytest.approx(single.power_mw[0], rel=1e-12)
            assert table.breakdown["utilized_pes"][i, p, b] == single.breakdown["utilized_pes"][0]
            assert table.breakdown["leakage_pj"][i, p, b] == pytest.approx(single.breakdown["leakage_pj"][0])


def test_nothing_beats_the_roofline_or_moves_less_than_every_word_once(costs):
    _, by_objective = costs
    macs = np.array([layer.macs for layer in LAYERS])[:, None, None]
    for table in by_objective.values():
        ok = table.valid
        assert ok[..., 1:].all()
        assert (table.latency_cycles * PES[:, None] >= macs)[ok].all()
        assert (table.latency_cycles * 8 >= table.breakdown["dram_words"])[ok].all()
        words = [sum(p.tensor_words(t) for t in p.tensor_names) for p in map(layer_problem, LAYERS)]
        # A strided kernel smaller than its step skips inputs; none of these does.
        assert (table.breakdown["dram_words"] >= np.array(words)[:, None, None])[ok].all()


def test_parts_add_up_and_area_grows_with_both_knobs(costs):
    _, by_objective = costs
    for table in by_objective.values():
        parts = [table.breakdown[f"{part}_pj"] for part in ("mac", "registers", "buffer", "dram", "leakage")]
        np.testing.assert_allclose(np.sum(parts, axis=0), table.energy_pj, rtol=1e-12)
        assert all((part > 0)[table.valid].all() for part in parts)
        ok = table.valid[..., 1:].all(axis=(1, 2))
        assert (np.diff(table.area_um2[ok][..., 1:], axis=1) > 0).all()
        assert (np.diff(table.area_um2[ok][..., 1:], axis=2) > 0).all()


def test_more_hardware_is_never_slower_and_each_objective_is_best_at_its_own(costs):
    _, by_objective = costs
    fast, frugal, both = by_objective["latency"], by_objective["energy"], by_objective["edp"]
    ok = fast.valid
    time = np.where(ok, fast.latency_cycles, np.iinfo(np.int64).max)
    assert (np.diff(time, axis=1) <= 0).all()
    assert (np.diff(time, axis=2) <= 0).all()
    assert (fast.latency_cycles <= both.latency_cycles)[ok].all()
    assert (frugal.energy_pj <= both.energy_pj * (1 + 1e-12))[ok].all()
    product = both.latency_cycles * both.energy_pj * (1 - 1e-12)
    for other in (fast, frugal):
        assert (product <= other.latency_cycles * other.energy_pj)[ok].all()
    assert (frugal.latency_cycles > fast.latency_cycles).any()


def test_dataflows_differ_where_they_should():
    """One output column leaves ShiDianNao's array empty; few channels leave NVDLA's."""
    classifier, stem = LAYERS[5], LAYERS[0]
    pes = {
        (layer.name, flow): int(one(layer, flow, 128, 65536, objective="latency").breakdown["utilized_pes"])
        for layer in (classifier, stem)
        for flow in FLOWS
    }
    assert pes["classifier", Dataflow.SHI] == 1
    assert pes["classifier", Dataflow.DLA] > 16
    assert pes["stem", Dataflow.SHI] > 64


# -- the contract ---------------------------------------------------------------------------------------------


def test_bad_designs_are_rows_with_a_reason():
    designs = LayerDesigns(
        LAYERS[:1],
        np.array([0, 0, 0, 0, 0, 1, -1]),
        np.array([0, 3, 0, 0, 0, 0, 0]),
        np.array([4, 4, 0, 4, 4, 4, 4]),
        np.array([4096, 4096, 4096, 0, 64, 4096, 4096]),
    )
    costs = TemplateModel().evaluate(designs)
    bad = Reason.BAD_VALUE
    np.testing.assert_array_equal(costs.reason, [Reason.OK, bad, bad, bad, Reason.CAPACITY, bad, bad])
    np.testing.assert_array_equal(costs.valid, costs.reason == Reason.OK)
    assert np.isfinite(costs.energy_pj).all()


def test_tensors_give_the_same_numbers_as_arrays():
    columns = [np.array([0, 1, 2]), np.array([0, 1, 2]), np.array([4, 16, 64]), np.array([4096, 1024, 8192])]
    ours = TemplateModel().evaluate(LayerDesigns(LAYERS, *columns))
    theirs = TemplateModel().evaluate(LayerDesigns(LAYERS, *map(torch.as_tensor, columns)))
    np.testing.assert_array_equal(theirs.latency_cycles.numpy(), ours.latency_cycles)
    np.testing.assert_array_equal(theirs.energy_pj.numpy(), ours.energy_pj)
    np.testing.assert_array_equal(theirs.breakdown["dram_words"].numpy(), ours.breakdown["dram_words"])


def test_the_registry_builds_it():
    model = cost_models.get("dataflow_template")(objective="energy")
    assert isinstance(model, CostModel)
    assert (model.name, model.version, model.technology) == ("dataflow_template", "2.0", "aladdin-cacti-45nm")


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"objective": "speed"}, "objective 'speed'.*edp, energy, latency"),
        ({"noc_bw": 0}, "noc_bw is 0"),
        ({"dram_bw": 1.5}, "dram_bw is 1.5"),
    ],
)
def test_bad_options_are_named(options, message):
    with pytest.raises(InputError, match=message):
        TemplateModel(**options)


def test_a_vector_operation_and_an_impossible_design_are_named():
    softmax = Layer("softmax", LayerKind.SOFTMAX, K=4, C=4)
    with pytest.raises(InputError, match="softmax"):
        TemplateModel().evaluate(LayerDesigns((softmax,), 0, 0, 4, 4096))
    with pytest.raises(InputError, match=r"'stem'.*dla.*num_pes=4.*capacity"):
        TemplateModel().mapping(LAYERS[0], Dataflow.DLA, 4, 64)
