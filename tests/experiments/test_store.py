"""Stored results are believed only when they are whole and what was planned."""

import json
import re
import shutil
import subprocess
import sys

import numpy as np
import pytest

from accelgym.agents import Trajectory, search
from accelgym.costmodels.certificate import Certificate
from accelgym.costmodels.errors import AccelGymError, BoundError, InputError, InputWarning
from accelgym.costmodels.files.json_file import read_sealed, write_sealed
from accelgym.envs import ResourceAssignmentTask, make_task
from accelgym.experiments import BenchConfig, build_report, run_bench, run_search

TASK = {"workload": "confuciux/mobilenet_v2", "dataflow": "dla", "budget": 0.1}
ENV = "accelgym/ResourceAssignment-v0"
CONFIG = {
    "name": "store",
    "tasks": [{"env": ENV, "arguments": TASK}],
    "agents": ["random"],
    "budget": 30,
    "seeds": 1,
    "workers": 1,
}


def bench(out, **changes):
    return run_bench(BenchConfig.parse(CONFIG | changes), out, executor="inline", audit=False)


@pytest.fixture(scope="module")
def original(tmp_path_factory):
    out = tmp_path_factory.mktemp("store") / "run"
    bench(out)
    return out


@pytest.fixture
def stored(original, tmp_path):
    """A copy of a finished benchmark of one search, and the folder of the search."""
    shutil.copytree(original, tmp_path / "run")
    (trajectory,) = (tmp_path / "run").glob("runs/*/*/*/trajectory.npz")
    return tmp_path / "run", trajectory.parent


def test_a_manifest_that_was_removed_from_a_finished_benchmark_is_written_again(stored):
    out, folder = stored
    (out / "manifest.json").unlink()
    before = (folder / "trajectory.npz").stat().st_mtime_ns
    assert bench(out).skipped == 1
    assert (folder / "trajectory.npz").stat().st_mtime_ns == before
    assert build_report(out).exists()


