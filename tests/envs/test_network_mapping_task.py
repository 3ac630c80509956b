"""Mapping a whole network: sums of layers, references, rewards along the way."""

import itertools

import numpy as np
import pytest

from accelgym.agents import search
from accelgym.costmodels.architecture import Architecture, Compute, StorageLevel
from accelgym.costmodels.errors import InputError
from accelgym.costmodels.loopnest import LoopnestModel
from accelgym.costmodels.timeloop import read_timeloop
from accelgym.costmodels.workloads import Layer, Workload
from accelgym.envs import MappingTask, NetworkMappingEnv, NetworkMappingTask, NetworkMappingVectorEnv, audit

MACHINE = Architecture(
    "tiny",
    (
        StorageLevel("DRAM", read_pj=64.0, write_pj=80.0, read_bw=2.0, write_bw=1.0),
        StorageLevel("Buffer", capacity_words=24, read_pj=3.0, write_pj=4.0, fanout_x=4),
    ),
    Compute(mac_pj=2.0, leakage_pj=1.5),
)
NETWORK = Workload.chain(
    "small",
    [
        Layer.conv("a", K=4, C=2, H=4, W=1, R=2, S=1),
        Layer.conv("b", K=4, C=4, H=3, W=1, R=1),
        Layer.conv("c", K=4, C=4, H=3, W=1, R=1),
        Layer.gemm("d", M=2, K=3, C=4),
    ],
)


def build(objective="edp", **arguments):
    return NetworkMappingTask(workload_object=NETWORK, machine=MACHINE, objective=objective, **arguments)


def every_design(layer):
    return np.array(list(itertools.product(*(range(n) for n in layer.space.nvec))))


def test_layers_of_equal_shape_share_a_mapping_and_count_twice():
    task = build()
    assert [layer.problem.name for layer in task.layers] == ["a", "b", "d"]
    assert task.counts.tolist() == [1, 2, 1]
    assert {p.name.split(".")[0] for p in task.space.parameters} == {"a", "b", "d"}


@pytest.mark.parametrize("objective", ["energy", "latency", "edp"])
def test_the_costs_of_a_network_are_those_of_its_layers_in_turn(objective):
    task = build(objective)
    designs = np.concatenate(
        (task.sample_feasible(np.random.default_rng(0), 50), task.space.sample(np.random.default_rng(1), 200))
    )
    outcome = task.evaluate(designs)
    energy = cycles = 0.0
    feasible = np.ones(len(designs), dtype=bool)
    at = 0
    for name in "abcd":
        layer = next(x for x in NETWORK.compute_layers if x.name == ("b" if name == "c" else name))
        single = MappingTask(
            problem=next(x.problem for x in task.layers if x.problem.name == layer.name), machine=MACHINE
        )
        at -= len(single.space) if name == "c" else 0
        part = single.evaluate(designs[:, at : at + len(single.space)])
        at += len(single.space)
        energy, cycles = energy + part.costs["energy_pj"], cycles + part.costs["latency_cycles"]
        feasible &= part.feasible
    total = {"energy": energy, "latency": cycles, "edp": energy * cycles}[objective]
    assert at == designs.shape[1]
    np.testing.assert_array_equal(outcome.feasible, feasible)
    assert 50 <= feasible.sum() < len(designs)
    np.testing.assert_allclose(outcome.objective[feasible], total[feasible], rtol=1e-12)
    assert np.isinf(outcome.objective[~outcome.valid]).all()


@pytest.mark.parametrize("objective", ["energy", "latency", "edp"])
def test_the_reference_encloses_the_brute_forced_optimum(objective):
    task = build(objective)
    fronts = []
    for layer, count in zip(task.layers, task.counts, strict=True):
        outcome = layer.evaluate(every_design(layer))
        costs = np.stack([outcome.costs[name][outcome.feasible] * count for name in ("energy_pj", "latency_cycles")])
        fronts.append(np.unique(costs, axis=1))
    energy = cycles = np.zeros(1)
    for front in fronts:
        energy = (energy[:, None] + front[0]).ravel()
        cycles = (cycles[:, None] + front[1]).ravel()
        keep = np.unique(np.stack((energy, cycles)), axis=1)
        energy, cycles = keep[:, np.minimum.accumulate(keep[1]) == keep[1]]
    optimum = {"energy": energy, "latency": cycles, "edp": energy * cycles}[objective].min()
    found = task.reference()
    assert found.lower_bound <= optimum * (1 + 1e-12)
    assert found.value >= optimum * (1 - 1e-12)
    assert task.evaluate(np.array([found.design])).objective[0] == found.value
    assert task.bound <= found.lower_bound * (1 + 1e-12)
    if objective != "edp":
        assert found.gap == 0
        assert found.value == pytest.approx(optimum, rel=1e-12)


