"""The Stable-Baselines3 adapter, against the environment it wraps and SB3 itself."""

import gymnasium as gym
import numpy as np
import pytest
from gymnasium.vector import AutoresetMode
from sb3_contrib import MaskablePPO
from sb3_contrib.common.maskable.utils import get_action_masks, is_masking_supported
from stable_baselines3 import PPO
from stable_baselines3.common.vec_env import VecMonitor

from accelgym.costmodels.errors import InputError
from accelgym.costmodels.workloads import Layer, LayerKind, Workload
from accelgym.envs import ResourceAssignmentEnv, ResourceAssignmentTask, ResourceAssignmentVectorEnv
from accelgym.envs.sb3 import Sb3VecEnv

LANES = 6


@pytest.fixture(scope="module")
def task():
    layers = [
        Layer("one", LayerKind.CONV, K=32, C=32, P=6, Q=6, R=3, S=3),
        Layer("two", LayerKind.CONV, K=64, C=32, P=6, Q=6, R=1, S=1),
        Layer("three", LayerKind.CONV, K=16, C=64, P=4, Q=4, R=3, S=3),
    ]
    return ResourceAssignmentTask(workload_object=Workload.chain("three", layers), budget=0.2)


def adapter(task, **arguments):
    return Sb3VecEnv(ResourceAssignmentVectorEnv(LANES, task=task, **arguments))


@pytest.mark.parametrize("reward", ["regret", "confuciux"])
def test_every_lane_is_a_scalar_environment_that_resets_itself(task, reward):
    # With the ConfuciuX reward lanes end at different steps.
    venv = adapter(task, reward=reward)
    scalar = [ResourceAssignmentEnv(task=task, reward=reward) for _ in range(LANES)]
    np.testing.assert_array_equal(venv.reset(), [env.reset()[0] for env in scalar])
    rng = np.random.default_rng(0)
    ended = 0
    for _ in range(60):
        actions = rng.integers(0, task.table.options, LANES)
        observations, rewards, dones, infos = venv.step(actions)
        for lane, env in enumerate(scalar):
            obs, value, terminated, truncated, info = env.step(actions[lane])
            assert rewards[lane] == np.float32(value)
            assert dones[lane] == (terminated or truncated)
            if dones[lane]:
                ended += 1
                np.testing.assert_array_equal(infos[lane].pop("terminal_observation"), obs)
                assert infos[lane].pop("TimeLimit.truncated") is False
                np.testing.assert_equal(infos[lane], info)
                obs, _ = env.reset()
            np.testing.assert_array_equal(observations[lane], obs)
    assert ended >= 60 // 3 * LANES


def test_terminal_observations_are_those_of_the_vector_environment(task):
    venv, plain = adapter(task), ResourceAssignmentVectorEnv(LANES, task=task)
    venv.reset()
    plain.reset()
    actions = np.arange(LANES)
    for _ in range(3):
        *_, infos = venv.step(actions)
        *_, expected = plain.step(actions)
    for lane in range(LANES):
        np.testing.assert_array_equal(infos[lane]["terminal_observation"], expected["final_obs"][lane])


def test_masks_reach_sb3_and_lane_indices_are_respected(task):
    venv = adapter(task)
    venv.reset()
    venv.step(np.arange(LANES) * 20)
    assert is_masking_supported(venv)
    np.testing.assert_array_equal(get_action_masks(venv), venv.env.action_masks())
    chosen = venv.env_method("action_masks", indices=[4, 1])
    np.testing.assert_array_equal(chosen, venv.env.action_masks()[[4, 1]])
    assert venv.get_attr("task", indices=2) == [task]
    assert venv.env_is_wrapped(gym.Wrapper) == [False] * LANES


@pytest.mark.parametrize("algorithm", [PPO, MaskablePPO])
def test_algorithms_learn_on_it_directly(task, algorithm):
    venv = VecMonitor(adapter(task))
    model = algorithm("MlpPolicy", venv, n_steps=6, batch_size=LANES * 6, n_epochs=2, gamma=1.0, seed=0, device="cpu")
    before = [p.clone() for p in model.policy.parameters()]
    model.learn(LANES * 6 * 4)
    assert model.num_timesteps == LANES * 6 * 4
    assert any((a != b).any() for a, b in zip(before, model.policy.parameters(), strict=True))
    # Eight episodes of three steps per lane went through the monitor.
    episodes = list(model.ep_info_buffer)
    assert len(episodes) == 8 * LANES
    assert {episode["l"] for episode in episodes} == {3}


def test_seeds_reach_the_environment_once(task):
    venv = adapter(task)
    assert venv.seed(7) == [7] * LANES
    venv.reset()
    first = venv.env.np_random.random()
    venv.seed(7)
    venv.reset()
    assert venv.env.np_random.random() == first
    venv.reset()
    assert venv.env.np_random.random() != first


def test_another_autoreset_mode_is_refused(task):
    env = ResourceAssignmentVectorEnv(2, task=task)
    env.metadata = env.metadata | {"autoreset_mode": AutoresetMode.NEXT_STEP}
    with pytest.raises(InputError, match="autoreset_mode"):
        Sb3VecEnv(env)
