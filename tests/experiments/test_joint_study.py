"""The study of the joint space resumes, and its tables hold what was measured; fronts are those of all designs."""

import numpy as np
import pytest

from accelgym.agents.adapters.nsga2 import nsga2_front
from accelgym.costmodels.errors import InputError
from accelgym.costmodels.workloads import Layer, Workload
from accelgym.envs.joint import JointTask
from accelgym.envs.joint.fronts import exact_front, figures_of, objective_names
from accelgym.envs.pareto import relative_hypervolume
from accelgym.experiments.joint import study
from accelgym.experiments.joint.study import Job, run_study
from accelgym.experiments.joint.tables import format_study


@pytest.fixture(scope="module")
def one():
    """One layer: 16 machines within the limits or fewer, 36 choices."""
    layers = [Layer.gemm("g", M=9, K=16, C=16)]
    return JointTask(
        workload_object=Workload.chain("one", layers), machines="small", types=["int4/int8", "int8"], max_loss=0.03
    )


def test_the_front_is_what_no_feasible_design_dominates(one):
    shape = tuple(one.space.nvec)
    designs = np.stack(np.unravel_index(np.arange(one.space.cardinality), shape), axis=1)
    designs = designs[one.fits(designs)]
    points = np.unique(figures_of(one, designs), axis=0)
    beaten = [((points <= p).all(axis=1) & (points < p).any(axis=1)).any() for p in points]
    found, front = exact_front(one)
    np.testing.assert_array_equal(front, points[~np.array(beaten)])
    np.testing.assert_array_equal(figures_of(one, found), front)
    assert len(front) > 1


def test_objectives_and_sizes_are_checked(one):
    with pytest.raises(InputError, match="objective"):
        figures_of(one, one.sample_feasible(np.random.default_rng(0), 1), ["power"])
    with pytest.raises(InputError, match="allowed up to 5,000,000"):
        exact_front(JointTask(machines="small"))


def test_nsga2_finds_feasible_points_that_the_front_covers(one):
    designs, costs = nsga2_front(one, objective_names(one), 200, 0)
    assert one.fits(designs).all()
    np.testing.assert_array_equal(figures_of(one, designs), costs)
    _, front = exact_front(one)
    assert 0.5 < relative_hypervolume(figures_of(one, designs), front) <= 1 + 1e-12


def test_a_study_goes_on_where_it_was(one, tmp_path, monkeypatch):
    monkeypatch.setattr(study, "small_front", lambda: one)
    monkeypatch.setattr(study, "_made", lambda arguments: one)
    planned = [Job("search", "CNN", "random", 200, 0), Job("front", "small", "random", 50, 0)]
    said: list[str] = []
    first = run_study(tmp_path, iter(planned[:1]), said.append)
    both = run_study(tmp_path, iter(planned), said.append)
    assert len(said) == 2
    assert both[0] == first[0]
    assert both[0]["regret"].keys() == {"100"}
    table = format_study(both)
    assert f"| random, given 200 | 100 | 1 | {both[0]['regret']['100']:.1%} | - | - | - |" in table
    assert f"{both[1]['hypervolume']:.3f}" in table
    assert run_study(tmp_path, iter([Job("search", "CNN", "ga", 100, 0)]), said.append, 0.0) == both
