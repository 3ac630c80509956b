"""Autoreset modes, limits of steps and masks as data: native lanes against Gymnasium's own vectorisation."""

from functools import cache

import gymnasium as gym
import numpy as np
import pytest
from gymnasium.vector import AutoresetMode

from accelgym.costmodels.errors import InputError
from accelgym.costmodels.workloads import Layer, Workload
from accelgym.envs import MappingTask, NetworkMappingTask
from accelgym.envs.registration import ENVIRONMENTS, make_task

LANES = 3
SMALL = Workload.chain("small", [Layer.conv("a", K=4, C=2, H=6, R=3), Layer.gemm("b", M=8, K=6, C=4)])
ARGUMENTS = {
    "accelgym/ResourceAssignment-v0": {"workload": "confuciux/alexnet", "reward": "confuciux"},
    "accelgym/Mapping-v0": {"workload": "alexnet", "layer": 7},
    "accelgym/CoDesign-v0": {"workload": "alexnet", "layer": 7},
    "accelgym/NetworkMapping-v0": {"workload_object": SMALL},
    "accelgym/HwGen-v0": {"workload": "gpt2/decode_block"},
    "accelgym/Datatype-v0": {},
    "accelgym/MultiAccelerator-v0": {"workloads": ("alexnet",)},
    "accelgym/Joint-v0": {"machines": "small"},
    "accelgym/Task-v0": {"task": "accelgym/HwGen-v0", "workload": "gpt2/decode_block"},
}
each_env = pytest.mark.parametrize("env_id", ARGUMENTS)
each_mode = pytest.mark.parametrize("mode", AutoresetMode, ids=lambda mode: mode.name)


@cache
def arguments_of(env_id):
    """Those of the environment, as a task that all tests share."""
    reward = {"reward": ARGUMENTS[env_id]["reward"]} if "reward" in ARGUMENTS[env_id] else {}
    given = {key: value for key, value in ARGUMENTS[env_id].items() if key != "reward"}
    made = NetworkMappingTask(**given) if "workload_object" in given else make_task(env_id, **given)
    return {"task": made} | reward


def native(env_id, **options):
    return gym.make_vec(env_id, num_envs=LANES, **arguments_of(env_id), **options)


def of_gymnasium(env_id, mode, **options):
    kwargs = {"autoreset_mode": mode}
    return gym.make_vec(
        env_id, num_envs=LANES, vectorization_mode="sync", vector_kwargs=kwargs, **arguments_of(env_id), **options
    )


def same(mine, theirs):
    assert {key for key in mine if not key.startswith("_")} == {key for key in theirs if not key.startswith("_")}
    for key, values in theirs.items():
        if key.startswith("_"):
            np.testing.assert_array_equal(mine[key], values)
        elif isinstance(values, dict):
            present = {k: v for k, v in values.items() if not k.startswith("_")}
            for name, column in present.items():
                for lane in np.flatnonzero(theirs[f"_{key}"]):
                    np.testing.assert_array_equal(mine[key][name][lane], column[lane])
        else:
            for lane in np.flatnonzero(theirs[f"_{key}"]):
                np.testing.assert_array_equal(mine[key][lane], values[lane])


def test_every_environment_is_tried():
    assert {entry.id for entry in ENVIRONMENTS} < set(ARGUMENTS)


@each_env
@each_mode
@pytest.mark.parametrize("limit", [None, 4])
def test_lanes_are_gymnasiums_own_vectorisation_of_scalar_environments(env_id, mode, limit):
    options = {"mask_in_info": True} | ({} if limit is None else {"max_episode_steps": limit})
    mine = native(env_id, autoreset_mode=mode, **options)
    theirs = of_gymnasium(env_id, mode, **options)
    assert mine.metadata["autoreset_mode"] is mode
    mine.action_space.seed(3)
    first, second = mine.reset(seed=0), theirs.reset(seed=0)
    np.testing.assert_array_equal(first[0], second[0])
    same(first[1], second[1])
    over = 0
    for _ in range(9 if limit else len(arguments_of(env_id)["task"].action_sizes) + 2):
        actions = mine.action_space.sample()
        one, other = mine.step(actions), theirs.step(actions)
        for left, right in zip(one[:4], other[:4], strict=True):
            np.testing.assert_array_equal(left, right)
        same(one[4], other[4])
        done = one[2] | one[3]
        over += int(done.sum())
        if mode is AutoresetMode.DISABLED and done.any():
            first, second = (env.reset(options={"reset_mask": done.copy()}) for env in (mine, theirs))
            np.testing.assert_array_equal(first[0], second[0])
    assert over >= (LANES * 2 if limit else LANES)


