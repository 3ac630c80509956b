"""Clients of environments: Gymnasium's wrappers, Stable-Baselines3, sb3-contrib, and stubs of others' habits."""

import sys
import types

import gymnasium as gym
import numpy as np
import pytest
import torch
from gymnasium import wrappers
from gymnasium.vector import AutoresetMode
from gymnasium.wrappers import vector as vector_wrappers
from sb3_contrib import MaskablePPO
from sb3_contrib.common.wrappers import ActionMasker
from stable_baselines3 import A2C, DQN, PPO
from stable_baselines3.common.env_checker import check_env as check_for_sb3
from stable_baselines3.common.monitor import Monitor
from stable_baselines3.common.vec_env import VecMonitor, VecNormalize, VecVideoRecorder

from accelgym.costmodels.errors import InputError
from accelgym.costmodels.workloads import Layer, Workload
from accelgym.envs import MappingTask, ResourceAssignmentTask
from accelgym.envs.masks import MaskedObservation, VectorMaskedObservation
from accelgym.envs.sb3 import Sb3VecEnv

ASSIGNMENT, MAPPING = "accelgym/ResourceAssignment-v0", "accelgym/Mapping-v0"
THREE = Workload.chain("three", [Layer.conv(n, K=16, C=k, H=10, R=3) for n, k in (("a", 3), ("b", 16), ("c", 8))])
LANES, STEPS = 4, 3
"""Decisions of a design of ``task``."""


@pytest.fixture(scope="module")
def task():
    return ResourceAssignmentTask(workload_object=THREE, constraint="pes", budget=0.3)


@pytest.fixture
def movies(monkeypatch):
    """Stands for MoviePy, which writes the videos, and for the slow pictures; returns the frames of each video."""
    kept = []

    def draw(task, design):
        return np.full((4, 6, 3), (design >= 0).sum(), dtype=np.uint8)

    monkeypatch.setattr("accelgym.envs.resource_assignment.env.draw_assignment", draw)

    class ImageSequenceClip:
        def __init__(self, frames, fps):
            self.frames = [np.asarray(frame) for frame in frames]

        def write_videofile(self, path, logger=None):
            kept.append(self.frames)

    names = ("moviepy", "moviepy.video", "moviepy.video.io", "moviepy.video.io.ImageSequenceClip")
    for name in names:
        monkeypatch.setitem(sys.modules, name, types.ModuleType(name))
    sys.modules[names[-1]].ImageSequenceClip = ImageSequenceClip
    return kept


def lanes(task, mode="SAME_STEP", **options):
    return gym.make_vec(ASSIGNMENT, num_envs=LANES, task=task, autoreset_mode=mode, **options)


def play(env, steps=12, seed=0):
    env.action_space.seed(seed)
    results = [env.reset(seed=seed)]
    results += [env.step(env.action_space.sample()) for _ in range(steps)]
    return results


# -- Gymnasium -------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("mode", ["SAME_STEP", "NEXT_STEP"])
def test_episode_statistics(task, mode):
    env = vector_wrappers.RecordEpisodeStatistics(lanes(task, mode))
    rewards = np.stack([result[1] for result in play(env, 13)[1:]])
    period = STEPS if mode == "SAME_STEP" else STEPS + 1
    assert set(env.length_queue) == {STEPS}
    episodes = 13 // period
    assert env.episode_count == LANES * episodes + (0 if 13 % period < STEPS else LANES)
    first = [rewards[i * period : i * period + STEPS].sum(axis=0) for i in range(episodes)]
    np.testing.assert_allclose(np.array(env.return_queue)[: LANES * episodes], np.concatenate(first))


@pytest.mark.parametrize("mode", ["NEXT_STEP", "DISABLED"])
def test_wrappers_of_observations_and_rewards(task, mode):
    env = lanes(task, mode)
    env = vector_wrappers.FlattenObservation(env)
    env = vector_wrappers.TransformObservation(env, lambda obs: obs * 2)
    env = vector_wrappers.NormalizeReward(env)
    for obs, *_ in play(env, 3):
        assert obs.shape == env.observation_space.shape


def test_normalised_observations(task):
    env = vector_wrappers.NormalizeObservation(lanes(task, "NEXT_STEP"))
    seen = np.concatenate([result[0] for result in play(env, 200)[100:]])
    assert np.abs(seen.mean(axis=0)).max() < 0.5


