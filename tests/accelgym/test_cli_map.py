"""``accelgym map``: files in, files out, errors and exit codes."""

import csv
import json

import pytest
from command_line import answer

import accelgym
from accelgym.costmodels.errors import InputError
from accelgym.costmodels.loopnest import LoopnestModel
from accelgym.costmodels.timeloop import read_timeloop
from accelgym.costmodels.workloads import load_workload

PROBLEM = "problem: {shape: gemm_ABZ, M: 6, N: 4, K: 10}\n"
NODES = """
architecture:
  version: 0.4
  nodes:
  - !Component {name: Dram, class: DRAM, attributes: {width: 64, datawidth: 8}}
  - !Container {name: Column, spatial: {meshX: 3}}
  - !Container {name: Pe, spatial: {meshY: 2}}
  - !Component {name: Rf, class: regfile, attributes: {depth: 16, width: 8, datawidth: 8}}
  - !Component {name: mac, class: intmac, attributes: {width: 8}}
"""
TREE = """
architecture:
  version: 0.3
  subtree:
  - name: system
    local: [{name: Dram, class: DRAM, attributes: {width: 64, word-bits: 8}}]
    subtree:
    - name: chip
      subtree:
      - name: Pe[0..5]
        local:
        - {name: Rf, class: regfile, attributes: {depth: 16, width: 8, word-bits: 8, meshX: 3}}
        - {name: mac, class: intmac, attributes: {datawidth: 8, meshX: 3}}
"""
LONG_NAMES = """
problem:
  shape:
    name: long
    dimensions: [M1, N, Kk]
    data_spaces:
    - {name: A, projection: [[[M1]], [[Kk]]]}
    - {name: B, projection: [[[Kk]], [[N]]]}
    - {name: Z, projection: [[[M1]], [[N]]], read_write: true}
  instance: {M1: 6, N: 4, Kk: 10}
"""
MAPPER = "mapper: {optimization_metrics: [delay, energy]}\n"
CSV = "Layer, M, N, K,\nfirst, 4, 6, 8,\nbig, 6, 6, 6,\nagain, 4, 6, 8,\n"


def run(*arguments):
    found = answer(*arguments)
    return found.returncode, found.stdout, found.stderr


def put(folder, name, text):
    (folder / name).write_text(text)
    return folder / name


@pytest.mark.parametrize("problem", [PROBLEM, LONG_NAMES], ids=["letters", "words"])
@pytest.mark.parametrize("machine", [NODES, TREE], ids=["v0.4", "v0.3"])
def test_the_files_are_read_back_with_equal_counts(tmp_path, problem, machine):
    files = [put(tmp_path, "p.yaml", problem), put(tmp_path, "a.yaml", machine)]
    out = tmp_path / "out"
    code, text, _ = run("map", *files, put(tmp_path, "m.yaml", MAPPER), "--out", out, "--json")
    assert code == 0
    found = json.loads(text)
    assert {"value", "lower_bound", "gap", "cycles", "energy_pj", "utilization", "seconds", "layers"} <= set(found)
    assert found["value"] == found["cycles"]
    assert found["gap"] <= 1e-3
    stats = out / "timeloop-mapper.stats.txt"
    code, text, _ = run("import", "timeloop", *files, out / "timeloop-mapper.map.yaml", "--compare", stats, "--json")
    assert code == 0, text
    read = json.loads(text)
    assert read["compare"]["differences"] == []
    assert read["compare"]["values"] > 20
    assert (read["result"]["cycles"], read["result"]["energy_pJ"]["total"]) == (found["cycles"], found["energy_pj"])
    # What is meant for timeloop-model holds everything, under names that it takes.
    whole = read_timeloop(out / "timeloop-model.yaml")
    costs = LoopnestModel(whole.problem, whole.architecture).evaluate(whole.mappings)
    assert costs.latency_cycles[0] == found["cycles"]
    assert costs.energy_pj[0] == pytest.approx(found["energy_pj"], rel=1e-9)
    # A changed count is noticed.
    stats.write_text(stats.read_text().replace("Computes = 240", "Computes = 241"))
    assert run("import", "timeloop", *files, out / "timeloop-mapper.map.yaml", "--compare", stats)[0] == 1


def test_python_does_the_same(tmp_path):
    files = [put(tmp_path, "p.yaml", PROBLEM), put(tmp_path, "a.yaml", NODES)]
    code, text, _ = run("map", *files, "--objective", "energy", "--out", tmp_path / "out", "--json")
    assert code == 0
    told = json.loads(text)
    found = accelgym.map(files[0], files[1], objective="energy")
    assert (found.value, found.lower_bound, found.cycles) == (told["value"], told["lower_bound"], told["cycles"])
    assert found.loop_nest == (tmp_path / "out" / "timeloop-mapper.map.txt").read_text().rstrip("\n")
    layer = load_workload("resnet18").compute_layers[-1]
    assert accelgym.map(layer, "tpu_like", objective="delay").cycles > 0
    with pytest.raises(InputError, match="layer is 3"):
        accelgym.map(3, "tpu_like")
    with pytest.raises(InputError, match="architecture preset"):
        accelgym.map(layer, "tpu")


