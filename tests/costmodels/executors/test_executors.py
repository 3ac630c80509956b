"""The contract of executors, over all of them."""

import os
import signal

import pytest

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
    assert os.getcwd() == str(work)  # noqa: PTH109
