"""The proxy study and trainings of proxies, on few rows."""

import dataclasses
import json

import numpy as np
import pytest
from command_line import answer

pytest.importorskip("torch", reason="extra agents")
pytest.importorskip("pyarrow", reason="extra data")

from accelgym.agents.proxy import FitOptions, Proxy, log_errors
from accelgym.costmodels.errors import InputError
from accelgym.dse_dataset.load import load_dataset
from accelgym.experiments.measured_hardware import SAMPLE
from accelgym.experiments.proxy import diversity, few_shot, measured
from accelgym.experiments.proxy.table import format_diversity, format_few_shot, format_measured
from accelgym.experiments.proxy_training import train_proxy
from accelgym.experiments.statistics import rank_correlation

SAMPLES = SAMPLE.parent
QUICK = FitOptions(width=16, steps=200)


def nearest(features, targets, seed):
    """A learner that is quick."""
    return lambda rows: targets[((rows[:, None] - features[None]) ** 2).sum(axis=2).argmin(axis=1)]


def test_no_row_is_predicted_from_itself(monkeypatch):
    """The nearest neighbour of a row among the others is another accelerator, so that its error cannot be 0."""
    monkeypatch.setattr(measured, "LEARNERS", {"nearest": nearest})
    rows = {(row.target, row.predictor): row for row in measured.measured_study()}
    assert rows["area_nand2", "nearest"].rmse > 0.01
    assert rows["rtl_cycles", "closed form"].rmse == 0
    assert rows["area_nand2", "closed form"].rmse < 0.01 < rows["area_nand2", "constant"].rmse
    table = format_measured(list(rows.values()))
    assert "| `energy_pj` |" in table


def test_pooled_rows_are_as_many_as_those_of_one_agent(monkeypatch):
    monkeypatch.setattr(diversity, "LEARNERS", {"nearest": nearest})
    monkeypatch.setattr(diversity, "_EVALUATIONS", 8)
    monkeypatch.setattr(diversity, "_UNSEEN", 8)
    monkeypatch.setattr(diversity, "seconds_per_row", lambda *_: 1.0)
    seen = []
    monkeypatch.setattr(
        diversity, "LEARNERS", {"nearest": lambda *given: seen.append(len(given[1])) or nearest(*given)}
    )
    rows = diversity.diversity_study(0)
    assert seen == [8] * 5
    assert [row.data for row in rows] == [*diversity.AGENTS, "pooled"]
    assert len({row.random_rmse for row in rows}) > 1


def test_ranks_are_spearmans():
    scipy = pytest.importorskip("scipy.stats", reason="extra bo")
    rng = np.random.default_rng(0)
    one, other = rng.integers(0, 6, 40).astype(float), rng.normal(size=40)
    assert rank_correlation(one, other) == pytest.approx(scipy.spearmanr(one, other).statistic)


def test_known_and_unseen_designs_differ_and_technologies_are_seeded():
    known, test = few_shot.designs(0, 50), few_shot.designs(1, 50)
    assert not np.array_equal(known.K, test.K)
    first, second = (few_shot.technology(np.random.default_rng(3), "x") for _ in range(2))
    assert first == second
    labels = few_shot._logs(first, known, "energy_pj")
    assert np.isfinite(labels).all()
    assert few_shot.features_of(known).shape == (50, 9)


def test_tables_of_adaptations_hold_medians():
    row = few_shot.FewShotRow("energy_pj", "new", "scratch", 10, 0, 1.0, 0.5)
    rows = [row, few_shot.FewShotRow("energy_pj", "new", "scratch", 10, 1, 3.0, 0.7)]
    assert "| `energy_pj`, new | scratch | 2.00 (0.600) |" in format_few_shot(rows)
    one = diversity.DiversityRow("ga", "network", 0, 8, 0.5, 0.9, 0.25, 0.8, 1e-2, 1e-4, 1e-6)
    both = [one, dataclasses.replace(one, learner="gradient boosting", random_rmse=0.75)]
    assert "| `ga` | 8 | 0.750 (0.90) | 0.500 (0.90) | 0.250 (0.80) | 0.250 (0.80) |" in format_diversity(both)


def test_a_proxy_is_trained_on_a_dataset_and_its_error_is_that_of_its_predictions(tmp_path):
    manifest = train_proxy(SAMPLES / "synthesis", tmp_path, targets=("area_nand2", "energy_pj"), options=QUICK)
    test = load_dataset(SAMPLES / "synthesis").arrays("test")
    predicted = Proxy.load(tmp_path).predict(test)
    for name in ("area_nand2", "energy_pj"):
        assert manifest["errors"][name] == log_errors(np.log(predicted[name]), np.log(test[name]))
    assert manifest["errors"]["area_nand2"] < 0.5 * np.log(test["area_nand2"]).std()


def test_a_proxy_of_a_task_is_trained_on_pooled_searches(tmp_path):
    words = ["search", "--set", "workload=confuciux/alexnet", "--agent", "random", "--budget", 60, "--out", "runs"]
    assert answer(*words, cwd=tmp_path).returncode == 0
    assert answer("dataset", "from-runs", "runs", "--out", "pool", cwd=tmp_path).returncode == 0
    found = answer("train", "proxy", "--data", "pool", "--out", "proxy", "--json", cwd=tmp_path)
    assert found.returncode == 0, found.stderr
    trained = json.loads(found.stdout)["training"]
    assert trained["targets"] == ["objective"]
    assert len(trained["inputs"]) == 10


def test_wrong_columns_are_refused(tmp_path):
    for data, target, message in (
        ("synthesis", "cost", "unknown column 'cost'"),
        ("synthesis", "rows", "--target rows: is an input"),
        ("synthesis", "exact", "column 'exact' holds no numbers"),
        ("capped", "", "says of no column that it is to be predicted"),
    ):
        with pytest.raises(InputError, match=message):
            train_proxy(SAMPLES / data, tmp_path, targets=(target,) if target else ())
    with pytest.raises(InputError, match="has no column 'area_nand2'; allowed: datasets of preset 'synthesis'"):
        measured.measured_study(SAMPLES / "capped")