def test_a_network_gives_a_mapping_a_layer_and_equal_layers_are_searched_once(tmp_path):
    files = [put(tmp_path, "net.csv", CSV), put(tmp_path, "a.yaml", NODES)]
    out = tmp_path / "out"
    code, text, _ = run("map", *files, "--objective", "edp", "--out", out, "--json")
    assert code == 0
    found = json.loads(text)
    layers = found["layers"]
    assert [(x["name"], x["same_as"], x["folder"]) for x in layers] == [
        ("first", None, "layers/001-first"),
        ("big", None, "layers/002-big"),
        ("again", "first", "layers/001-first"),
    ]
    assert found["cycles"] == sum(x["cycles"] for x in layers)
    assert found["energy_pj"] == pytest.approx(sum(x["energy_pj"] for x in layers))
    assert found["value"] == pytest.approx(found["energy_pj"] * found["cycles"])
    assert found["lower_bound"] <= found["value"]
    assert found["proven"] == 3
    assert (out / "map.png").read_bytes().startswith(b"\x89PNG")
    with (out / "layers.csv").open() as file:
        rows = list(csv.DictReader(file))
    assert [float(row["energy_pj"]) for row in rows] == [x["energy_pj"] for x in layers]
    parts = [key for key in rows[0] if key.endswith("_pj") and key != "energy_pj"]
    assert sum(float(rows[1][part]) for part in parts) == pytest.approx(layers[1]["energy_pj"])
    stats = out / "layers/002-big/timeloop-mapper.stats.txt"
    whole = out / "layers/002-big/timeloop-model.yaml"
    assert run("import", "timeloop", whole, "--compare", stats)[0] == 0
    code, text, _ = run("map", *files, "--objective", "edp", "--out", out)
    assert code == 0
    assert "3 of 3 layers proven to 0.1 %, 2 distinct, 2 from before" in text


def test_a_layer_that_nothing_fits_is_named_and_the_others_are_answered(tmp_path):
    # The inputs, weights and outputs of one column take 8 + 8 + 1 words in the first layer, 6 + 6 + 1 in the second.
    limits = "constraints: {targets: [{target: Rf, type: temporal, factors: L=0}]}\n"
    files = [put(tmp_path, "net.csv", CSV), put(tmp_path, "a.yaml", NODES), put(tmp_path, "c.yaml", limits)]
    options = ("--objective", "energy", "--no-bypass", "--out", tmp_path / "out")
    code, text, error = run("map", *files, *options, "--json")
    assert code == 2
    found = json.loads(text)
    assert found["value"] is None
    assert ["error" in layer for layer in found["layers"]] == [True, False, True]
    reason = (
        "no mapping of 'first' fits 'architecture': the smallest tiles at 'Rf' (Inputs, Weights, Outputs) take 17 "
        "words, 1 more than the 16 that it holds"
    )
    assert found["layers"][0]["error"] == reason
    assert found["layers"][2]["same_as"] == "first"
    assert f"error: {reason}\n" in error
    assert "Traceback" not in error
    code, text, _ = run("map", *files, *options)
    assert code == 2
    assert "no mapping" in text
    assert "1 of 3 layers proven" in text


def test_a_memory_that_is_too_small_is_named(tmp_path):
    small = put(tmp_path, "a.yaml", NODES.replace("depth: 16", "depth: 2"))
    code, text, error = run("map", put(tmp_path, "p.yaml", PROBLEM), small, "--no-bypass", "--out", tmp_path / "out")
    assert (code, text) == (2, "")
    assert error.count("\n") == 1
    assert "the smallest tiles at 'Rf' (A, B, Z) take 3 words, 1 more than the 2 that it holds" in error


def test_another_run_does_not_overwrite_this_one(tmp_path):
    files = [put(tmp_path, "p.yaml", PROBLEM), put(tmp_path, "a.yaml", NODES)]
    assert run("map", *files, "--objective", "energy", "--out", tmp_path / "out")[0] == 0
    code, _, error = run("map", *files, "--objective", "delay", "--out", tmp_path / "out")
    assert code == 2
    assert "holds another run (other metrics)" in error
    code, _, error = run("map", "--out", tmp_path / "new")
    assert code == 2
    assert "no architecture" in error
    assert not (tmp_path / "new").exists()
