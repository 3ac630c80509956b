"""Loop-nest commands against what Timeloop printed."""

import gzip
import json
from dataclasses import replace
from pathlib import Path

import pytest
from command_line import answer
from typer.testing import CliRunner

from accelgym.cli import app
from accelgym.cli.mapping_text import print_runs
from accelgym.costmodels.loopnest.terms import COUNTERS
from accelgym.costmodels.timeloop import read_timeloop
from accelgym.envs import certificates, make_task
from accelgym.envs.certificates import write_certificate

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
    result = answer("evaluate", "--model", "loopnest", *files, *options, cwd=tmp_path)
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
    result = answer("import", "timeloop", *(f"{name}.yaml" for name in files), cwd=native)
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


def test_check_proves_a_stored_certificate_again(tmp_path, monkeypatch):
    command = ["oracle", "--env", "accelgym/ResourceAssignment-v0", "--check"]
    assert json.loads(run(*command, "--json"))["differences"] == {}
    assert "the stored certificate equals the one proved in" in " ".join(run(*command).split())
    task = make_task("accelgym/ResourceAssignment-v0")
    wrong = replace(task.reference(), lower_bound=1.0)
    write_certificate(tmp_path / f"{task.id}.json", wrong, {"task": task.id, "proof": task.proof})
    monkeypatch.setattr(certificates, "_SHIPPED", tmp_path)
    result = CliRunner().invoke(app, [*command, "--json"])
    assert result.exit_code == 1
    assert json.loads(result.stdout)["differences"]["lower_bound"]["stored"] == 1.0
    text = CliRunner().invoke(app, command)
    assert text.exit_code == 1
    assert "differs from" in " ".join(text.stdout.split())


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (["--check", "--export-timeloop", "out"], "--export-timeloop: nothing is exported with --check"),
        (["--check", "--set", "budget=0.37"], "no certificate of task"),
    ],
)
def test_check_needs_something_to_compare_with(tmp_path, options, message):
    result = answer("oracle", "--env", "accelgym/ResourceAssignment-v0", *options, cwd=tmp_path)
    assert result.returncode == 2
    assert message in result.stderr.replace("\n", " ")
    assert "Traceback" not in result.stderr


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
    result = answer("oracle", "--env", "accelgym/CoDesign-v0", "--set", "area_um2=500", cwd=tmp_path)
    assert result.returncode == 2
    assert "no machine of the family of 'eyeriss_thistle' fits into 500 um2" in result.stderr.replace("\n", " ")
    assert "Traceback" not in result.stderr


def stats_text(row, version):
    """Statistics as timeloop-model prints them, with what it measured for a golden row (one word per access)."""
    result, arch = row["result"], row["arch"]
    share = result["macs"] / (result["cycles"] * arch["levels"][-1]["instances"])
    used = "Utilized instances     "
    lines = ["Buffer and Arithmetic Levels", "----------------------------", "Level 0", "-------", "=== MAC ===", ""]
    lines += ["    SPECS", "    -----", "    Word bits             : 16", "    Instances             : 168 (14*12)", ""]
    lines += ["    STATS", "    -----", f"    {used} : {result['utilized_pes']}"]
    lines += [f"    Computes (total)        : {result['macs']}", f"    Cycles                  : {result['cycles']}"]
    lines += [f"    Energy (total)          : {result['energy_pJ']['MAC']:.2f} pJ", ""]
    for i, level in enumerate(reversed(arch["levels"]), start=1):
        lines += [f"Level {i}", "-------", f"=== {level['name']} ===", "", "    SPECS", "    -----"]
        lines += ["        Technology                      : SRAM", "        Multiple buffering              : 1.00"]
        if version == "head":
            lines += ["        Leakage energy (total)          : 0.00 pJ"]
        lines += [
            "",
            "    STATS",
            "    -----",
            f"    Cycles               : {result['cycles_per_level'][level['name']]}",
        ]
        lines += ["    Bandwidth throttling : 1.00"]
        for tensor, counts in result["accesses"][level["name"]].items():
            prices = {"reads": level["energy_read_pJ"]}
            energy = sum(counts[name] * prices.get(name, level["energy_write_pJ"]) for name in COUNTERS)
            lines += [f"    {tensor}:", f"        Utilized capacity                        : {counts['tile_words']}"]
            lines += [f"        Utilized instances (max)                 : {counts['instances']}"]
            lines += [
                f"        Scalar {name} (per-instance)              : {counts[f'{name}_per_instance']}"
                for name in COUNTERS
            ]
            lines += [f"        Energy (total)                           : {energy:.2f} pJ"]
        lines += [""]
    lines += ["Networks", "--------", "Network 0", "---------", "DRAM <==> SRAM", "", "    Weights:"]
    lines += ["        Fanout                                  : 1", ""]
    lines += ["Operational Intensity Stats", "---------------------------", "    Total ops : 511377408", ""]
    lines += [
        "=== DRAM ===",
        "    Op per Byte                             : 24.65",
        "",
        "Summary Stats",
        "-------------",
    ]
    lines += [
        "GFLOPs (@1GHz): 48.00",
        f"Utilization: {100 * share:.2f}%" if version == "head" else f"Utilization: {share:.2f}",
    ]
    lines += [f"Cycles: {result['cycles']}", f"Energy: {result['energy_pJ']['total'] / 1e6:.2f} uJ"]
    lines += ["EDP(J*cycle): 1.23e+04", "Area: 0.00 mm^2", "", f"Computes = {result['macs']}", "fJ/Compute"]
    return "\n".join(
        [*lines, "    DRAM                       = 5200.00", "    Total                      = 30000.00", ""]
    )


