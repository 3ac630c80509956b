"""What every task owes to agents, policies and environments: one suite over all of them, plug-ins included."""

import json
from types import SimpleNamespace

import gymnasium as gym
import numpy as np
import pytest
from fake_simulators import small_task
from gymnasium.utils.env_checker import check_env
from plugin_tasks import Bare, Valley

from accelgym.costmodels.architecture import Architecture, Compute, StorageLevel
from accelgym.costmodels.architecture.loop_nest import LoopNest
from accelgym.costmodels.errors import InputError
from accelgym.costmodels.objective import Objective
from accelgym.costmodels.solvers.scheduling import SchedulingProblem
from accelgym.costmodels.workloads import Layer, Workload
from accelgym.envs import (
    CoDesignTask,
    DatatypeTask,
    HwGenTask,
    JointTask,
    MappingTask,
    MultiAcceleratorTask,
    NetworkMappingTask,
    ResourceAssignmentTask,
    make_task,
)
from accelgym.envs.datatype.losses import LossTable
from accelgym.envs.datatype.options import OPTIONS
from accelgym.envs.registration import ENVIRONMENTS
from accelgym.envs.sequential import SequentialVectorEnv
from accelgym.envs.space import Parameter, Space
from accelgym.envs.task import Outcome, tasks

LAYERS = [Layer.conv("a", K=8, C=4, H=5, R=3), Layer.conv("b", K=16, C=8, H=3, R=1)]
MACHINE = Architecture(
    "tiny",
    (
        StorageLevel("DRAM", read_pj=64.0, write_pj=80.0, read_bw=2.0, write_bw=1.0, block_size=4),
        StorageLevel("SRAM", capacity_words=96, read_pj=5.0, write_pj=6.0, fanout_x=2, fanout_y=3),
        StorageLevel("RF", capacity_words=16, read_pj=1.0, write_pj=1.5, leakage_pj=0.1),
    ),
    Compute(mac_pj=2.0),
    leakage="whole_chip",
)
PROBLEM = LoopNest.conv("layer", K=8, C=4, P=6, Q=1, R=3, S=1)
SHORT = LoopNest.conv("layer", K=4, C=2, P=4, Q=1, R=3, S=1)
NETWORK = Workload.chain("two", LAYERS)
SCHEDULE = SchedulingProblem(
    layers=("a", "b", "c", "d"),
    accelerators=("x", "y"),
    ticks=np.arange(16).reshape(4, 2, 2) % 7 + 1,
    energy_pj=np.arange(16.0).reshape(4, 2, 2) % 5 + 1,
    allowed=np.arange(16).reshape(4, 2, 2) % 6 > 0,
    area_um2=np.array([[1.0, 2.0], [1.0, 3.0]]),
    leakage_pj=np.array([[0.1, 0.2], [0.1, 0.3]]),
    edges=((0, 1), (0, 2), (1, 3)),
    batches=2,
    area_limit_um2=4.0,
    objective=Objective.LATENCY,
)

# A small task of every kind; a kind that is registered and not listed fails the suite.
SMALL = {
    "accelgym/ResourceAssignment-v0": lambda: ResourceAssignmentTask(
        workload_object=NETWORK, budget=0.2, dataflow="mix"
    ),
    "accelgym/Mapping-v0": lambda: MappingTask(problem=PROBLEM, machine=MACHINE, bypass=True),
    "accelgym/NetworkMapping-v0": lambda: NetworkMappingTask(
        workload_object=Workload.chain("small", [Layer.gemm("a", M=4, K=6, C=4), Layer.gemm("b", M=2, K=4, C=6)]),
        machine=MACHINE,
        objective="energy",
    ),
    "accelgym/CoDesign-v0": lambda: CoDesignTask(problem=SHORT, registers=(8, 16), sram_words=(4096, 16384)),
    "accelgym/HwGen-v0": lambda: HwGenTask(
        workload_object=Workload.chain("one", [Layer.gemm("gemm", M=4, K=24, C=16)]), area_budget=300_000.0
    ),
    "accelgym/Datatype-v0": lambda: DatatypeTask(
        losses=LossTable(
            "measured",
            "two",
            ("a", "b"),
            tuple((layer,) for layer in LAYERS),
            OPTIONS,
            {"cross_entropy": np.arange(2 * len(OPTIONS)).reshape(2, -1)[:, ::-1].copy()},
        ),
        hardware="microscaling",
        max_loss=0.0035,
    ),
    "accelgym/MultiAccelerator-v0": lambda: MultiAcceleratorTask(problem=SCHEDULE, batches=2),
    "accelgym/Joint-v0": lambda: JointTask(
        workload_object=Workload.chain("two", LAYERS), machines="small", types=["int4/int8"], max_loss=0.02
    ),
    "accelgym/ExternalSimulator-v0": small_task,
    "valley": Valley,
    "bare": Bare,
}
SOUND = set(SMALL) - {"bare"}
"""Tasks whose masks know what fits."""


