"""The command line as a user meets it."""

import csv
import gzip
import json
import subprocess
from importlib.metadata import version
from pathlib import Path

import pytest
from command_line import PROCESS, answer
from typer.testing import CliRunner

from accelgym.agents import Trajectory
from accelgym.cli import app
from accelgym.cli.settings import parse_settings
from accelgym.costmodels.errors import InputError
from accelgym.envs import make_task

RESNET = ["--set", "workload=confuciux/resnet18", "--set", "model=maestro", "--set", "dataflow=dla"]
DESIGNS = """layer_type,K,C,Y,X,R,S,dataflow,num_pes,buffer_level,note
CONV,64,64,56,56,3,3,dla,16,4,first
CONV,64,64,2,56,3,3,dla,16,4,kernel exceeds input
CONV,64,64,12,12,3,3,shi,12,4,degenerate
DSCONV,1,96,56,56,3,3,dpt,16,2,depthwise
CONV,999999999999999999999,64,56,56,3,3,dla,16,4,overflow
"""


def run(*arguments):
    result = CliRunner().invoke(app, arguments, catch_exceptions=False)
    assert result.exit_code == 0, result.output
    return result.stdout


def test_the_version_is_the_installed_one():
    assert run("--version") == f"accelgym {version('accelgym')}\n"


def test_oracle_prints_the_published_optimum():
    text = run("oracle", "--env", "accelgym/ResourceAssignment-v0", *RESNET, "--set", "budget=0.1", "--json")
    answer = json.loads(text)
    assert answer["value"] == pytest.approx(2.745e8, rel=5e-4)
    assert answer["gap"] <= 1e-9
    assert {"value", "lower_bound", "gap", "design", "method", "seconds"} <= answer.keys()
    task = make_task("accelgym/ResourceAssignment-v0", workload="confuciux/resnet18", budget=0.1)
    assert task.evaluate(task.space.encode(answer["design"])[None]).objective[0] == answer["value"]


def test_audit_prints_the_landscape():
    figures = json.loads(run("audit", *RESNET, "--set", "budget=0.05", "--json"))
    assert figures["hardness"] == "easy"
    assert figures["flags"] == []
    assert 0 <= figures["greedy_regret"] < 0.01 < figures["random_regret"]
    assert figures["optimum"] == pytest.approx(3.910e8, rel=5e-4)


def test_envs_and_workloads_are_listed():
    ids = [row["id"] for row in json.loads(run("envs", "--json"))]
    shipped = (
        "ResourceAssignment Mapping NetworkMapping CoDesign HwGen Datatype MultiAccelerator Joint ExternalSimulator"
    )
    assert ids == [*(f"accelgym/{name}-v0" for name in (*shipped.split(), "Task", "Family")), "multi_fidelity"]
    assert "the arguments of HwGen-v0" in run("envs", "multi_fidelity")
    assert "## Action space" in run("envs", "ResourceAssignment-v0")
    names = {row["name"] for row in json.loads(run("workloads", "--json"))}
    assert {"resnet18", "confuciux/resnet18", "thistle/yolo9000"} <= names
    shown = json.loads(run("workloads", "confuciux/vgg16", "--json"))
    assert len(shown["layers"]) == 13


def evaluate(tmp_path, text, *options):
    source, target = tmp_path / "points.csv", tmp_path / "costs.csv"
    source.write_text(text)
    result = answer("evaluate", "--model", "maestro", "--in", source, "--out", target, *options)
    return result, target


def test_evaluate_writes_costs_and_reasons(tmp_path):
    result, target = evaluate(tmp_path, DESIGNS)
    assert result.returncode == 0, result.stderr
    rows = list(csv.DictReader(target.open()))
    assert [row["valid"] for row in rows] == ["1", "0", "0", "1", "0"]
    assert [row["reason"] for row in rows] == ["", "kernel_exceeds_input", "degenerate", "", "overflow"]
    assert rows[0]["note"] == "first"
    # Closed form of the NVDLA-like dataflow: ceil(K/k) ceil(C/P) OY OX (k R S + 1) + 1.
    assert rows[0]["runtime_cycles"] == str(16 * 4 * 54 * 54 * (4 * 9 + 1) + 1)
    assert rows[1]["runtime_cycles"] == ""


