import dataclasses
import itertools
import warnings

import numpy as np
import pytest

from accelgym.costmodels.costs import CostModel, Reason
from accelgym.costmodels.errors import InputError
from accelgym.costmodels.maestro import FIXED, MAESTRO_FAULTS, Faults, MaestroModel, closed_form, general_rules
from accelgym.costmodels.maestro.batch import BLOCK
from accelgym.costmodels.maestro.columns import Batch
from accelgym.costmodels.maestro.designs import Dataflow, ResourceDesigns
from accelgym.costmodels.models import cost_models

TABLES = ("maestro_train", "maestro_noc_bw_train")
SWITCHES = [f.name for f in dataclasses.fields(Faults)]
VARIANTS = {
    "compat": MAESTRO_FAULTS,
    "fixed": FIXED,
    **{f"without {s}": dataclasses.replace(MAESTRO_FAULTS, **{s: False}) for s in SWITCHES},
    **{f"only {s}": dataclasses.replace(FIXED, **{s: True}) for s in SWITCHES},
}
COUNTS = {
    "l1_bytes": "l1_req_bytes",
    "l2_bytes": "l2_req_bytes",
    "input_l2_reads": "input_l2_read",
    "filter_l2_reads": "filter_l2_read",
    "output_l2_writes": "output_l2_write",
    "macs": "true_macs",
}


def one(dataflow=Dataflow.DLA, **values):
    layer = {"K": 8, "C": 6, "Y": 12, "X": 10, "R": 3, "S": 3, "num_pes": 4, "buffer_level": 2} | values
    depthwise = layer.pop("depthwise", False)
    return ResourceDesigns(depthwise=depthwise, dataflow=dataflow, **layer)


# -- the program ----------------------------------------------------------------------------------------------


@pytest.mark.parametrize("table", [*TABLES, "maestro_depthwise"])
def test_every_valid_row_of_the_program_is_reproduced(table, golden_rows, designs_of):
    rows = golden_rows(table)
    costs = MaestroModel().evaluate(designs_of(rows))
    valid = np.array([row["valid"] == "1" for row in rows])
    good = [row for row in rows if row["valid"] == "1"]
    assert len(good) > 150
    np.testing.assert_array_equal(costs.latency_cycles[valid], [int(row["runtime_cycles"]) for row in good])
    for ours, theirs in COUNTS.items():
        np.testing.assert_array_equal(costs.breakdown[ours][valid], [int(row[theirs]) for row in good], err_msg=ours)
    for column, theirs in (
        (costs.breakdown["energy_nj"], "energy_nj_units"),
        (costs.energy_pj / 1000, "energy_nj_units"),
        (costs.area_um2, "area_um2_units"),
        (costs.power_mw, "power_mw_units"),
    ):
        assert [f"{x:.6g}" for x in column[valid]] == [f"{float(row[theirs]):.6g}" for row in good], theirs


@pytest.mark.parametrize("table", TABLES)
def test_failures_of_the_program_are_recognised_and_nothing_else_is(table, golden_rows, designs_of):
    rows = golden_rows(table)
    costs = MaestroModel().evaluate(designs_of(rows))
    expected = [
        Reason.DEGENERATE if row["degenerate"] == "1" else Reason.INT32_OVERFLOW if row["int32_overflow"] == "1" else 0
        for row in rows
    ]
    assert {Reason.DEGENERATE, Reason.INT32_OVERFLOW} <= set(expected)
    np.testing.assert_array_equal(costs.reason, expected)
    np.testing.assert_array_equal(costs.valid, [row["valid"] == "1" for row in rows])


# -- closed forms against the general rules -------------------------------------------------------------------


