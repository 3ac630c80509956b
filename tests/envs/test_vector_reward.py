"""Several objectives at once: the vector follows from the costs of the design that was decided."""

import gymnasium
import numpy as np
import pytest

import accelgym
from accelgym.costmodels.errors import InputError
from accelgym.envs.vector_reward import VectorReward

gymnasium.register_envs(accelgym)
JOINT = ("latency_cycles", "energy_pj", "area_nand2", "table_loss")


def make(name, objectives):
    return VectorReward(gymnasium.make(f"accelgym/{name}"), objectives)


def play(env, choose):
    env.reset(seed=0)
    rewards, over = [], False
    while not over:
        _, reward, over, _, info = env.step(choose(len(rewards)))
        rewards.append(reward)
    return rewards, info


def test_the_reference_is_worth_one_in_every_objective():
    env = make("Joint-v0", JOINT)
    task = env.unwrapped.task
    (actions,) = task.actions(np.array([task.reference().design]))
    rewards, _ = play(env, lambda step: actions[step])
    np.testing.assert_allclose(rewards[-1], 1.0, rtol=1e-6)
    assert not np.any(rewards[:-1])
    assert all(env.reward_space.contains(reward) for reward in rewards)
    assert env.unwrapped.reward_space == env.reward_space


@pytest.mark.parametrize(("name", "objectives"), [("Joint-v0", JOINT), ("HwGen-v0", ("latency_cycles", "area_nand2"))])
def test_a_feasible_design_is_compared_cost_by_cost(name, objectives):
    env, rng = make(name, objectives), np.random.default_rng(3)
    rewards, info = play(env, lambda _: rng.choice(np.flatnonzero(env.unwrapped.action_masks())))
    task = env.unwrapped.task
    found, best = (
        task.evaluate(designs) for designs in (task.designs(info["design"][None]), np.array([task.reference().design]))
    )
    assert found.feasible[0]
    for reward, cost in zip(rewards[-1], objectives, strict=True):
        assert reward == pytest.approx(best.costs[cost][0] / found.costs[cost][0], rel=1e-6)
    assert len(set(rewards[-1])) > 1


def test_an_infeasible_design_gets_the_scalar_reward_everywhere():
    plain = gymnasium.make("accelgym/Joint-v0")
    dearest = plain.unwrapped.action_space.n - 1
    scalar, info = play(plain, lambda _: dearest)
    vector, _ = play(make("Joint-v0", JOINT), lambda _: dearest)
    assert not info["feasible"]
    assert scalar[-1] < 0
    np.testing.assert_allclose(vector[-1], np.full(4, scalar[-1]), rtol=1e-6)


@pytest.mark.parametrize(
    ("objectives", "words"),
    [
        ((), "one or more different names"),
        (("energy_pj", "energy_pj"), "one or more different names"),
        (("speed",), "latency_cycles"),
        ("energy_pj", "one or more different names"),
        (3, "one or more different names"),
        ([["energy_pj"]], "one or more different names"),
        (("slot_cost",), "one number a design"),
    ],
)
def test_objectives_that_are_none_are_named(objectives, words):
    with pytest.raises(InputError, match=words):
        make("Joint-v0" if objectives != ("slot_cost",) else "ResourceAssignment-v0", objectives)


def test_an_environment_without_a_task_is_refused():
    with pytest.raises(InputError, match="has no task"):
        VectorReward(gymnasium.make("CartPole-v1"), ("energy_pj",))
