import dataclasses

import numpy as np
import pytest
import torch

from accelgym.costmodels.costs import CostModel, Reason
from accelgym.costmodels.errors import InputError
from accelgym.costmodels.maestro.designs import Dataflow, ResourceDesigns
from accelgym.costmodels.maestro.physical import PhysicalModel
from accelgym.costmodels.maestro.technology import FREEPDK45
from accelgym.costmodels.models import cost_models

PES = np.array([1, 2, 4, 8, 12, 16, 24, 32, 48, 64, 96, 128])
BUFFERS = np.arange(1, 13)
# K, C, Y, X, R, S, depthwise: shapes of ResNet-18 and MobileNetV2 as ConfuciuX lists them.
RESNET = [
    (64, 3, 224, 224, 7, 7, 0),
    (64, 64, 56, 56, 3, 3, 0),
    (128, 64, 56, 56, 3, 3, 0),
    (128, 64, 56, 56, 1, 1, 0),
    (256, 256, 14, 14, 3, 3, 0),
    (512, 256, 14, 14, 1, 1, 0),
    (512, 512, 7, 7, 3, 3, 0),
]
MOBILENET = [
    (32, 3, 224, 224, 3, 3, 0),
    (1, 32, 112, 112, 3, 3, 1),
    (16, 32, 112, 112, 1, 1, 0),
    (96, 16, 112, 112, 1, 1, 0),
    (24, 96, 56, 56, 1, 1, 0),
    (1, 144, 56, 56, 3, 3, 1),
    (1280, 320, 7, 7, 1, 1, 0),
]
FLOWS = (Dataflow.DLA, Dataflow.EYE, Dataflow.SHI)


def table(layers, dataflow, model=None):
    """Costs over layers x PEs x buffers."""
    columns = np.array(layers).T[:, :, None, None]
    designs = ResourceDesigns(
        *columns[:6], depthwise=columns[6] == 1, dataflow=int(dataflow), num_pes=PES[:, None], buffer_level=BUFFERS
    )
    return (model or PhysicalModel()).evaluate(designs)


@pytest.fixture(scope="module", params=[(net, flow) for net in ("resnet", "mobilenet") for flow in FLOWS], ids=str)
def costs(request):
    net, flow = request.param
    return table(RESNET if net == "resnet" else MOBILENET, flow)


# -- laws -----------------------------------------------------------------------------------------------------


def test_nothing_beats_the_roofline(costs):
    assert costs.valid.all()
    assert (costs.latency_cycles * PES[:, None] >= costs.breakdown["macs"]).all()
    assert (costs.latency_cycles * 16 >= costs.breakdown["dram_bytes"]).all()
    read_and_written = sum(costs.breakdown[name] for name in ("input_l2_reads", "filter_l2_reads", "output_l2_writes"))
    assert (2 * 64 * costs.latency_cycles >= read_and_written).all()


def test_parts_add_up(costs):
    parts = costs.breakdown
    energy = sum(parts[f"{part}_pj"] for part in ("mac", "l1", "l2", "noc", "dram", "leakage"))
    np.testing.assert_allclose(costs.energy_pj, energy, rtol=1e-12)
    area = sum(parts[f"{part}_um2"] for part in ("mac", "l1", "l2", "noc"))
    np.testing.assert_allclose(costs.area_um2, area, rtol=1e-12)
    assert (costs.energy_pj > FREEPDK45.mac_energy_pj * parts["macs"] + parts["leakage_pj"]).all()
    assert (costs.energy_pj > 64 * parts["dram_bytes"]).all()


def test_units_are_consistent(costs):
    """Energy over time is power; at 1 GHz a pJ per cycle is a mW."""
    np.testing.assert_allclose(costs.power_mw, costs.energy_pj / costs.latency_cycles, rtol=1e-12)
    leakage_mw = costs.breakdown["leakage_pj"] / costs.latency_cycles
    np.testing.assert_allclose(leakage_mw, 21.8 * costs.area_um2 / 1e6, rtol=1e-12)


def test_area_grows_with_both_knobs(costs):
    assert (np.diff(costs.area_um2, axis=1) > 0).all()
    # Beyond the layer's own channels, a larger tile holds nothing more.
    assert (np.diff(costs.area_um2, axis=2) >= 0).all()
    assert (costs.area_um2[..., -1] > costs.area_um2[..., 0]).all()


def test_every_tensor_crosses_the_dram_once(costs):
    assert (costs.breakdown["input_l2_reads"] + costs.breakdown["filter_l2_reads"] > 0).all()
    assert (np.ptp(costs.breakdown["dram_bytes"], axis=(1, 2)) == 0).all()


@pytest.mark.parametrize("dataflow", FLOWS)
def test_more_bandwidth_never_costs_time(dataflow):
    slow, fast = (table(MOBILENET, dataflow, PhysicalModel(noc_bw=bw)) for bw in (8, 128))
    assert (slow.latency_cycles >= fast.latency_cycles).all()
    assert (slow.latency_cycles > fast.latency_cycles).any()
    assert (slow.area_um2 < fast.area_um2).all()
    slow, fast = (table(MOBILENET, dataflow, PhysicalModel(dram_bw=bw)) for bw in (1, 64))
    assert (slow.latency_cycles >= fast.latency_cycles).all()
    assert (slow.latency_cycles > fast.latency_cycles).any()


