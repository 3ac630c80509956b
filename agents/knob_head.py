"""The output layer of policies whose actions combine several knobs."""

from __future__ import annotations

import math
from collections.abc import Callable

import torch
from torch import nn

__all__ = ["KnobHead"]


class KnobHead(nn.Module):
    """Logits of the flat options: one term per knob value and one per option.

    With the knob terms, a choice of PEs that pays is credited whatever the buffer beside it.

    Args:
        features: Size of the input.
        knobs: Number of values of each knob, in the order of the flat option.
        linear: Makes a layer of an input and an output size.
    """

    def __init__(
        self,
        features: int,
        knobs: tuple[int, ...],
        linear: Callable[[int, int], nn.Module] = nn.Linear,
    ) -> None:
        super().__init__()
        self.knobs = knobs
        self.marginal = linear(features, sum(knobs))
        self.joint = linear(features, math.prod(knobs))

    def forward(self, features: torch.Tensor) -> torch.Tensor:
        return self._sum(self.marginal(features), self.joint(features))

    def _sum(self, marginal: torch.Tensor, joint: torch.Tensor) -> torch.Tensor:
        """Adds to the term of each option those of its knob values.

        Args:
            marginal: Shape ``(rows, sum(knobs))``.
            joint: Shape ``(rows, prod(knobs))``.

        Returns:
            Shape ``(rows, prod(knobs))``.
        """
        total = joint.view(-1, *self.knobs)
        for axis, part in enumerate(torch.split(marginal, list(self.knobs), dim=1)):
            shape = [1] * len(self.knobs)
            shape[axis] = self.knobs[axis]
            total = total + part.view(-1, *shape)
        return total.flatten(1)