@pytest.mark.parametrize("dataflow", list(Dataflow))
@pytest.mark.parametrize("variant", VARIANTS)
def test_closed_forms_equal_the_general_rules_where_the_noc_is_wide(variant, dataflow, random_designs):
    faults = VARIANTS[variant]
    designs = random_designs(np.random.default_rng(int(dataflow)), 3000, dataflow)
    valid = MaestroModel(faults=faults, noc_bw=None).evaluate(designs).valid
    problem, _ = Batch.of(designs, 10**12).problem(slice(None), float(dataflow))
    with np.errstate(all="ignore"):
        traffic, cycles = closed_form.traffic(problem, dataflow, faults), closed_form.latency(problem, faults)
        general = general_rules.analyse(problem, dataflow, faults)
    assert valid.sum() > 1000
    np.testing.assert_array_equal(cycles[valid], general.runtime[valid])
    for name in ("input_reads", "filter_reads", "output_writes", "first_case", "macs"):
        if name != "macs" or dataflow is Dataflow.DPT:
            found = np.broadcast_to(getattr(traffic, name), valid.shape)
            np.testing.assert_array_equal(found[valid], getattr(general, name)[valid], err_msg=name)


@pytest.mark.parametrize("dataflow", list(Dataflow))
@pytest.mark.parametrize("variant", VARIANTS)
def test_the_recorded_runtime_and_closed_traffic_are_those_of_the_rules_on_any_noc(variant, dataflow, random_designs):
    """The rules carried out on arrays as they stand, in which a state counts only where a design is ever in it."""
    faults, rng = VARIANTS[variant], np.random.default_rng(10 + int(dataflow))
    designs = random_designs(rng, 2000, dataflow)
    designs = dataclasses.replace(designs, noc_bw=np.exp(rng.uniform(0, 9, 2000)).astype(int))
    costs = MaestroModel(faults=faults).evaluate(designs)
    problem, _ = Batch.of(designs, None).problem(slice(None), float(dataflow))
    with np.errstate(all="ignore"):
        general = general_rules.analyse(problem, dataflow, faults)
        recorded = general_rules.runtime(problem, dataflow, faults)
    valid = costs.valid
    assert valid.sum() > 700
    np.testing.assert_array_equal(recorded[valid], general.runtime[valid])
    np.testing.assert_array_equal(costs.latency_cycles[valid], general.runtime[valid])
    np.testing.assert_array_equal(costs.breakdown["input_l2_reads"][valid], general.input_reads[valid])
    np.testing.assert_array_equal(costs.breakdown["filter_l2_reads"][valid], general.filter_reads[valid])
    np.testing.assert_array_equal(costs.breakdown["output_l2_writes"][valid], general.output_writes[valid])
    np.testing.assert_array_equal(costs.breakdown["l2_bytes"][valid], 2.0 * general.first_case[valid])


@pytest.mark.parametrize("dataflow", list(Dataflow))
@pytest.mark.parametrize("compat", [True, False])
def test_a_wider_noc_is_never_slower(dataflow, compat, random_designs):
    rng = np.random.default_rng(7)
    designs = random_designs(rng, 2000, dataflow)
    model = MaestroModel(compat=compat)
    cycles = [
        model.evaluate(dataclasses.replace(designs, noc_bw=np.full(2000, bw))) for bw in (1, 3, 16, 256, 10**6, 10**12)
    ]
    for slow, fast in itertools.pairwise(cycles):
        assert (slow.latency_cycles >= fast.latency_cycles)[slow.valid].all()
    assert (cycles[0].latency_cycles > cycles[-1].latency_cycles).any()
    unlimited = MaestroModel(compat=compat, noc_bw=None).evaluate(designs)
    np.testing.assert_array_equal(cycles[-1].latency_cycles, unlimited.latency_cycles)


# -- the mended model ----------------------------------------------------------------------------------------


@pytest.mark.parametrize("dataflow", list(Dataflow))
@pytest.mark.parametrize("noc_bw", [None, 1, 7])
def test_no_mended_design_exceeds_one_mac_per_cycle_and_pe(dataflow, noc_bw, random_designs):
    designs = random_designs(np.random.default_rng(3), 20_000, dataflow, largest=60)
    costs = MaestroModel(compat=False, noc_bw=noc_bw).evaluate(designs)
    assert costs.valid.all()
    assert (costs.latency_cycles * designs.num_pes >= costs.breakdown["macs"]).all()
    assert (costs.breakdown["utilisation"] <= 1).all()


# -- each fault by its effect ---------------------------------------------------------------------------------


def both(switch, design):
    """The design with only this fault, and with none."""
    return [
        MaestroModel(faults=faults, noc_bw=None).evaluate(design)
        for faults in (dataclasses.replace(FIXED, **{switch: True}), FIXED)
    ]


