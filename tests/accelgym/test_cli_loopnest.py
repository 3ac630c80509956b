"""Loop-nest commands against what Timeloop printed."""

import gzip
import json
import subprocess
import sys
from pathlib import Path

import pytest
from typer.testing import CliRunner

from accelgym.cli import app
from accelgym.costmodels.timeloop import read_timeloop

GOLDEN = Path(__file__).resolve().parents[1] / "golden" / "timeloop"
PROBLEM = """
problem:
  version: 0.3
  shape:
    name: yolo9000_L1
    dimensions: [N, K, C, P, Q, R, S]
    data-spaces:
      - {name: Weights, projection: [[[K]], [[C]], [[R]], [[S]]]}
      - {name: Inputs, projection: [[[N]], [[C]], [[P], [R]], [[Q], [S]]]}
      - {name: Outputs, projection: [[[N]], [[K]], [[P]], [[Q]]], read-write: True}
  instance: {N: 1, K: 32, C: 3, P: 544, Q: 544, R: 3, S: 3}
"""
ARCH = """
architecture:
  version: 0.4
  nodes:
    - !Component {name: DRAM, class: DRAM, attributes: {type: LPDDR4, width: 16, datawidth: 16}}
    - !Component {name: SRAM, class: SRAM, attributes: {depth: 65536, width: 16, datawidth: 16}}
    - !Container {name: PE, spatial: {meshX: 14, meshY: 12}}
    - !Component {name: RF, class: regfile, attributes: {depth: 512, width: 16, datawidth: 16}}
    - !Component {name: MAC, class: intmac, attributes: {datawidth: 16}}
"""
ERT = """
ERT:
  version: 0.3
  tables:
    - {name: DRAM, actions: [{name: read, energy: 128}, {name: write, energy: 128}]}
    - {name: SRAM, actions: [{name: read, energy: 4.57728}, {name: write, energy: 4.57728}]}
    - {name: RF, actions: [{name: read, energy: 4.64240128}, {name: write, energy: 4.64240128}]}
    - {name: MAC, actions: [{name: compute, energy: 2.2}]}
"""
MAP = """
mapping:
  - {target: DRAM, type: temporal, factors: [P=4, Q=544], permutation: [Q, P]}
  - {target: SRAM, type: temporal, factors: [K=2], permutation: [K]}
  - {target: PE, type: spatial, factors: [P=8, C=3], permutation: [P, C], split: 1}
  - {target: RF, type: temporal, factors: [S=3, K=16, P=17, R=3], permutation: [R, P, K, S]}
"""


def golden(name, count):
    with gzip.open(GOLDEN / f"{name}.jsonl.gz", "rt") as lines:
        return [json.loads(line) for line, _ in zip(lines, range(count), strict=False)]


def run(*arguments):
    result = CliRunner().invoke(app, list(map(str, arguments)), catch_exceptions=False)
    assert result.exit_code == 0, result.output
    return result.stdout


def run_process(*arguments, cwd):
    command = [sys.executable, "-c", "from accelgym.cli import main; main()", *map(str, arguments)]
    return subprocess.run(command, capture_output=True, text=True, cwd=cwd, check=False)


def counts(result):
    keys = ("reads", "fills", "updates")
    return {
        (level, tensor): [words[key] for key in keys]
        for level, tensors in result["accesses"].items()
        for tensor, words in tensors.items()
    }


@pytest.mark.parametrize(("name", "engine"), [("setB", "v3.0.3"), ("setB_head", "head"), ("setC_tiny", "v3.0.3")])
def test_golden_rows_go_through_the_command_line(tmp_path, name, engine):
    rows = golden(name, 24)
    source, target = tmp_path / "rows.jsonl", tmp_path / "out.jsonl"
    source.write_text("".join(json.dumps(row | {"engine": engine}) + "\n" for row in rows))
    run("evaluate", "--model", "loopnest", "--in", source, "--out", target, "--counting", "sampled")
    found = [json.loads(line) for line in target.read_text().splitlines()]
    assert [row["id"] for row in found] == [row["id"] for row in rows]
    for ours, row in zip(found, rows, strict=True):
        assert counts(ours["result"]) == counts(row["result"])
        for key in ("cycles", "utilized_pes"):
            assert ours["result"][key] == row["result"][key]
        assert ours["result"]["energy_pJ"] == pytest.approx(row["result"]["energy_pJ"], rel=1e-6, abs=1e-3)


