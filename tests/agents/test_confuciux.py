"""ConfuciuX: its policy, rewards and budget as published, its local search within bounds."""

import copy

import numpy as np
import pytest
import torch

from accelgym.agents import make_agent, search
from accelgym.agents.confuciux.local_search import POPULATION, LocalSearch
from accelgym.agents.confuciux.policy import RecurrentPolicy
from accelgym.agents.confuciux.reinforce import Episode, Reinforce
from accelgym.costmodels.errors import InputError
from accelgym.costmodels.workloads import Layer, LayerKind, Workload
from accelgym.envs import ResourceAssignmentEnv, ResourceAssignmentTask


def three_layers(**arguments):
    layers = [
        Layer("first", LayerKind.CONV, K=32, C=3, P=6, Q=6, R=3, S=3),
        Layer("second", LayerKind.CONV, K=64, C=64, P=6, Q=6, R=3, S=3, groups=64),
        Layer("third", LayerKind.CONV, K=96, C=64, P=4, Q=4, R=1, S=1),
    ]
    return ResourceAssignmentTask(workload_object=Workload.chain("three", layers), **{"budget": 0.2} | arguments)


def reinforce(task, sees="previous", seed=0):
    return Reinforce(task, rng=np.random.default_rng(seed), seed=seed, sees=sees)


def costs(task, design):
    outcome = task.evaluate(design[None])
    return [outcome.costs[name][0] for name in ("slot_cost", "slot_resource", "slot_valid")]


def test_the_policy_has_the_published_shape():
    policy = RecurrentPolicy(7, (12, 12))
    # Encoders 7, 1 and 2 to 10; 30 to 128 and twice 128 to 128; LSTM cell; two heads 128 to 12 to 12.
    encoders = (7 + 1) * 10 + (1 + 1) * 10 + (2 + 1) * 10
    body = (30 + 1) * 128 + 2 * (128 + 1) * 128
    lstm = 4 * 128 * (128 + 128) + 2 * 4 * 128
    heads = 2 * ((128 + 1) * 12 + (12 + 1) * 12)
    assert sum(p.numel() for p in policy.parameters()) == encoders + body + lstm + heads == 172_626
    logs, _ = policy(torch.zeros(5, 10))
    assert [tuple(log.shape) for log in logs] == [(5, 12), (5, 12)]
    for log in logs:
        torch.testing.assert_close(log.exp().sum(dim=1), torch.ones(5))


def test_stepping_the_policy_equals_running_it_over_the_episode():
    policy = RecurrentPolicy(7, (12, 12))
    states = torch.randn(6, 10, generator=torch.Generator().manual_seed(0))
    whole, _ = policy(states)
    hidden = None
    for step in range(6):
        logs, hidden = policy(states[step : step + 1], hidden)
        for one, all_ in zip(logs, whole, strict=True):
            torch.testing.assert_close(one[0], all_[step])


def test_the_policy_sees_the_layer_before_as_the_published_code_does():
    task = three_layers()
    # Columns K, C, Y, X, R, S, type; MAESTRO's depthwise rows have K=1.
    rows = np.array([[32, 3, 8, 8, 3, 3, 1], [1, 64, 8, 8, 3, 3, 2], [96, 64, 4, 4, 1, 1, 1]])
    rows = rows / rows.max(axis=0)
    for sees, lag in (("previous", 1), ("current", 0)):
        episode = reinforce(task, sees).sample()
        states = episode.states.numpy()
        np.testing.assert_allclose(states[0], [*rows[episode.order[0]], 0, 0, 0], rtol=1e-6)
        for step in (1, 2):
            pes, buffer = (knob.values[i] for knob, i in zip(task.knobs, episode.picks[step - 1], strict=True))
            seen = step - lag
            raw = [*rows[episode.order[seen]], seen / 3, pes / 128, buffer / 12]
            np.testing.assert_allclose(states[step], 2 * np.array(raw) - 1, rtol=1e-5, atol=1e-6)


def test_a_design_puts_every_decision_at_its_layer():
    task = three_layers()
    picks = np.array([[1, 2], [3, 4], [5, 6]])
    episode = Episode(np.array([2, 0, 1]), torch.zeros(3, 10), picks)
    assert episode.design.tolist() == [3, 4, 5, 6, 1, 2]
    assert task.space.parameters[0].name == "first.num_pes"


