"""The network of a transferable policy: it knows a decision by what it is, not by its number."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
import torch
from torch import nn

from accelgym.agents.knob_head import KnobHead

__all__ = ["TransferNetwork"]


class TransferNetwork(nn.Module):
    """Logits and value of a decision from its observation, its features and what its mask leaves open.

    Nothing depends on the number of decisions or on the slot's identity, so that the same weights act on networks
    of any depth. Inputs are standardised with the mean and spread that they had when training began. The mask enters
    as the share of open actions for each value of each knob: how much room there is in absolute terms. Policy and
    value have layers of their own.

    Args:
        inputs: Columns of the observation with its features.
        factors: Number of values of each knob, in the order of the flat action.
        width: Hidden units of each layer.
    """

    mean: torch.Tensor
    spread: torch.Tensor

    def __init__(self, inputs: int, factors: tuple[int, ...], width: int) -> None:
        super().__init__()
        self.inputs, self.factors, self.width = inputs, factors, width
        size = inputs + sum(factors)
        self.register_buffer("mean", torch.zeros(inputs))
        self.register_buffer("spread", torch.ones(inputs))
        self.actor, self.critic = (
            nn.Sequential(nn.Linear(size, width), nn.Tanh(), nn.Linear(width, width), nn.Tanh()) for _ in range(2)
        )
        self.head = KnobHead(width, factors)
        self.value = nn.Linear(width, 1)
        # The policy starts uniform over what the mask leaves, and the value at 0.
        for part in (self.head, self.value):
            for parameter in part.parameters():
                nn.init.zeros_(parameter)

    def forward(self, observations: torch.Tensor, masks: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        """Returns log-probabilities ``(rows, actions)``, ``-inf`` where masked, and values ``(rows,)``.

        Args:
            observations: Shape ``(rows, inputs)``.
            masks: Actions that are allowed, bool, shape ``(rows, actions)``.
        """
        grid = masks.view(-1, *self.factors).float()
        axes = range(1, len(self.factors) + 1)
        room = [grid.mean(dim=[a for a in axes if a != axis]) if len(self.factors) > 1 else grid for axis in axes]
        seen = torch.cat(((observations - self.mean) / self.spread, *room), dim=1)
        logits = self.head(self.actor(seen)).masked_fill(~masks, -torch.inf)
        return torch.log_softmax(logits, dim=1), self.value(self.critic(seen))[:, 0]

    def standardise(self, observations: npt.NDArray[np.float32]) -> None:
        """Fixes mean and spread of the inputs; columns that do not vary are only centred."""
        mean, spread = observations.mean(axis=0), observations.std(axis=0)
        self.mean.copy_(torch.from_numpy(mean))
        self.spread.copy_(torch.from_numpy(np.where(spread > 1e-6, spread, 1.0).astype(np.float32)))
