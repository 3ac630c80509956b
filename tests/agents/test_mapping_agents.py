"""Agents that know mappings: what their operators do, and that they find optima that enumeration proves."""

import json

import numpy as np
import pytest
from typer.testing import CliRunner

from accelgym.agents import make_agent, search
from accelgym.cli import app
from accelgym.costmodels.errors import InputError
from accelgym.costmodels.loopnest import LoopnestModel
from accelgym.costmodels.timeloop import read_timeloop
from accelgym.envs import MappingTask

NAMES = ["random_pruned", "gamma", "mapping_gradient", "thistle"]


@pytest.mark.parametrize("name", NAMES)
def test_other_tasks_are_refused_by_name(name, assignment):
    with pytest.raises(InputError, match=f"agent '{name}' searches tasks of accelgym/Mapping-v0"):
        make_agent(name, assignment, seed=0)


@pytest.mark.parametrize(
    ("name", "regret"),
    [
        ("random_pruned", 0.5),
        ("gamma", 0.03),
        pytest.param("mapping_gradient", 0.02, marks=pytest.mark.slow),
        ("thistle", 0.15),
    ],
)
def test_agents_come_close_to_the_proved_optimum(name, regret, mapping):
    assert mapping.reference().gap <= 1e-3  # the tolerance of branch and bound
    # One seed is luck: on this layer GAMMA ends between 0 and 18 % above the optimum.
    found = [search(mapping, name, budget=1500, seed=seed) for seed in range(1 if name == "thistle" else 8)]
    assert np.median([x.best for x in found]) / mapping.reference().value - 1 <= regret
    assert all(x.best >= mapping.reference().lower_bound for x in found)
    assert all(x.feasible.all() for x in found)


@pytest.mark.parametrize("name", NAMES)
def test_bypasses_and_constraints_are_searched_too(name, mapping):
    task = MappingTask(problem=mapping.problem, machine=mapping.architecture, bypass=True, objective="energy")
    found = search(task, name, budget=400, seed=1, options={"batch": 8} if name == "random_pruned" else {})
    keep = task.mapspace.decode(np.array([found.best_design])).keep
    assert found.feasible.all()
    assert keep[0, 0].all()
    assert not keep.all(), "with bypass open the best mapping found bypasses something"


def test_random_pruned_visits_each_order_of_a_tiling_once(mapping):
    agent = make_agent("random_pruned", mapping, seed=0, batch=20, orders=16)
    mappings = mapping.mapspace.decode(agent.ask(10_000))
    nests = [tuple(mappings.loops(row)) for row in range(len(mappings))]
    assert len(set(nests)) == len(nests)
    tilings = [factors.tobytes() for factors in np.moveaxis(mappings.factors, -1, 0)]
    assert 2 <= len(set(tilings)) <= 20
    assert max(tilings.count(t) for t in set(tilings)) <= 16


def test_the_command_line_leaves_the_best_mapping_as_timeloop_yaml(tmp_path):
    (tmp_path / "net.csv").write_text("K,C,Y,X,R,S,T\n4,2,4,4,1,1,1\n")
    command = ["search", "--env", "accelgym/Mapping-v0", "--agent", "random_pruned", "--budget", "40"]
    command += ["--set", f"workload={tmp_path / 'net.csv'}", "--set", "layer=1", "--set", "objective=energy"]
    command += ["--set", "architecture=memory_access_exercise", "--out", str(tmp_path / "out"), "--json"]
    result = CliRunner().invoke(app, command, catch_exceptions=False)
    assert result.exit_code == 0, result.output
    read = read_timeloop(next((tmp_path / "out" / "runs").rglob("timeloop.yaml")))
    costs = LoopnestModel(read.problem, read.architecture).evaluate(read.mappings)
    assert costs.energy_pj[0] == pytest.approx(json.loads(result.stdout)["objective"], rel=1e-12)


@pytest.mark.parametrize("objective", ["energy", "latency", "edp"])
def test_no_agent_gets_below_the_certified_bound(objective):
    task = MappingTask(workload="thistle/resnet18", layer=5, architecture="eyeriss_thistle", objective=objective)
    proved = task.solve(tolerance=1e-3, seconds=20)
    for name in ("thistle", "random_pruned", "gamma", "mapping_gradient"):
        assert search(task, name, budget=200, seed=0).best >= proved.lower_bound


def test_thistle_rounds_optima_of_the_relaxation():
    task = MappingTask(workload="thistle/resnet18", layer=2, architecture="eyeriss_thistle", objective="energy")
    reached = {name: search(task, name, budget=300, seed=0).best for name in ("thistle", "random_pruned")}
    assert reached["thistle"] < reached["random_pruned"]
    # The optimum with kernel loops in time and without reuse across levels, 21.5997 pJ/MAC, has a smaller space.
    assert reached["thistle"] / task.problem.macs < 1.02 * 21.5997


