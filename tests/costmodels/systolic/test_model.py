"""The cost model ``systolic``: batches, traffic, energy and validity."""

from itertools import product

import numpy as np
import pytest

from accelgym.costmodels.costs import CostModel, Reason
from accelgym.costmodels.errors import InputError
from accelgym.costmodels.models import cost_models
from accelgym.costmodels.systolic.columns import Hardware, LayerColumns
from accelgym.costmodels.systolic.config import make_config
from accelgym.costmodels.systolic.model import SystolicDesigns, SystolicModel
from accelgym.costmodels.systolic.operand_types import OperandTypes
from accelgym.costmodels.systolic.scheduler import Tiling
from accelgym.costmodels.systolic.tiling import tile_terms
from accelgym.costmodels.systolic.traffic import traffic
from accelgym.costmodels.workloads.layer import Layer

LAYERS = (
    Layer.conv("a", K=20, C=12, H=10, R=3, padding=1),
    Layer.gemm("b", M=30, K=16, C=40),
    Layer.conv("a again", K=20, C=12, H=10, R=3, padding=1),
)
CONFIGS = (
    make_config(rows=4, columns=4),
    make_config(rows=8, columns=2, template="output_stationary", weight_type="int4"),
    make_config(rows=4, columns=4, scale_type="e8m0"),
    make_config(rows=16, columns=4, weight_buffer_depth=8),
)


def test_it_is_a_registered_cost_model():
    model = cost_models.get("systolic")(objective="energy")
    assert isinstance(model, CostModel)
    assert (model.name, model.technology) == ("systolic", "aladdin-cacti-45nm")
    with pytest.raises(InputError, match="unknown objective 'area'"):
        SystolicModel("area")
    with pytest.raises(InputError, match="evaluates SystolicDesigns, not tuple"):
        model.evaluate(())


@pytest.mark.parametrize("objective", ["latency", "energy"])
def test_a_batch_is_its_rows(objective):
    model = SystolicModel(objective)
    costs = model.evaluate(SystolicDesigns(CONFIGS, LAYERS))
    assert costs.latency_cycles.shape == (4, 3)
    for i, config in enumerate(CONFIGS):
        for j, layer in enumerate(LAYERS):
            one = model.evaluate(SystolicDesigns([config], [layer]))
            for name in ("latency_cycles", "energy_pj", "area_um2", "power_mw", "valid", "reason"):
                assert getattr(one, name)[0, 0] == getattr(costs, name)[i, j]
            for name, values in costs.breakdown.items():
                assert one.breakdown[name][0, 0] == values[i, j], name


def test_designs_without_a_tile_are_rows():
    costs = SystolicModel().evaluate(SystolicDesigns(CONFIGS, LAYERS))
    assert costs.valid.tolist() == [[True] * 3] * 3 + [[False] * 3]
    assert set(costs.reason[3].tolist()) == {int(Reason.CAPACITY)}


def test_the_parts_make_the_energy_and_power():
    costs = SystolicModel().evaluate(SystolicDesigns(CONFIGS[:3], LAYERS))
    parts = ("memory", "buffers", "array", "control", "clock", "leakage")
    energies = [costs.breakdown[f"energy_{part}_pj"] for part in parts]
    assert np.allclose(sum(energies), costs.energy_pj, rtol=1e-12)
    assert all(np.all(energy >= 0) for energy in energies)
    clock = np.array([config.clock_ghz for config in CONFIGS[:3]])[:, None]
    assert np.allclose(costs.power_mw * costs.latency_cycles, costs.energy_pj * clock, rtol=1e-12)


def test_energy_schedules_trade_cycles_for_energy():
    fast, frugal = (SystolicModel(o).evaluate(SystolicDesigns(CONFIGS[:3], LAYERS)) for o in ("latency", "energy"))
    assert np.all(fast.latency_cycles <= frugal.latency_cycles)
    assert np.all(frugal.energy_pj <= fast.energy_pj * (1 + 1e-12))
    assert np.any(frugal.energy_pj < fast.energy_pj)