@pytest.mark.parametrize("objective", ["energy", "latency", "edp"])
def test_rewards_add_up_to_the_log_distance_to_the_bound(objective):
    task = build(objective)
    env = NetworkMappingVectorEnv(40, task=task)
    env.reset(seed=0)
    choices = task.actions(task.sample_feasible(np.random.default_rng(3), 40))
    paid, mid_way = np.zeros(40), 0
    for column in choices.T:
        _, rewards, terminated, _, infos = env.step(column)
        paid += rewards
        mid_way += not terminated.any() and (rewards != 0).any()
    assert terminated.all()
    assert mid_way == 2
    np.testing.assert_allclose(paid, -np.log(infos["final_info"]["objective"] / task.bound), rtol=1e-9)


def test_an_impossible_choice_costs_more_than_the_outermost_design():
    task = build()
    env = NetworkMappingEnv(task=task)
    env.reset(seed=0)
    outermost = sum(env.step(choice)[1] for choice in task.actions(task.outermost[None])[0])
    for wrong_at in (0, 11):
        env.reset(seed=0)
        total = 0.0
        for step, choice in enumerate(task.actions(task.outermost[None])[0]):
            hidden = np.flatnonzero(~env.action_masks())
            _, reward, ended, _, info = env.step(hidden[-1] if step == wrong_at else choice)
            total += reward
        assert ended
        assert not info["feasible"]
        assert np.isinf(info["objective"])
        assert 0 < outermost - 1 - total <= 1, "the share of decisions that broke something"


def test_infeasible_designs_differ_by_how_many_layers_and_decisions_break():
    task = build()
    lanes = NetworkMappingVectorEnv(3, task=task)
    lanes.reset(seed=0)
    paid, broken = np.zeros(3), {0: (), 1: (0,), 2: tuple(range(len(task.layers)))}
    starts = np.cumsum([0, *(len(layer.space) for layer in task.layers)])[:-1]
    for position, choice in enumerate(task.actions(task.outermost[None])[0]):
        actions = np.full(3, choice)
        for lane, layers in broken.items():
            if position in starts[list(layers)]:
                actions[lane] = np.flatnonzero(~lanes.action_masks()[lane])[-1]
        paid += lanes.step(actions)[1]
    assert paid[1] < paid[0] - 1
    assert paid[2] < paid[1] - (len(task.layers) - 1)


def test_only_masked_lanes_are_reset():
    env = NetworkMappingVectorEnv(3, task=build())
    env.reset(seed=0)
    for _ in range(12):
        env.step(env.action_masks().argmax(axis=1))
    _, infos = env.reset(options={"reset_mask": np.array([False, True, False])})
    assert infos["position"].tolist() == [12, 0, 12]
    assert infos["layer"].tolist() == [1, 0, 1]
    env.step(env.action_masks().argmax(axis=1))


def test_mappings_are_exported_one_by_one():
    task = build("energy")
    best = np.array(task.reference().design)
    total = 0.0
    for count, text in zip(task.counts, task.artifacts(best).values(), strict=True):
        found = read_timeloop(text)
        energy = LoopnestModel(found.problem, found.architecture).evaluate(found.mappings).energy_pj[0]
        total += count * energy
    assert total == pytest.approx(task.reference().value, rel=1e-9)


def test_agents_search_it():
    task = build()
    for agent, options in (("ga", {"population": 8, "children": 8}), ("maskable_ppo", {"lanes": 16})):
        found = search(task, agent, budget=48, seed=0, options=options)
        assert found.evaluations == 48
        assert found.best >= task.reference().lower_bound


def test_the_text_lists_the_layers_and_the_picture_shows_the_one_at_hand():
    task = build()
    env = NetworkMappingEnv(task=task, render_mode="ansi")
    env.reset(seed=0)
    assert "decisions open" in env.render()
    for choice in task.actions(task.outermost[None])[0]:
        env.step(choice)
    lines = env.render().splitlines()
    assert [line.split()[:2] for line in lines[1:4]] == [["a", "1"], ["b", "2"], ["d", "1"]]
    assert "decisions open" not in "\n".join(lines)
    image = NetworkMappingEnv(task=task, render_mode="rgb_array")
    image.reset(seed=0)
    assert image.render().shape[2] == 3


def test_the_audit_states_what_it_measured():
    found = audit(build("energy"))
    assert found.gap == 0
    assert found.random_regret >= 0
    assert found.greedy_regret >= 0
    assert found.climb_regret >= 0
    assert 0 < found.relaxed_optimum_ratio <= 1
    assert 0 < found.budget_used <= 1


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"workload": "resnet81"}, "unknown workload 'resnet81'"),
        ({"layer": 2}, "unknown argument 'layer'"),
        ({"objective": "speed"}, "objective is 'speed'"),
        ({"architecture": "eyeris"}, "did you mean 'eyeriss'"),
    ],
)
def test_bad_arguments_are_named(arguments, message):
    with pytest.raises(InputError, match=message):
        NetworkMappingTask(**arguments)
