"""Policies that transfer: what they see, how they learn, and that they act on networks of any depth."""

import dataclasses

import numpy as np
import pytest
import torch
from small_families import SPECS, deeper

from accelgym.agents import make_agent, search
from accelgym.agents.transfer import PolicyTrainer, TrainingOptions, TransferPolicy
from accelgym.agents.transfer.network import TransferNetwork
from accelgym.agents.transfer.ppo import advantages
from accelgym.agents.transfer.rollout import Player, Rollout
from accelgym.costmodels.errors import DamagedFileError, InputError, InputWarning
from accelgym.envs import Family, make_task

OPTIONS = TrainingOptions(evaluations=320, lanes=16, members=2, epochs=2, minibatches=2, width=24)


@pytest.fixture(scope="module")
def family():
    return Family(**SPECS)


@pytest.fixture(scope="module")
def trained(family):
    trainer = PolicyTrainer(family, OPTIONS, seed=0)
    reports = [trainer.advance() for _ in range(trainer.updates)]
    return trainer, reports


@pytest.fixture(scope="module")
def folder(trained, tmp_path_factory):
    out = tmp_path_factory.mktemp("policy")
    trained[0].policy.save(out, {"note": 1})
    return out


def test_training_spends_what_it_says_and_gets_better(trained):
    trainer, reports = trained
    assert trainer.evaluations == trainer.evaluations_total == reports[-1].evaluations == 320
    assert all(report.feasible == 1.0 for report in reports)
    first, last = (np.mean([r.regret for r in part]) for part in (reports[:2], reports[-2:]))
    assert last < first


def test_a_saved_state_goes_on_as_if_nothing_had_happened(trained, family, tmp_path):
    first = PolicyTrainer(family, OPTIONS, seed=0)
    for _ in range(4):
        first.advance()
    first.save_state(tmp_path / "state", {"run": 1})
    second = PolicyTrainer(family, OPTIONS, seed=0)
    second.load_state(tmp_path / "state", {"run": 1})
    assert second.update == 4
    while second.update < second.updates:
        second.advance()
    whole, resumed = (t.policy.network.state_dict() for t in (trained[0], second))
    for name, values in whole.items():
        assert torch.equal(values, resumed[name]), name
    with pytest.raises(InputError, match="another training"):
        second.load_state(tmp_path / "state", {"run": 2})


def test_a_policy_acts_on_deeper_networks_and_its_designs_fit(folder):
    task = deeper()
    policy = TransferPolicy.load(folder)
    with pytest.warns(InputWarning, match=r"trained on: feature 2 is"):
        player = policy.player(task)
    rollout = player.play(policy.network, 8, np.random.default_rng(0))
    outcome = task.evaluate(task.designs(rollout.decided))
    assert outcome.feasible.all()
    np.testing.assert_allclose(outcome.objective, rollout.objective, rtol=1e-12)
    assert rollout.decided.shape == (8, 7)


def test_budgets_that_were_trained_on_are_no_reason_to_warn(folder, family, recwarn):
    TransferPolicy.load(folder).player(family.tasks[0])
    assert not [w for w in recwarn if issubclass(w.category, InputWarning)]


def test_masked_actions_have_no_probability_and_the_others_sum_to_one():
    network = TransferNetwork(5, (3, 4), 8)
    generator = torch.Generator().manual_seed(0)
    torch.nn.init.normal_(network.head.joint.weight, generator=generator)
    masks = torch.rand(6, 12, generator=generator) < 0.5
    masks[:, 3] = True
    log, values = network(torch.randn(6, 5, generator=generator), masks)
    probability = log.exp()
    assert (probability[~masks] == 0).all()
    torch.testing.assert_close(probability.sum(dim=1), torch.ones(6))
    assert values.shape == (6,)


def test_the_room_a_mask_leaves_is_seen_knob_by_knob():
    """Two masks with the same number of open actions look different; the flat order is that of the knobs."""
    network = TransferNetwork(1, (2, 3), 4)
    seen = []
    network.actor[0].register_forward_hook(lambda module, given, out: seen.append(given[0]))
    masks = torch.tensor([[1, 1, 0, 0, 0, 0], [1, 0, 0, 1, 0, 0]], dtype=torch.bool)
    network(torch.zeros(2, 1), masks)
    expected = [[2 / 3, 0, 0.5, 0.5, 0], [1 / 3, 1 / 3, 1, 0, 0]]
    torch.testing.assert_close(seen[0][:, 1:], torch.tensor(expected))