def compare(native, text, *options):
    (native / "timeloop-model.stats.txt").write_text(text)
    files = [native / f"{name}.yaml" for name in ("problem", "arch", "map")]
    arguments = ["import", "timeloop", *files, "--compare", native / "timeloop-model.stats.txt", *options]
    return CliRunner().invoke(app, list(map(str, arguments)), catch_exceptions=False)


@pytest.mark.parametrize(("name", "engine"), [("setB_head", "head"), ("setB", "v3.0.3")])
def test_statistics_that_timeloop_printed_agree(native, name, engine):
    row = golden(name, 1)[0]
    assert row["id"] == "B0000"
    result = compare(native, stats_text(row, engine), "--engine", engine)
    assert result.exit_code == 0, result.output
    # Six per tensor and level, cycles per level, three of the multipliers, four in the summary; leakage in HEAD.
    values = 9 * 6 + 3 + 3 + 4 + (3 if engine == "head" else 0)
    assert f"{values} of {values} values agree with" in result.stdout


@pytest.mark.parametrize(
    ("edit", "expected"),
    [
        ((" : 1242\n", " : 1243\n"), ("SRAM", "Inputs", "tile_words")),
        (("            : 995904\n", "            : 995903\n"), ("SRAM", "Inputs", "reads")),
        (("Utilization: 14.29%", "Utilization: 14.39%"), ("", "", "utilization")),
        (("=== RF ===", "=== Registers ==="), ("RF", "Weights", "reads")),
        (("    Inputs:\n", "    Activations:\n"), ("RF", "Inputs", "reads")),
        (("Computes = 2556", "Computes = 3556"), ("", "", "computes")),
    ],
)  # fmt: skip
def test_statistics_that_differ_are_shown_counter_by_counter(native, edit, expected):
    text = stats_text(golden("setB_head", 1)[0], "head")
    assert edit[0] in text
    text = text.replace(*edit, 1)
    result = compare(native, text)
    assert result.exit_code == 1
    result = compare(native, text, "--json")
    assert result.exit_code == 1
    shown = json.loads(result.stdout)["compare"]
    assert expected in [(x["level"], x["tensor"], x["counter"]) for x in shown["differences"]]
    assert (len(shown["differences"]) == 1) == ("===" not in edit[0] and "Inputs" not in edit[0])


def test_a_file_that_is_no_statistics_is_named(native):
    result = answer(
        "import", "timeloop", *(f"{n}.yaml" for n in ("problem", "arch", "map")), "--compare", "map.yaml", cwd=native
    )
    assert result.returncode == 2
    assert "map.yaml: no statistics of timeloop-model" in result.stderr.replace("\n", " ")


