"""What a benchmark's comparison says, against the trajectories; IOHprofiler's form, read back by its rules."""

import json
from dataclasses import replace
from itertools import combinations

import numpy as np
import pytest
from scipy import stats

from accelgym.agents import Trajectory
from accelgym.costmodels.errors import InputError
from accelgym.experiments import BenchConfig, comparison, run_bench
from accelgym.experiments.comparison import anytime, compare, write_comparison
from accelgym.experiments.iohprofiler import export_iohprofiler
from accelgym.experiments.results import BenchResults

CONFIG = {
    "name": "compared",
    "tasks": [{"arguments": {"workload": "confuciux/mobilenet_v2", "dataflow": "dla", "budget": [0.5, 0.1]}}],
    "agents": [
        "random",
        "aco",
        {"name": "random", "label": "short", "budget": 40},
        {"name": "ga", "options": {"population": 8, "children": 8}},
    ],
    "budget": 120,
    "seeds": 3,
}


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    out = tmp_path_factory.mktemp("compared")
    assert run_bench(BenchConfig.parse(CONFIG), out, executor="inline").failures == ()
    return out


@pytest.fixture(scope="module")
def results(folder):
    return BenchResults.load(folder)


def test_regret_after_a_hundred_evaluations_is_scipys_trimmed_mean(results):
    rows = {(row.agent, row.hardness): row for row in anytime(results)}
    assert ("short", "all") not in rows  # Its budget ends before.
    for place, label in ((0, "random"), (1, "aco"), (3, "ga")):
        row = rows[label, "all"]
        values = [curve[99] for task in results.tasks for curve in task.agents[place].regret_curves]
        assert (row.evaluations, row.tasks, row.runs) == (100, 2, 6)
        assert row.regret_iqm == pytest.approx(stats.trim_mean(values, 0.25))
        assert row.regret_low <= row.regret_iqm <= row.regret_high
        # Both tasks are easy.
        assert rows[label, "easy"].regret_iqm == row.regret_iqm


@pytest.mark.parametrize("budget", [120, 10_000])
def test_a_search_that_ended_of_itself_would_not_have_got_further(results, monkeypatch, budget):
    """One of three seeds is at the target; the others have spent nothing when they end."""
    runs = results.tasks[0].agents[0]
    target = float(runs.final_regret.min())
    monkeypatch.setattr(comparison, "_TARGETS", (target,))
    free = [
        run
        if regret == target
        else replace(run, budget=budget, agent_cpu_s=0 * run.agent_cpu_s, evaluation_cpu_s=0 * run.evaluation_cpu_s)
        for run, regret in zip(runs.runs, runs.final_regret, strict=True)
    ]
    (entry,) = comparison._targets("random", [replace(runs, runs=tuple(free))])
    assert entry["success"] == pytest.approx(1 / 3)
    # Given up at once they say nothing of later times; with nothing left to propose they never get there.
    assert np.isfinite(entry["median_cpu_s"]) == (budget == 120)
    assert entry["median_evaluations"] == np.inf


def test_the_comparison_is_over_agents_of_equal_budget_on_every_task(results, folder):
    found = compare(results)
    ranks = found["ranks"]
    assert ranks["agents"] == ["random", "aco", "ga"]
    assert [(pair["first"], pair["second"]) for pair in ranks["pairs"]] == list(combinations(ranks["agents"], 2))
    assert {(x["agent"], x["other"]) for x in found["improvement"]} == {
        (x, y) for x in ranks["agents"] for y in ranks["agents"] if x != y
    }
    for entry in found["improvement"]:
        ours, theirs = (ranks_place(results, entry[key]) for key in ("agent", "other"))
        wins = [np.mean(x[:, None] < y) + 0.5 * np.mean(x[:, None] == y) for x, y in zip(ours, theirs, strict=True)]
        assert entry["value"] == pytest.approx(np.mean(wins))
    assert {entry["agent"] for entry in found["targets"]} == {"random", "aco", "short", "ga"}
    for agent, profile in found["profiles"]["agents"].items():
        own = [x for x in results.tasks[0].agents if x.agent.label == agent]
        assert (np.diff(profile["value"]) >= 0).all(), own
    written = json.loads(write_comparison(results, folder).read_text())
    assert written["ranks"]["p_value"] == ranks["p_value"]


def ranks_place(results, label):
    return [next(x for x in task.agents if x.agent.label == label).final_regret for task in results.tasks]


def test_ioh_files_hold_every_improvement_and_the_last_evaluation(results, folder, tmp_path):
    out = tmp_path / "ioh"
    written = export_iohprofiler(results, out)
    assert len(written) == 4 * 2
    for path in written:
        about = json.loads(path.read_text())
        assert {"version", "suite", "function_id", "function_name", "maximization", "algorithm"} <= about.keys()
        assert not about["maximization"]
        (scenario,) = about["scenarios"]
        task = results.tasks[about["function_id"] - 1]
        assert path.name == f"IOHprofiler_f{about['function_id']}_{about['function_name']}.json"
        assert scenario["dimension"] == len(task.record["parameters"])
        blocks = (path.parent / scenario["path"]).read_text().split("evaluations raw_y\n")
        assert blocks[0] == ""
        assert len(blocks) - 1 == len(scenario["runs"]) == 3
        for block, run in zip(blocks[1:], scenario["runs"], strict=True):
            label = about["algorithm"]["name"]
            place = folder / "runs" / task.record["id"] / label / f"seed-{run['instance']}" / "trajectory.npz"
            truth = Trajectory.load(place)
            rows = [(int(a), float(b)) for a, b in (line.split(" ") for line in block.splitlines())]
            best = truth.best_so_far
            # A reader that carries values forward gets the curve back.
            read = np.full(truth.evaluations, np.inf)
            for (count, value), end in zip(rows, [*[r[0] for r in rows[1:]], truth.evaluations + 1], strict=True):
                read[count - 1 : end - 1] = value
            np.testing.assert_array_equal(read, best)
            assert run["evals"] == truth.evaluations == rows[-1][0]
            assert run["best"] == {
                "evals": truth.evaluations_to(truth.best),
                "y": truth.best,
                "x": list(truth.best_design),
            }
            assert [run["lower_bound"], run["seed"]] == [task.agents[0].certificate.lower_bound, truth.seed]
    before = {path: path.read_bytes() for path in out.rglob("*") if path.is_file()}
    with pytest.raises(InputError, match="not empty"):
        export_iohprofiler(results, out)
    assert {path: path.read_bytes() for path in out.rglob("*") if path.is_file()} == before
