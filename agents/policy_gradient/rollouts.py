"""Rollout buffers whose advantages are scaled slot by slot.

Costs of layers differ by orders of magnitude. Normalised over the whole batch, as usual, the cheap layers would learn
nothing until the dear ones are settled. A rollout starts with the first slot in all lanes, so that every row of the
buffer holds one slot.
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
import torch
from sb3_contrib.common.maskable.buffers import MaskableRolloutBuffer
from stable_baselines3.common.buffers import RolloutBuffer

__all__ = ["MaskableSlotBuffer", "SlotBuffer"]


class SlotBuffer(RolloutBuffer):
    """Of PPO and A2C."""

    def compute_returns_and_advantage(self, last_values: torch.Tensor, dones: npt.NDArray[np.bool_]) -> None:
        super().compute_returns_and_advantage(last_values, dones)
        self.advantages = _standardise_rows(self.advantages)


class MaskableSlotBuffer(MaskableRolloutBuffer):
    """Of MaskablePPO; masks take a byte an action, not four."""

    def reset(self) -> None:
        super().reset()
        self.action_masks = np.ones(self.action_masks.shape, dtype=bool)

    def compute_returns_and_advantage(self, last_values: torch.Tensor, dones: npt.NDArray[np.bool_]) -> None:
        super().compute_returns_and_advantage(last_values, dones)
        self.advantages = _standardise_rows(self.advantages)


def _standardise_rows(values: npt.NDArray[np.float32]) -> npt.NDArray[np.float32]:
    """Gives every row mean 0 and deviation 1."""
    centred = values - values.mean(axis=1, keepdims=True)
    scaled: npt.NDArray[np.float32] = centred / (centred.std(axis=1, keepdims=True) + 1e-8)
    return scaled