LEAKY = """
architecture:
  version: 0.4
  nodes:
  - !Component {name: Dram, class: DRAM, attributes: {width: 64, datawidth: 8}}
  - !Container {name: Pe, spatial: {meshX: 4}}
  - !Component {name: Rf, class: regfile, attributes: {depth: 64, width: 8, datawidth: 8}}
  - !Component {name: mac, class: intmac, attributes: {width: 8}}
ERT:
  version: 0.4
  tables:
  - {name: top.Dram, actions: [{name: read, energy: 0}, {name: write, energy: 0}, {name: leak, energy: 0}]}
  - {name: top.Rf, actions: [{name: read, energy: 0}, {name: write, energy: 0}, {name: leak, energy: 1}]}
  - {name: top.mac, actions: [{name: compute, energy: 0}, {name: leak, energy: 1}]}
problem:
  shape:
    name: mm
    dimensions: [M, N, K]
    data_spaces:
    - {name: A, projection: [[[M]], [[K]]]}
    - {name: B, projection: [[[K]], [[N]]]}
    - {name: Z, projection: [[[M]], [[N]]], read_write: true}
  instance: {M: 4, N: 6, K: 8}
mapping:
- {target: Dram, type: temporal, factors: M=2 N=6 K=8, permutation: KNM}
- {target: Pe, type: spatial, factors: M=2 N=1 K=1, permutation: MNK}
- {target: Rf, type: temporal, factors: M=1 N=1 K=1, permutation: KNM}
"""


@pytest.mark.parametrize(("leakage", "expected"), [((), "192 pJ"), (("--leakage", "whole_chip"), "768 pJ")])
def test_leakage_is_that_of_the_instances_in_use_unless_told_otherwise(tmp_path, leakage, expected):
    # HEAD charges 96 cycles x 2 register files in use; the chip has four, and four multipliers.
    (tmp_path / "all.yaml").write_text(LEAKY)
    text = run("import", "timeloop", tmp_path / "all.yaml", *leakage)
    assert f"leakage {expected}" in text
    assert ("leakage of memories in use, engine" in text) == (leakage == ())
    assert "timeloop-model as it comes (extrapolated from two iterations of every loop): 192 pJ, 96 cycles" in text


@pytest.mark.parametrize(
    ("options", "convention"),
    [
        ((), ("closed", False)),
        (("--links",), ("walk", True)),
        (("--counting", "walk"), ("walk", True)),
        (("--counting", "sampled", "--no-links"), ("sampled", False)),
    ],
)
def test_answers_about_files_say_what_was_counted(tmp_path, options, convention):
    (tmp_path / "all.yaml").write_text(LEAKY)
    answer = json.loads(run("import", "timeloop", tmp_path / "all.yaml", *options, "--json"))
    assert (answer["result"]["counting"], answer["result"]["link_transfers"]) == convention
    assert answer["result"]["leakage"] == "instances_in_use"
    assert answer["timeloop"]["default"]["link_transfers"] is True
    assert answer["timeloop"]["no_links"]["cycles"] == 96


def test_the_oracle_prints_a_loop_nest_and_what_timeloop_would_say(tmp_path):
    (tmp_path / "net.csv").write_text("K,C,Y,X,R,S,T\n4,2,4,4,1,1,1\n")  # one layer: the default
    arguments = ["oracle", "--env", "accelgym/Mapping-v0", "--set", f"workload={tmp_path / 'net.csv'}"]
    arguments += ["--set", "objective=energy", "--set", "arch=gemmini_like"]
    text = run(*arguments)
    assert "-- Scratchpad holds" in text
    assert "of 262,144 words; bypassed by Outputs" in text
    assert "parallel-for (x)" in text
    assert "timeloop-model as it comes" in text
    assert "counting closed (every iteration), no link transfers, leakage of memories in use" in text
    assert "'DRAM" not in text  # no dictionary of factors
    answer = json.loads(run(*arguments, "--json"))
    assert answer["costs"]["energy_pJ"]["total"] == pytest.approx(answer["value"], rel=1e-12)
    assert answer["timeloop"]["no_links"]["objective"] <= answer["value"]
    assert answer["timeloop"]["no_links"]["below_bound"] is False
    assert answer["mapping"]["bypass"] == {}
    assert "leakage" in answer["convention"]


def test_a_run_below_the_certified_bound_is_called_so(capsys):
    spent = {"counting": "sampled", "leakage": "instances_in_use", "energy_pj": 9.0, "cycles": 4, "objective": 9.0}
    print_runs({"default": spent | {"link_transfers": True}, "no_links": spent | {"link_transfers": False}}, 10.0)
    text = " ".join(capsys.readouterr().out.split())
    assert text.count("below the certified bound 10") == 2
    assert text.count("or links spare reads") == 1
    print_runs({"default": spent | {"link_transfers": True}}, 9.0)
    assert "below" not in capsys.readouterr().out