@pytest.mark.parametrize("name", ["trajectory.npz", "best.json"])
@pytest.mark.parametrize("fault", ["flip", "cut", "empty", "zeros", "delete"])
def test_what_is_damaged_is_made_again_and_until_then_said(stored, name, fault):
    out, folder = stored
    path = folder / name
    data = path.read_bytes()
    before = Trajectory.load(folder / "trajectory.npz")
    middle = bytearray(data)
    middle[len(data) // 2] ^= 4
    bad = {"flip": bytes(middle), "cut": data[: len(data) // 2], "empty": b"", "zeros": bytes(len(data))}
    if fault == "delete":
        path.unlink()
    else:
        path.write_bytes(bad[fault])
    build_report(out)
    (row,) = json.loads((out / "summary.json").read_text())["rows"]
    lost = (fault, name) == ("delete", "trajectory.npz")
    assert (row["runs"], row["failed"], row["missing"]) == (0, 0, 1) if lost else (0, 1, 0)
    if lost:
        result = bench(out)
    else:
        with pytest.warns(InputWarning, match=re.escape(str(path))):
            result = bench(out)
    assert (result.skipped, result.failures) == (0, ())
    np.testing.assert_array_equal(Trajectory.load(folder / "trajectory.npz").designs, before.designs)
    assert read_sealed(folder / "best.json")["objective"] == before.best
    assert bench(out).skipped == 1


@pytest.mark.parametrize(
    ("other", "words"),
    [({"budget": 31}, "budget is 31, planned 30"), ({"seed": 5}, "seed is 5"), ({"agent": "uniform"}, "agent is")],
)
def test_a_trajectory_of_another_search_does_not_count_and_is_not_lost(stored, other, words):
    out, folder = stored
    plan = {"agent": "random", "budget": 30, "seed": 0} | other
    search(make_task(ENV, **TASK), **plan).save(folder / "trajectory.npz")
    before = (folder / "trajectory.npz").read_bytes()
    for action in (bench, build_report):
        with pytest.raises(InputError, match=f"trajectory.npz: holds another search: {words}"):
            action(out)
    assert (folder / "trajectory.npz").read_bytes() == before


def test_an_objective_below_the_bound_is_an_error_in_bench_and_report(stored):
    out, folder = stored
    found = Trajectory.load(folder / "trajectory.npz")
    found.objective[7] = 1.0
    found.save(folder / "trajectory.npz")
    best = read_sealed(folder / "best.json")
    write_sealed(folder / "best.json", best | {"objective": 1.0})
    for action in (bench, build_report):
        with pytest.raises(BoundError, match=r"trajectory\.npz: an objective of 1\.0 lies below the certified bound"):
            action(out)


def test_an_edited_reference_is_found_and_made_again(stored):
    out, _ = stored
    (path,) = (out / "tasks").glob("*.json")
    text = path.read_text()
    value = json.loads(text)["reference"]["value"]
    path.write_text(text.replace(f'"value": {value!r}', f'"value": {value * 1.25!r}'))
    with pytest.raises(InputError, match=r"checksum.*makes it again"):
        build_report(out)
    with pytest.warns(InputWarning, match="made again"):
        bench(out)
    assert json.loads(path.read_text()) | {"prepare_cpu_s": 0, "audit_cpu_s": 0, "sha256": ""} == json.loads(text) | {
        "prepare_cpu_s": 0,
        "audit_cpu_s": 0,
        "sha256": "",
    }
    # One with a checksum, but of another proof, goes as well.
    record = read_sealed(path)
    write_sealed(path, record | {"reference": record["reference"] | {"value": value * 1.25}})
    bench(out)
    assert read_sealed(path)["reference"]["value"] == value


def test_every_changed_bit_of_the_manifest_is_found(stored):
    out, _ = stored
    path = out / "manifest.json"
    data = path.read_bytes()
    for at in np.linspace(0, len(data) - 1, 25).astype(int):
        damaged = bytearray(data)
        damaged[at] ^= 1 << int(at) % 8
        path.write_bytes(damaged)
        with pytest.raises(InputError, match=r"if you remove it|written by"):
            bench(out)
    path.unlink()
    assert bench(out).skipped == 1  # The searches count without it.


@pytest.mark.parametrize(
    "old",
    [
        {"manifest.json": '{"config": {}, "tasks": {}, "sessions": []}'},
        {"manifest.json": '{"env": "x", "agent": "random", "packages": {}}', "trajectory.npz": "", "best.json": ""},
        {"journal.bin": '{"agent": "random"}\n'},
    ],
)
def test_a_folder_of_the_old_schema_is_said_with_what_to_do(tmp_path, old):
    for name, text in old.items():
        (tmp_path / name).write_text(text)
    for action in (bench, build_report):
        with pytest.raises(InputError, match=r"older version.*another folder, or remove"):
            action(tmp_path)
    assert {path.name: path.read_text() for path in tmp_path.iterdir() if path.name != "lock"} == old


def test_a_folder_of_a_newer_schema_is_said(stored):
    out, _ = stored
    write_sealed(out / "manifest.json", read_sealed(out / "manifest.json") | {"schema": 99})
    with pytest.raises(InputError, match=r"newer version.*schema 99"):
        bench(out)


def test_other_software_is_said(stored):
    out, folder = stored
    manifest = read_sealed(out / "manifest.json")
    manifest["sessions"][0]["packages"] |= {"numpy": "1.0"}
    write_sealed(out / "manifest.json", manifest)
    (folder / "trajectory.npz").unlink()
    with pytest.warns(InputWarning, match=f"other software.*numpy 1.0 -> {np.__version__}"):
        bench(out)
    with pytest.warns(InputWarning, match=f"different software.*numpy 1.0 -> {np.__version__}"):
        build_report(out)


OTHER_TASK = {"env": ENV, "arguments": TASK | {"budget": 0.5}, "split": "test"}
ALONE = {"env": ENV, "arguments": TASK}


@pytest.mark.parametrize(
    ("changes", "searches"),
    [
        ({"seeds": 3}, 3),
        ({"seeds": [4, 0]}, 2),
        ({"agents": ["uniform", {"name": "random", "envs": ["ResourceAssignment-v0"]}]}, 2),
        ({"tasks": [OTHER_TASK, ALONE]}, 2),
        ({"budget": 50, "agents": ["uniform", {"name": "random", "budget": 30}]}, 2),
        ({"name": "another title", "tasks": [ALONE | {"split": "train"}]}, 1),
    ],
)
def test_a_benchmark_that_grows_keeps_what_it_has(stored, changes, searches):
    out, folder = stored
    before = {path.name: (path.read_bytes(), path.stat().st_mtime_ns) for path in folder.glob("[tb]*")}
    result = bench(out, **changes)
    assert (result.jobs, result.skipped) == (searches, 1)
    assert before == {path.name: (path.read_bytes(), path.stat().st_mtime_ns) for path in folder.glob("[tb]*")}
    bench(out.parent / "whole", **changes)
    ours, theirs = (read_sealed(place / "manifest.json") for place in (out, out.parent / "whole"))
    assert (ours["config"], ours["tasks"]) == (theirs["config"], theirs["tasks"])
    for task_id in ours["tasks"]:
        ours, theirs = (read_sealed(place / "tasks" / f"{task_id}.json") for place in (out, out.parent / "whole"))
        assert (ours["title"], ours["split"]) == (theirs["title"], theirs["split"])
    if searches > 1:
        with pytest.raises(InputError, match="holds another benchmark"):
            bench(out)


@pytest.mark.parametrize(
    ("changes", "reason"),
    [
        ({"seeds": [1, 2]}, "search by 'random' with seed 0 of .* is not among"),
        ({"name": "another title", "budget": 40}, "budget was 30 and is now 40"),
        ({"description": "new", "agents": ["uniform"]}, "search by 'random' .* is not among"),
        (
            {"agents": ["uniform", {"name": "random", "options": {"batch": 7}}]},
            r"options was \{\} and is now \{'batch': 7\}",
        ),
        ({"agents": [{"name": "uniform", "label": "random"}]}, "agent was 'random' and is now 'uniform'"),
        (
            {"agents": [{"name": "random", "envs": ["Mapping-v0"]}], "tasks": [ALONE, {"env": "Mapping-v0"}]},
            "search by 'random' .* is not among",
        ),
        ({"tasks": [OTHER_TASK]}, "tasks was .*'budget': 0.1.* and is now .*'budget': 0.5"),
    ],
)
def test_a_benchmark_that_lacks_a_search_of_the_folder_is_refused_and_told_why(stored, changes, reason):
    out, _ = stored
    before = {path: path.read_bytes() for path in out.rglob("*") if path.is_file() and path.name != "lock"}
    with pytest.raises(InputError, match=f"holds another benchmark: .*{reason}"):
        bench(out, **changes)
    assert before == {path: path.read_bytes() for path in before}


def test_a_manifest_with_a_config_of_another_version_is_named(stored):
    out, _ = stored
    manifest = read_sealed(out / "manifest.json")
    manifest["config"]["agents"][0]["colour"] = "red"
    write_sealed(out / "manifest.json", manifest)
    for action in (bench, build_report):
        with pytest.raises(InputError, match=r"manifest.json: config: agents\[0\].colour: unknown key"):
            action(out)


def one_search(out, **changes):
    plan = {"env": ENV, "arguments": TASK, "agent": "random", "budget": 30, "seed": 0} | changes
    return run_search(**plan, out=out)


def test_a_search_is_a_benchmark_of_one_search(original, tmp_path):
    found = one_search(str(tmp_path / "one"), budget=np.int64(30), seed=np.int64(0))
    (other,) = original.glob("runs/*/*/*")
    assert found.folder.relative_to(tmp_path / "one") == other.relative_to(original)
    ours, theirs = read_sealed(found.folder / "best.json"), read_sealed(other / "best.json")
    assert ours == theirs == found.best
    manifests = [read_sealed(out / "manifest.json") for out in (tmp_path / "one", original)]
    assert manifests[0].keys() == manifests[1].keys()
    assert manifests[0]["tasks"] == manifests[1]["tasks"]
    build_report(str(tmp_path / "one"))
    (row,) = json.loads((tmp_path / "one" / "summary.json").read_text())["rows"]
    assert row["regret_best"] == found.best["regret"] == found.certificate.regret(found.trajectory.best)


@pytest.mark.parametrize("other", [{"seed": 1}, {"budget": 40}, {"agent": "uniform"}, {"options": {"batch": 3}}])
def test_a_finished_search_is_never_overwritten_by_another(stored, other):
    out, _ = stored
    one_search(out.parent / "one")
    before = {path: path.read_bytes() for path in (out.parent / "one").rglob("*") if path.is_file()}
    with pytest.raises(InputError, match=r"holds another benchmark.*another folder"):
        one_search(out.parent / "one", **other)
    assert {path: path.read_bytes() for path in before if path.name != "lock"} == {
        path: data for path, data in before.items() if path.name != "lock"
    }


def test_a_mistyped_option_does_not_keep_the_corrected_command_out(late, tmp_path):
    out = tmp_path / "run"
    with pytest.raises(InputError, match="did you mean 'batch'"):
        one_search(out, options={"bacth": 2})
    assert not out.exists()
    with pytest.raises(ZeroDivisionError):
        one_search(out, agent="late", options={"step": 0})
    (error,) = out.glob("runs/*/*/*/error.json")
    assert "ZeroDivisionError" in read_sealed(error)["error"]
    found = one_search(out, agent="late", options={"step": 2})
    assert found.trajectory.evaluations == 30
    assert not error.exists()


def test_lists_in_the_arguments_of_a_search_are_values(tmp_path):
    with pytest.raises(InputError, match="workload"):
        one_search(tmp_path, arguments={"workload": ["resnet18", "resnet50"]})


def test_a_folder_in_use_is_said(stored):
    out, _ = stored
    code = "import sys; from pathlib import Path; from accelgym.costmodels.files.lock import folder_lock\n"
    code += "with folder_lock(Path(sys.argv[1])): print('in', flush=True); sys.stdin.read()"
    command = [sys.executable, "-c", code, str(out)]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as holder:
        assert holder.stdout.readline() == "in\n"
        with pytest.raises(InputError, match=f"in use by another process .number {holder.pid}"):
            bench(out)
        holder.stdin.close()


@pytest.mark.parametrize(
    ("member", "told", "message"),
    [
        ("report", {"objective": 0.5}, "report has 'objective'"),
        ("artifacts", {"../up.yaml": ""}, "artifacts has '../up.yaml'"),
        ("artifacts", {"best.json": ""}, "artifacts has 'best.json'"),
        ("artifacts", {"/tmp/at-the-root.yaml": ""}, "artifacts has '/tmp/at-the-root.yaml'"),
    ],
)
def test_what_a_task_tells_of_its_best_design_replaces_nothing(tmp_path, monkeypatch, member, told, message):
    monkeypatch.setattr(ResourceAssignmentTask, member, lambda self, design: told)
    with pytest.raises(AccelGymError, match=f"ResourceAssignmentTask.{message}"):
        one_search(tmp_path / "one")
    assert not list(tmp_path.rglob("*.yaml"))
    monkeypatch.undo()
    assert one_search(tmp_path / "one").best["evaluations"] == 30


def test_a_reference_that_is_no_design_is_the_fault_of_the_task(tmp_path, monkeypatch):
    certificate = Certificate(1.0, (0, 1), 1.0, 0.0, "enumeration")
    monkeypatch.setattr(ResourceAssignmentTask, "reference", lambda self: certificate)
    with pytest.raises(
        RuntimeError, match=r"ResourceAssignmentTask.reference: its design: designs have shape \(1, 2\)"
    ):
        one_search(tmp_path / "one")
