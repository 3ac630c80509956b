"""One contract over every registered environment, and what is special to each."""

import pickle
import warnings

import gymnasium as gym
import numpy as np
import pytest
from gymnasium.utils.env_checker import check_env

from accelgym.costmodels.errors import InputError
from accelgym.costmodels.workloads import Layer, Workload
from accelgym.envs import ResourceAssignmentEnv, ResourceAssignmentTask, ResourceAssignmentVectorEnv
from accelgym.envs.registration import ENVIRONMENTS

# Arguments under which each environment is tried; every registered id needs an entry.
VARIANTS = {
    "accelgym/ResourceAssignment-v0": [
        {},
        {"workload": "confuciux/vgg16", "model": "physical", "objective": "edp", "granularity": "fine64"},
        {"workload": "confuciux/resnet18", "dataflow": "shi", "budget": 0.05},
        {"workload": "confuciux/vgg16", "dataflow": "mix", "aggregate": "max", "constraint": "pes"},
        {"workload": "confuciux/vgg16", "deployment": "sequential", "budget": 0.3},
        {"workload": "confuciux/alexnet", "reward": "confuciux"},
        {"workload": "mobilenet_v2", "model": "physical", "objective": "energy", "constraint": "power"},
        {"workload": "alexnet", "model": "dataflow_template", "dataflow": "mix", "objective": "edp"},
    ],
    "accelgym/Mapping-v0": [
        {},
        {"layer": "L4", "architecture": "eyeriss_thistle", "objective": "energy", "bypass": False},
        {"workload": "thistle/yolo9000", "layer": 9, "architecture": "nvdla_like", "padding": 0.1},
        {"workload": "mobilenet_v2", "layer": 2, "architecture": "simba_like", "objective": "latency"},
    ],
    "accelgym/CoDesign-v0": [
        {},
        {"layer": "L5", "objective": "energy", "technology": "aladdin-cacti-45nm", "area_um2": 1e6, "padding": 0.1},
    ],
    "accelgym/NetworkMapping-v0": [
        {"workload": "alexnet"},
        {"workload": "confuciux/resnet18", "architecture": "eyeriss_thistle", "objective": "energy", "bypass": True},
    ],
    "accelgym/HwGen-v0": [
        {"workload": "gpt2/decode_block"},
        {"workload": "gpt2/decode_block", "area_budget": "small", "bandwidth_bits": 128, "min_sqnr_db": 15.0},
    ],
    "accelgym/Datatype-v0": [
        {},
        {"hardware": "microscaling", "objective": "traffic", "metric": "accuracy", "max_loss": 4.0},
        {"workload": "alexnet", "objective": "latency", "max_loss": 0.05},
    ],
    "accelgym/MultiAccelerator-v0": [
        {},
        {"workloads": ("alexnet",), "accelerators": ("int4", "int8"), "objective": "energy", "batches": 3},
        {"workloads": ("alexnet",), "accelerators": ("dla", "dla", "shi"), "objective": "edp", "batches": 1},
    ],
    "accelgym/Joint-v0": [
        {"machines": "small"},
        {"machines": "small", "objective": "latency", "order": "machine_last", "network": "text_lm", "max_loss": 0.1},
        {"machines": "small", "workload": "gpt2/decode_block", "objective": "energy", "max_loss": 0.1},
    ],
}
QUICK = 2
"""Variants of an environment that are tried in every run, the first ones; the others with ``-m slow``."""
CASES = [
    pytest.param(entry.id, arguments, marks=[pytest.mark.slow] * (number >= QUICK))
    for entry in ENVIRONMENTS
    for number, arguments in enumerate(VARIANTS[entry.id])
]
each_case = pytest.mark.parametrize(("env_id", "arguments"), CASES, ids=str)


@each_case
def test_gymnasium_finds_no_fault(env_id, arguments):
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        env = gym.make(env_id, **arguments)
        check_env(env.unwrapped, skip_render_check=True)