def test_rewards_by_hand_in_shuffled_order_and_past_the_budget():
    task = three_layers()
    learner = reinforce(task)
    order = np.array([2, 0, 1])
    cost, valid = np.array([50.0, 10.0, 20.0]), np.ones(3, dtype=bool)
    fits = np.full(3, task.table.capacity / 4)
    rewards, complete, failed = learner._play(order, cost[order], fits, valid)
    # Fitness -20, -50, -10 above the worst so far: -20, -50, -50.
    assert rewards.tolist() == [0.0, 0.0, 40.0]
    assert (complete, failed) == (True, False)
    # The worst is remembered; the second decision overshoots by 25 % and pays the first one's 30 with it.
    breaks = np.array([1.0, 0.25, 1.0]) * task.table.capacity
    rewards, complete, failed = learner._play(order, cost[order], breaks, valid)
    assert rewards == pytest.approx([30.0, -30.0 * 0.25])
    assert (complete, failed) == (False, False)
    _, complete, failed = learner._play(order, cost[order], fits, np.array([True, False, True]))
    assert (complete, failed) == (False, True)


def test_rewards_are_those_of_the_environment_when_nothing_is_shuffled():
    task = three_layers(budget=0.05)
    env = ResourceAssignmentEnv(task=task, reward="confuciux")
    learner, order = reinforce(task), np.arange(3)
    rng = np.random.default_rng(1)
    lengths = set()
    for _ in range(30):
        options = rng.integers(0, task.table.options, 3)
        env.reset()
        expected = []
        for option in options:
            _, reward, ended, *_ = env.step(option)
            expected.append(reward)
            if ended:
                break
        rewards, *_ = learner._play(order, *costs(task, task.designs(options[None])[0]))
        assert rewards.tolist() == expected
        lengths.add(len(expected))
    assert len(lengths) > 1


def gradient(learner, episode, cost, resource, valid):
    """Parameters' change over one update."""
    before = [p.detach().clone() for p in learner.policy.parameters()]
    learner.learn(episode, cost, resource, valid)
    return [(p.detach() - b).abs().max().item() for p, b in zip(learner.policy.parameters(), before, strict=True)]


def test_decisions_after_the_end_teach_nothing():
    task = three_layers()
    cost, valid = np.array([5.0, 3.0, 9.0]), np.ones(3, dtype=bool)
    resource = np.full(3, 0.7 * task.table.capacity)
    weights = []
    for last_cost in (9.0, 1.0):
        learner = reinforce(task)
        episode = learner.sample()
        cost[episode.order[2]] = last_cost
        episode.picks[2] = (int(last_cost), 0)
        learner.learn(episode, cost, resource, valid)
        weights.append(torch.cat([p.detach().flatten() for p in learner.policy.parameters()]))
    assert torch.equal(*weights)


def test_an_invalid_choice_skips_the_update():
    learner = reinforce(three_layers())
    episode = learner.sample()
    cost, resource = np.array([5.0, 3.0, 9.0]), np.zeros(3)
    assert max(gradient(learner, episode, cost, resource, np.array([True, True, False]))) == 0
    assert max(gradient(learner, episode, cost, resource, np.ones(3, dtype=bool))) > 0


def test_the_learning_rate_waits_for_a_success_and_has_a_floor():
    learner = reinforce(three_layers())
    for _ in range(150):
        learner.sample()
    assert learner.learning_rate == 1e-3
    episode = learner.sample()
    learner.learn(episode, np.array([5.0, 3.0, 9.0]), np.zeros(3), np.ones(3, dtype=bool))
    for _ in range(151, 198):
        learner.sample()
    assert learner.learning_rate == 1e-3
    learner.sample()
    assert learner.learning_rate == pytest.approx(8e-4)


def test_an_update_is_reinforce_written_out():
    task = three_layers()
    learner = reinforce(task, seed=3)
    episode = learner.sample()
    twin = copy.deepcopy(learner.policy)
    adam = torch.optim.Adam(twin.parameters(), lr=1e-3)
    cost = np.array([50.0, 10.0, 20.0])
    learner.learn(episode, cost, np.zeros(3), np.ones(3, dtype=bool))

    fitness = [-c for c in cost[episode.order]]
    rewards = [f - min(fitness[: i + 1]) for i, f in enumerate(fitness)]
    mean, deviation = np.mean(rewards), np.std(rewards) + 2**-12
    rewards = [(r - mean) / deviation for r in rewards]
    returns = [sum(0.9 ** (j - i) * rewards[j] for j in range(i, 3)) for i in range(3)]
    returns = [(g - np.mean(returns)) / (np.std(returns) + 2**-12) for g in returns]
    loss, hidden = torch.zeros(()), None
    for step in range(3):
        logs, hidden = twin(episode.states[step : step + 1].clone(), hidden)
        for log, pick in zip(logs, episode.picks[step], strict=True):
            loss = (
                loss - torch.distributions.Categorical(logits=log).log_prob(torch.tensor([pick])).sum() * returns[step]
            )
    loss.backward()
    torch.nn.utils.clip_grad_norm_(twin.parameters(), 100)
    torch.nn.utils.clip_grad_norm_(twin.lstm.parameters(), 10)
    adam.step()
    for mine, theirs in zip(learner.policy.parameters(), twin.parameters(), strict=True):
        torch.testing.assert_close(mine, theirs, rtol=0, atol=1e-5)


