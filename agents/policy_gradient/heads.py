"""Output layers of the policy-gradient agents, and the probabilities of actions with a gradient written out."""

from __future__ import annotations

from typing import Any

import torch
from torch import nn

from accelgym.agents.knob_head import KnobHead

__all__ = ["SlotKnobHead", "SlotLinear", "probabilities", "score_actions"]

_CLOSED = 1e8
"""Taken from the logit of an action that is masked out, as large as in sb3-contrib."""

_LEAST = -80.0
"""Least argument of ``exp``, about 1e-35. Smaller results are subnormal or 0 and cost up to twenty times as much."""

_BLOCK = 1 << 17
"""Logits that are worked on at a time, so that they stay in the second-level cache."""


class SlotLinear(nn.Module):
    """A row of a table for each slot plus a linear layer over the hidden units; starts at 0.

    The table lets slots differ freely; the hidden part lets slots that look alike learn from each other and the value
    follow the budget left. It equals a linear layer over the one-hot slot and the hidden units.

    Args:
        features: Size of the input of :class:`~accelgym.agents.policy_gradient.networks.SlotFeatures`.
        outputs: Size of the output.
        slots: Decisions in a design.
    """

    def __init__(self, features: int, outputs: int, *, slots: int) -> None:
        super().__init__()
        self.table = nn.Embedding(slots + 1, outputs)
        self.linear = nn.Linear(features - 1, outputs)
        for parameter in self.parameters():
            nn.init.zeros_(parameter)

    def forward(self, features: torch.Tensor) -> torch.Tensor:
        mixed: torch.Tensor = self.linear(features[:, 1:]) + self.table(features[:, 0].long())
        return mixed


class SlotKnobHead(KnobHead):
    """Logits of the flat options from the features of a slot; terms of knob values and options are linear in them.

    The terms are added in the weights, which are far fewer than the logits of a batch.

    Args:
        features: Size of the input of :class:`~accelgym.agents.policy_gradient.networks.SlotFeatures`.
        knobs: Number of values of each knob, in the order of the flat option.
        slots: Decisions in a design.
    """

    marginal: SlotLinear
    joint: SlotLinear

    def __init__(self, features: int, knobs: tuple[int, ...], *, slots: int) -> None:
        super().__init__(features, knobs, lambda size, outputs: SlotLinear(size, outputs, slots=slots))

    def forward(self, features: torch.Tensor) -> torch.Tensor:
        weight, table = self.weights()
        return torch.addmm(nn.functional.embedding(features[:, 0].long(), table), features[:, 1:], weight)

    def weights(self) -> tuple[torch.Tensor, torch.Tensor]:
        """Returns the layer over the hidden units, ``(hidden, options)``, and the table, ``(slots + 1, options)``."""
        marginal, joint = self.marginal, self.joint
        weight = self._sum(marginal.linear.weight.T, joint.linear.weight.T)
        table = self._sum(marginal.table.weight + marginal.linear.bias, joint.table.weight + joint.linear.bias)
        return weight, table


def probabilities(logits: torch.Tensor, masks: torch.Tensor | None) -> torch.Tensor:
    """Returns the probabilities of all actions.

    Args:
        logits: Shape ``(rows, actions)``; overwritten where there are masks.
        masks: Actions that are allowed, bool, shape ``(rows, actions)``; ``None`` for all. At least one a row.
    """
    return torch.softmax(logits if masks is None else _close(logits, masks), dim=1)


def score_actions(
    head: SlotKnobHead, features: torch.Tensor, actions: torch.Tensor, masks: torch.Tensor | None
) -> tuple[torch.Tensor, torch.Tensor]:
    """Returns the logarithms of the probabilities of given actions, and the entropies, each of shape ``(rows,)``.

    Args:
        head: Makes the logits.
        features: Shape ``(rows, 1 + hidden)``.
        actions: Shape ``(rows,)``, int64.
        masks: Actions that are allowed, bool, shape ``(rows, actions)``; ``None`` for all.
    """
    score: Any = _Score  # torch does not type what apply() takes.
    chosen, entropy = score.apply(features[:, 1:], features[:, 0].long(), *head.weights(), actions, masks)
    return chosen, entropy


class _Score(torch.autograd.Function):
    """Probability and entropy of a categorical distribution over a linear layer, block by block.

    Automatic differentiation keeps, and walks through, nine arrays of the size of all logits. Their gradient is short:
    with probabilities ``p`` of logarithms ``l``, of action ``a`` and entropy ``H``, the derivative of ``l[a]`` is
    ``onehot(a) - p`` and that of ``H`` is ``-p * (l + H)``.
    """

    @staticmethod
    def forward(
        ctx: Any,
        hidden: torch.Tensor,
        slots: torch.Tensor,
        weight: torch.Tensor,
        table: torch.Tensor,
        actions: torch.Tensor,
        masks: torch.Tensor | None,
    ) -> tuple[torch.Tensor, torch.Tensor]:
        rows, width = len(hidden), table.shape[1]
        logs, chances = hidden.new_empty(rows, width), hidden.new_empty(rows, width)
        chosen, entropy = hidden.new_empty(rows), hidden.new_empty(rows)
        for block in _blocks(rows, width):
            log, chance = logs[block], chances[block]
            torch.index_select(table, 0, slots[block], out=log).addmm_(hidden[block], weight)
            if masks is not None:
                _close(log, masks[block])
            log.sub_(log.amax(dim=1, keepdim=True))
            torch.clamp(log, min=_LEAST, out=chance).exp_()
            if masks is not None:
                chance.mul_(masks[block])
            total = chance.sum(dim=1, keepdim=True)
            chance.div_(total)
            log.sub_(total.log_())
            entropy[block] = (log * chance).sum(dim=1).neg_()
            chosen[block] = log.gather(1, actions[block, None])[:, 0]
        ctx.save_for_backward(hidden, slots, weight, table, actions, logs, chances, entropy)
        return chosen, entropy

    @staticmethod
    def backward(ctx: Any, of_chosen: torch.Tensor, of_entropy: torch.Tensor) -> tuple[torch.Tensor | None, ...]:
        hidden, slots, weight, table, actions, logs, chances, entropy = ctx.saved_tensors
        to_hidden, to_weight, to_table = torch.empty_like(hidden), torch.zeros_like(weight), torch.zeros_like(table)
        constant = torch.addcmul(of_chosen, of_entropy, entropy)
        for block in _blocks(*logs.shape):
            to_logits = torch.addcmul(constant[block, None], logs[block], of_entropy[block, None])
            to_logits.mul_(chances[block]).neg_().scatter_add_(1, actions[block, None], of_chosen[block, None])
            torch.mm(to_logits, weight.T, out=to_hidden[block])
            to_weight.addmm_(hidden[block].T, to_logits)
            to_table.index_add_(0, slots[block], to_logits)
        return to_hidden, None, to_weight, to_table, None, None


def _close(logits: torch.Tensor, masks: torch.Tensor) -> torch.Tensor:
    """Lowers the logits of closed actions in place; masked_fill() branches on every element and is slower."""
    return logits.sub_((~masks).to(logits.dtype), alpha=_CLOSED)


def _blocks(rows: int, width: int) -> list[slice]:
    """Slices over ``rows`` with about ``_BLOCK`` elements each."""
    size = max(1, _BLOCK // width)
    return [slice(start, start + size) for start in range(0, rows, size)]