@each_case
def test_two_instances_agree_step_by_step(env_id, arguments):
    one, two = gym.make(env_id, **arguments), gym.make(env_id, **arguments)
    one.action_space.seed(7)
    first, second = one.reset(seed=1), two.reset(seed=1)
    for _ in range(120):
        np.testing.assert_equal(first, second)
        action = one.action_space.sample()
        first, second = one.step(action), two.step(action)
        if first[2] or first[3]:
            np.testing.assert_equal(first, second)
            first, second = one.reset(), two.reset()


@each_case
def test_info_has_the_same_keys_and_types_at_reset_and_step(env_id, arguments):
    env = gym.make(env_id, **arguments)
    _, start = env.reset(seed=0)
    env.action_space.seed(0)
    *_, info = env.step(env.action_space.sample())
    assert start.keys() == info.keys()
    assert {k: type(v) for k, v in start.items()} == {k: type(v) for k, v in info.items()}
    assert {type(v) for v in info.values()} <= {bool, int, float, str, np.ndarray}


@each_case
def test_a_scalar_env_equals_a_row_of_the_vector_env(env_id, arguments):
    lanes = 3
    vector = gym.make_vec(env_id, num_envs=lanes, **arguments)
    scalars = [gym.make(env_id, **arguments) for _ in range(lanes)]
    vector.action_space.seed(3)
    observations, _ = vector.reset(seed=0)
    for lane, env in enumerate(scalars):
        np.testing.assert_array_equal(env.reset(seed=0)[0], observations[lane])
    for _ in range(70):
        actions = vector.action_space.sample()
        observations, rewards, terminated, truncated, infos = vector.step(actions)
        for lane, env in enumerate(scalars):
            obs, reward, ended, cut, info = env.step(actions[lane])
            assert (reward, ended, cut) == (rewards[lane], terminated[lane], truncated[lane])
            source = infos["final_info"] if ended else infos
            np.testing.assert_array_equal(obs, infos["final_obs"][lane] if ended else observations[lane])
            for key, value in info.items():
                np.testing.assert_array_equal(value, source[key][lane])
            if ended:
                np.testing.assert_array_equal(env.reset()[0], observations[lane])


