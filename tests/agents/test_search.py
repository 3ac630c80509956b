"""What a search keeps, and what it believes of what it has kept."""

from dataclasses import replace

import numpy as np
import pytest

from accelgym.agents import Agent, Trajectory, agents, make_agent, search
from accelgym.costmodels.certificate import Certificate
from accelgym.costmodels.errors import BoundError, DamagedFileError, InputError, InputWarning


def test_a_trajectory_holds_every_design_with_its_outcome_and_main_costs(assignment, tmp_path):
    found = search(assignment, "random", budget=70, seed=1, options={"batch": 16})
    path = tmp_path / "t.npz"
    found.save(path)
    for x in (found, Trajectory.load(path)):
        assert x.designs.dtype == np.uint8
        outcome = assignment.evaluate(x.designs.astype(np.int64))
        for name in ("objective", "feasible", "violation", "valid"):
            np.testing.assert_array_equal(getattr(x, name), getattr(outcome, name))
        assert x.costs.keys() == {"latency_cycles", "energy_pj", "area_um2", "power_mw", "resource"}
        for name, values in x.costs.items():
            np.testing.assert_array_equal(values, outcome.costs[name])
        assert x.distinct_designs == len(np.unique(x.designs, axis=0))
        best = np.array([x.best_design])
        assert assignment.evaluate(best).objective[0] == x.best == outcome.objective[outcome.feasible].min()


def test_numpy_scalars_and_str_paths(assignment, tmp_path):
    plain_ = search(assignment, "ga", budget=50, seed=0, options={"population": 20, "crossover": 0.5})
    options = {"population": np.int64(20), "crossover": np.float32(0.5)}
    numpy_ = search(
        assignment, "ga", budget=np.int64(50), seed=np.int64(0), options=options, journal=str(tmp_path / "k")
    )
    np.testing.assert_array_equal(plain_.designs, numpy_.designs)
    numpy_.save(str(tmp_path / "v.npz"))
    assert Trajectory.load(str(tmp_path / "v.npz")).options == {"population": 20, "crossover": 0.5}
    assert make_agent("ga", assignment, seed=np.uint8(3), population=np.int16(4)).population == 4


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"budget": 0}, "budget is 0, allowed >= 1"),
        ({"budget": 2.5}, "budget is 2.5"),
        ({"budget": True}, "budget is True"),
        ({"seed": -1}, "seed is -1, allowed >= 0"),
        ({"seed": "0"}, "seed is '0'"),
    ],
)
def test_budget_and_seed_are_counts(assignment, arguments, message):
    with pytest.raises(InputError, match=message):
        search(assignment, "random", **{"budget": 5, "seed": 0} | arguments)


@pytest.mark.parametrize("path", [3, "", "a\0b", "x" * 300], ids=lambda path: str(path)[:4])
def test_what_names_no_file_is_refused_before_the_search(assignment, path):
    with pytest.raises(InputError, match=r"^journal "):
        search(assignment, "random", budget=5, seed=0, journal=path)
    found = search(assignment, "random", budget=5, seed=0)
    with pytest.raises(InputError, match=r"^path "):
        found.save(path)
    with pytest.raises(InputError, match=r"^path "):
        Trajectory.load(path)


def journalled(task, path, **other):
    return search(task, "random", **{"budget": 64, "seed": 2, "options": {"batch": 8}, "journal": path} | other)


def test_a_changed_bit_in_a_journal_is_found_and_the_search_is_the_same(assignment, tmp_path):
    path = tmp_path / "journal"
    whole = journalled(assignment, path)
    data = path.read_bytes()
    for at in np.linspace(4, len(data) - 1, 40).astype(int):
        damaged = bytearray(data)
        damaged[at] ^= 0x40
        path.write_bytes(damaged)
        with pytest.warns(InputWarning, match="damaged"):
            again = journalled(assignment, path)
        np.testing.assert_array_equal(again.objective, whole.objective)
        np.testing.assert_array_equal(again.designs, whole.designs)


@pytest.mark.parametrize("share", [0.2, 0.5, 0.9])
def test_a_journal_with_a_tail_of_zeros_goes_on_from_its_last_whole_batch(assignment, tmp_path, share):
    path = tmp_path / "journal"
    whole = journalled(assignment, path)
    data = path.read_bytes()
    kept = int(share * len(data))
    path.write_bytes(data[:kept] + bytes(len(data) - kept))
    evaluated = []
    task = Counting(assignment, evaluated)
    with pytest.warns(InputWarning, match="damaged"):
        again = journalled(task, path)
    np.testing.assert_array_equal(again.objective, whole.objective)
    assert 0 < sum(evaluated) < 64
    assert sum(evaluated) == pytest.approx(64 * (1 - share), abs=8)