@pytest.mark.parametrize("mode", ["SAME_STEP", "NEXT_STEP"])
@pytest.mark.parametrize("env_id", [ASSIGNMENT, MAPPING, "accelgym/HwGen-v0"])
def test_tensors_and_lists_of_infos(env_id, mode):
    small = {"workload": "gpt2/decode_block"} if "HwGen" in env_id else {"workload": "confuciux/alexnet"}
    small |= {"max_episode_steps": 3, "mask_in_info": True}
    env = gym.make_vec(env_id, num_envs=2, autoreset_mode=mode, **small)
    for result in play(vector_wrappers.DictInfoToList(env), 4):
        assert len(result[-1]) == 2
        assert {"design", "feasible", "position", "action_mask"} <= set(result[-1][0])
    env = vector_wrappers.NumpyToTorch(gym.make_vec(env_id, num_envs=2, autoreset_mode=mode, **small))
    env.reset(seed=0)
    for _ in range(2 if mode == "SAME_STEP" else 4):  # Gymnasium cannot convert final_obs, of any environment.
        obs, rewards, *_ = env.step(torch.zeros(2, dtype=torch.int64))
        assert obs.shape == env.observation_space.shape
        assert rewards.dtype.is_floating_point


@pytest.mark.parametrize("mode", AutoresetMode)
@pytest.mark.filterwarnings("ignore:.*(same-step|Overwriting).*")
def test_videos_of_all_lanes(task, mode, movies, tmp_path):
    env = lanes(task, mode, render_mode="rgb_array")
    env = vector_wrappers.RecordVideo(env, str(tmp_path / "new"), episode_trigger=lambda episode: episode == 0)
    play(env, STEPS)
    env.close()
    (frames,) = movies
    assert len(frames) == (STEPS if mode is AutoresetMode.SAME_STEP else STEPS + 1)
    assert (frames[0] != frames[STEPS - 1]).any()


def test_a_video_of_a_scalar_environment(task, movies, tmp_path):
    env = gym.make(ASSIGNMENT, task=task, render_mode="rgb_array")
    env = wrappers.RecordVideo(env, str(tmp_path / "new"), episode_trigger=lambda episode: True)
    play(env, STEPS)
    env.close()
    assert [len(frames) for frames in movies] == [STEPS + 1]


def test_scalar_wrappers_compose(task):
    env = gym.make(ASSIGNMENT, task=task, max_episode_steps=2, mask_in_info=True)
    env = wrappers.RecordEpisodeStatistics(wrappers.NormalizeReward(wrappers.FrameStackObservation(env, 2)))
    results = play(wrappers.Autoreset(env), 6)
    assert [result[3] for result in results[1:]] == [False, True, False] * 2
    assert results[2][-1]["episode"]["l"] == 2


# -- Stable-Baselines3 and sb3-contrib -------------------------------------------------------------------------


def test_sb3_finds_no_fault(task):
    check_for_sb3(gym.make(ASSIGNMENT, task=task).unwrapped, warn=True)


@pytest.mark.parametrize("algorithm", [PPO, A2C])
def test_sb3_learns_on_scalar_and_on_native_lanes(task, algorithm):
    settings = {"n_steps": 6, "seed": 0, "device": "cpu"}
    algorithm("MlpPolicy", Monitor(gym.make(ASSIGNMENT, task=task)), **settings).learn(18)
    venv = VecNormalize(VecMonitor(Sb3VecEnv(lanes(task, max_episode_steps=2))))
    model = algorithm("MlpPolicy", venv, **settings).learn(LANES * 12)
    assert {episode["l"] for episode in model.ep_info_buffer} == {2}


def test_sb3_learns_off_policy(task):
    model = DQN("MlpPolicy", gym.make(ASSIGNMENT, task=task), learning_starts=4, buffer_size=64, seed=0, device="cpu")
    assert model.learn(16).num_timesteps == 16


def test_masks_reach_maskable_ppo_by_every_door(task):
    settings = {"n_steps": 6, "seed": 0, "device": "cpu"}
    scalar = gym.make(ASSIGNMENT, task=task)
    for env in (scalar, ActionMasker(scalar, lambda env: env.unwrapped.action_masks()), Sb3VecEnv(lanes(task))):
        model = MaskablePPO("MlpPolicy", env, **settings).learn(24)
        masks = model.rollout_buffer.action_masks.reshape(-1, task.table.options).astype(bool)
        actions = model.rollout_buffer.actions.astype(int).ravel()
        assert masks[np.arange(len(actions)), actions].all()
        assert not masks.all()


