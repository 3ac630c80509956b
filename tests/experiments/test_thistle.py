"""The reproduction of Thistle's layers: rows are certificates, and tables, CSV and figure show them."""

import csv
import math

import pytest

from accelgym.costmodels.architecture import LoopNest
from accelgym.costmodels.architecture.family import ArchitectureFamily
from accelgym.costmodels.components.technologies import technology
from accelgym.costmodels.timeloop.presets import preset
from accelgym.experiments.mapping_agents import MAPPER_PJ_PER_MAC
from accelgym.experiments.thistle import (
    LAYERS,
    MACHINES,
    Proof,
    eyeriss,
    format_study,
    format_table,
    prove,
    prove_problem,
    study,
    write_csv,
)
from accelgym.experiments.thistle.__main__ import main
from accelgym.experiments.thistle.figure import layers_figure, study_figure


@pytest.fixture(scope="module")
def proof():
    return prove("thistle/resnet18", 1, "eyeriss", eyeriss(), "energy", seconds=20, budget=200)


def test_a_proven_layer_lies_between_its_bound_and_everything_found(proof):
    assert proof.lower_bound <= proof.value <= min(proof.thistle, proof.random_pruned)
    assert proof.gap <= 1.001e-3
    assert proof.value < MAPPER_PJ_PER_MAC["thistle/resnet18", "L1"]
    assert (proof.layer, proof.unit) == ("L1", "pj_per_mac")


@pytest.mark.parametrize("objective", ["latency", "edp"])
def test_bounds_are_stated_in_the_unit_of_the_value(objective):
    machine = MACHINES["eyeriss, 4/16 words a cycle"]()
    problem = LoopNest.gemm("g", I=64, J=32, L=64)
    found = prove_problem(problem, "narrow", machine, objective, seconds=5)
    if objective == "latency":
        assert found.value <= found.lower_bound <= 168
    else:
        assert found.value >= found.lower_bound
    assert math.isnan(found.thistle)


def test_the_readings_of_the_sram_constant_differ_in_its_price_alone():
    prices = {unit: eyeriss(unit).levels[1].read_pj for unit in ("words", "bytes", "bits")}
    assert prices == pytest.approx({"words": 4.577, "bytes": 6.473, "bits": 18.309}, rel=1e-3)
    assert eyeriss("bits").with_level("SRAM", read_pj=prices["words"], write_pj=prices["words"]) == eyeriss()


def test_table_csv_and_figure_hold_the_same_rows(proof, tmp_path):
    rows = [proof, Proof(**{**vars(proof), "machine": "other", "thistle": math.nan})]
    text = format_table(rows)
    assert text.count("| thistle/resnet18 L1 |") == 2
    assert f"{proof.value:.4f} | {proof.lower_bound:.4f}" in text
    assert text.count("1 of 1 proven") == 2
    write_csv(tmp_path / "proofs.csv", rows)
    with (tmp_path / "proofs.csv").open() as file:
        read = list(csv.DictReader(file))
    assert [float(row["value"]) for row in read] == [proof.value] * 2
    figure = layers_figure(rows)
    titles = [axes.get_title() for axes in figure.axes]
    assert titles == ["eyeriss: energy", "other: energy"]
    assert figure.axes[0].patches[0].get_height() == proof.value


def test_the_command_leaves_three_files(tmp_path, capsys):
    main(["--out", str(tmp_path / "out"), "--every", "100", "--budget", "0", "--seconds", "5"])
    assert {path.name for path in (tmp_path / "out").iterdir()} == {"proofs.csv", "table.md", "layers.png"}
    assert "thistle/resnet18 L1" in capsys.readouterr().out


LAYER_MACS = {("thistle/resnet18", "L5"): 28 * 28 * 128 * 64, ("thistle/yolo9000", "L8"): 17 * 17 * 512 * 1024}


@pytest.fixture(scope="module", params=["energy", pytest.param("latency", marks=pytest.mark.slow)])
def compared(request):
    layers = [("thistle/resnet18", 5), ("thistle/yolo9000", 8)]
    return study(layers, request.param, seconds=8)


