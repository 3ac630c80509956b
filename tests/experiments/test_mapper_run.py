"""Runs of the mapper over a network: killed and resumed, in other processes or in this one."""

import json
import shutil

import pytest

from accelgym.costmodels.errors import InputError
from accelgym.costmodels.files.json_file import read_sealed
from accelgym.costmodels.mapper import Settings, read_inputs
from accelgym.experiments.mapper import run_map
from accelgym.experiments.mapper import worker as jobs
from accelgym.experiments.mapper.summary import network_totals

CSV = "Layer, M, N, K,\na, 4, 6, 8,\nb, 6, 6, 6,\nc, 4, 6, 8,\nd, 8, 2, 4,\n"


@pytest.fixture
def inputs(tmp_path):
    (tmp_path / "net.csv").write_text(CSV)
    return lambda objective="energy": read_inputs([tmp_path / "net.csv"], arch="gemmini_like", objective=objective)


def figures(summary):
    return [{key: x for key, x in layer.items() if key != "seconds"} for layer in summary["layers"]]


def test_an_interrupted_run_goes_on_and_repeats_nothing(tmp_path, inputs, monkeypatch):
    whole = run_map(inputs(), tmp_path / "whole", executor="inline")
    assert (whole.skipped, whole.failures) == (0, {})
    calls = []
    search = jobs.optimal_mapping

    def counted(problem, *arguments):
        calls.append(problem.name)
        if len(calls) == 3 and "interrupt" not in done:
            done.append("interrupt")
            raise KeyboardInterrupt
        return search(problem, *arguments)

    done = []
    monkeypatch.setattr(jobs, "optimal_mapping", counted)
    with pytest.raises(KeyboardInterrupt):
        run_map(inputs(), tmp_path / "torn", executor="inline")
    news = []
    found = run_map(inputs(), tmp_path / "torn", executor="inline", progress=news.append)
    # One after the other, the largest first; the interrupted one is begun again.
    assert calls == ["b", "a", "d", "d"]
    assert found.skipped == 2
    assert [(state.done, state.total, state.note) for state in news] == [(3, 3, "d")]
    assert figures(found.summary) == figures(whole.summary)
    manifest = read_sealed(tmp_path / "torn" / "manifest.json")
    assert [session["layers"] for session in manifest["sessions"]] == [2, 1]
    assert all(session["end"] and session["packages"] for session in manifest["sessions"])
    # A damaged result is made again, a whole one is not.
    path = tmp_path / "torn" / "layers" / "002-b" / "result.json"
    path.write_text(path.read_text().replace('"cycles": ', '"cycles": 1', 1))
    assert run_map(inputs(), tmp_path / "torn", executor="inline").skipped == 2
    assert calls[-1] == "b"


def test_processes_find_the_same(tmp_path, inputs):
    one = run_map(inputs("edp"), tmp_path / "one", executor="inline")
    two = run_map(inputs("edp"), tmp_path / "two", workers=2)
    assert figures(one.summary) == figures(two.summary)
    assert json.loads((tmp_path / "two" / "map.json").read_text())["value"] == two.summary["value"]
    # A folder may move.
    shutil.move(tmp_path / "two", tmp_path / "three")
    assert run_map(inputs("edp"), tmp_path / "three", executor="inline").skipped == 3
    with pytest.raises(InputError, match="holds another run \\(other settings\\)"):
        run_map(inputs("edp"), tmp_path / "three", Settings(bypass=True), executor="inline")
    with pytest.raises(InputError, match="workers is 0"):
        run_map(inputs("edp"), tmp_path / "four", workers=0)


def test_totals_add_up_and_the_product_is_bounded_by_cauchy_and_schwarz():
    def layer(energy, cycles, slack=1.0):
        return {"energy_pj": energy, "cycles": cycles, "utilization": 0.5, "value": energy * cycles, "gap": 0.0,
                "lower_bound": energy * cycles * slack, "seconds": 1.0}  # fmt: skip

    layers = [layer(8.0, 2), layer(3.0, 12, 0.9), layer(5.0, 5)]
    found = network_totals(layers, "edp")
    assert (found["energy_pj"], found["cycles"], found["value"]) == (16.0, 19, 304.0)
    assert found["lower_bound"] == pytest.approx((4 + (36 * 0.9) ** 0.5 + 5) ** 2)
    # Equal ratios leave nothing between bound and value.
    assert network_totals([layer(8.0, 2), layer(4.0, 1)], "edp")["gap"] == pytest.approx(0.0, abs=1e-12)
    assert network_totals([*layers, {"name": "x", "error": "none"}], "edp")["value"] is None