def test_edge_tiles_lose_designs_and_charge_partial_tiles_in_full():
    lost, kept = both("edge_tiles", one(Dataflow.SHI, Y=4, X=12, num_pes=4))
    assert (lost.reason, kept.reason) == (Reason.DEGENERATE, Reason.OK)
    # Five tiles of two filters over nine filters: the last one takes the time of two.
    full, exact = both("edge_tiles", one(K=9, C=4))
    positions = 10 * 8
    assert full.latency_cycles - exact.latency_cycles == positions * 9
    # Depthwise, rounds of three PEs with four channels each: the last one has a PE with four and one with a single
    # channel, and the program times the latter; in the first round it times the former.
    for channels, saved in ((17, 3), (5, 0)):
        short, exact = both("edge_tiles", one(Dataflow.DPT, K=1, C=channels, depthwise=True, num_pes=3, buffer_level=4))
        assert exact.latency_cycles - short.latency_cycles == positions * 9 * saved


def test_int32_iterations_bound_the_layer():
    large = one(K=508, C=376, Y=128, X=224, R=9, S=9, num_pes=1, buffer_level=1)
    lost, kept = both("int32_iterations", large)
    assert (lost.reason, kept.reason) == (Reason.INT32_OVERFLOW, Reason.OK)
    assert kept.latency_cycles > 508 * 376 * 120 * 216 * 81


def test_energy_without_the_fault_counts_macs_and_l1():
    partial, whole = both("energy_l2_only", one())
    macs = 8 * 6 * 9 * 80
    assert whole.energy_pj - partial.energy_pj > 0.23 * macs * (1 + 4 * 1.68)
    assert partial.energy_pj < whole.energy_pj


def test_missed_reloads_undercount_the_input():
    missed, fetched = both("missed_reloads", one(K=8, C=4, num_pes=4, buffer_level=2))
    # Each of the three later tiles of filters starts again with the first window of all four channels.
    assert fetched.breakdown["input_l2_reads"] - missed.breakdown["input_l2_reads"] == 3 * 4 * 9


def test_edge_traffic_charges_partial_tiles_in_full():
    charged, exact = both("edge_traffic", one(K=9, C=4))
    assert exact.breakdown["filter_l2_reads"] == 9 * 4 * 9
    assert charged.breakdown["filter_l2_reads"] == 10 * 4 * 9
    rows, exact = both("edge_traffic", one(Dataflow.SHI, Y=13))
    assert rows.breakdown["output_l2_writes"] - exact.breakdown["output_l2_writes"] == 8 * 6 * 8 * 2


def test_l1_output_window_oversizes_the_buffer():
    window, element = both("l1_output_window", one(K=3, buffer_level=5))
    assert element.breakdown["l1_bytes"] == 2 * (9 + 3 * 9 + 3)
    assert window.breakdown["l1_bytes"] == 2 * 9 * (1 + 2 * 5)


def test_eye_diagonal_exceeds_the_peak():
    design = one(Dataflow.EYE, K=4, C=4, Y=18, X=18, R=7, S=7, num_pes=12, buffer_level=4)
    diagonal, physical = both("eye_diagonal", design)
    assert diagonal.breakdown["utilisation"] > 1
    assert physical.breakdown["utilisation"] <= 1


# -- the contract ---------------------------------------------------------------------------------------------


BAD = {
    "zero channels": ({"C": 0}, Reason.BAD_VALUE),
    "negative row": ({"Y": -3}, Reason.BAD_VALUE),
    "no PEs": ({"num_pes": 0}, Reason.BAD_VALUE),
    "no buffer": ({"buffer_level": -1}, Reason.BAD_VALUE),
    "no NoC": ({"noc_bw": 0}, Reason.BAD_VALUE),
    "unknown dataflow": ({"dataflow": 9}, Reason.BAD_VALUE),
    "dpt on a convolution": ({"dataflow": Dataflow.DPT}, Reason.BAD_VALUE),
    "depthwise with filters": ({"depthwise": True}, Reason.BAD_VALUE),
    "kernel too high": ({"R": 13}, Reason.KERNEL_EXCEEDS_INPUT),
    "kernel too wide": ({"S": 11}, Reason.KERNEL_EXCEEDS_INPUT),
    "huge layer": ({"K": 2**40, "C": 2**40}, Reason.OVERFLOW),
    "huge dimensions": ({"K": 2**62, "C": 2**62, "Y": 2**62, "X": 2**62}, Reason.OVERFLOW),
    "huge array": ({"num_pes": 2**60}, Reason.OVERFLOW),
}