@pytest.mark.parametrize("trace", [0.0, 0.7, 1.0])
def test_advantages_are_the_sums_they_stand_for(trace):
    rng = np.random.default_rng(0)
    rewards, values = (rng.normal(size=(4, 6)).astype(np.float32) for _ in range(2))
    shape = np.zeros((4, 6, 1))
    rollout = Rollout(shape, shape, shape, shape, values, rewards, shape, shape, shape)
    scaled, targets = advantages(rollout, trace)
    surprise = rewards + np.vstack((values[1:], np.zeros((1, 6)))) - values
    plain = np.array([sum(trace**j * surprise[i + j] for j in range(4 - i)) for i in range(4)])
    np.testing.assert_allclose(targets, plain + values, rtol=1e-4, atol=1e-5)
    centred = plain - plain.mean(axis=1, keepdims=True)
    np.testing.assert_allclose(scaled, centred / plain.std(axis=1, keepdims=True), rtol=1e-3, atol=1e-4)


def test_the_agent_begins_with_the_most_probable_design_whatever_the_budget(folder, family):
    task, policy = family.tasks[2], TransferPolicy.load(folder)
    best_guess = task.designs(Player(task).play(policy.network, 1, None).decided)[0]
    options = {"policy": str(folder), "lanes": 8}
    short, long = (search(task, "pretrained_ppo", budget=n, seed=1, options=options) for n in (1, 30))
    assert long.evaluations == 30
    np.testing.assert_array_equal(short.designs[0], best_guess)
    np.testing.assert_array_equal(long.designs[0], best_guess)
    ten = search(task, "pretrained_ppo", budget=9, seed=1, options=options)
    np.testing.assert_array_equal(ten.designs, long.designs[:9])


def test_fine_tuning_changes_what_is_drawn_and_not_the_policy_on_disk(folder, family):
    before = (folder / "policy.safetensors").read_bytes()
    runs = [
        search(
            family.tasks[2],
            "pretrained_ppo",
            budget=60,
            seed=1,
            options={"policy": str(folder), "lanes": 8, "fine_tune": tune, "learning_rate": 1e-2},
        )
        for tune in (True, False)
    ]
    np.testing.assert_array_equal(runs[0].designs[:9], runs[1].designs[:9])
    assert not np.array_equal(runs[0].designs, runs[1].designs)
    assert (folder / "policy.safetensors").read_bytes() == before


def test_other_knobs_and_other_tasks_are_refused(folder, family):
    for task in (deeper(dataflow="mix"), make_task("HwGen-v0")):
        with pytest.raises(InputError, match="the policy decides"):
            make_agent("pretrained_ppo", task, seed=0, policy=str(folder))


def test_folders_without_a_policy_are_refused(tmp_path, folder, family):
    task = family.tasks[0]
    with pytest.raises(InputError, match=r"option 'policy'.* is missing"):
        make_agent("pretrained_ppo", task, seed=0)
    (tmp_path / "seed-3").mkdir()
    (tmp_path / "seed-3" / "policy.safetensors").write_bytes((folder / "policy.safetensors").read_bytes())
    with pytest.raises(InputError, match="allowed: one of its folders seed-3"):
        make_agent("pretrained_ppo", task, seed=0, policy=str(tmp_path))
    (tmp_path / "policy.safetensors").write_bytes(b"nothing")
    with pytest.raises(DamagedFileError, match="no checkpoint"):
        make_agent("pretrained_ppo", task, seed=0, policy=str(tmp_path))


@pytest.mark.parametrize(
    ("name", "value"),
    [("lanes", 1), ("evaluations", 0), ("gae_lambda", 1.5), ("learning_rate", 0.0), ("entropy", -1.0)],
)
def test_bad_training_options_are_named(name, value):
    with pytest.raises(InputError, match=f"{name} is {value}"):
        dataclasses.replace(OPTIONS, **{name: value})
