"""TorchRL and skrl, which no extra installs: ``pip install torchrl skrl``, then ``pytest -m slow``."""

import gymnasium as gym
import numpy as np
import pytest

import accelgym
from accelgym.costmodels.errors import InputError
from accelgym.envs.masks import MaskedObservation

gym.register_envs(accelgym)
pytestmark = pytest.mark.slow
ARGUMENTS = {"workload": "confuciux/alexnet"}
ENV = "accelgym/ResourceAssignment-v0"


def test_torchrl_makes_and_steps_an_environment():
    envs = pytest.importorskip("torchrl.envs")
    env = envs.GymEnv(ENV, **ARGUMENTS)
    rollout = env.rollout(8)
    assert rollout["next", "done"][-1].item()
    envs.utils.check_env_specs(env)
    with pytest.raises((InputError, TypeError), match="unexpected keyword argument 'buget'"):
        envs.GymEnv(ENV, buget=0.1)


def test_torchrl_reads_masks_from_the_observation():
    envs = pytest.importorskip("torchrl.envs")
    masked = MaskedObservation(gym.make(ENV, **ARGUMENTS), observation_key="observation")
    env = envs.GymWrapper(masked)
    rollout = env.rollout(8)
    assert rollout["action_mask"].shape[-1] == masked.action_space.n
    assert rollout["next", "action_mask"][-1].bool().all()


def test_skrl_wraps_native_lanes():
    wrappers = pytest.importorskip("skrl.envs.wrappers.torch")
    import torch

    env = wrappers.wrap_env(gym.make_vec(ENV, num_envs=4, autoreset_mode="NEXT_STEP", **ARGUMENTS), wrapper="gymnasium")
    observations, _ = env.reset()
    assert observations.shape[0] == 4
    ended = 0
    for _ in range(20):
        _, _, terminated, truncated, _ = env.step(torch.zeros((4, 1), dtype=torch.int64))
        ended += int((terminated | truncated).sum())
    assert ended >= 8
    assert np.isfinite(observations.cpu().numpy()).all()