@each_case
def test_masked_episodes_end_feasible_and_agree_with_the_task(env_id, arguments):
    rng = np.random.default_rng(0)
    lanes = 20
    env = gym.make_vec(env_id, num_envs=lanes, **arguments)
    task = env.unwrapped.task
    env.reset(seed=0)
    while True:
        mask = env.unwrapped.action_masks()
        assert mask.any(axis=1).all()
        # Dearest options first, to run along the edge of the budget.
        preference = rng.random(mask.shape) + 2.0 * (np.arange(lanes) < lanes // 2)[:, None] * np.arange(mask.shape[1])
        _, _, terminated, _, infos = env.step(np.where(mask, preference, -1.0).argmax(axis=1))
        if terminated.any():
            break
    assert terminated.all()
    final = infos["final_info"]
    assert final["feasible"].all()
    outcome = task.evaluate(task.designs(final["design"].astype(np.int64)))
    assert outcome.feasible.all()
    np.testing.assert_allclose(final["objective"], outcome.objective, rtol=1e-12)


@each_case
def test_every_env_survives_its_spec_and_pickle(env_id, arguments):
    env = gym.make(env_id, **arguments)
    again = gym.make(gym.envs.registration.EnvSpec.from_json(env.spec.to_json()))
    np.testing.assert_array_equal(env.reset(seed=0)[0], again.reset(seed=0)[0])
    copy = pickle.loads(pickle.dumps(env))
    np.testing.assert_array_equal(copy.reset(seed=0)[0], again.reset(seed=0)[0])


@each_case
def test_a_pickle_in_mid_episode_goes_on_and_is_small(env_id, arguments):
    env = gym.make(env_id, **arguments)
    env.reset(seed=0)
    env.action_space.seed(0)
    for _ in range(3):
        if any(env.step(env.action_space.sample())[2:4]):
            env.reset()
    written = pickle.dumps(env)
    assert len(written) < 2**20
    copy = pickle.loads(written)
    for _ in range(3):
        action = env.action_space.sample()
        mine, theirs = env.step(action), copy.step(action)
        np.testing.assert_equal(mine, theirs)
        if mine[2] or mine[3]:
            np.testing.assert_equal(env.reset(), copy.reset())


@pytest.mark.parametrize("arguments", VARIANTS["accelgym/ResourceAssignment-v0"], ids=str)
def test_the_reward_of_a_feasible_episode_is_the_distance_to_the_ideal(arguments):
    env_id = "accelgym/ResourceAssignment-v0"
    if arguments.get("reward", "regret") != "regret":
        arguments = {**arguments, "reward": "regret"}
    env = gym.make(env_id, **arguments).unwrapped
    env.reset(seed=0)
    task = env.task
    design = task.actions(np.array([task.reference().design]))[0]
    total = sum(env.step(action)[1] for action in design)
    assert total == pytest.approx(1 - task.reference().value / task.table.scale, rel=1e-9)


THREE = Workload.chain("three", [Layer.conv(n, K=16, C=k, H=10, R=3) for n, k in (("a", 3), ("b", 16), ("c", 8))])


def small_task(**arguments):
    return ResourceAssignmentTask(workload_object=THREE, constraint="pes", **arguments)


def test_masks_are_tight():
    """Every feasible design is a path through the masks."""
    task = small_task(budget=0.02)
    designs = task.sample_feasible(np.random.default_rng(0), 400)
    options = task.actions(designs)
    env = ResourceAssignmentVectorEnv(len(options), task=task)
    env.reset(seed=0)
    for slot in range(3):
        assert env.action_masks()[np.arange(len(options)), options[:, slot]].all()
        env.step(options[:, slot])


def test_masks_are_sound():
    """What the mask hides has no feasible completion."""
    task = small_task(budget=0.02)
    env = ResourceAssignmentVectorEnv(1, task=task)
    env.reset(seed=0)
    env.step(np.array([24]))
    hidden = np.flatnonzero(~env.action_masks()[0])
    assert len(hidden) > 0
    rest = np.arange(task.table.options)
    for option in hidden:
        designs = np.column_stack((np.full_like(rest, 24), np.full_like(rest, option), rest))
        assert not task.evaluate(task.designs(designs)).feasible.any()


def test_overshooting_costs_more_than_it_saves():
    task = small_task(budget=0.1)
    env = ResourceAssignmentEnv(task=task)

    def episode(options):
        env.reset(seed=0)
        return sum(env.step(o)[1] for o in options)

    dearest = [task.table.options - 1] * 3
    assert episode(dearest) < episode(task.actions(np.array([task.reference().design]))[0])
    assert not task.evaluate(task.designs(np.array([dearest]))).feasible[0]


def test_the_confuciux_reward_by_hand():
    task = small_task(budget=0.1)
    env = ResourceAssignmentEnv(task=task, reward="confuciux")
    env.reset(seed=0)
    cost, used = task.table.cost, task.table.resource
    picks = [40, 0, 143]
    rewards = [env.step(pick)[1] for pick in picks[:2]]
    worst = max(cost[0, 40], cost[1, 0])
    assert rewards == [0.0, worst - cost[1, 0]]
    _, last, ended, _, _ = env.step(picks[2])
    overshoot = (used[0, 40] + used[1, 0] + used[2, 143]) / task.table.capacity - 1
    assert overshoot > 0
    assert last == pytest.approx(-sum(rewards) * overshoot)
    assert ended


def test_only_masked_lanes_are_reset():
    env = ResourceAssignmentVectorEnv(3, task=small_task(budget=0.5))
    env.reset(seed=0)
    env.step(np.array([1, 2, 3]))
    _, infos = env.reset(options={"reset_mask": np.array([False, True, False])})
    assert infos["position"].tolist() == [1, 0, 1]
    assert infos["design"][:, 0].tolist() == [1, -1, 3]


def test_rendering_shows_every_layer_and_the_budget():
    task = small_task(budget=0.1)
    env = ResourceAssignmentEnv(task=task, render_mode="ansi")
    env.reset(seed=0)
    assert "3 open" in env.render()
    for option in task.actions(np.array([task.reference().design]))[0]:
        env.step(option)
    text = env.render()
    assert [line.split()[0] for line in text.splitlines()[1:4]] == ["a", "b", "c"]
    assert "budget used" in text
    assert "OVER BUDGET" not in text


def test_rendering_as_an_image():
    env = ResourceAssignmentEnv(task=small_task(), render_mode="rgb_array")
    env.reset(seed=0)
    before = env.render()
    env.step(100)
    image = env.render()
    assert image.dtype == np.uint8
    assert image.shape[2] == 3
    assert (image != before).any()


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"reward": "regrets"}, "unknown reward 'regrets': did you mean 'regret'"),
        ({"render_mode": "human"}, "render_mode is 'human'"),
        ({"num_envs": 0}, "num_envs is 0"),
        ({"workload": "nothing"}, "unknown workload"),
    ],
)
def test_bad_arguments_are_named(arguments, message):
    with pytest.raises(InputError, match=message):
        ResourceAssignmentVectorEnv(**{"num_envs": 2, **arguments})