def test_every_registered_task_is_tried():
    assert {entry.id for entry in ENVIRONMENTS} <= set(SMALL)


@pytest.fixture(scope="module", params=SMALL)
def case(request):
    return SimpleNamespace(name=request.param, task=SMALL[request.param]())


@pytest.fixture
def task(case):
    return case.task


def uniform(task, count=200, seed=0):
    return task.space.sample(np.random.default_rng(seed), count)


def feasible(task, count=40, seed=1):
    return task.sample_feasible(np.random.default_rng(seed), count)


def masked_walk(task, rng, rows=40):
    """Actions drawn from the masks, shape ``(rows, decisions)``."""
    actions = np.full((rows, len(task.action_sizes)), -1, dtype=np.int64)
    for position in range(actions.shape[1]):
        mask = task.masks(actions, position)
        actions[:, position] = np.where(mask, rng.random(mask.shape), -1.0).argmax(axis=1)
    return actions


def test_parameters_say_what_they_configure(task):
    roles = [(p.group, p.knob) for p in task.space.parameters]
    assert len(set(roles)) == len(roles)
    assert all(group and knob for group, knob in roles)


def test_the_description_is_plain_and_fixes_the_id(case):
    text = json.dumps(case.task.describe(), sort_keys=True)
    again = SMALL[case.name]()
    assert json.dumps(again.describe(), sort_keys=True) == text
    assert again.id == case.task.id


def test_there_is_a_row_of_features_for_every_decision(task):
    found = task.decision_features()
    assert found.shape[0] == len(task.action_sizes)
    assert (np.abs(found) <= 1).all()


def test_a_design_is_worth_the_same_alone_and_in_a_batch(task):
    designs = np.concatenate((uniform(task, 20), feasible(task, 10)))
    whole = task.evaluate(designs)
    for row in (0, 7, 25):
        one = task.evaluate(designs[row : row + 1])
        assert one.objective[0] == whole.objective[row]
        assert one.feasible[0] == whole.feasible[row]
        assert one.violation[0] == whole.violation[row]


def test_outcomes_are_consistent(task):
    outcome = task.evaluate(np.concatenate((uniform(task), feasible(task))))
    assert (outcome.valid | ~outcome.feasible).all()
    assert (outcome.violation[outcome.feasible] == 0).all()
    assert (outcome.violation[~outcome.feasible] > 0).all()
    assert np.isfinite(outcome.objective[outcome.valid]).all()
    assert np.isinf(outcome.objective[~outcome.valid]).all()


def test_the_reference_is_feasible_and_nothing_is_below_the_bound(task):
    found = task.reference()
    outcome = task.evaluate(np.array([found.design]))
    assert outcome.feasible[0]
    assert outcome.objective[0] == pytest.approx(found.value, rel=1e-12)
    assert task.bound <= found.lower_bound * (1 + 1e-9)
    assert task.evaluate(feasible(task, 200)).score.min() >= found.lower_bound * (1 - 1e-9)


def test_decisions_make_designs_and_come_back(task):
    designs = np.concatenate((uniform(task), feasible(task)))
    actions = task.actions(designs)
    assert actions.shape == (len(designs), len(task.action_sizes))
    assert (actions >= 0).all()
    assert (actions < task.action_sizes).all()
    np.testing.assert_array_equal(task.designs(actions), designs)
    assert task.num_actions >= task.action_sizes.max()
    assert np.prod(task.action_factors) == task.num_actions


def test_masks_offer_existing_actions_and_never_none(task):
    actions = task.actions(uniform(task, 30))  # most of them break something
    for position, size in enumerate(task.action_sizes):
        mask = task.masks(actions, position)
        assert mask.shape == (30, task.num_actions)
        assert mask.any(axis=1).all()
        assert not mask[:, size:].any()


def test_masks_lead_to_feasible_designs(case):
    designs = case.task.designs(masked_walk(case.task, np.random.default_rng(2)))
    if case.name in SOUND:
        assert case.task.evaluate(designs).feasible.all()
    case.task.space.check(designs)


def test_masks_reach_every_feasible_design_or_its_equal(task):
    designs = feasible(task)
    parts = task.split(designs) if hasattr(task, "split") else [(task, designs)]
    # Of mappings that place equal factors in another order, one is reachable.
    same = [x.mapspace.canonical(d) if hasattr(x, "mapspace") else d for x, d in parts]
    equal = np.concatenate(same, axis=1)
    if hasattr(task, "machines"):
        equal[:, :2] = designs[:, :2]
    np.testing.assert_allclose(task.evaluate(equal).objective, task.evaluate(designs).objective, rtol=1e-12)
    actions = task.actions(equal)
    for position in range(actions.shape[1]):
        assert task.masks(actions, position)[np.arange(len(actions)), actions[:, position]].all()


