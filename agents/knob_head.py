"""The output layer of policies whose actions combine several knobs."""

from __future__ import annotations

import torch
from torch import nn

__all__ = ["KnobHead"]


class KnobHead(nn.Module):
    """Logits of the flat options: one term per knob value and one per option.

    With the knob terms, a choice of PEs that pays is credited whatever the buffer beside it.

    Args:
        features: Size of the input.
        knobs: Number of values of each knob, in the order of the flat option.
    """

    def __init__(self, features: int, knobs: tuple[int, ...]) -> None:
        super().__init__()
        self.knobs = knobs
        self.marginal = nn.Linear(features, sum(knobs))
        self.joint = nn.Linear(features, int(torch.tensor(knobs).prod()))

    def forward(self, features: torch.Tensor) -> torch.Tensor:
        logits: torch.Tensor = self.joint(features).view(-1, *self.knobs)
        for axis, part in enumerate(self.marginal(features).split(self.knobs, dim=1)):
            shape = [1] * len(self.knobs)
            shape[axis] = self.knobs[axis]
            logits = logits + part.view(-1, *shape)
        return logits.flatten(1)