def test_nothing_beats_the_oracle_and_its_first_design_is_the_optimum(mapping):
    found = search(mapping, "oracle", budget=300, seed=0)
    assert found.objective[0] == mapping.reference().value
    assert found.best == found.objective[0]
    assert found.distinct_designs > 10


def operators(mapping, name):
    """Parents, and what one operator of GAMMA makes of them, as mappings."""
    agent = make_agent("gamma", mapping, seed=0, population=60)
    designs = agent.ask(60)
    agent.tell(designs, mapping.evaluate(designs))
    parents = agent._designs
    choices = mapping.mapspace.actions(parents)
    getattr(agent, name)(choices, np.arange(len(choices)))
    children = mapping.mapspace.designs(choices)
    mapping.space.check(children)
    return mapping.mapspace.decode(parents), mapping.mapspace.decode(children)


def test_reorder_trades_two_loops_and_no_factor(mapping):
    before, after = operators(mapping, "_reorder")
    np.testing.assert_array_equal(before.factors, after.factors)
    moved = (before.ranks != after.ranks).sum(axis=(0, 1))
    assert set(moved) == {2}


def test_redraw_changes_one_dimension_and_no_order(mapping):
    before, after = operators(mapping, "_redraw")
    np.testing.assert_array_equal(before.ranks, after.ranks)
    assert (before.factors != after.factors).any(axis=0).sum(axis=0).max() == 1


def test_crossover_takes_a_dimension_from_another_parent(mapping):
    before, after = operators(mapping, "_cross")
    changed = (before.factors != after.factors).any(axis=0)
    assert changed.sum(axis=0).max() == 1
    for dim, row in np.argwhere(changed):
        assert (before.factors[:, dim] == after.factors[:, dim, [row]]).all(axis=0).any()


def test_ageing_empties_a_fan_out_and_growth_fills_one(mapping):
    model = LoopnestModel(mapping.problem, mapping.architecture)
    before, after = operators(mapping, "_age")
    fewer = model.evaluate(after).breakdown["utilized_pes"], model.evaluate(before).breakdown["utilized_pes"]
    assert (fewer[0] <= fewer[1]).all()
    assert (fewer[0] < fewer[1]).any()
    before, after = operators(mapping, "_grow")
    more = model.evaluate(after).breakdown["utilized_pes"], model.evaluate(before).breakdown["utilized_pes"]
    assert (more[0] >= more[1]).all()
    assert (more[0] > more[1]).any()


def test_parallel_swap_trades_x_and_y(mapping):
    before, after = operators(mapping, "_swap_parallel")
    x, y = (mapping.mapspace.slot_names.index(f"SRAM.{kind}") for kind in "xy")
    swapped = (before.factors[x] == after.factors[y]) & (before.factors[y] == after.factors[x])
    # A factor of 3 fits along y only and stays.
    assert swapped[(before.factors[[x, y]] % 3 != 0).all(axis=0)].all()
    assert (before.factors[x] != after.factors[x]).any()


def test_the_relaxed_loss_is_exact_where_the_tiles_are_whole(mapping):
    agent = make_agent("mapping_gradient", mapping, seed=0, starts=6)
    torch = agent._torch
    designs = mapping.sample_feasible(np.random.default_rng(3), 50)
    plain = MappingTask(
        problem=mapping.problem,
        machine=mapping.architecture.with_level("DRAM", block_size=1, read_bw=None, write_bw=None),
    )
    agent = make_agent("mapping_gradient", plain, seed=0, starts=6)
    candidates = [plain.candidate(d) for d in designs]
    factors = torch.tensor(np.concatenate([c.factors for c in candidates], axis=2), dtype=torch.float64)
    codes = np.concatenate([c.codes for c in candidates], axis=1)
    loss = agent._loss(factors, codes, None).numpy()
    exact = np.array([plain.evaluator(c)[0] for c in candidates])
    np.testing.assert_allclose(loss, np.log(exact), rtol=1e-9)


def test_the_gradient_points_downhill(mapping):
    agent = make_agent("mapping_gradient", mapping, seed=0, starts=8, rate=0.02)
    agent._choose_orders()
    losses = []
    for _ in range(15):
        with agent._torch.no_grad():
            losses.append(float(agent._loss(agent._factors(), agent._codes, agent._keep).mean()))
        agent._step()
    assert losses[-1] < losses[0]
