"""Warm starts from solved tasks."""

from pathlib import Path

import numpy as np
import pytest
from plugin_tasks import Valley
from small_families import SPECS, deeper

from accelgym.agents import make_agent, search
from accelgym.agents.retrieval import SolvedDecisions
from accelgym.costmodels.errors import DamagedFileError, InputError, InputWarning
from accelgym.envs import Family


@pytest.fixture(scope="module")
def family():
    return Family(**SPECS)


@pytest.fixture(scope="module")
def table(family):
    return SolvedDecisions.of([(task, task.reference().design) for task in family.tasks[:2]])


@pytest.fixture(scope="module")
def path(table, tmp_path_factory):
    path = tmp_path_factory.mktemp("solved") / "solved.npz"
    table.save(path)
    return str(path)


def test_a_solved_task_is_answered_with_its_solution(family, path):
    for task in family.tasks[:2]:
        found = search(task, "nearest", budget=1, seed=0, options={"solved": path})
        assert task.reference().regret(found.best) == 0


def test_neighbours_are_those_with_the_least_distance(family, table):
    task = family.tasks[2]
    order, distance = table.nearest(task, 3)
    query, spread = task.decision_features(), table.features.std(axis=0)
    spread[spread < 1e-9] = 1.0
    for row, features in enumerate(query):
        gaps = np.array([np.linalg.norm((features - other) / spread) for other in table.features])
        np.testing.assert_allclose(distance[row], np.sort(gaps)[:3], rtol=1e-9, atol=1e-12)
        np.testing.assert_allclose(gaps[order[row]], distance[row], rtol=1e-9, atol=1e-12)


@pytest.mark.parametrize("budget", [0.05, 0.2, 0.5])
def test_first_designs_fit_and_differ_and_all_evaluations_count(path, budget):
    task = deeper(budget=budget)
    with pytest.warns(InputWarning, match="outside the solved tasks"):
        agent = make_agent("nearest", task, seed=0, solved=path, starts=6)
    designs = agent.ask(100)
    assert 1 <= len(designs) <= 6
    assert len(np.unique(designs, axis=0)) == len(designs)
    assert task.fits(designs).all()
    with pytest.warns(InputWarning):
        assert search(task, "nearest", budget=40, seed=0, options={"solved": path}).evaluations == 40


def test_a_table_is_what_was_saved(table, path):
    again = SolvedDecisions.load(path)
    np.testing.assert_array_equal(again.features, table.features)
    np.testing.assert_array_equal(again.actions, table.actions)
    assert (again.interface, again.tasks) == (table.interface, table.tasks)


def test_what_cannot_serve_is_refused(family, table, path, tmp_path):
    with pytest.raises(InputError, match="the solved tasks have"):
        make_agent("nearest", deeper(dataflow="mix"), seed=0, solved=path)
    with pytest.raises(InputError, match="has no decision features"):
        SolvedDecisions.of([(Valley(), (0, 0, 0, 0, 0))])
    with pytest.raises(InputError, match="no solved task"):
        SolvedDecisions.of([])
    with pytest.raises(InputError, match=r"option 'solved'.* is missing"):
        make_agent("nearest", family.tasks[0], seed=0)
    with pytest.raises(InputError, match=r"none.npz: no such file"):
        make_agent("nearest", family.tasks[0], seed=0, solved=str(tmp_path / "none.npz"))
    data = tmp_path / "cut.npz"
    data.write_bytes(Path(path).read_bytes()[:-100])
    with pytest.raises(DamagedFileError):
        make_agent("nearest", family.tasks[0], seed=0, solved=str(data))
