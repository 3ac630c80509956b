"""Independent PPO learns, keeps to the masks and repeats; the study resumes and says what it found."""

import csv

import numpy as np
import pytest
from plugin_tasks import Valley

from accelgym.costmodels.errors import InputError
from accelgym.envs import make_task
from accelgym.envs.multi_agent import Team
from accelgym.experiments.multi_agent import study
from accelgym.experiments.multi_agent.independent_ppo import IndependentPPO


def mean_scores(task, by, order="turns"):
    """Mean objective of feasible designs in the first and the last hundred of 1,000, over two seeds."""
    found = [IndependentPPO(Team(task, by=by, order=order), seed=seed).search(1000).score for seed in (0, 1)]
    first, last = (np.concatenate([x[part] for x in found]) for part in (slice(0, 100), slice(-100, None)))
    return first[np.isfinite(first)].mean(), last[np.isfinite(last)].mean(), np.isfinite(last).mean()


@pytest.mark.parametrize(
    ("by", "order"),
    [
        pytest.param("design", "turns", marks=pytest.mark.slow),
        ("group", "turns"),
        pytest.param("group", "rounds", marks=pytest.mark.slow),
    ],
)
def test_a_team_learns(by, order):
    first, last, feasible = mean_scores(Valley(), by, order)
    assert last < 0.6 * first
    assert feasible > 0.9


def test_a_search_repeats_and_keeps_to_the_masks():
    task = make_task("ResourceAssignment-v0", workload="confuciux/alexnet", budget=0.05)
    one, two = (IndependentPPO(Team(task, by="knob"), seed=3).search(50) for _ in range(2))
    np.testing.assert_array_equal(one.score, two.score)
    assert np.isfinite(one.score).all()
    assert len(one.score) == 50
    assert task.evaluate(one.best[None]).objective[0] == one.score.min()


def test_the_study_resumes_and_its_table_follows_from_its_runs(tmp_path, monkeypatch):
    small = ("ResourceAssignment-v0", {"workload": "confuciux/alexnet", "budget": 0.05})
    monkeypatch.setattr(study, "TASKS", {"small": small})
    monkeypatch.setattr(study, "SEARCHERS", {"random": None, "one agent": ("design", "turns")})
    records = study.run_study(tmp_path, seeds=2, budget=30)
    assert [(r["searcher"], r["agents"], r["seed"]) for r in records] == [
        ("random", 0, 0),
        ("one agent", 1, 0),
        ("random", 0, 1),
        ("one agent", 1, 1),
    ]
    monkeypatch.setattr(study, "_run", None)
    assert study.run_study(tmp_path, seeds=2, budget=30) == records
    with pytest.raises(InputError, match="another study: budget was 30 and is now 31"):
        study.run_study(tmp_path, seeds=2, budget=31)
    with pytest.raises(InputError, match="seeds is 0"):
        study.run_study(tmp_path, seeds=0)
    study.write_csv(records, tmp_path / "runs.csv")
    with (tmp_path / "runs.csv").open(newline="") as file:
        assert [float(row["regret"]) for row in csv.DictReader(file)] == [r["regret"] for r in records]
    mean = np.mean([r["regret"] for r in records if r["searcher"] == "random"])
    assert f"{mean:.1%} [" in study.format_table(records)
