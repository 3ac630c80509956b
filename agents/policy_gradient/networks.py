"""Networks of the policy-gradient agents: nearly a table over (slot, knob value), smoothed by shared layers."""

from __future__ import annotations

from typing import Any

import torch
from gymnasium import spaces
from sb3_contrib.common.maskable.policies import MaskableActorCriticPolicy
from stable_baselines3.common.policies import ActorCriticPolicy
from stable_baselines3.common.torch_layers import BaseFeaturesExtractor
from stable_baselines3.common.type_aliases import Schedule
from torch import nn

from accelgym.agents.knob_head import KnobHead

__all__ = ["MaskableSlotPolicy", "SlotFeatures", "SlotPolicy"]


class SlotFeatures(BaseFeaturesExtractor):
    """One-hot slot next to a hidden layer over slot and observation, shape ``(rows, slots + 1 + width)``.

    The one-hot part makes a linear head a table with one row per slot; the hidden part lets slots that look alike
    learn from each other and the value follow the budget left.

    Args:
        observation_space: Of the environment.
        slots: Decisions in a design.
        position: Column of the observation that holds the slot, over the number of slots.
        width: Hidden units.
    """

    def __init__(self, observation_space: spaces.Box, *, slots: int, position: int, width: int) -> None:
        super().__init__(observation_space, features_dim=slots + 1 + width)
        self.slots, self.position = slots, position
        self.mix = nn.Linear(observation_space.shape[0], width)
        self.embed = nn.Embedding(slots + 1, width)

    def forward(self, observations: torch.Tensor) -> torch.Tensor:
        slot = (observations[:, self.position] * self.slots).round().long()
        hidden = torch.tanh(self.mix(observations) + self.embed(slot))
        return torch.cat((nn.functional.one_hot(slot, self.slots + 1), hidden), dim=1)


class SlotPolicy(ActorCriticPolicy):
    """Policy of PPO and A2C: Stable-Baselines3's with a :class:`KnobHead`."""

    def __init__(self, *args: Any, knobs: tuple[int, ...], **kwargs: Any) -> None:
        self._knobs = knobs
        super().__init__(*args, **kwargs)

    def _build(self, lr_schedule: Schedule) -> None:
        super()._build(lr_schedule)
        _put_head(self, self._knobs, lr_schedule)


class MaskableSlotPolicy(MaskableActorCriticPolicy):
    """Policy of MaskablePPO: sb3-contrib's with a :class:`KnobHead`."""

    def __init__(self, *args: Any, knobs: tuple[int, ...], **kwargs: Any) -> None:
        self._knobs = knobs
        super().__init__(*args, **kwargs)

    def _build(self, lr_schedule: Schedule) -> None:
        super()._build(lr_schedule)
        _put_head(self, self._knobs, lr_schedule)


def _put_head(
    policy: ActorCriticPolicy | MaskableActorCriticPolicy, knobs: tuple[int, ...], lr_schedule: Schedule
) -> None:
    """Replaces the linear head; the policy starts uniform and the value at 0."""
    policy.action_net = KnobHead(policy.mlp_extractor.latent_dim_pi, knobs)
    for head in (policy.action_net, policy.value_net):
        for parameter in head.parameters():
            nn.init.zeros_(parameter)
    options = {"lr": lr_schedule(1.0)} | policy.optimizer_kwargs
    policy.optimizer = policy.optimizer_class(policy.parameters(), **options)
