"""Teams of agents: PettingZoo's own checks on every environment's task, and that masks and rewards are the task's."""

import re
import subprocess
import sys
import warnings
from functools import cache
from pathlib import Path

import numpy as np
import pytest
from gymnasium.error import ResetNeeded
from pettingzoo.test import api_test, parallel_api_test, parallel_seed_test
from pettingzoo.utils import parallel_to_aec
from plugin_tasks import Valley

from accelgym.costmodels.errors import InputError
from accelgym.envs.any_task import AnyTaskVectorEnv
from accelgym.envs.multi_agent import DesignTeamEnv, parallel_env
from accelgym.envs.registration import ENVIRONMENTS, make_task

SMALL = {
    "accelgym/ResourceAssignment-v0": {"workload": "confuciux/alexnet", "dataflow": "mix", "budget": 0.05},
    "accelgym/NetworkMapping-v0": {"workload": "alexnet"},
    "accelgym/HwGen-v0": {"workload": "gpt2/decode_block"},
}
"""Arguments in place of the defaults, where those take long."""
NAMES = [entry.id for entry in ENVIRONMENTS] + ["valley"]
each_task = pytest.mark.parametrize("name", NAMES)


@cache
def task_of(name):
    return Valley() if name == "valley" else make_task(name, **SMALL.get(name, {}))


def play(env, choose):
    """Plays one design; returns the last answer of ``step`` and the actions that counted, by choice."""
    seen, _ = env.reset()
    made = {}
    while env.agents:
        actions = {agent: choose(env, agent, seen[agent]) for agent in env.agents}
        for place in env.team.steps[env._step]:
            made[place] = actions[env.team.choices[place].agent]
        seen, *rest = env.step(actions)
    return (seen, *rest), [made[place] for place in range(len(env.team.choices))]


def masked(rng):
    return lambda env, agent, seen: int(rng.choice(np.flatnonzero(seen["action_mask"])))


@each_task
@pytest.mark.parametrize(("by", "order"), [("group", "turns"), ("knob", "rounds"), ("design", "turns")])
def test_pettingzoo_finds_no_fault(name, by, order):
    task = task_of(name)
    env = parallel_env(task, by=by, order=order)
    cycles = len(env.team.steps) + 5
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        parallel_api_test(env, num_cycles=cycles)
        parallel_seed_test(lambda: parallel_env(task, by=by, order=order), num_cycles=cycles)


@pytest.mark.filterwarnings("ignore")  # api_test would like agents called player_0.
def test_the_turn_based_form_of_pettingzoo_works_too():
    api_test(parallel_to_aec(parallel_env("ResourceAssignment-v0", workload="confuciux/alexnet")), num_cycles=40)


@each_task
@pytest.mark.parametrize("by", ["group", "knob"])
def test_in_turns_masked_actions_build_feasible_designs_with_the_rewards_of_the_single_agent(name, by):
    task = task_of(name)
    env = DesignTeamEnv(task, by=by)
    (seen, rewards, over, cut, infos), _ = play(env, masked(np.random.default_rng(3)))
    if name != "valley":  # Its masks are those of the contract, which know nothing.
        assert infos[env.possible_agents[0]]["feasible"]
    outcome = task.evaluate(env.design()[None])
    assert all(over.values())
    assert not any(cut.values())
    assert set(seen) == set(rewards) == set(env.possible_agents)
    lanes = AnyTaskVectorEnv(1, task=task, autoreset_mode="DISABLED")
    lanes.reset()
    for action in env.team._decisions(env._made)[0]:
        _, reward, _, _, info = lanes.step(np.array([action]))
    assert set(rewards.values()) == {float(reward[0])}
    for own in infos.values():
        assert own == {"objective": float(info["objective"][0]), "feasible": bool(outcome.feasible[0])}


@pytest.mark.parametrize("name", ["accelgym/ResourceAssignment-v0", "accelgym/Datatype-v0", "accelgym/HwGen-v0"])
@pytest.mark.parametrize("by", ["group", "knob"])
def test_in_turns_every_feasible_design_can_be_built(name, by):
    task = task_of(name)
    env = DesignTeamEnv(task, by=by)
    for design in task.sample_feasible(np.random.default_rng(1), 5):
        wanted = [int(i) for i in _choices_of(env, design)]

        def choose(env, agent, seen, wanted=wanted):
            place = env.team.steps[env._step][0]
            return wanted[place] if env.team.choices[place].agent == agent else 0

        seen, _ = env.reset()
        while env.agents:
            actions = {agent: choose(env, agent, seen[agent]) for agent in env.agents}
            assert all(seen[agent]["action_mask"][action] for agent, action in actions.items())
            seen, *_ = env.step(actions)
        np.testing.assert_array_equal(env.design(), design)


def _choices_of(env, design):
    """The choices that make a design, from its decisions."""
    decisions = env.task.actions(design[None])[0]
    for choice in env.team.choices:
        parts = np.unravel_index(decisions[choice.decision], choice.factors or (choice.size,))
        yield parts[choice.place]