def test_a_vec_env_renders_and_is_recorded(task, movies, tmp_path):
    venv = Sb3VecEnv(lanes(task, render_mode="rgb_array"))
    venv.reset()
    images = venv.get_images()
    assert len(images) == LANES
    assert venv.render().shape[:2] == (2 * images[0].shape[0], 2 * images[0].shape[1])
    recorder = VecVideoRecorder(venv, str(tmp_path), lambda step: step == 0, video_length=4)
    recorder.reset()
    for _ in range(6):
        recorder.step(np.zeros(LANES, dtype=int))
    recorder.close()
    assert [len(frames) for frames in movies] == [5]
    assert Sb3VecEnv(lanes(task)).get_images() == [None] * LANES


def test_methods_and_attributes_of_a_vec_env(task):
    venv = Sb3VecEnv(vector_wrappers.RecordEpisodeStatistics(lanes(task)))
    venv.reset()
    assert venv.env_method("close") == [None] * LANES
    assert [mask.shape for mask in venv.env_method("action_masks", indices=[2, 0])] == [(task.table.options,)] * 2
    assert venv.env_is_wrapped(vector_wrappers.RecordEpisodeStatistics, indices=1) == [True]
    venv.set_attr("stage", 1)
    venv.set_attr("stage", 2, indices=[1, 3])
    assert venv.get_attr("stage") == [1, 2, 1, 2]
    assert venv.get_attr("stage", indices=3) == [2]
    with pytest.raises(AttributeError):
        venv.get_attr("nothing")
    assert not venv.has_attr("nothing")
    with pytest.raises(InputError, match="lanes share one environment"):
        venv.set_attr("progress_column", 0, indices=0)
    venv.set_attr("progress_column", 5)
    assert venv.env.unwrapped.progress_column == 5


def test_masked_observations_through_the_adapter(task):
    """SB3's multi-input policies read dictionaries, of resets, steps and last observations alike."""
    venv = VecMonitor(Sb3VecEnv(VectorMaskedObservation(lanes(task))))
    seen = venv.reset()
    for _ in range(STEPS):
        assert {key: value.shape[0] for key, value in seen.items()} == {"observations": LANES, "action_mask": LANES}
        seen, _, dones, infos = venv.step(seen["action_mask"].argmax(axis=1))
    assert dones.all()
    assert all(info["terminal_observation"] in venv.observation_space for info in infos)
    PPO("MultiInputPolicy", venv, n_steps=6, batch_size=LANES * 6, seed=0, device="cpu").learn(LANES * 6)


def test_what_a_callback_writes_into_an_info_stays_there(task):
    venv = Sb3VecEnv(lanes(task))
    venv.reset()
    assert [info["position"] for info in venv.reset_infos] == [0] * LANES
    _, _, _, infos = venv.step(np.zeros(LANES, dtype=int))
    infos[0]["mark"] = 1
    _, _, _, later = venv.step(np.zeros(LANES, dtype=int))
    assert "mark" not in later[0]
    *_, last = venv.step(np.zeros(LANES, dtype=int))
    last[0]["design"][:] = 99
    *_, again = [venv.step(np.ones(LANES, dtype=int)) for _ in range(STEPS)][-1]
    assert again[0]["design"].tolist() == [1] * STEPS


# -- habits of other libraries ---------------------------------------------------------------------------------


@pytest.mark.parametrize("env_id", [ASSIGNMENT, MAPPING, "accelgym/HwGen-v0", "accelgym/CoDesign-v0"])
@pytest.mark.parametrize("make", [gym.make, gym.make_vec])
def test_the_probe_for_an_argument_is_answered_as_python_does(env_id, make):
    """As TorchRL's ``GymEnv`` asks whether an environment skips frames by itself."""
    with pytest.raises(TypeError, match="unexpected keyword argument 'frameskip'") as caught:
        make(env_id, frameskip=1)
    assert isinstance(caught.value, InputError)


