"""Evaluations from the cache: the same bits, counted, and only of the same task."""

import json
import sqlite3

import numpy as np
import pytest

from accelgym.agents import Trajectory
from accelgym.costmodels.errors import InputError
from accelgym.envs import make_task
from accelgym.experiments import BenchConfig, run_bench
from accelgym.experiments.evaluation_cache import EvaluationCache

ARGUMENTS = {"workload": "confuciux/mobilenet_v2", "dataflow": "dla"}


@pytest.fixture(scope="module")
def task():
    return make_task("ResourceAssignment-v0", **ARGUMENTS, budget=0.1)


def same(one, other):
    for name in ("objective", "feasible", "violation", "valid"):
        x, y = getattr(one, name), getattr(other, name)
        assert (x.dtype, x.tobytes()) == (y.dtype, y.tobytes())
    assert one.costs.keys() == other.costs.keys()
    for name, x in one.costs.items():
        y = other.costs[name]
        assert (np.asarray(x).dtype, np.asarray(x).shape) == (y.dtype, y.shape)
        assert np.ascontiguousarray(x).tobytes() == y.tobytes()


def test_what_is_found_is_what_was_evaluated_bit_by_bit(task, tmp_path):
    designs = task.space.sample(np.random.default_rng(0), 12)
    truth = task.evaluate(designs)
    first = EvaluationCache(tmp_path, task)
    same(truth, first.evaluate(designs))
    assert first.hits == 0
    again = EvaluationCache(tmp_path, task)
    same(truth, again.evaluate(designs))
    # Old and new ones, in any order, and one twice.
    mixed = np.concatenate((designs[5:], task.space.sample(np.random.default_rng(1), 3), designs[:1], designs[:1]))
    same(task.evaluate(mixed), again.evaluate(mixed))
    assert again.hits == 12 + 7 + 2
    same(task.evaluate(designs[:0]), again.evaluate(designs[:0]))


def test_another_task_finds_nothing(task, tmp_path):
    other = make_task("ResourceAssignment-v0", **ARGUMENTS, budget=0.5)
    designs = task.space.sample(np.random.default_rng(0), 4)
    EvaluationCache(tmp_path, task).evaluate(designs)
    found = EvaluationCache(tmp_path, other)
    same(other.evaluate(designs), found.evaluate(designs))
    assert found.hits == 0


def test_a_damaged_row_is_evaluated_again(task, tmp_path):
    designs = task.space.sample(np.random.default_rng(0), 4)
    cache = EvaluationCache(tmp_path, task)
    cache.evaluate(designs)
    with sqlite3.connect(cache.path) as rows:
        key, data = rows.execute("select design, outcome from outcomes limit 1").fetchone()
        bad = bytearray(data)
        bad[-1] ^= 1
        rows.execute("update outcomes set outcome = ? where design = ?", (bytes(bad), key))
    again = EvaluationCache(tmp_path, task)
    same(task.evaluate(designs), again.evaluate(designs))
    assert again.hits == 3


def test_what_is_no_database_is_named(task, tmp_path):
    path = EvaluationCache(tmp_path, task).path
    path.write_text("no database, but long enough to be looked at as one")
    with pytest.raises(InputError, match=r"sqlite: cannot be used as a cache"):
        EvaluationCache(tmp_path, task)


def test_a_benchmark_with_a_cache_is_the_one_without_and_says_what_it_found(tmp_path):
    config = BenchConfig.parse(
        {
            "name": "cached",
            "tasks": [{"arguments": ARGUMENTS | {"budget": 0.1}}],
            "agents": [{"name": "random", "options": {"batch": 16}}],
            "budget": 40,
            "seeds": 2,
        }
    )
    runs = {}
    for out, cache in (("plain", None), ("filled", "cache"), ("read", "cache")):
        run_bench(config, tmp_path / out, executor="inline", audit=False, cache=cache and tmp_path / cache)
        paths = sorted((tmp_path / out).glob("runs/*/*/*"))
        runs[out] = [Trajectory.load(path / "trajectory.npz") for path in paths]
        found = [json.loads((path / "best.json").read_text()).get("cached_evaluations") for path in paths]
        assert found == {"plain": [None, None], "filled": [0, 0], "read": [40, 40]}[out]
    for one, other in zip(runs["plain"] * 2, runs["filled"] + runs["read"], strict=True):
        assert one.objective.tobytes() == other.objective.tobytes()
        assert one.evaluations == other.evaluations == 40