@pytest.mark.parametrize("granularity", ["levels", "fine128"])
def test_mutations_stay_in_range_and_within_the_budget(granularity):
    task = three_layers(granularity=granularity)
    rng = np.random.default_rng(0)
    start = task.sample_feasible(rng, 1)[0]
    local = LocalSearch(task, start, np.inf, spread=0.2, rng=rng)
    best, changed = np.inf, set()
    for generation in range(40):
        designs = local.propose()
        assert designs.shape == (POPULATION, 6)
        outcome = task.evaluate(designs)
        if generation:
            assert outcome.score[0] == best
        best = min(best, outcome.score.min())
        local.learn(outcome.score)
        changed |= {tuple(row) for row in designs}
    assert len(changed) > 100
    assert best <= task.evaluate(start[None]).score[0]


def test_single_mutations_are_undone_when_they_do_not_fit():
    task = three_layers()
    rng = np.random.default_rng(0)
    cheapest = task.designs(task.table.closed.argmin(axis=1)[None])[0]
    local = LocalSearch(task, cheapest, np.inf, spread=1.0, rng=rng)
    genes = np.repeat(cheapest.reshape(1, 3, 2), 200, axis=0)
    room = np.full(200, 1e-3 * task.table.capacity)
    before = room.copy()
    kept = local._mutate(genes, room)
    extra = local._resource(genes).sum(axis=1) - local._resource(cheapest.reshape(1, 3, 2)).sum()
    np.testing.assert_allclose(room, before - extra)
    assert (extra <= before).all()
    assert 0 < kept.sum() < 200


def test_a_step_reaches_the_next_level_or_the_nearest():
    task = three_layers()
    local = LocalSearch(task, np.zeros(6, dtype=np.int64), np.inf, spread=1.0, rng=np.random.default_rng(0))
    levels = (1, 2, 4, 8, 12, 16, 24, 32, 48, 64, 96, 128)
    for index, level in enumerate(levels):
        for draw in np.linspace(-0.999, 0.999, 37):
            step = int(draw * 64)
            new = local._move(0, np.array([index]), np.array([draw]))[0]
            if step == 0:
                assert new == index
            else:
                others = [i for i in range(12) if (i - index) * step > 0]
                aim = level + step
                nearest = min(others, key=lambda i: (abs(levels[i] - aim), i), default=index)
                assert new == nearest


def test_the_budget_is_split_as_published():
    task = three_layers()
    agent = make_agent("confuciux", task, seed=0)
    left, sizes = 330, []
    while left:
        designs = agent.ask(left)
        agent.tell(designs, task.evaluate(designs))
        sizes.append(len(designs))
        left -= len(designs)
    # Two epochs of one episode to one generation of 20: 330 = 30 + 15 * 20.
    assert sizes == [1] * 30 + [20] * 15


def test_without_a_feasible_episode_the_search_starts_from_the_cheapest_design():
    # Just above the least budget there is: hardly anything but the cheapest design fits.
    task = three_layers(budget=0.001)
    agent = make_agent("confuciux", task, seed=0, epochs=0.5)
    first = agent.ask(42)
    agent.tell(first, task.evaluate(first))
    agent.ask(41)
    assert not task.evaluate(first).feasible.any()
    designs = agent.ask(40)
    assert task.evaluate(designs).feasible[0]
    assert search(task, "confuciux", budget=84, seed=0, options={"epochs": 0.5}).best < np.inf


def test_runs_repeat_and_reach_a_good_design():
    task = three_layers()
    one, two = (search(task, "confuciux", budget=1100, seed=5) for _ in range(2))
    np.testing.assert_array_equal(one.objective, two.objective)
    random = search(task, "random", budget=1100, seed=5)
    assert one.best < random.best


@pytest.mark.parametrize("arguments", [{"dataflow": "mix"}, {"deployment": "sequential", "budget": 0.5}], ids=str)
def test_other_spaces_are_searched_too(arguments):
    task = three_layers(**arguments)
    trajectory = search(task, "confuciux", budget=110, seed=0)
    assert trajectory.best >= task.reference().lower_bound


@pytest.mark.parametrize(("option", "value"), [("epochs", 1.5), ("sees", "next"), ("spread", 0.0)])
def test_bad_options_are_named(option, value):
    with pytest.raises(InputError, match=f"'{option}'.* is {value!r}"):
        make_agent("confuciux", three_layers(), seed=0, **{option: value})
