"""ConfuciuX's recurrent policy."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import nn

__all__ = ["Hidden", "RecurrentPolicy"]

Hidden = tuple[torch.Tensor, torch.Tensor]
"""Hidden and cell state of the LSTM."""

_CODE, _WIDTH = 10, 128


class RecurrentPolicy(nn.Module):
    """Three linear codes of 10, three ReLU layers of 128, an LSTM of 128 and one small head per knob.

    The architecture of ``src/ConfX/rl_confx.py`` in ConfuciuX's repository (commit fd2f481), without the layers
    that it builds and never uses. For 12 x 12 levels it has 172,626 parameters.

    Args:
        dims: Numbers that describe a layer.
        knobs: Number of values of each knob.
    """

    def __init__(self, dims: int, knobs: Sequence[int]) -> None:
        super().__init__()
        self._split = (dims, 1, len(knobs))
        self.codes = nn.ModuleList(nn.Linear(size, _CODE) for size in self._split)
        self.body = nn.Sequential(
            nn.Linear(3 * _CODE, _WIDTH), nn.ReLU(), nn.Linear(_WIDTH, _WIDTH), nn.ReLU(),
            nn.Linear(_WIDTH, _WIDTH), nn.ReLU(),
        )  # fmt: skip
        self.lstm = nn.LSTM(_WIDTH, _WIDTH)
        self.heads = nn.ModuleList(
            nn.Sequential(nn.Linear(_WIDTH, size), nn.ReLU(), nn.Linear(size, size)) for size in knobs
        )

    def forward(self, states: torch.Tensor, hidden: Hidden | None = None) -> tuple[list[torch.Tensor], Hidden]:
        """Returns the log-probabilities of each knob, ``(steps, values)``, and the state after the last step.

        Args:
            states: Observations of consecutive steps, ``(steps, dims + 1 + knobs)``.
            hidden: State of the LSTM before the first; zero when omitted.
        """
        parts = torch.split(states, list(self._split), dim=1)
        codes = torch.cat([code(part) for code, part in zip(self.codes, parts, strict=True)], dim=1)
        memory, after = self.lstm(self.body(codes), hidden)
        return [torch.log_softmax(head(memory), dim=1) for head in self.heads], after
