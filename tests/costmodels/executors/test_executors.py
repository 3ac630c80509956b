"""The contract of executors, over all of them."""

import os
import signal
import socket
import tempfile
import time
from pathlib import Path

import pytest

from accelgym.costmodels.errors import InputError
from accelgym.costmodels.executors import InlineExecutor, ProcessExecutor

JOBS = """
import os
import signal


def square(order, report):
    print("printed by a job")
    report({"half": order["x"] / 2})
    if order.get("die"):
        os.kill(os.getpid(), signal.SIGKILL)
    if order["x"] < 0:
        raise ValueError(f"{order['x']} is negative")
    return {"square": order["x"] ** 2}
"""


@pytest.fixture(params=["inline", "process"])
def executor(request, tmp_path, monkeypatch):
    (tmp_path / "few_jobs.py").write_text(JOBS)
    monkeypatch.syspath_prepend(tmp_path)
    monkeypatch.setenv("PYTHONPATH", str(tmp_path))
    if request.param == "inline":
        return InlineExecutor("few_jobs:square")
    return ProcessExecutor("few_jobs:square", 2, tmp_path / "log")


def run(executor, orders):
    """Runs all orders; returns the last event of each."""
    over, waiting = {}, dict(orders)
    with executor:
        while waiting or executor.running:
            while waiting and executor.has_room:
                key = next(iter(waiting))
                executor.start(key, waiting.pop(key))
            event = executor.next_event()
            if event.kind != "progress":
                over[event.key] = event
    return over


def test_results_come_back_under_their_keys(executor):
    events = run(executor, {f"job {x}": {"x": x} for x in range(5)})
    assert {key: event.data for key, event in events.items()} == {f"job {x}": {"square": x * x} for x in range(5)}
    assert all(event.cpu_s >= 0 for event in events.values())


def test_a_failing_job_stops_no_other(executor):
    events = run(executor, {"bad": {"x": -1}, "good": {"x": 3}})
    assert (events["bad"].kind, events["bad"].error) == ("failed", "ValueError: -1 is negative")
    assert "few_jobs.py" in events["bad"].traceback
    assert events["good"].data == {"square": 9}


def test_a_dying_process_is_a_failed_job_and_the_next_ones_run(tmp_path, monkeypatch):
    (tmp_path / "few_jobs.py").write_text(JOBS)
    monkeypatch.setenv("PYTHONPATH", str(tmp_path))
    orders = {"dies": {"x": 1, "die": True}, "a": {"x": 2}, "b": {"x": 3}}
    events = run(ProcessExecutor("few_jobs:square", 1, tmp_path / "log"), orders)
    assert events["dies"].error == f"the worker process was killed by signal {int(signal.SIGKILL)}"
    assert [events[key].data["square"] for key in "ab"] == [4, 9]
    assert "printed by a job" in (tmp_path / "log").read_text()


LINGER = """
import subprocess, sys, tempfile, time


def linger(order, report):
    with tempfile.TemporaryDirectory(prefix="kept-") as folder:
        child = subprocess.Popen([sys.executable, "-c", "import time; time.sleep(600)"])
        report({"folder": folder, "child": child.pid})
        time.sleep(600)
"""


def test_a_worker_that_is_stopped_leaves_neither_files_nor_processes(tmp_path, monkeypatch):
    (tmp_path / "lingering.py").write_text(LINGER)
    (tmp_path / "temporary").mkdir()
    monkeypatch.setenv("PYTHONPATH", str(tmp_path))
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path / "temporary"))
    with ProcessExecutor("lingering:linger", 1, tmp_path / "log") as executor:
        executor.start("k", {})
        told = executor.next_event().data
        assert Path(told["folder"]).is_relative_to(tmp_path / "temporary")
        assert Path(told["folder"]).is_dir()
        os.kill(told["child"], 0)
    assert list((tmp_path / "temporary").iterdir()) == []
    # Killed; its new parent may take a moment to notice.
    for _ in range(200):
        state = Path(f"/proc/{told['child']}/stat")
        if not state.exists() or state.read_text().rpartition(")")[2].split()[0] == "Z":
            break
        time.sleep(0.05)
    else:
        pytest.fail(f"process {told['child']} goes on")


def test_progress_inside_this_process_is_told_at_once(tmp_path, monkeypatch):
    (tmp_path / "few_jobs.py").write_text(JOBS)
    monkeypatch.syspath_prepend(tmp_path)
    told = []
    run(InlineExecutor("few_jobs:square", told.append), {"k": {"x": 6}})
    assert [(event.key, event.kind, event.data) for event in told] == [("k", "progress", {"half": 3.0})]


def test_workers_import_nothing_from_the_current_folder(tmp_path, monkeypatch):
    (tmp_path / "few_jobs.py").write_text(JOBS)
    work = tmp_path / "work"
    work.mkdir()
    (work / "yaml.py").write_text("raise SystemExit('imported from the current folder')")
    monkeypatch.setenv("PYTHONPATH", str(tmp_path))
    monkeypatch.chdir(work)
    events = run(ProcessExecutor("few_jobs:square", 1, tmp_path / "log"), {"k": {"x": 2}})
    assert events["k"].data == {"square": 4}
    assert (tmp_path / "log").read_text() == "printed by a job\n"  # Python warns of nothing.
    assert os.getcwd() == str(work)  # noqa: PTH109


@pytest.fixture
def on_ray(tmp_path, monkeypatch):
    """Makes executors on a Ray cluster of this machine, which is left behind by none."""
    ray = pytest.importorskip("ray")
    (tmp_path / "few_jobs.py").write_text(JOBS)
    monkeypatch.setenv("PYTHONPATH", str(tmp_path))
    monkeypatch.setenv("HOME", str(tmp_path))  # Where Ray keeps its token.
    from accelgym.costmodels.executors.ray_cluster import RayExecutor

    yield lambda *arguments: RayExecutor("few_jobs:square", *arguments)
    assert not ray.is_initialized()


@pytest.mark.slow
def test_jobs_on_ray_end_as_they_do_elsewhere_and_one_whose_workers_die_is_given_up(on_ray):
    orders = {"a": {"x": 2}, "bad": {"x": -1}, "dies": {"x": 1, "die": True}, "b": {"x": 3}}
    executor = on_ray(2)
    events = run(executor, orders)
    assert executor.size == 2
    assert [events[key].data for key in "ab"] == [{"square": 4}, {"square": 9}]
    assert events["bad"].error == "ValueError: -1 is negative"
    assert "few_jobs.py" in events["bad"].traceback
    assert events["dies"].error == "the Ray worker was lost 4 times"


@pytest.mark.parametrize("address", ["", "nowhere", "127.0.0.1", "127.0.0.1:99999", "http://127.0.0.1:80", "auto:1:2"])
def test_what_is_no_address_of_a_cluster_is_refused(address):
    pytest.importorskip("ray")
    from accelgym.costmodels.executors.ray_cluster import check_address

    with pytest.raises(InputError, match=r"address .*: allowed auto, HOST:PORT or ray://HOST:PORT"):
        check_address(address)


def test_an_address_where_nobody_answers_is_refused():
    from accelgym.costmodels.executors.ray_cluster import check_address

    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        for prefix in ("", "ray://"):
            with pytest.raises(InputError, match=r"nobody answers \(Connection refused\)"):
                check_address(f"{prefix}127.0.0.1:{free.getsockname()[1]}")
