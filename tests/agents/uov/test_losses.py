"""Losses against brute force."""

import itertools

import numpy as np
import pytest
import torch

from accelgym.agents.uov.losses import contrastive_loss, knob_loss, regret_to_go, same_answer, soft_labels

SIZES = (4, 3, 2)


@pytest.fixture
def regret():
    drawn = np.random.default_rng(0).random((5, *SIZES)).astype(np.float32)
    drawn[0, 1] = np.inf  # No completion of value 1.
    drawn -= drawn.reshape(5, -1).min(axis=1).reshape(5, 1, 1, 1)
    return torch.from_numpy(drawn)


def test_regret_to_go_is_the_best_completion(regret):
    chosen = torch.tensor(list(itertools.product(*map(range, SIZES))))[None].expand(5, -1, -1)
    found = regret_to_go(regret, chosen)
    for row, place in itertools.product(range(5), range(0, 24, 5)):
        a, b, _ = chosen[row, place].tolist()
        for value in range(SIZES[0]):
            assert found[0][row, place, value] == regret[row, value].min()
        for value in range(SIZES[1]):
            assert found[1][row, place, value] == regret[row, a, value].min()
        for value in range(SIZES[2]):
            assert found[2][row, place, value] == regret[row, a, b, value]


def test_ties_share_a_soft_label_alike_but_for_the_share_of_the_own_one():
    to_go = torch.tensor([[[0.0, 0.0, 5.0, torch.inf]]])
    label = torch.tensor([1])
    assert soft_labels(to_go, label, 0.01, 0.0)[0, 0].tolist() == pytest.approx([0.5, 0.5, 0.0, 0.0])
    assert soft_labels(to_go, label, 0.01, 0.4)[0, 0].tolist() == pytest.approx([0.3, 0.7, 0.0, 0.0])
    # A label that is none of the best under this prefix says nothing.
    assert soft_labels(to_go, torch.tensor([2]), 0.01, 0.4)[0, 0].tolist() == pytest.approx([0.5, 0.5, 0.0, 0.0])


def test_a_soft_label_falls_by_regret():
    label = soft_labels(torch.tensor([[[0.0, 0.01, 0.02]]]), torch.tensor([0]), 0.01, 0.0)[0, 0]
    assert (label[0] / label[1]).item() == pytest.approx(np.e, rel=1e-5)


def test_the_expected_regret_is_an_expectation():
    logits = torch.log(torch.tensor([[[0.2, 0.3, 0.5]]]))
    to_go = torch.tensor([[[1.0, 0.0, 2.0]]])
    labels = torch.tensor([[[0.0, 1.0, 0.0]]])
    without, with_it = (knob_loss(logits, to_go, labels, w, masked=False).item() for w in (0.0, 1.0))
    assert without == pytest.approx(-np.log(0.3))
    assert with_it - without == pytest.approx(0.2 * 1 + 0.5 * 2)


def test_what_is_infeasible_is_masked_where_that_is_known():
    logits = torch.zeros(1, 1, 3, requires_grad=True)
    to_go = torch.tensor([[[0.0, torch.inf, torch.inf]]])
    labels = torch.tensor([[[1.0, 0.0, 0.0]]])
    assert knob_loss(logits, to_go, labels, 1.0, masked=True).item() == pytest.approx(0.0, abs=1e-6)
    loss = knob_loss(logits, to_go, labels, 1.0, masked=False)
    assert loss.item() == pytest.approx(np.log(3) + 2 / 3 * 3.0)
    loss.backward()
    assert torch.isfinite(logits.grad).all()


def test_a_prefix_without_completion_teaches_nothing_that_is_not_finite(regret):
    chosen = torch.tensor([[[1, 0, 0]]]).expand(5, -1, -1)
    for knob, to_go in enumerate(regret_to_go(regret, chosen)):
        labels = soft_labels(to_go, torch.zeros(5, dtype=torch.long), 0.01, 0.3)
        loss = knob_loss(torch.zeros_like(to_go), to_go, labels, 1.0, masked=True)
        assert torch.isfinite(loss), knob


def test_rows_have_the_same_answer_if_they_may_swap(regret):
    labels = torch.tensor([np.unravel_index(int(r.argmin()), SIZES) for r in regret.flatten(1).numpy()])
    found = same_answer(regret, labels, 0.3)
    for i, j in itertools.product(range(5), repeat=2):
        both = max(regret[i][tuple(labels[j])], regret[j][tuple(labels[i])])
        assert found[i, j] == (both <= 0.3)
    assert found.diagonal().all()


def test_the_contrast_is_least_where_equals_meet():
    positive = torch.tensor([[1, 1, 0, 0], [1, 1, 0, 0], [0, 0, 1, 1], [0, 0, 1, 1]], dtype=torch.bool)
    apart = torch.tensor([[1.0, 0], [2, 0], [0, 1], [0, 3]])
    mixed = torch.tensor([[1.0, 0], [0, 1], [2, 0], [0, 3]])
    near, far = (contrastive_loss(x, positive, 0.1).item() for x in (apart, mixed))
    # By hand: one positive at similarity 1 beside two others at 0.
    assert near == pytest.approx(-np.log(np.exp(10) / (np.exp(10) + 2)), abs=1e-5)
    assert far > near + 5
    assert contrastive_loss(apart, torch.eye(4, dtype=torch.bool), 0.1).item() == 0.0
