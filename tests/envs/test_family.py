"""Families: every episode is one on the member's own environment, and members are drawn as asked."""

import json

import gymnasium as gym
import numpy as np
import pytest
from gymnasium.error import ResetNeeded
from gymnasium.utils.env_checker import check_env

import accelgym
from accelgym.costmodels.errors import InputError
from accelgym.envs import Family, FamilyEnv, make_task
from accelgym.envs.family_file import load_family
from accelgym.envs.resource_assignment.features import FEATURES

gym.register_envs(accelgym)

ASSIGNMENT = {
    "task": "accelgym/ResourceAssignment-v0",
    "common": {"workload": "confuciux/resnet18"},
    "train": [{"budget": 0.1}, {"budget": 0.3}, {"budget": 0.1, "objective": "energy"}],
    "test": [{"workload": "confuciux/vgg16", "budget": 0.2}],
}
LAYERS = {
    "task": "accelgym/Mapping-v0",
    "common": {"workload": "thistle/resnet18", "architecture": "eyeriss_thistle", "objective": "energy"},
    "train": [{"layer": 2}, {"layer": 3}],
    "test": [{"layer": 5}],
}


@pytest.fixture(params=[ASSIGNMENT, LAYERS], ids=["assignment", "mapping"])
def env(request):
    return gym.make("accelgym/Family-v0", disable_env_checker=True, **request.param)


def play(env, choose):
    rewards, steps, done = 0.0, 0, False
    while not done:
        obs, reward, done, _, info = env.step(int(choose(env.unwrapped.action_masks())))
        assert env.observation_space.contains(obs)
        rewards, steps = rewards + reward, steps + 1
    return rewards, steps, info


def test_gymnasium_finds_no_fault(env):
    check_env(env.unwrapped, skip_render_check=True)


def test_an_episode_is_that_of_the_members_own_environment(env):
    family = env.unwrapped.family
    for member, spec in enumerate(family.specs):
        env.reset(options={"member": member})
        own = gym.make("accelgym/Task-v0", task=family.name, **spec)
        own.reset()
        ours, theirs = (play(e, np.argmax) for e in (env, own))
        assert ours[:2] == theirs[:2]
        assert ours[2]["objective"] == theirs[2]["objective"]
        assert ours[2]["member"] == member
        assert env.unwrapped.task.id == own.unwrapped.task.id if hasattr(own.unwrapped, "task") else True


def test_members_are_drawn_from_the_split_and_a_seed_fixes_them(env):
    def drawn(count, **arguments):
        first = env.reset(seed=7, **arguments)[1]["member"]
        return [first, *(env.reset(**arguments)[1]["member"] for _ in range(count - 1))]

    family = env.unwrapped.family
    assert drawn(40) == drawn(40)
    assert set(drawn(40)) == set(family.members("train"))
    assert set(drawn(20, options={"split": "test"})) == set(family.members("test"))


def test_references_are_those_of_the_members():
    env = FamilyEnv(**ASSIGNMENT)
    env.reset(options={"member": 3})
    assert (
        env.reference.value
        == make_task("ResourceAssignment-v0", workload="confuciux/vgg16", budget=0.2).reference().value
    )


def test_the_specification_is_json():
    spec = gym.make("accelgym/Family-v0", **LAYERS).spec
    again = gym.make(gym.envs.registration.EnvSpec.from_json(spec.to_json()))
    assert again.unwrapped.family.specs == json.loads(json.dumps(FamilyEnv(**LAYERS).family.specs))


def test_lanes_draw_by_themselves():
    envs = gym.make_vec("accelgym/Family-v0", num_envs=4, **ASSIGNMENT)
    _, infos = envs.reset(seed=0)
    assert infos["member"].shape == (4,)
    envs.step(np.zeros(4, dtype=np.int64))


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"train": []}, "at least one member"),
        ({"train": [{"budget": 0.1}, {"budget": 0.1}]}, "members 0 and 1 of the family are one task"),
        (
            {"train": [{"budget": 0.1}, {"budget": 0.1, "dataflow": "mix"}]},
            "member 1 of the family, .* has other knobs",
        ),
        ({"train": [{"budgets": 0.1}]}, "budgets"),
        ({"train": "budget"}, "train is 'budget', allowed: a list"),
        ({"train": 3}, "train is 3, allowed: a list"),
        ({"test": 3}, "test is 3, allowed: a list"),
        ({"train": [{3: 1}]}, "allowed: a list of specifications"),
        ({"common": "x"}, "common is 'x', allowed: a table of arguments"),
        ({"split": "validation"}, "unknown split 'validation'"),
        ({"test": [], "split": "test"}, "split 'test' of the family has no members"),
        ({"task": "accelgym/Mappings-v0"}, "did you mean"),
        ({"family": Family("ResourceAssignment-v0", [{}])}, "either a family, or a task"),
    ],
)
def test_bad_families_are_refused(changes, message):
    with pytest.raises(InputError, match=message):
        FamilyEnv(**(ASSIGNMENT | changes))