def test_a_machine_of_its_own_is_never_worse_than_a_shared_one(compared):
    """Nor than Eyeriss, whose sizes the family offers."""
    assert [len(group) for group in compared.groups.values()] == [2, 2, 2]
    machines = {proof.architecture for proof in compared.shared}
    heaviest = max(compared.layerwise, key=lambda proof: proof.total)
    assert machines == {heaviest.architecture}
    for fixed, own, shared in zip(*compared.groups.values(), strict=True):
        assert own.total_bound <= min(own.total, shared.total, fixed.total)
        assert shared.total_bound <= shared.total
        assert own.macs == shared.macs == LAYER_MACS[own.workload, own.layer]
    assert compared.shared_bound <= sum(proof.total for proof in compared.shared)
    match = next(k for k, proof in enumerate(compared.layerwise) if proof is heaviest)
    assert compared.shared[match].total == pytest.approx(heaviest.total, rel=2.2e-3)


def test_tables_and_figures_of_a_study_show_its_rows(compared):
    text = format_study(compared)
    first = compared.layerwise[0]
    assert f"| {first.value:.4f} | {first.lower_bound:.4f} |" in text
    size = compared.shared[0].architecture.removeprefix("eyeriss_thistle-")
    assert f"One machine: {size} " in text
    sums = {name: sum(p.total for p in group) for name, group in compared.groups.items()}
    macs = sum(LAYER_MACS.values())
    for name, total in sums.items():
        mean = total / macs if first.unit == "pj_per_mac" else macs / total
        assert f"{name} {mean:.4f}" in text
    bars = study_figure([compared]).axes[0].patches
    shown = [proof.value for group in compared.groups.values() for proof in group]
    assert [bar.get_height() for bar in bars] == shown


def test_an_unfinished_co_design_takes_over_the_mapping_of_the_shared_machine():
    """After a single round both are far from done; the shared machine is a choice of each."""
    found = study([("thistle/resnet18", 4), ("thistle/resnet18", 6)], "latency", seconds=0.0)
    for own, shared in zip(found.layerwise, found.shared, strict=True):
        assert own.total <= shared.total
        assert own.gap == pytest.approx(1 - own.total_bound / own.total)
        assert own.value <= own.lower_bound


@pytest.mark.slow
def test_the_proved_machine_is_at_least_as_good_as_the_papers_way():
    layers = [("thistle/resnet18", 11), ("thistle/resnet18", 5)]
    paper = study(layers, "energy", seconds=10)
    least = study(layers, "energy", seconds=10, minimum=True)
    sums = [sum(proof.total for proof in found.shared) for found in (least, paper)]
    assert sums[0] <= sums[1] * (1 + 2.2e-3)
    assert paper.shared_bound * (1 - 2.2e-3) <= least.shared_bound <= sums[0]


def test_products_of_energy_and_delay_have_no_sum():
    problem = LoopNest.gemm("g", I=8, J=8, L=8)
    found = prove_problem(problem, "eyeriss", eyeriss(), "edp", seconds=5)
    with pytest.raises(ValueError, match="pj_cycles_per_mac2 does not add up"):
        _ = found.total


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--codesign", "--objective", "edp"], "--objective is edp, allowed energy or latency with --codesign"),
        (["--minimum"], "--minimum needs --codesign"),
    ],
)
def test_arguments_that_do_not_go_together_are_refused(arguments, message, tmp_path, capsys):
    with pytest.raises(SystemExit) as stopped:
        main(["--out", str(tmp_path), *arguments])
    assert stopped.value.code == 2
    assert message in capsys.readouterr().err


def test_the_comparison_leaves_three_files(tmp_path, capsys):
    chosen = ["--codesign", "--network", "yolo9000", "--every", "100", "--seconds", "2", "--objective", "latency"]
    main(["--out", str(tmp_path / "out"), *chosen])
    assert {path.name for path in (tmp_path / "out").iterdir()} == {"proofs.csv", "table.md", "codesign.png"}
    assert "thistle/yolo9000 L1" in capsys.readouterr().out


def test_the_family_offers_the_sizes_of_eyeriss():
    """168 processing elements with 512 registers and 64Ki words fill the area exactly."""
    name = "thistle-table3"
    family = ArchitectureFamily.thistle(preset("eyeriss_thistle", prices=name), technology(name))
    offered = {(m.registers, m.sram_words, m.pes) for m in family.machines}
    assert (512, 65536, 168) in offered


def test_table_two_has_23_layers():
    assert len(LAYERS) == 23
