"""PPO, MaskablePPO and A2C: they learn, repeat themselves, and leave the world as it was."""

import numpy as np
import pytest
import torch

from accelgym.agents import make_agent, search
from accelgym.agents.knob_head import KnobHead
from accelgym.agents.policy_gradient.heads import SlotKnobHead, SlotLinear, probabilities, score_actions
from accelgym.agents.policy_gradient.networks import SlotFeatures, _draw
from accelgym.agents.policy_gradient.rollouts import SlotBuffer
from accelgym.agents.private_stream import PrivateStream
from accelgym.costmodels.errors import InputError
from accelgym.costmodels.workloads import Layer, LayerKind, Workload
from accelgym.envs import ResourceAssignmentTask
from accelgym.envs.resource_assignment.observation import POSITION

NAMES = ["ppo", "maskable_ppo", "a2c"]
each_agent = pytest.mark.parametrize("name", NAMES)


@pytest.fixture(scope="module")
def task():
    layers = [
        Layer("wide", LayerKind.CONV, K=64, C=96, P=7, Q=7, R=3, S=3),
        Layer("deep", LayerKind.CONV, K=192, C=128, P=4, Q=4, R=3, S=3),
        Layer("point", LayerKind.CONV, K=100, C=192, P=4, Q=4, R=1, S=1),
        Layer("last", LayerKind.GEMM, K=1000, C=100, P=1),
    ]
    return ResourceAssignmentTask(workload_object=Workload.chain("four", layers), budget=0.1)


def drive(task, agent, asks, count):
    """Feasible share and designs of every ask."""
    designs, feasible = [], []
    for _ in range(asks):
        rows = agent.ask(count)
        outcome = task.evaluate(rows)
        agent.tell(rows, outcome)
        count -= len(rows)
        designs.append(rows)
        feasible.append(outcome.feasible.mean())
    return designs, feasible


@each_agent
def test_its_last_designs_are_better_than_random_ones(task, name):
    options = {"updates": 40}
    agent = make_agent(name, task, seed=0, **options)
    designs, _ = drive(task, agent, 40, 4000)
    learnt = task.evaluate(designs[-1])
    random = task.evaluate(task.sample_feasible(np.random.default_rng(0), 4000))
    assert np.median(learnt.score) < np.quantile(random.score, 0.05)


@pytest.mark.slow
def test_masked_ppo_learns_to_map(mapping):
    designs, feasible = drive(mapping, make_agent("maskable_ppo", mapping, seed=0, updates=40), 40, 2000)
    assert feasible == [1.0] * 40
    random = mapping.evaluate(mapping.sample_feasible(np.random.default_rng(0), 2000))
    assert np.median(mapping.evaluate(designs[-1]).objective) < np.quantile(random.objective, 0.05)


def test_masked_designs_are_all_feasible(task):
    agent = make_agent("maskable_ppo", task, seed=1, updates=10)
    _, feasible = drive(task, agent, 10, 500)
    assert feasible == [1.0] * 10


@each_agent
def test_two_runs_are_equal_also_in_turns_and_global_generators_stay(task, name):
    alone, _ = drive(task, make_agent(name, task, seed=3), 3, 100)
    np_before, torch_before = np.random.get_state()[1].copy(), torch.random.get_rng_state()  # noqa: NPY002
    one, other = make_agent(name, task, seed=3), make_agent(name, task, seed=4)
    left = 100
    for expected in alone:
        rows, others = one.ask(left), other.ask(left)
        np.testing.assert_array_equal(rows, expected)
        assert not np.array_equal(rows, others)
        one.tell(rows, task.evaluate(rows))
        other.tell(others, task.evaluate(others))
        left -= len(rows)
    np.testing.assert_array_equal(np.random.get_state()[1], np_before)  # noqa: NPY002
    assert torch.equal(torch.random.get_rng_state(), torch_before)


@each_agent
@pytest.mark.parametrize("budget", [1, 5, 31, 100])
def test_every_evaluation_of_a_budget_is_used(task, name, budget):
    assert search(task, name, budget=budget, seed=0).evaluations == budget


