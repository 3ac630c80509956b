"""Running, killing, resuming and failing."""

import json
import signal
import time

import numpy as np
import pytest

from accelgym.agents import Trajectory, search
from accelgym.costmodels.errors import InputError
from accelgym.envs import audit, make_task
from accelgym.experiments import BenchConfig, build_report, run_bench

TASK = {"workload": "confuciux/mobilenet_v2", "dataflow": "dla"}

PLUGIN = '''
import os
import signal
from pathlib import Path

from accelgym.agents.random_search import RandomSearch


class Fails(RandomSearch):
    """Raises with an odd seed."""

    def tell(self, designs, outcome):
        if self.seed % 2:
            raise ValueError("an odd seed")


class Dies(RandomSearch):
    """Takes its process along."""

    def ask(self, count):
        os.kill(os.getpid(), signal.SIGKILL)


class DiesOnce(RandomSearch):
    """Takes its process along after half of its budget, once."""

    def __init__(self, task, *, seed, folder):
        super().__init__(task, seed=seed, batch=10)
        self.mark = Path(folder) / f"died-{seed}"
        self.asked = 0

    def ask(self, count):
        self.asked += 1
        if self.asked == 3 and not self.mark.exists():
            self.mark.touch()
            os.kill(os.getpid(), signal.SIGKILL)
        return super().ask(count)
'''

ENTRY_POINTS = """\
[accelgym.agents]
fails = odd_agents:Fails
dies = odd_agents:Dies
dies_once = odd_agents:DiesOnce
"""


@pytest.fixture(scope="module")
def plugins(tmp_path_factory):
    """A folder with an installed package that adds two agents."""
    folder = tmp_path_factory.mktemp("plugins")
    info = folder / "odd_agents-1.0.dist-info"
    info.mkdir()
    (folder / "odd_agents.py").write_text(PLUGIN)
    (info / "METADATA").write_text("Metadata-Version: 2.1\nName: odd-agents\nVersion: 1.0\n")
    (info / "entry_points.txt").write_text(ENTRY_POINTS)
    return folder


def trajectories(out):
    return {path.parent.relative_to(out): Trajectory.load(path) for path in out.glob("runs/*/*/*/trajectory.npz")}


def written(path):
    """Bytes in a file that may go away at any moment."""
    try:
        return path.stat().st_size
    except FileNotFoundError:
        return 0


def assert_same_searches(ours, theirs):
    assert ours.keys() == theirs.keys()
    for key, x in ours.items():
        y = theirs[key]
        np.testing.assert_array_equal(x.objective, y.objective)
        np.testing.assert_array_equal(x.feasible, y.feasible)
        np.testing.assert_array_equal(x.batch_evaluations, y.batch_evaluations)
        assert (x.best_design, x.distinct_designs) == (y.best_design, y.distinct_designs)


def test_a_benchmark_runs_every_search_as_a_single_one_would(finished, small_config):
    out, _ = finished
    expected = {}
    for budget in (0.5, 0.1):
        task = make_task("ResourceAssignment-v0", **TASK, budget=budget)
        for label, options, evaluations in (("random", {}, 150), ("random-one", {"batch": 1}, 40)):
            for seed in small_config["seeds"]:
                found = search(task, "random", budget=evaluations, seed=seed, options=options)
                expected[(out / "runs" / task.id / label / f"seed-{seed}").relative_to(out)] = found
    assert_same_searches(trajectories(out), expected)


def test_progress_ends_with_everything_done(finished):
    _, told = finished
    assert [p.jobs_done for p in told] == sorted(p.jobs_done for p in told)
    last = told[-1]
    assert (last.jobs_done, last.jobs_total, last.failures) == (12, 12, 0)
    assert last.evaluations_done == last.evaluations_total == 2 * 3 * (150 + 40)


def test_the_manifest_and_the_tasks_say_what_was_run(finished, small_config):
    out, _ = finished
    manifest = json.loads((out / "manifest.json").read_text())
    (session,) = manifest["sessions"]
    assert session["jobs"] == 12
    assert session["cpu_s"] > 0
    assert session["start"] <= session["end"]
    assert session["packages"]["numpy"] == np.__version__
    assert manifest["config"]["seeds"] == small_config["seeds"]
    for budget in (0.5, 0.1):
        task = make_task("ResourceAssignment-v0", **TASK, budget=budget)
        record = json.loads((out / "tasks" / f"{task.id}.json").read_text())
        assert record["description"] == json.loads(json.dumps(task.describe()))
        assert record["reference"]["value"] == task.reference().value
        assert record["reference_design"]["objective"] == pytest.approx(task.reference().value, rel=1e-12)
        assert record["audit"]["hardness"] == audit(task).hardness


def test_a_finished_benchmark_runs_nothing_again(finished, small_config):
    out, _ = finished
    before = {path: path.stat().st_mtime_ns for path in out.glob("runs/*/*/*/*")}
    result = run_bench(BenchConfig.parse(small_config), out)
    assert (result.jobs, result.skipped) == (12, 12)
    assert {path: path.stat().st_mtime_ns for path in out.glob("runs/*/*/*/*")} == before
    assert len(json.loads((out / "manifest.json").read_text())["sessions"]) == 1