@each_env
def test_a_limit_of_steps_truncates(env_id):
    env = native(env_id, max_episode_steps=2)
    env.reset()
    actions = np.zeros(LANES, dtype=int)
    *_, terminated, truncated, infos = env.step(actions)
    assert not (terminated | truncated).any() or env_id.endswith("Assignment-v0")
    *_, terminated, truncated, infos = env.step(actions)
    assert truncated.all()
    assert infos["_final_info"].all()
    assert env.reset()[1]["position"].tolist() == [0] * LANES


@each_env
def test_a_disabled_lane_stands_still_until_it_is_reset(env_id):
    env = native(env_id, autoreset_mode="DISABLED", max_episode_steps=2)
    env.reset()
    for _ in range(2):
        obs, *_ = env.step(np.zeros(LANES, dtype=int))
    env.reset(options={"reset_mask": np.array([False, True, False])})
    again, rewards, terminated, truncated, infos = env.step(np.zeros(LANES, dtype=int))
    np.testing.assert_array_equal(again[[0, 2]], obs[[0, 2]])
    assert rewards[0] == rewards[2] == 0
    assert truncated.tolist() == [True, False, True] or terminated.any()
    assert infos["position"][1] == 1


@each_env
def test_the_mask_in_the_info_is_what_sample_takes(env_id):
    env = gym.make(env_id, mask_in_info=True, **arguments_of(env_id))
    _, info = env.reset(seed=0)
    env.action_space.seed(0)
    for _ in range(3):
        np.testing.assert_array_equal(info["action_mask"], env.unwrapped.action_masks())
        *_, info = env.step(env.action_space.sample(mask=info["action_mask"]))
    assert info["feasible"]


@pytest.mark.parametrize("mode", ["SAME_STEP", "NextStep", AutoresetMode.DISABLED])
def test_modes_have_names_that_survive_a_specification(mode):
    env = gym.make_vec("accelgym/HwGen-v0", num_envs=LANES, workload="gpt2/decode_block", autoreset_mode=mode)
    again = gym.make_vec(gym.envs.registration.EnvSpec.from_json(env.spec.to_json()))
    assert again.metadata["autoreset_mode"] is env.metadata["autoreset_mode"]
    assert again.num_envs == LANES


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"autoreset_mode": "next"}, "unknown autoreset_mode 'next'"),
        ({"max_episode_steps": 0}, "max_episode_steps is 0, allowed >= 1"),
        ({"max_episode_steps": 2.5}, "max_episode_steps is 2.5"),
        ({"mask_in_info": 1}, "mask_in_info is 1, allowed True or False"),
    ],
)
def test_bad_options_are_named(options, message):
    with pytest.raises(InputError, match=message):
        native("accelgym/Mapping-v0", **options)


@pytest.mark.parametrize("task", ["accelgym/HwGen-v0", 3, MappingTask(workload="alexnet", layer=7)], ids=str)
@pytest.mark.parametrize("make", [gym.make, gym.make_vec])
@pytest.mark.parametrize("env_id", [entry.id for entry in ENVIRONMENTS if entry.id != "accelgym/Mapping-v0"])
def test_a_task_of_another_kind_is_named(env_id, make, task):
    with pytest.raises(InputError, match=r"^task is .*, allowed: a .*Task, or its arguments"):
        make(env_id, task=task)


@pytest.mark.parametrize("seed", [1.5, "1", True, -1, [1], [1, 2, -3], [0, "1", 2]], ids=str)
def test_a_bad_seed_is_named(seed):
    env = gym.make_vec("accelgym/Mapping-v0", num_envs=LANES, **arguments_of("accelgym/Mapping-v0"))
    with pytest.raises(InputError, match="seed is "):
        env.reset(seed=seed)


@pytest.mark.parametrize("make", [gym.make, gym.make_vec])
def test_seeds_may_be_numpys(make):
    one, two = (make("accelgym/Mapping-v0", **arguments_of("accelgym/Mapping-v0")) for _ in range(2))
    one.reset(seed=7)
    two.reset(seed=np.int64(7))
    assert one.unwrapped.np_random.integers(10**9) == two.unwrapped.np_random.integers(10**9)
    two.reset(seed=None)


def test_a_scalar_environment_has_no_autoreset():
    with pytest.raises(InputError, match="an option of vector environments"):
        gym.make("accelgym/Mapping-v0", autoreset_mode="NEXT_STEP")