def test_one_mac_by_hand():
    """One PE, one MAC: the sums that a hand can do."""
    design = ResourceDesigns(1, 1, 1, 1, 1, 1, depthwise=False, dataflow=0, num_pes=1, buffer_level=1)
    costs = PhysicalModel().evaluate(design)
    # An element each of input and filter crosses the NoC twice (into the array, into the PE), then the MAC.
    assert costs.latency_cycles == 3
    assert costs.breakdown["dram_bytes"] == 3
    assert costs.breakdown["l1_bytes"] == costs.breakdown["l2_bytes"] == 2 * 3
    tech = FREEPDK45
    noc = 8 * (64 * tech.flop_area_um2 + 63 * tech.mux2_area_um2)
    np.testing.assert_allclose(costs.area_um2, tech.mac_area_um2 + 12 * tech.sram_area_um2 + noc)
    # Three buffers of two bytes, each read once and written once.
    l1 = 3 * (0.0589 / 2 + 0.0902 / 2)
    np.testing.assert_allclose(costs.breakdown["l1_pj"], l1)
    # Three bytes enter and leave L2: of six bytes, three words.
    l2 = 0.0589 / 2 * 3**0.535 * 2 + 0.0902 / 2 * 3**0.468 * 3
    np.testing.assert_allclose(costs.breakdown["l2_pj"], l2)


# -- the landscape is worth searching -------------------------------------------------------------------------


def test_buffers_are_a_real_part_of_the_area(costs):
    middle = costs.area_um2[:, 5:7]
    assert (middle[..., -1] > 1.1 * middle[..., 0]).all()


def test_the_best_buffer_depends_on_layer_and_array(costs):
    for figure in (costs.latency_cycles, costs.energy_pj):
        best = figure.argmin(axis=2)
        assert len(np.unique(best)) >= 3
        assert (np.ptp(best, axis=0) > 0).any()
        assert (np.ptp(best, axis=1) > 0).any()


def test_one_setting_for_all_layers_is_far_from_the_best_under_a_tight_budget(costs):
    latency = costs.latency_cycles.reshape(len(costs.latency_cycles), -1).astype(float)
    area = costs.area_um2.reshape(latency.shape)
    corners = [area[:, i].sum() for i in (0, 11, 132, 143)]
    budget = min(corners) + 0.1 * (max(corners) - min(corners))
    uniform = latency.sum(axis=0)[area.sum(axis=0) <= budget].min()
    best = np.inf
    for price in np.geomspace(1e-3, 1e3, 500) * latency.mean() / area.mean():
        choice = (latency + price * area).argmin(axis=1)[:, None]
        if np.take_along_axis(area, choice, 1).sum() <= budget:
            best = min(best, np.take_along_axis(latency, choice, 1).sum())
    assert uniform > 1.05 * best


# -- the contract ---------------------------------------------------------------------------------------------


def test_bad_designs_are_rows_with_a_reason():
    columns = np.array([(8, 8, 8, 8, 3, 3), (0, 8, 8, 8, 3, 3), (8, 8, 2, 8, 3, 3), (2**50, 2**50, 8, 8, 3, 3)]).T
    costs = PhysicalModel().evaluate(ResourceDesigns(*columns, depthwise=False, dataflow=2, num_pes=16, buffer_level=2))
    expected = [Reason.OK, Reason.BAD_VALUE, Reason.KERNEL_EXCEEDS_INPUT, Reason.OVERFLOW]
    np.testing.assert_array_equal(costs.reason, expected)
    np.testing.assert_array_equal(costs.valid, [True, False, False, False])
    assert np.isfinite(costs.energy_pj).all()


def test_tensors_give_the_same_numbers_as_arrays(random_designs):
    for dataflow in Dataflow:
        designs = random_designs(np.random.default_rng(2), 300, dataflow)
        fields = {f.name: getattr(designs, f.name) for f in dataclasses.fields(designs)}
        tensors = ResourceDesigns(**{n: None if a is None else torch.as_tensor(a) for n, a in fields.items()})
        model = PhysicalModel(noc_bw=8)
        ours, theirs = model.evaluate(designs), model.evaluate(tensors)
        np.testing.assert_array_equal(theirs.latency_cycles.numpy(), ours.latency_cycles)
        np.testing.assert_allclose(theirs.energy_pj.numpy(), ours.energy_pj, rtol=1e-13)
        np.testing.assert_allclose(theirs.area_um2.numpy(), ours.area_um2, rtol=1e-13)


def test_the_registry_builds_it():
    model = cost_models.get("physical")(noc_bw=32, dram_bw=8)
    assert isinstance(model, CostModel)
    assert (model.name, model.version, model.technology) == ("physical", "1", "freepdk45-int8")


@pytest.mark.parametrize("option", ["noc_bw", "dram_bw"])
def test_bandwidths_below_one_are_refused(option):
    with pytest.raises(InputError, match=option):
        PhysicalModel(**{option: 0})
