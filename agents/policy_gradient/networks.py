"""Networks of the policy-gradient agents: nearly a table over (slot, knob value), smoothed by shared layers."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import numpy.typing as npt
import torch
from gymnasium import spaces
from sb3_contrib.common.maskable.policies import MaskableActorCriticPolicy
from stable_baselines3.common.policies import ActorCriticPolicy
from stable_baselines3.common.torch_layers import BaseFeaturesExtractor
from stable_baselines3.common.type_aliases import Schedule
from torch import nn

from accelgym.agents.policy_gradient.heads import SlotKnobHead, SlotLinear, probabilities, score_actions

__all__ = ["MaskableSlotPolicy", "SlotFeatures", "SlotPolicy"]


class SlotFeatures(BaseFeaturesExtractor):
    """Slot next to a hidden layer over slot and observation, shape ``(rows, 1 + width)``.

    Args:
        observation_space: Of the environment.
        slots: Decisions in a design.
        position: Column of the observation that holds the slot, over the number of slots.
        width: Hidden units.
    """

    def __init__(self, observation_space: spaces.Box, *, slots: int, position: int, width: int) -> None:
        super().__init__(observation_space, features_dim=1 + width)
        self.slots, self.position = slots, position
        self.mix = nn.Linear(observation_space.shape[0], width)
        self.embed = nn.Embedding(slots + 1, width)

    def forward(self, observations: torch.Tensor) -> torch.Tensor:
        slot = (observations[:, self.position] * self.slots).round()
        hidden = torch.tanh(self.mix(observations) + self.embed(slot.long()))
        return torch.cat((slot[:, None], hidden), dim=1)


class _SlotActorCritic:
    """What both policies share: heads that know the slot, and each probability computed once.

    Stable-Baselines3 normalises the logits when it makes a distribution, again when it masks it, and checks it each
    time: more than half of a training on small networks.
    """

    # SB3's two policies type these differently.
    pi_features_extractor: Any
    vf_features_extractor: Any
    action_net: Any
    value_net: Any
    parameters: Callable[[], Iterator[nn.Parameter]]
    optimizer: Any
    optimizer_class: Any
    optimizer_kwargs: dict[str, Any]

    def _put_heads(self, knobs: tuple[int, ...], rate: float) -> None:
        """Replaces the linear heads and the optimiser; the policy starts uniform and the value at 0."""
        slots, features = self.pi_features_extractor.slots, self.pi_features_extractor.features_dim
        self.action_net = SlotKnobHead(features, knobs, slots=slots)
        self.value_net = SlotLinear(features, 1, slots=slots)
        self.optimizer = self.optimizer_class(self.parameters(), lr=rate, **self.optimizer_kwargs)

    def forward(
        self,
        obs: torch.Tensor,
        deterministic: bool = False,
        action_masks: npt.NDArray[Any] | None = None,
    ) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
        """Returns actions, values and the logarithms of the probabilities of the actions."""
        chances = probabilities(self.action_net(self.pi_features_extractor(obs.float())), _as_bool(action_masks))
        actions = chances.argmax(dim=1) if deterministic else _draw(chances)
        values: torch.Tensor = self.value_net(self.vf_features_extractor(obs.float()))
        return actions, values, chances.gather(1, actions[:, None])[:, 0].log()

    def evaluate_actions(
        self,
        obs: torch.Tensor,
        actions: torch.Tensor,
        action_masks: torch.Tensor | None = None,
    ) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
        """Returns values, logarithms of the probabilities of given actions, and entropies."""
        features = self.pi_features_extractor(obs.float())
        chosen, entropy = score_actions(self.action_net, features, actions.long().flatten(), _as_bool(action_masks))
        values: torch.Tensor = self.value_net(self.vf_features_extractor(obs.float()))
        return values, chosen, entropy


def _as_bool(masks: npt.NDArray[Any] | torch.Tensor | None) -> torch.Tensor | None:
    return None if masks is None else torch.as_tensor(masks, dtype=torch.bool)


def _draw(probabilities: torch.Tensor) -> torch.Tensor:
    """Draws an index of each row, never one of probability 0; one random number a row, unlike multinomial()."""
    summed = probabilities.cumsum(dim=1)
    total = summed[:, -1:]
    point = torch.minimum(torch.rand(len(summed), 1) * total, torch.nextafter(total, torch.zeros_like(total)))
    return torch.searchsorted(summed, point, right=True)[:, 0]


class SlotPolicy(_SlotActorCritic, ActorCriticPolicy):  # type: ignore[misc]
    """Policy of PPO and A2C: Stable-Baselines3's with a :class:`SlotKnobHead`."""

    def __init__(self, *args: Any, knobs: tuple[int, ...], **kwargs: Any) -> None:
        self._knobs = knobs
        super().__init__(*args, **kwargs)

    def _build(self, lr_schedule: Schedule) -> None:
        super()._build(lr_schedule)
        self._put_heads(self._knobs, lr_schedule(1.0))


class MaskableSlotPolicy(_SlotActorCritic, MaskableActorCriticPolicy):  # type: ignore[misc]
    """Policy of MaskablePPO: sb3-contrib's with a :class:`SlotKnobHead`."""

    def __init__(self, *args: Any, knobs: tuple[int, ...], **kwargs: Any) -> None:
        self._knobs = knobs
        super().__init__(*args, **kwargs)

    def _build(self, lr_schedule: Schedule) -> None:
        super()._build(lr_schedule)
        self._put_heads(self._knobs, lr_schedule(1.0))