def test_lanes_whose_members_decide_more_or_less_share_their_infos():
    """Gymnasium stacks the infos of lanes: five layers beside thirteen."""
    networks = [{"workload": "confuciux/alexnet"}, {"workload": "confuciux/vgg16"}]
    envs = gym.make_vec("accelgym/Family-v0", num_envs=6, task="accelgym/ResourceAssignment-v0", train=networks)
    _, infos = envs.reset(seed=0)
    assert set(infos["member"]) == {0, 1}
    for _ in range(5):
        *_, infos = envs.step(np.ones(6, dtype=np.int64))
    assert infos["design"].shape == (6, 13)
    assert (infos["design"][:, :5] == 1).all()
    assert (infos["design"][:, 5:] == -1).all()


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"member": 4}, "option member is 4, allowed 0..3"),
        ({"member": 1.0}, "option member is 1.0"),
        ({"split": "all"}, "unknown split 'all'"),
        ({"layer": 1}, "unknown option of reset 'layer'"),
        (["member"], "options is .*, allowed: a table"),
    ],
)
def test_bad_options_are_refused(options, message):
    env = FamilyEnv(**ASSIGNMENT)
    with pytest.raises(InputError, match=message):
        env.reset(options=options)
    with pytest.raises(ResetNeeded):
        env.step(0)


@pytest.mark.parametrize(
    "other",
    [
        {"budget": 0.2},
        {"objective": "energy"},
        {"constraint": "power"},
        {"aggregate": "max"},
        {"workload": "confuciux/vgg16"},
    ],
    ids=str,
)
def test_members_that_differ_look_different_from_the_first_decision_on(other):
    family = Family("ResourceAssignment-v0", [{"budget": 0.1}, {"budget": 0.1} | other], common=ASSIGNMENT["common"])
    env = FamilyEnv(family=family)
    first, second = (env.reset(options={"member": member})[0] for member in range(2))
    assert not np.array_equal(first, second)


def test_absolute_sizes_and_the_tightness_of_the_budget_are_features():
    task = make_task("ResourceAssignment-v0", workload="confuciux/resnet18", budget=0.1)
    found = dict(zip(FEATURES, task.decision_features().T, strict=True))
    np.testing.assert_allclose(2 ** (16 * found["log2 K"]), [layer.K for layer in task.layers])
    np.testing.assert_allclose(2 ** (40 * found["log2 MACs"]), [layer.macs for layer in task.layers])
    assert (found["objective latency"] == 1).all()
    key = "log2 budget over the cheapest design's resource"
    table = task.table
    least = np.where(table.allowed, table.resource, np.inf).min(axis=1).sum()
    np.testing.assert_allclose(2 ** (16 * found[key]), table.limit / least)


FILE = """
task: accelgym/ResourceAssignment-v0
common: {workload: confuciux/alexnet}
train:
  - {budget: [0.1, 0.2], objective: [latency, energy]}
test:
  - {budget: 0.3}
"""


def test_a_file_gives_the_family_it_describes(tmp_path):
    path = tmp_path / "family.yaml"
    path.write_text(FILE)
    family = load_family(path)
    common = {"workload": "confuciux/alexnet"}
    grid = [{"budget": b, "objective": o} for b in (0.1, 0.2) for o in ("latency", "energy")]
    expected = Family("ResourceAssignment-v0", grid, test=[{"budget": 0.3}], common=common)
    assert [task.id for task in family.tasks] == [task.id for task in expected.tasks]
    assert family.splits == expected.splits


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        ("train:", "trains:", r"family.yaml:\d+:\d+: train: missing"),
        ("test:", "tests:", r"family.yaml:7:\d+: tests: unknown key"),
        ("  - {budget: [0.1, 0.2], objective: [latency, energy]}", "  []", r"train: .*at least 1 item"),
        (
            "task: accelgym/ResourceAssignment-v0",
            "task: accelgym/ResourceAssigment-v0",
            r"task: unknown task .*did you",
        ),
        ("[0.1, 0.2]", "[]", r"family.yaml:5:\d+: train\[0\].budget: an empty list"),
        ("budget: 0.3", "budgets: 0.3", r"family.yaml:7:\d+: test\[0\]: .*budgets"),
        ("objective: [latency, energy]", "objective: [latency, speed]", r"family.yaml:5:\d+: train\[0\]: .*speed"),
        ("budget: 0.3", "dataflow: mix", r"family.yaml: member 4 of the family.* has other knobs"),
        ("budget: 0.3", "budget: 0.1", r"family.yaml: members 0 and 4 of the family are one task"),
        ("  - {budget: 0.3}", "  {budget: 0.3}", r"family.yaml:7:\d+: test: "),
    ],
)
def test_faults_of_a_file_are_named_with_their_key(tmp_path, old, new, message):
    path = tmp_path / "family.yaml"
    assert old in FILE
    path.write_text(FILE.replace(old, new))
    with pytest.raises(InputError, match=message):
        load_family(path)
