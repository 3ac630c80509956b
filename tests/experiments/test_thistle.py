"""The reproduction of Thistle's layers: rows are certificates, and tables, CSV and figure show them."""

import csv
import math

import pytest

from accelgym.costmodels.architecture import Problem
from accelgym.experiments.mapping_agents import MAPPER_PJ_PER_MAC
from accelgym.experiments.thistle import LAYERS, MACHINES, Proof, eyeriss, format_table, prove, prove_problem, write_csv
from accelgym.experiments.thistle.__main__ import main
from accelgym.experiments.thistle.figure import layers_figure


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
    problem = Problem.gemm("g", I=64, J=32, L=64)
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


def test_table_two_has_23_layers():
    assert len(LAYERS) == 23