def test_what_fits_is_what_is_feasible(task):
    designs = np.concatenate((uniform(task, 300), feasible(task)))
    np.testing.assert_array_equal(task.fits(designs), task.evaluate(designs).feasible)


@pytest.mark.parametrize("count", [0, 1, 60])
def test_samples_are_feasible_and_follow_their_seed(task, count):
    designs = feasible(task, count, seed=4)
    assert designs.shape == (count, len(task.space))
    assert task.evaluate(designs).feasible.all()
    np.testing.assert_array_equal(designs, feasible(task, count, seed=4))
    assert count < 2 or len(np.unique(designs, axis=0)) > 1


def test_repair_mends_and_leaves_alone(task):
    designs = np.concatenate((uniform(task, 60), feasible(task, 20)))
    mended = task.repair(designs, np.random.default_rng(5))
    outcome = task.evaluate(designs)
    assert task.evaluate(mended).feasible.all()
    np.testing.assert_array_equal(mended[outcome.feasible], designs[outcome.feasible])


def test_neighbours_are_all_feasible_single_changes(task):
    design = feasible(task, 1)[0]
    expected = set()
    for column, size in enumerate(task.space.nvec):
        for value in range(size):
            changed = design.copy()
            changed[column] = value
            if value != design[column] and task.evaluate(changed[None]).feasible[0]:
                expected.add(tuple(changed.tolist()))
    assert {tuple(row) for row in task.neighbours(design).tolist()} == expected


def test_constant_designs_choose_alike_in_every_group(task):
    designs = task.constant_designs(np.random.default_rng(0), 50)
    assert 1 <= len(designs) == len(np.unique(designs, axis=0)) <= 50
    columns = {}
    for column, p in enumerate(task.space.parameters):
        columns.setdefault((p.knob, p.values), []).append(column)
    for same in columns.values():
        assert (designs[:, same] == designs[:, same[:1]]).all()


def test_lanes_show_the_masks_and_build_the_designs_of_the_task(task):
    lanes = task.vector_env(12)
    assert isinstance(lanes, SequentialVectorEnv)
    assert lanes.task is task
    rng = np.random.default_rng(6)
    obs, infos = lanes.reset(seed=0)
    steps = len(task.action_sizes)
    for position in range(steps):
        assert obs[:, lanes.progress_column] == pytest.approx(position / steps, abs=1e-6)
        mask = lanes.action_masks()
        np.testing.assert_array_equal(mask, task.masks(infos["design"].astype(np.int64), position))
        obs, _, ended, _, infos = lanes.step(np.where(mask, rng.random(mask.shape), -1.0).argmax(axis=1))
    assert ended.all()
    final = infos["final_info"]
    outcome = task.evaluate(task.designs(final["design"].astype(np.int64)))
    np.testing.assert_array_equal(final["feasible"], outcome.feasible)
    good = outcome.feasible
    np.testing.assert_allclose(final["objective"][good], outcome.objective[good], rtol=1e-12)


# -- accelgym/Task-v0 --------------------------------------------------------------------------------------


@pytest.fixture
def registered(monkeypatch):
    names = {"valley": Valley, "toys/bare": Bare}
    for name, cls in names.items():
        monkeypatch.setitem(tasks._factories, name, cls)
    return names


@pytest.mark.parametrize(
    ("name", "arguments"),
    [("valley", {}), ("toys/bare", {"budget": 7}), ("ResourceAssignment-v0", {"workload": "alexnet", "budget": 0.3})],
)
def test_any_task_is_an_environment_with_a_spec_of_plain_data(registered, name, arguments):
    env = gym.make("accelgym/Task-v0", task=name, **arguments)
    check_env(env.unwrapped, skip_render_check=True)
    again = gym.make(gym.envs.registration.EnvSpec.from_json(env.spec.to_json()))
    assert again.unwrapped.task.id == make_task(name, **arguments).id
    lanes = gym.make_vec("accelgym/Task-v0", num_envs=3, task=name, **arguments)
    lanes.action_space.seed(0)
    observations, _ = lanes.reset(seed=0)
    scalars = [gym.make("accelgym/Task-v0", task=name, **arguments) for _ in range(3)]
    for env, row in zip(scalars, observations, strict=True):
        np.testing.assert_array_equal(env.reset(seed=0)[0], row)
    for _ in range(len(again.unwrapped.task.action_sizes)):
        actions = lanes.action_space.sample()
        _, rewards, ended, _, _ = lanes.step(actions)
        for lane, env in enumerate(scalars):
            _, reward, end, _, _ = env.step(actions[lane])
            assert (reward, end) == (rewards[lane], ended[lane])
    assert ended.all()