@each_case
def test_actions_are_integers_and_nothing_else(env_id, arguments):
    env = gym.make(env_id, **arguments).unwrapped
    for action in (3.7, 0.0, "3", True, np.array([3.9, 0.2]), np.array([1.0])):
        env.reset()
        with pytest.raises(InputError, match=r"actions must be 1 integers in 0\.\."):
            env.step(action)


def test_one_shot_actions_are_integers_too():
    env = gym.make("accelgym/Mapping-v0", one_shot=True).unwrapped
    env.reset()
    with pytest.raises(InputError, match="expected integer indices"):
        env.step(np.zeros(env.action_space.shape))
    with pytest.raises(InputError, match="actions have shape"):
        env.step(np.zeros((1, 3), dtype=int))


def test_a_step_after_the_end_warns_and_changes_nothing():
    env = ResourceAssignmentEnv(task=small_task())
    with pytest.raises(gym.error.ResetNeeded):
        env.step(0)
    env.reset()
    for _ in range(3):
        obs, *_, info = env.step(0)
    with pytest.warns(UserWarning, match="already returned terminated"):
        again, reward, ended, cut, same = env.step(1)
    np.testing.assert_array_equal(again, obs)
    assert (reward, ended, cut) == (0.0, True, False)
    np.testing.assert_equal(same, info)
    assert env.reset()[1]["position"] == 0
    assert not env.step(1)[2]


@pytest.mark.parametrize("render_mode", [None, "ansi", "rgb_array"])
def test_rendering_before_the_first_reset_is_refused(render_mode):
    env = ResourceAssignmentEnv(task=small_task(), render_mode=render_mode)
    with pytest.raises(gym.error.ResetNeeded, match=r"call reset\(\) before render\(\)"):
        env.render()


@pytest.mark.parametrize("mask", [[True], [1, 0, 1], np.ones(4, dtype=bool)], ids=str)
def test_a_reset_mask_of_another_shape_or_kind_is_refused(mask):
    env = ResourceAssignmentVectorEnv(3, task=small_task())
    env.reset()
    with pytest.raises(InputError, match=r"reset_mask.*allowed 3 bools"):
        env.reset(options={"reset_mask": mask})


def test_infos_convert_to_tensors():
    env = gym.wrappers.NumpyToTorch(gym.make("accelgym/Mapping-v0"))
    _, info = env.reset(seed=0)
    assert info["feasible"].item() is True


def test_bad_actions_are_named():
    env = ResourceAssignmentVectorEnv(2, task=small_task())
    env.reset(seed=0)
    with pytest.raises(InputError, match=r"2 integers in 0\.\.143"):
        env.step(np.array([0, 144]))