class Counting:
    """A task that notes how many designs it evaluates."""

    def __init__(self, task, evaluated):
        self._task, self._evaluated = task, evaluated

    def __getattr__(self, name):
        return getattr(self._task, name)

    def evaluate(self, designs):
        self._evaluated.append(len(designs))
        return self._task.evaluate(designs)


def test_a_mistyped_option_leaves_no_journal(late, assignment, tmp_path):
    path = tmp_path / "journal"
    with pytest.raises(InputError, match="did you mean 'batch'"):
        journalled(assignment, path, options={"bacth": 3})
    with pytest.raises(ZeroDivisionError):
        search(assignment, "late", budget=9, seed=0, options={"step": 0}, journal=path)
    assert not path.exists()
    journalled(assignment, path)


@pytest.mark.parametrize("other", [{"seed": 3}, {"budget": 65}, {"options": {"batch": 9}}])
def test_the_journal_of_another_search_is_refused(assignment, tmp_path, other):
    journalled(assignment, tmp_path / "journal")
    with pytest.raises(InputError, match="another search"):
        journalled(assignment, tmp_path / "journal", **other)


def test_an_objective_below_the_bound_ends_the_search_before_it_is_kept(assignment, tmp_path):
    wrong = Certificate(1e30, None, 1e30, 0.0, "a wrong proof")
    with pytest.raises(BoundError, match="a wrong proof"):
        journalled(assignment, tmp_path / "journal", certificate=wrong)
    assert not (tmp_path / "journal").exists()


def test_a_file_that_is_no_trajectory_is_named(assignment, tmp_path):
    path = tmp_path / "t.npz"
    found = search(assignment, "random", budget=8, seed=1)
    for bad in (
        replace(found, designs=found.designs[:5]),
        replace(found, feasible=found.feasible[:3]),
        replace(found, objective=found.objective.astype(np.int64)),
        replace(found, costs={"area": np.zeros((8, 2))}),
    ):
        bad.save(path)
        with pytest.raises(DamagedFileError, match=r"t\.npz"):
            Trajectory.load(path)
    np.savez(path, x=np.zeros(3))
    with pytest.raises(DamagedFileError, match=r"t\.npz"):
        Trajectory.load(path)


class Careless(Agent):
    """Proposes 4 random designs and goes wrong in the way that an option says."""

    def __init__(self, task, *, seed, fault="none"):
        super().__init__(task, seed=seed)
        self.fault = fault

    def ask(self, count):
        designs = self.task.space.sample(self.rng, min(4, count))
        faults = {"fraction": designs + 0.5, "range": designs + 99, "row": designs[0], "list": designs.tolist()}
        return faults.get(self.fault, designs)

    def tell(self, designs, outcome):
        if self.fault == "writes":
            designs[:] = 0
            outcome.objective[:] = outcome.objective.min()
            outcome.feasible[:] = True
            for figure in outcome.costs.values():
                figure[:] = 0


@pytest.fixture
def careless(monkeypatch):
    monkeypatch.setitem(agents._factories, "careless", Careless)


@pytest.mark.parametrize(
    ("fault", "message"),
    [
        ("fraction", "dtype float64"),
        ("range", "out of range"),
        ("row", r"have shape \(5,\)"),
        ("list", "returned .*allowed an array"),
    ],
)
def test_designs_that_do_not_exist_are_the_fault_of_the_agent(valley, careless, fault, message):
    with pytest.raises(RuntimeError, match=rf"Careless\.ask.*{message}"):
        search(valley, "careless", budget=8, seed=0, options={"fault": fault})


def test_an_agent_cannot_change_what_is_kept(assignment, careless, tmp_path):
    honest, writes = (
        search(assignment, "careless", budget=8, seed=0, options={"fault": fault}, journal=tmp_path / fault)
        for fault in ("none", "writes")
    )
    again = search(assignment, "careless", budget=8, seed=0, options={"fault": "writes"}, journal=tmp_path / "writes")
    for name in ("designs", "objective", "feasible"):
        for found in (writes, again):
            np.testing.assert_array_equal(getattr(found, name), getattr(honest, name))
    for name, figure in honest.costs.items():
        np.testing.assert_array_equal(writes.costs[name], figure)


@pytest.mark.parametrize(
    ("returned", "message"),
    [(None, "returned None for 4"), (np.ones(4), "returned an array of"), (1, "returned an Outcome of 1 for 4")],
)
def test_a_task_that_returns_no_outcome_of_its_designs_is_named(valley, monkeypatch, returned, message):
    evaluate = valley.evaluate
    monkeypatch.setattr(
        valley,
        "evaluate",
        lambda designs: evaluate(designs[:1]) if isinstance(returned, int) else returned,
        raising=False,
    )
    with pytest.raises(RuntimeError, match=rf"Valley\.evaluate {message}"):
        search(valley, "random", budget=8, seed=0, options={"batch": 4})