@pytest.mark.parametrize(
    "arguments",
    [
        {"dataflow": "mix", "aggregate": "max"},
        {"deployment": "sequential", "budget": 0.5},
        {"granularity": "fine64", "constraint": "pes"},
    ],
    ids=str,
)
def test_all_kinds_of_assignment_are_searched(arguments):
    layers = [
        Layer("one", LayerKind.CONV, K=32, C=32, P=6, Q=6, R=3, S=3),
        Layer("two", LayerKind.CONV, K=32, C=16, P=6, Q=6, R=1, S=1),
    ]
    task = ResourceAssignmentTask(workload_object=Workload.chain("pair", layers), **arguments)
    trajectory = search(task, "maskable_ppo", budget=60, seed=0)
    assert trajectory.feasible.all()
    assert trajectory.best >= task.reference().lower_bound


def test_outcomes_of_another_task_are_refused(task):
    agent = make_agent("maskable_ppo", task, seed=0)
    rows = agent.ask(100)
    other = ResourceAssignmentTask(workload_object=task.workload, budget=0.1, objective="energy")
    with pytest.raises(InputError, match="not those of its task"):
        agent.tell(rows, other.evaluate(rows))


@pytest.mark.parametrize(
    ("name", "option", "value"),
    [("ppo", "lanes", 0), ("ppo", "epochs", 0), ("maskable_ppo", "clip", 0.0), ("a2c", "gae_lambda", 1.5)],
)
def test_bad_options_are_named(task, name, option, value):
    with pytest.raises(InputError, match=f"'{option}'.* is {value}"):
        make_agent(name, task, seed=0, **{option: value})


@pytest.mark.parametrize("name", ["ppo", "maskable_ppo"])
def test_probabilities_are_those_of_the_libraries_distribution(task, name):
    agent = make_agent(name, task, seed=0)
    agent.tell(rows := agent.ask(64), task.evaluate(rows))
    policy, lanes = agent._model.policy, task.vector_env(32)
    observations = torch.as_tensor(lanes.reset(seed=0)[0])
    masks = (lanes.action_masks(),) if name == "maskable_ppo" else ()
    with torch.no_grad():
        actions, _, logs = policy(observations, False, *masks)
        values, again, entropy = policy.evaluate_actions(observations, actions, *masks)
        expected = policy.get_distribution(observations, *masks)
        torch.testing.assert_close(logs, expected.log_prob(actions))
        torch.testing.assert_close(again, logs)
        torch.testing.assert_close(entropy, expected.entropy())
        torch.testing.assert_close(values, policy.predict_values(observations))
        best, _, _ = policy(observations, True, *masks)
    assert torch.equal(best, expected.distribution.probs.argmax(dim=1))
    assert expected.distribution.probs.std() > 0


def _random_head(rng, *, features, knobs, slots):
    head = SlotKnobHead(features, knobs, slots=slots)
    with torch.no_grad():
        for parameter in head.parameters():
            parameter.copy_(torch.randn(parameter.shape, generator=rng))
    return head.double()


@pytest.mark.parametrize("masked", [False, True])
@pytest.mark.parametrize("scale", [1.0, 300.0], ids=["spread", "peaked"])
def test_the_gradient_written_out_is_that_of_automatic_differentiation(monkeypatch, masked, scale):
    monkeypatch.setattr("accelgym.agents.policy_gradient.heads._BLOCK", 100)
    rng = torch.Generator().manual_seed(0)
    head = _random_head(rng, features=6, knobs=(3, 4), slots=5)
    slots = torch.randint(0, 6, (37, 1), generator=rng)
    features = torch.cat((slots, scale * torch.randn(37, 5, generator=rng, dtype=torch.float64)), dim=1)
    features.requires_grad_()
    actions = torch.randint(0, 12, (37,), generator=rng)
    masks = (torch.rand(37, 12, generator=rng) < 0.5).scatter(1, actions[:, None], True) if masked else None
    weights = torch.randn(2, 37, generator=rng, dtype=torch.float64)

    def gradients(scores):
        head.zero_grad()
        loss = (weights * torch.stack(scores)).sum()
        return [*scores, *torch.autograd.grad(loss, (features, *head.parameters()))]

    joint, marginal = head.joint(features), head.marginal(features)
    logits = joint + marginal[:, :3].repeat_interleave(4, dim=1) + marginal[:, 3:].repeat(1, 3)
    torch.testing.assert_close(head(features), logits)
    distribution = torch.distributions.Categorical(logits=logits if masks is None else logits.masked_fill(~masks, -1e8))
    expected = gradients((distribution.log_prob(actions), distribution.entropy()))
    for found, right in zip(gradients(score_actions(head, features, actions, masks)), expected, strict=True):
        torch.testing.assert_close(found, right, rtol=1e-6, atol=1e-6)
    torch.testing.assert_close(probabilities(logits.detach().clone(), masks), distribution.probs, atol=1e-12, rtol=1e-9)