@pytest.mark.parametrize("compat", [True, False])
@pytest.mark.parametrize("case", BAD)
def test_bad_designs_are_rows_with_a_reason(case, compat):
    change, reason = BAD[case]
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        costs = MaestroModel(compat=compat).evaluate(one(**change))
        assert costs.breakdown["utilisation"] == 0
    assert (bool(costs.valid), Reason(int(costs.reason))) == (False, reason)
    assert costs.latency_cycles == 0


def test_bad_rows_leave_their_neighbours_alone():
    K = np.array([8, 0, 8, -5, 8, 2**62])
    flow = np.array([0, 0, 1, 1, 7, 0])
    costs = MaestroModel().evaluate(one(flow, K=K))
    np.testing.assert_array_equal(costs.valid, [True, False, True, False, False, False])
    alone = [MaestroModel().evaluate(one(int(flow[i]), K=8)).latency_cycles for i in (0, 2)]
    np.testing.assert_array_equal(costs.latency_cycles[[0, 2]], alone)


def test_rows_do_not_depend_on_their_batch(random_designs):
    rng = np.random.default_rng(5)
    count = BLOCK + 500
    flows = [random_designs(rng, count, flow) for flow in (Dataflow.DLA, Dataflow.EYE, Dataflow.SHI, Dataflow.DPT)]
    names = [f.name for f in dataclasses.fields(ResourceDesigns) if f.name != "noc_bw"]
    order = rng.permutation(4 * count)
    mixed = {n: np.concatenate([getattr(d, n) for d in flows])[order] for n in names}
    model = MaestroModel(compat=False)
    together = model.evaluate(ResourceDesigns(**mixed))
    for i in range(0, 4 * count, 997):
        row = model.evaluate(ResourceDesigns(**{n: column[i] for n, column in mixed.items()}))
        assert row.latency_cycles.shape == ()
        for figure in ("latency_cycles", "energy_pj", "area_um2", "power_mw", "valid", "reason"):
            assert getattr(row, figure) == getattr(together, figure)[i], figure
        for name in together.breakdown:
            assert row.breakdown[name] == together.breakdown[name][i], name
    np.testing.assert_array_equal(model.latency(ResourceDesigns(**mixed)), together.latency_cycles)


def test_columns_broadcast():
    pes, buffers = np.array([1, 2, 4]), np.arange(1, 5)
    grid = MaestroModel().evaluate(one(num_pes=pes[:, None], buffer_level=buffers))
    flat = MaestroModel().evaluate(one(num_pes=np.repeat(pes, 4), buffer_level=np.tile(buffers, 3)))
    assert grid.latency_cycles.shape == grid.breakdown["macs"].shape == (3, 4)
    np.testing.assert_array_equal(grid.latency_cycles.ravel(), flat.latency_cycles)
    np.testing.assert_array_equal(grid.area_um2.ravel(), flat.area_um2)


def test_the_registry_builds_it():
    model = cost_models.get("maestro")(compat=False, noc_bw=64)
    assert isinstance(model, CostModel)
    assert (model.name, model.version, model.technology) == ("maestro", "1-fixed", "maestro-28nm")
    costs = model.evaluate(one())
    assert (costs.model, costs.version) == ("maestro", "1-fixed")
    assert set(costs.breakdown) > {"macs", "utilisation"}
    with pytest.raises(KeyError):
        costs.breakdown["no such figure"]


@pytest.mark.parametrize("noc_bw", [0, -4])
def test_a_narrow_noc_is_refused(noc_bw):
    with pytest.raises(InputError, match="noc_bw"):
        MaestroModel(noc_bw=noc_bw)


def test_an_unlimited_noc_has_no_bus():
    wide, none = (MaestroModel(noc_bw=bw).evaluate(one()) for bw in (81_920_000, None))
    assert wide.latency_cycles == none.latency_cycles
    assert wide.area_um2 > 1000 * none.area_um2