def test_nothing_is_faster_than_its_busiest_part():
    costs = SystolicModel().evaluate(SystolicDesigns(CONFIGS[:3], LAYERS))
    for part in ("array", "input_port", "weight_port", "drain"):
        assert np.all(costs.breakdown[f"busy_{part}_cycles"] <= costs.latency_cycles + 20), part
    assert np.all(costs.breakdown["utilisation"] <= 1)


def test_no_configs_and_no_layers_are_empty_arrays():
    assert SystolicModel().evaluate(SystolicDesigns([], LAYERS)).latency_cycles.shape == (0, 3)
    assert SystolicModel().evaluate(SystolicDesigns(CONFIGS, [])).latency_cycles.shape == (4, 0)


def test_layers_run_with_the_formats_they_name():
    mixed = make_config(rows=4, columns=4, weight_type=["int8", "int4"], input_type=["int8", "int12"])
    types = [OperandTypes("int12", "int4"), OperandTypes(weight="int4"), OperandTypes()]
    costs = SystolicModel().evaluate(SystolicDesigns([mixed, CONFIGS[0]], LAYERS, types))
    for j, (layer, wanted) in enumerate(zip(LAYERS, types, strict=True)):
        alone = SystolicModel().evaluate(SystolicDesigns([mixed.with_types(*wanted)], [layer]))
        for name in ("latency_cycles", "energy_pj", "area_um2", "power_mw"):
            assert getattr(costs, name)[0, j] == getattr(alone, name)[0, 0]
    assert len(set(costs.area_um2[0])) == 1  # One machine.
    assert list(costs.reason[1]) == [Reason.FORMAT, Reason.FORMAT, Reason.OK]
    with pytest.raises(InputError, match="2 types for 3 layers"):
        SystolicModel().evaluate(SystolicDesigns([mixed], LAYERS, types[:2]))


def test_multiply_adds_inside_the_image_are_those_of_a_count_over_all_positions():
    for H, R, stride, padding, dilation in product((3, 5, 8), (1, 2, 3), (1, 2, 3), (0, 1, 2), (1, 2)):
        if dilation * (R - 1) + 1 > H + 2 * padding:
            continue
        layer = Layer.conv("conv", K=3, C=2, H=H, W=9, R=R, S=2, stride=(stride, 1), padding=padding, dilation=dilation)
        inside = sum(
            0 <= p * layer.stride[0] + r * dilation - padding < layer.input_height
            and 0 <= q * layer.stride[1] + s * dilation - padding < layer.input_width
            for p, q, r, s in product(range(layer.P), range(layer.Q), range(R), range(2))
        )
        terms = tile_terms(Hardware.of([CONFIGS[0]]), LayerColumns.of([layer]), Tiling(1, 1, 1, 1).arrays())
        assert terms.inside[0] == layer.K * layer.C * inside


def test_traffic_is_what_a_walk_over_the_tiles_moves():
    """A weight-stationary layer, tile by tile, with the two orders of the tile loops."""
    config = make_config(rows=4, columns=4)
    layer = Layer.conv("conv", K=20, C=4, H=10, R=3, padding=1)
    for inner in (False, True):
        tile = Tiling(p1=4, q1=5, k1=2, c1=1, r1=3, s1=3, pixels_inner=inner)
        terms = tile_terms(Hardware.of([config]), LayerColumns.of([layer]), tile.arrays())
        moved = traffic(Hardware.of([config]), terms)
        pixel_tiles, channel_tiles = 3 * 2, 3
        order = [(p, k) for p in range(pixel_tiles) for k in range(channel_tiles)]
        order.sort(key=lambda pair: pair[::-1] if inner else pair)
        loads = {"input": 0, "weight": 0, "output": 0}
        held: dict[str, object] = {}
        for pixels, channels in order:
            if held.get("input") != pixels:
                loads["input"] += (4 + 2) * (5 + 2)
            if held.get("weight") != channels:
                loads["weight"] += 2 * 9 * 4
            loads["output"] += 2 * 4 * 5
            # The operand that the inner loop walks is loaded for every tile.
            held = {"weight": channels} if inner else {"input": pixels}
        assert (moved.input_loads[0], moved.weight_loads[0], moved.outputs[0]) == tuple(loads.values())
        assert moved.array_steps[0] == pixel_tiles * channel_tiles * 2 * 9 * 20