def test_draws_follow_the_probabilities_and_never_take_a_closed_action():
    chances = torch.tensor([[0.0, 0.2, 0.0, 0.5, 0.3, 0.0]]).repeat(20_000, 1)
    with PrivateStream(0).active():
        counts = torch.bincount(_draw(chances), minlength=6) / len(chances)
    torch.testing.assert_close(counts, chances[0], atol=0.015, rtol=0.0)
    assert torch.equal(counts == 0, chances[0] == 0)


def test_logits_are_one_table_per_knob_and_one_of_all():
    head = KnobHead(5, (3, 4))
    features = torch.randn(2, 5, generator=torch.Generator().manual_seed(0))
    logits = head(features)
    joint, marginal = head.joint(features), head.marginal(features)
    for row in range(2):
        for i in range(3):
            for j in range(4):
                expected = joint[row, 4 * i + j] + marginal[row, i] + marginal[row, 3 + j]
                assert logits[row, 4 * i + j].item() == pytest.approx(expected.item(), abs=1e-6)


def test_the_features_tell_the_slots_apart(task):
    from accelgym.envs import ResourceAssignmentVectorEnv

    env = ResourceAssignmentVectorEnv(2, task=task)
    slots = task.table.slots
    features = SlotFeatures(env.single_observation_space, slots=slots, position=POSITION, width=8)
    seen, (obs, _) = [], env.reset()
    for _ in range(slots):
        seen.append(features(torch.from_numpy(obs))[0, 0])
        obs, *_ = env.step(np.zeros(2, dtype=np.int64))
    assert torch.equal(torch.stack(seen), torch.arange(slots, dtype=torch.float32))


def test_a_table_beside_a_layer_is_a_layer_over_the_one_hot_slot():
    layer = SlotLinear(6, 3, slots=4)
    rng = torch.Generator().manual_seed(0)
    with torch.no_grad():
        assert not layer(torch.randn(2, 6, generator=rng).abs()).any()
        for parameter in layer.parameters():
            parameter.copy_(torch.randn(parameter.shape, generator=rng))
    slots, hidden = torch.tensor([0, 3, 4, 1]), torch.randn(4, 5, generator=rng)
    dense = torch.cat((torch.nn.functional.one_hot(slots, 5), hidden), dim=1)
    weights = torch.cat((layer.table.weight.T, layer.linear.weight), dim=1)
    expected = dense @ weights.T + layer.linear.bias
    torch.testing.assert_close(layer(torch.cat((slots[:, None], hidden), dim=1)), expected)


def test_advantages_are_scaled_slot_by_slot(task):
    from accelgym.envs import ResourceAssignmentVectorEnv

    env = ResourceAssignmentVectorEnv(5, task=task)
    buffer = SlotBuffer(3, env.single_observation_space, env.single_action_space, n_envs=5, gamma=1.0, gae_lambda=1.0)
    rewards = np.random.default_rng(0).normal(size=(3, 5)) * [[1.0], [100.0], [0.01]]
    for step in range(3):
        zeros = np.zeros(5)
        buffer.add(np.zeros((5, 15)), zeros, rewards[step], zeros + (step == 0), torch.zeros(5), torch.zeros(5))
    buffer.compute_returns_and_advantage(torch.zeros(5), np.ones(5, dtype=bool))
    returns = rewards[::-1].cumsum(axis=0)[::-1]
    expected = (returns - returns.mean(axis=1, keepdims=True)) / returns.std(axis=1, keepdims=True)
    np.testing.assert_allclose(buffer.returns, returns, rtol=1e-5)
    np.testing.assert_allclose(buffer.advantages, expected, rtol=1e-4, atol=1e-5)


def test_a_private_stream_continues_where_it_was():
    def draw():
        return torch.rand(2).tolist() + list(np.random.random(2))  # noqa: NPY002

    whole = PrivateStream(5)
    with whole.active():
        expected = draw() + draw()
    stream, drawn = PrivateStream(5), []
    for _ in range(2):
        with stream.active():
            drawn += draw()
        draw()
    assert drawn == expected