def test_the_fixed_variant_has_no_degenerate_designs(tmp_path):
    result, target = evaluate(tmp_path, DESIGNS, "--no-compat")
    assert result.returncode == 0, result.stderr
    assert [row["valid"] for row in csv.DictReader(target.open())] == ["1", "0", "1", "1", "0"]


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        ("num_pes", "pes", "line 1: column 'num_pes' is missing"),
        ("56,56,3,3,dla", "56,5x,3,3,dla", "line 2: column 'X' is '5x', expected an integer"),
        ("3,3,shi", "3,3,sho", "line 4: column 'dataflow' is 'sho', allowed dla, eye, shi"),
        ("DSCONV,1", "DWCONV,1", "line 5: column 'layer_type' is 'DWCONV', allowed CONV, DSCONV"),
        (",first", "", "line 2: expected 11 cells"),
    ],
)
def test_a_malformed_csv_is_answered_with_file_line_and_column(tmp_path, old, new, message):
    result, target = evaluate(tmp_path, DESIGNS.replace(old, new, 1))
    assert result.returncode == 2
    assert "points.csv" in result.stderr
    assert message in result.stderr.replace("\n", " ")
    assert "Traceback" not in result.stderr
    assert not target.exists()


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["oracle", "--set", "workload=resnet81"], "did you mean 'resnet18'"),
        (["oracle", "--set", "budget"], "expected KEY=VALUE"),
        (["oracle", "--env", "accelgym/Nothing-v0"], "unknown task"),
        (["oracle", "--export-timeloop", "x"], "designs of accelgym/ResourceAssignment-v0 are no mappings"),
        (["search", "--agent", "gaa", "--out", "x"], "unknown agent 'gaa': did you mean 'ga'"),
        (["search", "--agent", "random", "--out", "x", "--budget", "0"], "allowed >= 1"),
        (["search", "--agent", "random", "--out", "x", "--option", "bacth=3"], "did you mean 'batch'"),
        (["evaluate", "--model", "maestros", "--in", "a", "--out", "b"], "did you mean 'maestro'"),
        (["evaluate", "--model", "maestro", "--in", "a.csv", "--out", "b"], "a.csv: no such file"),
        (
            ["evaluate", "--model", "maestro", "--in", "resnet50", "--out", "b"],
            "a network by its name needs --dataflow",
        ),
        (["evaluate", "--model", "maestroo", "--in", "a.csv", "--out", "b"], "loopnest, maestro, physical, systolic "),
        (["workloads", "confuciux/resnet"], "did you mean"),
    ],
)
def test_bad_input_exits_with_2_and_no_traceback(arguments, message, tmp_path):
    result = answer(*arguments, cwd=tmp_path)
    assert result.returncode == 2
    assert message in result.stderr.replace("\n", " ")
    assert "Traceback" not in result.stderr


def test_search_is_a_benchmark_of_one_search(tmp_path):
    out = tmp_path / "run"
    arguments = ["search", *RESNET, "--set", "budget=0.1", "--agent", "random", "--budget", "300", "--out", str(out)]
    first = json.loads(run(*arguments, "--json"))
    folder = Path(first.pop("folder"))
    audit = {key: first.pop(key) for key in ("hardness", "flags")}
    assert folder == out / "runs" / first["task_id"] / "random" / "seed-0"
    trajectory = Trajectory.load(folder / "trajectory.npz")
    assert trajectory.evaluations == 300
    best = json.loads((folder / "best.json").read_text())
    assert {key: best[key] for key in first} == first
    task = make_task("accelgym/ResourceAssignment-v0", workload="confuciux/resnet18", budget=0.1)
    assert task.evaluate(task.space.encode(best["design"])[None]).objective[0] == best["objective"]
    assert best["regret"] == pytest.approx(best["objective"] / task.reference().value - 1)
    manifest = json.loads((out / "manifest.json").read_text())
    assert list(manifest["tasks"]) == [task.id]
    assert manifest["config"]["seeds"] == [0]
    assert "numpy" in manifest["sessions"][0]["packages"]
    assert not (folder / "journal").exists()
    before = {path: path.stat().st_mtime_ns for path in out.rglob("*") if path.is_file() and path.name != "lock"}
    again = json.loads(run(*arguments, "--json"))
    assert again == first | audit | {"folder": str(folder)}
    (record,) = (json.loads(path.read_text()) for path in out.glob("tasks/*.json"))
    known = record["audit"] or {"hardness": None, "flags": []}
    assert {key: known[key] for key in audit} == audit
    assert {path: path.stat().st_mtime_ns for path in before} == before
    run("report", str(out))
    (row,) = json.loads((out / "summary.json").read_text())["rows"]
    assert row["regret_best"] == best["regret"]


def test_settings_nest_and_are_typed():
    parsed = parse_settings(
        ["a=1", "b=0.5", "c=text", "d.e=true", "f=llama/decode?batch=4", "g.h=null", "i=", "j=nulls"]
    )
    assert parsed == {
        **{"a": 1, "b": 0.5, "c": "text", "d": {"e": True}, "f": "llama/decode?batch=4"},
        **{"g": {"h": None}, "i": "", "j": "nulls"},
    }
    with pytest.raises(InputError, match="given twice"):
        parse_settings(["a=1", "a=2"])


def test_a_process_answers_as_a_call_within_this_one_does(tmp_path):
    for arguments in (("workloads", "resnet18", "--json"), ("audit", "--env", "nothing")):
        found = subprocess.run([*PROCESS, *arguments], capture_output=True, text=True, cwd=tmp_path, check=False)
        expected = answer(*arguments, cwd=tmp_path)
        assert (found.returncode, found.stdout) == (expected.returncode, expected.stdout)
        assert found.stderr.split() == expected.stderr.split()


def test_help_names_every_command():
    text = answer("--help").stdout
    for command in (
        "envs",
        "workloads",
        "evaluate",
        "search",
        "oracle",
        "audit",
        "bench",
        "lottery",
        "report",
        "export",
    ):
        assert command in text


def test_the_golden_table_goes_through_the_command_line(tmp_path):
    golden = Path(__file__).resolve().parents[1] / "golden" / "maestro" / "maestro_train.csv.gz"
    source, target = tmp_path / "points.csv", tmp_path / "costs.csv"
    source.write_bytes(gzip.decompress(golden.read_bytes()))
    run("evaluate", "--model", "maestro", "--in", str(source), "--out", str(target))
    with source.open() as expected, target.open() as found:
        for want, got in zip(csv.DictReader(expected), csv.DictReader(found), strict=True):
            assert got["valid"] == want["valid"]
            if want["valid"] == "1":
                assert got["runtime_cycles"] == want["runtime_cycles"]
                assert f"{float(got['area_um2']):.6g}" == f"{float(want['area_um2_units']):.6g}"