def test_a_folder_of_another_benchmark_is_refused(finished, small_config):
    out, _ = finished
    with pytest.raises(InputError, match=r"budget was 150 and is now 151.*another folder"):
        run_bench(BenchConfig.parse(small_config | {"budget": 151}), out)
    # The number of workers changes nothing and is no reason.
    assert run_bench(BenchConfig.parse(small_config | {"workers": 1}), out).skipped == 12


def test_a_killed_benchmark_goes_on_as_if_nothing_had_happened(tmp_path, start_bench):
    config = {
        "name": "kill",
        "tasks": [{"arguments": TASK | {"budget": 0.1}}],
        "agents": [{"name": "random", "label": "slow", "options": {"batch": 1}}, "random"],
        "budget": 600,
        "seeds": 2,
        "workers": 2,
    }
    whole, killed = tmp_path / "whole", tmp_path / "killed"
    for size in (100_000, 1_200_000):
        process = start_bench(config, killed)
        deadline = time.monotonic() + 60
        while not any(written(path) > size for path in killed.glob("runs/*/slow/*/journal")):
            assert process.poll() is None, "the benchmark ended before it could be killed"
            assert time.monotonic() < deadline
            time.sleep(0.005)
        process.send_signal(signal.SIGKILL)
        assert process.wait() == -signal.SIGKILL
        process.stdout.close()
    journal = max(killed.glob("runs/*/slow/*/journal"), key=written)
    assert not (journal.parent / "trajectory.npz").exists()
    result = run_bench(BenchConfig.parse(config), killed)
    assert result.failures == ()
    assert not journal.exists()
    assert run_bench(BenchConfig.parse(config | {"workers": 1}), whole).failures == ()
    assert_same_searches(trajectories(killed), trajectories(whole))
    sessions = json.loads((killed / "manifest.json").read_text())["sessions"]
    assert [session["end"] is None for session in sessions] == [True, True, False]


def test_a_failed_search_loses_no_other(tmp_path, start_bench, plugins):
    config = {
        "name": "fail",
        "tasks": [{"arguments": TASK | {"budget": 0.1}}],
        "agents": ["random", "fails", "dies"],
        "budget": 50,
        "seeds": 4,
    }
    process = start_bench(config, tmp_path, plugins)
    printed, _ = process.communicate(timeout=100)
    failures = dict(json.loads(printed))
    assert process.returncode == 0
    by_agent = {}
    for job, error in failures.items():
        by_agent.setdefault(job.split("/")[1], []).append((job.split("/")[2], error))
    assert sorted(by_agent["fails"]) == [(f"seed-{n}", "ValueError: an odd seed") for n in (1, 3)]
    died = "the worker process was killed by signal 9"
    assert sorted(by_agent["dies"]) == [(f"seed-{n}", died) for n in range(4)]
    assert len(trajectories(tmp_path)) == 4 + 2

    page = build_report(tmp_path).read_text()
    assert "ValueError: an odd seed" in page
    assert page.count(died) >= 4
    rows = {row["agent"]: row for row in json.loads((tmp_path / "summary.json").read_text())["rows"]}
    assert [rows[agent]["failed"] for agent in ("random", "fails", "dies")] == [0, 2, 4]
    assert rows["dies"]["regret_iqm"] is None
    assert rows["fails"]["runs"] == 2


@pytest.mark.parametrize("executor", ["process", pytest.param("ray", marks=pytest.mark.slow)])
def test_a_killed_worker_loses_and_repeats_nothing(tmp_path, monkeypatch, start_bench, plugins, executor):
    if executor == "ray":
        pytest.importorskip("ray")
        monkeypatch.setenv("HOME", str(tmp_path))  # Where Ray keeps its token.
        monkeypatch.setenv("ACCELGYM_CACHE", str(tmp_path / "cache"))
    marks = tmp_path / "marks"
    marks.mkdir()
    config = {
        "name": "lost",
        "tasks": [{"arguments": TASK | {"budget": 0.1}}],
        "agents": [{"name": "dies_once", "label": "x", "options": {"folder": str(marks)}}, "random"],
        "budget": 60,
        "seeds": 2,
        "workers": 2,
    }
    out = tmp_path / "out"
    # Ray runs a job again by itself, processes with the next call; twenty evaluations are made before the kill.
    for failed in [2, 0] if executor == "process" else [0]:
        process = start_bench(config, out, plugins, executor)
        printed, _ = process.communicate(timeout=300)
        assert process.returncode == 0
        # Ray says on standard output that a worker was lost.
        assert len(json.loads(printed.splitlines()[-1])) == failed
    assert len(list(marks.iterdir())) == 2
    found = trajectories(out)
    assert len(found) == 4
    task = make_task("ResourceAssignment-v0", **TASK, budget=0.1)
    for seed in range(2):
        whole = search(task, "random", budget=60, seed=seed, options={"batch": 10})
        ours = next(run for path, run in found.items() if path.parts[-2:] == ("x", f"seed-{seed}"))
        np.testing.assert_array_equal(ours.objective, whole.objective)
        np.testing.assert_array_equal(ours.batch_evaluations, whole.batch_evaluations)
