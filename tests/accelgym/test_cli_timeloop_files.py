"""Timeloop files on the command line: warnings, templates, machines in several files."""

import json

import pytest
from command_line import answer

PROBLEM = "problem:\n  shape: gemm_ABZ\n  M: 6\n  N: 4\n  K: 10\n"
NODES = """
architecture:
  nodes:
  - !Component {name: Dram, class: DRAM, attributes: {width: 64, datawidth: 8}}
  - !Container {name: Pe, spatial: {meshX: 3}}
  - !Component {name: Rf, class: regfile, attributes: {depth: 32, width: 8, datawidth: 8}}
  - !Component {name: mac, class: intmac, attributes: {width: 8}}
"""
MAPPING = """
mapping:
- {target: Dram, type: temporal, factors: M2 N4 K5, permutation: KN M}
- {target: Pe, type: spatial, factors: M3}
- {target: Rf, type: temporal, factors: K2}
"""


def run(*arguments):
    found = answer(*arguments)
    return found.returncode, found.stdout, found.stderr


def put(folder, name, text):
    (folder / name).write_text(text)
    return folder / name


def test_warnings_are_lines_on_standard_error(tmp_path):
    put(tmp_path, "p.yaml", PROBLEM)
    put(tmp_path, "m.yaml", MAPPING)
    put(tmp_path, "a.yaml", NODES)
    code, out, err = run("import", "timeloop", tmp_path, "--json")
    assert (code, err) == (0, "")
    plain = json.loads(out)["result"]
    assert plain["cycles"] == 80
    put(tmp_path, "a.yaml", NODES.replace("depth: 32", "depth: 32, update_fifo_depth: '[2]'"))
    code, out, err = run("import", "timeloop", tmp_path, "--json")
    assert err == "warning: attributes of 'Rf' without effect: 'update_fifo_depth'\n"
    assert json.loads(out)["result"] == plain
    put(tmp_path, "a.yaml", NODES.replace("depth: 32", "depth: ceil(1e308*10)"))
    code, out, err = run("import", "timeloop", tmp_path)
    assert (code, out) == (2, "")
    assert err.count("\n") == 1
    assert "architecture.Rf.depth: cannot evaluate 'ceil(1e308*10)'" in err


def test_variables_of_a_template(tmp_path):
    pytest.importorskip("jinja2")
    put(tmp_path, "small.yaml", PROBLEM + NODES + MAPPING)
    top = put(
        tmp_path,
        "top.yaml.jinja2",
        "problem: {{include(machine ~ '.yaml', 'problem')}}\n"
        "architecture: {{include(machine ~ '.yaml', 'architecture')}}\n"
        "mapping: {{include(machine ~ '.yaml', 'mapping')}}\n",
    )
    code, out, err = run("import", "timeloop", top, "--define", "machine=small", "--json")
    assert (code, err) == (0, "")
    assert json.loads(out)["result"]["cycles"] == 80
    code, _, err = run("import", "timeloop", top)
    assert code == 2
    assert "--define machine=VALUE" in err
    code, _, err = run("import", "timeloop", top, "--define", "machine")
    assert code == 2
    assert "--define 'machine': expected KEY=VALUE" in err


def oracle(workload, machine):
    settings = {"workload": workload, "layer": 1, "arch": machine, "objective": "energy"}
    pairs = [part for key, value in settings.items() for part in ("--set", f"{key}={value}")]
    return ["oracle", "--env", "accelgym/Mapping-v0", *pairs, "--json"]


def test_a_machine_in_files_uses_the_names_of_the_problem(tmp_path):
    pytest.importorskip("jinja2")
    problem = put(tmp_path, "p.yaml", PROBLEM)
    held = NODES.replace("spatial: {meshX: 3}", "spatial: {meshX: 3}, constraints: {spatial: {factors: [N=1, K1]}}")
    whole = put(tmp_path, "whole.yaml", held)
    code, out, err = run(*oracle(problem, whole))
    assert (code, err) == (0, "")
    found = json.loads(out)
    assert {key.partition(".")[0] for key, place in found["design"].items() if place == "Dram.x"} <= {"M"}
    parts = tmp_path / "parts"
    parts.mkdir()
    put(parts, "a.yaml", held.replace("depth: 32", "depth: words"))
    put(parts, "b.yaml", "variables: {words: 32}\n")
    top = put(
        parts, "top.yaml.jinja2", "architecture: {{include(name, 'architecture')}}\nvariables: {words: {{words}}}\n"
    )
    for machine in (f"{parts}/a.yaml,{parts}/b.yaml", parts, f"{top}?name=a.yaml&words=32"):
        code, out, err = run(*oracle(problem, machine))
        assert (code, err) == (0, "")
        assert json.loads(out)["value"] == found["value"]
    code, _, err = run(*oracle(problem, f"{top}?name"))
    assert code == 2
    assert "allowed NAME=VALUE after the question mark" in err
    layers = put(tmp_path, "fc.csv", "Layer, M, N, K,\nfc,6,4,10,\n")
    code, out, err = run(*oracle(layers, whole))
    assert code == 0
    assert "N, K left out, no dimensions of 'fc' (I, J, L)" in err