def test_an_invalid_mapping_is_a_row_with_a_reason(tmp_path):
    row = golden("setC_tiny", 1)[0]
    row["mapping"]["temporal"]["DRAM"][0]["bound"] += 1
    source, target = tmp_path / "rows.jsonl", tmp_path / "out.jsonl"
    source.write_text(json.dumps(row))
    run("evaluate", "--model", "loopnest", "--in", source, "--out", target)
    result = json.loads(target.read_text())["result"]
    assert result["valid"] is False
    assert result["reason"] == "FACTORISATION"
    assert result["message"] == "mapping: the factors of P cover 9, the bound is 6"


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ([], "rows.jsonl: line 2 (id 'x'): problem.dims.K is 0, allowed integers >= 1"),
        (["--counting", "sampledd"], "unknown counting 'sampledd': did you mean 'sampled'"),
        (["--compat"], "unknown option of loopnest 'compat'"),
        (["--option", "engine=v3"], "unknown engine 'v3'"),
        (["--model", "maestro", "--counting", "walk"], "--counting walk: an option of loopnest, not of 'maestro'"),
        (["--model", "loopnes"], "did you mean 'loopnest'"),
    ],
)
def test_bad_input_exits_with_2_and_writes_nothing(tmp_path, options, message):
    rows = golden("setC_tiny", 2)
    rows[1]["problem"]["dims"]["K"] = 0
    rows[1]["id"] = "x"
    (tmp_path / "rows.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    files = ("--in", "rows.jsonl", "--out", "out.jsonl")
    result = run_process("evaluate", "--model", "loopnest", *files, *options, cwd=tmp_path)
    assert result.returncode == 2
    assert message in result.stderr.replace("\n", " ")
    assert "Traceback" not in result.stderr
    assert [path.name for path in tmp_path.iterdir()] == ["rows.jsonl"]


@pytest.fixture
def native(tmp_path):
    for name, text in (("problem", PROBLEM), ("arch", ARCH + ERT), ("laws", ARCH), ("map", MAP)):
        (tmp_path / f"{name}.yaml").write_text(text)
    return tmp_path


def test_native_timeloop_files_give_what_timeloop_printed(native):
    row = golden("setB_head", 1)[0]
    assert row["id"] == "B0000"
    files = [native / f"{name}.yaml" for name in ("problem", "arch", "map")]
    result = json.loads(run("import", "timeloop", *files, "--json"))["result"]
    assert counts(result) == counts(row["result"])
    assert result["cycles"] == row["result"]["cycles"]
    assert result["energy_pJ"] == pytest.approx(row["result"]["energy_pJ"], rel=1e-9)
    text = run("import", "timeloop", *files)
    for words in counts(row["result"]).values():
        assert all(f"{count:,}" in text for count in words)
    assert "utilisation 14.29%" in text


def test_parts_of_the_energy_add_up(native):
    files = [native / f"{name}.yaml" for name in ("problem", "laws", "map")]
    energy = json.loads(run("import", "timeloop", *files, "--json"))["result"]["energy_pJ"]
    total = energy.pop("total")
    assert energy["leakage"] > 0
    assert sum(energy.values()) == pytest.approx(total, rel=1e-12)


@pytest.mark.parametrize(
    ("files", "edit", "message"),
    [
        (["problem", "arch"], ("", ""), "no 'mapping' section in problem.yaml, arch.yaml"),
        (["problem", "arch", "nothing"], ("", ""), "nothing.yaml: no such file"),
        (["problem", "arch", "map"], ("K=16", "K=15"), "the factors of K cover 30, the bound is 32"),
        (["problem", "arch", "map"], ("P=17", "P=68"), "the factors of P cover 2176"),
        (["problem", "arch", "map"], ("K=2]", "K=2, C=3]"), "the factors of C cover 9"),
        (["problem", "arch", "map"], ("P=4, Q=544]", "Q=34]"), "the factors of P cover 136"),
        (["problem", "arch", "map"], ("target: SRAM", "target: L2"), "unknown temporal target 'L2'"),
    ],
)
def test_native_files_that_do_not_fit_are_answered(native, files, edit, message):
    (native / "map.yaml").write_text(MAP.replace(*edit) if edit[0] else MAP)
    result = run_process("import", "timeloop", *(f"{name}.yaml" for name in files), cwd=native)
    assert result.returncode == 2
    assert message in result.stderr.replace("\n", " ")
    assert "Traceback" not in result.stderr


def test_the_oracle_exports_the_mapping_it_proved(tmp_path):
    (tmp_path / "net.csv").write_text("K,C,Y,X,R,S,T\n4,2,4,4,1,1,1\n")
    arguments = ["oracle", "--env", "accelgym/Mapping-v0", "--set", f"workload={tmp_path / 'net.csv'}"]
    arguments += ["--set", "layer=1", "--set", "objective=energy", "--set", "arch=memory_access_exercise"]
    proved = json.loads(run(*arguments, "--export-timeloop", str(tmp_path / "out"), "--json"))
    assert proved["gap"] == 0
    priced = json.loads(run("import", "timeloop", str(tmp_path / "out" / "timeloop.yaml"), "--json"))["result"]
    assert priced["energy_pJ"]["total"] == pytest.approx(proved["value"], rel=1e-9)


def test_the_oracle_exports_the_machine_it_chose(tmp_path):
    (tmp_path / "net.csv").write_text("K,C,Y,X,R,S,T\n4,2,4,4,1,1,1\n")
    arguments = ["oracle", "--env", "accelgym/CoDesign-v0", "--set", f"workload={tmp_path / 'net.csv'}"]
    arguments += ["--set", "layer=1", "--set", "objective=energy", "--set", "area_um2=20000"]
    arguments += ["--set", "registers=[4,8,16]", "--set", "sram_words=[16,64,256]"]
    proved = json.loads(run(*arguments, "--export-timeloop", str(tmp_path / "out"), "--json"))
    assert proved["lower_bound"] <= proved["value"] <= proved["lower_bound"] * (1 + 1.1e-3)
    assert proved["pj_per_mac"] == pytest.approx(proved["value"] / (4 * 2 * 4 * 4))
    path = tmp_path / "out" / "timeloop.yaml"
    priced = json.loads(run("import", "timeloop", str(path), "--json"))["result"]
    assert priced["energy_pJ"]["total"] == pytest.approx(proved["value"], rel=1e-9)
    words = [level.capacity_words for level in read_timeloop(path).architecture.levels]
    assert words == [None, proved["design"]["SRAM.words"], proved["design"]["RF.words"]]


def test_a_budget_that_holds_no_machine_is_answered(tmp_path):
    result = run_process("oracle", "--env", "accelgym/CoDesign-v0", "--set", "area_um2=500", cwd=tmp_path)
    assert result.returncode == 2
    assert "no machine of the family of 'eyeriss_thistle' fits into 500 um2" in result.stderr.replace("\n", " ")
    assert "Traceback" not in result.stderr