def test_observations_and_masks_as_rllib_reads_them():
    """RLlib's masked policies take ``Dict(observations=..., action_mask=...)`` and float masks, 1 where allowed."""

    def rllib_policy(obs, logits):
        masked = logits + np.clip(np.log(obs["action_mask"]), np.finfo(np.float32).min, None)
        return int(masked.argmax())

    env = MaskedObservation(gym.make(MAPPING, workload="alexnet", layer=7))
    rng = np.random.default_rng(0)
    with np.errstate(divide="ignore"):
        obs, info = env.reset(seed=0)
        done = False
        while not done:
            assert obs in env.observation_space
            obs, _, done, _, info = env.step(rllib_policy(obs, rng.normal(size=env.action_space.n)))
    assert obs["action_mask"].all()
    assert info["feasible"]
    again = gym.make(gym.envs.registration.EnvSpec.from_json(env.spec.to_json()))
    assert again.observation_space == env.observation_space


def test_an_environment_without_masks_is_refused():
    with pytest.raises(InputError, match=r"CartPole.*no action_masks\(\)"):
        MaskedObservation(gym.make("CartPole-v1"))


def test_masked_observations_of_all_lanes(task):
    env = VectorMaskedObservation(lanes(task), observation_key="observation")
    scalar = gym.make_vec(
        ASSIGNMENT,
        num_envs=LANES,
        task=task,
        vectorization_mode="sync",
        wrappers=[lambda env: MaskedObservation(env, observation_key="observation")],
        vector_kwargs={"autoreset_mode": AutoresetMode.SAME_STEP},
    )
    assert env.single_observation_space == scalar.single_observation_space
    for mine, theirs in zip(play(env, 7), play(scalar, 7), strict=True):
        for key in ("observation", "action_mask"):
            np.testing.assert_array_equal(mine[0][key], theirs[0][key])
            for lane in np.flatnonzero(mine[-1].get("_final_obs", [])):
                np.testing.assert_array_equal(mine[-1]["final_obs"][lane][key], theirs[-1]["final_obs"][lane][key])
    for key in (None, 3, "", ["obs"]):
        with pytest.raises(InputError, match=r"observation_key is .*, allowed: a name"):
            MaskedObservation(gym.make(ASSIGNMENT, task=task), observation_key=key)
    with pytest.raises(InputError, match="both 'x'"):
        MaskedObservation(gym.make(ASSIGNMENT, task=task), observation_key="x", mask_key="x")


# -- specifications --------------------------------------------------------------------------------------------


def test_the_specification_of_a_task_object_holds_its_arguments():
    made = MappingTask(workload="alexnet", layer=np.int64(7), padding=np.float32(0.125))
    for env in (gym.make(MAPPING, task=made), gym.make("accelgym/Task-v0", task=made)):
        assert env.spec.kwargs["task"] is made
        again = gym.make(gym.envs.registration.EnvSpec.from_json(env.spec.to_json()))
        assert again.unwrapped.task.id == made.id
    lanes = gym.make_vec(MAPPING, num_envs=2, task=made, autoreset_mode=AutoresetMode.NEXT_STEP)
    again = gym.make_vec(gym.envs.registration.EnvSpec.from_json(lanes.spec.to_json()))
    assert again.task.id == made.id
    assert again.num_envs == 2


def test_a_task_of_objects_says_that_json_cannot_hold_them(task):
    with pytest.raises(InputError, match="was made from objects, which JSON cannot hold"):
        gym.make(ASSIGNMENT, task=task).spec.to_json()


@pytest.mark.parametrize(
    ("env_id", "arguments"),
    [
        (MAPPING, {"workload": np.str_("alexnet"), "layer": np.int64(7), "bypass": np.bool_(True)}),
        (ASSIGNMENT, {"workload": "confuciux/alexnet", "budget": np.float32(0.25)}),
        ("accelgym/HwGen-v0", {"workload": "gpt2/decode_block", "bandwidth_bits": np.int32(128)}),
    ],
)
def test_arguments_may_be_numpys(env_id, arguments):
    env = gym.make(env_id, **arguments)
    plain = {key: value.item() if isinstance(value, np.generic) else value for key, value in arguments.items()}
    assert env.unwrapped.task.id == gym.make(env_id, **plain).unwrapped.task.id
    env.spec.to_json()
    assert gym.make_vec(env_id, num_envs=np.int64(2), **arguments).num_envs == 2