@each_task
def test_a_decision_sets_its_own_parameters(name):
    task = task_of(name)
    own = task.decision_parameters
    assert [i for part in own for i in part] == list(range(len(task.space)))
    if name in ("accelgym/Mapping-v0", "accelgym/NetworkMapping-v0", "accelgym/CoDesign-v0"):
        return  # There a decision means something else after other ones.
    rng = np.random.default_rng(0)
    for decision, size in enumerate(task.action_sizes):
        actions = np.tile(rng.integers(0, task.action_sizes), (size, 1))
        actions[:, decision] = np.arange(size)
        designs = task.designs(actions)
        assert len(np.unique(designs, axis=0)) == size
        others = np.setdiff1d(np.arange(len(task.space)), own[decision])
        assert (designs[:, others] == designs[0, others]).all()


@each_task
def test_in_rounds_every_agent_sets_its_next_parameter(name):
    task = task_of(name)
    env = DesignTeamEnv(task, order="rounds")
    groups = [parameter.group for parameter in task.space.parameters]
    assert len(env.team.steps) == max(groups.count(group) for group in groups)
    _, made = play(env, masked(np.random.default_rng(5)))
    np.testing.assert_array_equal(env.design(), made)
    outcome = task.evaluate(np.array([made]))
    assert env._found["feasible"] == outcome.feasible[0]


def test_only_the_action_of_the_agent_whose_turn_it_is_counts():
    one, two = (parallel_env("ResourceAssignment-v0", workload="confuciux/alexnet") for _ in range(2))
    one.reset(), two.reset()
    while one.agents:
        seen = one._observe()
        assert [agent for agent in one.agents if seen[agent]["observation"][-1] == 1] == one.movers
        for agent in one.agents:
            if agent not in one.movers:
                np.testing.assert_array_equal(np.flatnonzero(seen[agent]["action_mask"]), [0])
        others = {agent: 7 for agent in one.agents if agent not in one.movers}
        first = one.step(dict.fromkeys(one.movers, 3) | others)
        second = two.step(dict.fromkeys(two.movers, 3))
        np.testing.assert_equal(first, second)
    np.testing.assert_array_equal(one.state(), first[0]["L1"]["observation"][:-2])


def test_choices_that_do_not_exist_and_broken_budgets_cost_the_reward():
    env = parallel_env(Valley(), by="design")
    (_, rewards, _, _, infos), _ = play(env, lambda env, agent, seen: 15)
    assert infos["designer"] == {"objective": float("inf"), "feasible": False}
    design = env.design()
    np.testing.assert_array_equal(design, env.task.space.nvec - 1)
    broken = env.task.evaluate(design[None]).violation[0] + 4 / 5
    assert rewards["designer"] == pytest.approx(-broken / (1 + broken))


def test_bad_input():
    with pytest.raises(InputError, match="by is 'layer', allowed group, knob, design"):
        parallel_env(Valley(), by="layer")
    with pytest.raises(InputError, match="order is None, allowed turns, rounds"):
        parallel_env(Valley(), order=None)
    with pytest.raises(InputError, match="not both: budget"):
        parallel_env(Valley(), budget=0.1)
    for task in (3, None, ["HwGen-v0"]):
        with pytest.raises(InputError, match=r"^task is .*, allowed a task, or the name of one"):
            parallel_env(task)
    env = parallel_env(Valley())
    for call in (lambda: env.step({}), env.state, env.design):
        with pytest.raises(ResetNeeded):
            call()
    env.reset()
    for actions in (None, [0], "x"):
        with pytest.raises(InputError, match=r"^actions is .*, allowed a table of actions by agent"):
            env.step(actions)
    for actions in ({}, {"x": 16}, {"x": -1}, {"x": 0.5}, {"x": True}, {"y": 0}):
        with pytest.raises(InputError, match=r"the action of agent 'x' is .*, allowed 0\.\.15"):
            env.step(actions)
    with pytest.raises(ResetNeeded):
        env.design()


def test_a_refused_step_changes_nothing():
    env, other = (parallel_env(Valley(), order="rounds") for _ in range(2))
    env.reset()
    other.reset()
    # The action of the first agent is replaced, that of the last is none.
    actions = dict.fromkeys(env.agents, 0) | {"colour": 3}
    with pytest.raises(InputError, match="the action of agent 'colour' is 3"):
        env.step(actions)
    np.testing.assert_array_equal(env.state(), other.state())
    right = dict.fromkeys(env.agents, 0)
    np.testing.assert_equal(env.step(right), other.step(right))


def test_without_pettingzoo_the_extra_is_named():
    code = "import sys; sys.modules['pettingzoo'] = None; import accelgym.envs; import accelgym.envs.multi_agent"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert "accelgym[multiagent]" in done.stderr
    code = "import sys, accelgym; accelgym.envs if 0 else 0; assert 'pettingzoo' not in sys.modules"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0


def test_the_example_of_the_page_runs():
    page = Path(__file__).parents[2] / "docs" / "multi_agent.md"
    [block] = re.findall(r"```python\n(.*?)```", page.read_text(), flags=re.DOTALL)
    exec(compile(block, page.name, "exec"), {"__name__": "page"})