def test_returns_of_a_plug_in_rank_its_designs():
    task = Bare()
    designs = uniform(task, 100)
    lanes = task.vector_env(len(designs))
    lanes.reset()
    total = sum(lanes.step(column)[1] for column in task.actions(designs).T)
    outcome = task.evaluate(designs)
    good = outcome.feasible
    assert (total[good] > 0).all()
    assert total[good].max() <= 1
    assert (total[~good] < 0).all()
    np.testing.assert_allclose(total[good], task.reference().value / outcome.objective[good])
    order = np.argsort(outcome.violation[~good], kind="stable")
    assert (np.diff(total[~good][order]) <= 0).all()
    assert len(np.unique(total[~good])) > 3, "how far a design is from the budget shows"


def test_a_reward_is_lower_where_actions_did_not_exist():
    task = Bare()
    lanes = task.vector_env(2)
    lanes.reset()
    for actions in ([0, 0], [0, 4], [0, 0], [0, 4]):  # a mode has two values
        *_, infos = (_, rewards, *_) = lanes.step(np.array(actions))
    assert infos["final_info"]["feasible"].tolist() == [True, False]
    assert rewards[0] > 0 > rewards[1]


@pytest.mark.parametrize(
    ("parameters", "message"),
    [
        ((Parameter("x", (1,)), Parameter("x", (2,))), "two parameters have the name 'x'"),
        (
            (Parameter("p", (1,), True, "conv", "pes"), Parameter("q", (1,), True, "conv", "pes")),
            "group 'conv' has the knob 'pes' already",
        ),
    ],
)
def test_a_space_that_names_a_group_twice_is_refused(parameters, message):
    with pytest.raises(InputError, match=message):
        Space(parameters)


def test_unknown_tasks_and_arguments_are_named(registered):
    with pytest.raises(InputError, match="unknown task 'vally': did you mean 'valley'"):
        make_task("vally")
    with pytest.raises(InputError, match="unknown argument of task 'toys/bare' 'bugdet': did you mean 'budget'"):
        make_task("toys/bare", bugdet=3)
    with pytest.raises(InputError, match="Task-v0 needs the argument task"):
        make_task("Task-v0")


def test_an_error_of_a_plug_in_is_its_own(registered, monkeypatch):
    class Broken(Bare):
        def __init__(self, budget=9):
            super().__init__(budget)
            len(budget)

    monkeypatch.setitem(tasks._factories, "toys/broken", Broken)
    with pytest.raises(TypeError, match="has no len"):
        make_task("toys/broken")


def test_a_task_of_which_hardly_anything_fits_says_so():
    with pytest.raises(InputError, match="has to define masks or sample_feasible"):
        Bare(budget=1).sample_feasible(np.random.default_rng(0), 1)


ROWS = {
    "objective": np.ones(3),
    "feasible": np.ones(3, dtype=bool),
    "violation": np.zeros(3),
    "valid": np.ones(3, dtype=bool),
    "costs": {"energy_pj": np.ones((3, 2))},
}


@pytest.mark.parametrize(
    ("fault", "message"),
    [
        ({"objective": np.ones((3, 1))}, r"objective is an array of shape \(3, 1\)"),
        ({"objective": np.ones(1)}, r"feasible is an array of shape \(3,\)"),
        ({"objective": np.float64(1)}, "objective is np.float64"),
        ({"objective": [1.0, 1.0, 1.0]}, "objective is .*allowed an array of a number"),
        ({"objective": np.array(["1"] * 3)}, "objective is an array .* type <U1"),
        ({"feasible": np.ones(3, dtype=int)}, "feasible is an array .* type int64, allowed .* bool"),
        ({"feasible": True}, "feasible is True"),
        ({"violation": None}, "violation is None"),
        ({"violation": np.zeros(2)}, r"violation is an array of shape \(2,\)"),
        ({"valid": np.ones(3, dtype=np.int8)}, "valid is an array .* type int8"),
        ({"costs": None}, "costs is None"),
        ({"costs": {"energy_pj": 3.0}}, r"costs\['energy_pj'\] is 3.0"),
        ({"costs": {"energy_pj": np.ones(2)}}, r"costs\['energy_pj'\] is an array of shape \(2,\)"),
        ({"costs": {"energy_pj": np.array([1.0, 2.0, None])}}, r"costs\['energy_pj'\] is an array .* type object"),
    ],
    ids=str,
)
def test_an_outcome_of_other_shapes_or_types_is_told_where_it_is_made(fault, message):
    assert len(Outcome(**ROWS)) == len(Outcome(**ROWS | {"objective": np.ones(3, dtype=int)})) == 3
    with pytest.raises(TypeError, match=f"Outcome: {message}"):
        Outcome(**ROWS | fault)
