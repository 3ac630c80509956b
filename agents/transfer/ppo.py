"""Proximal policy optimisation on whole episodes of several tasks."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import torch

from accelgym.agents.transfer.network import TransferNetwork
from accelgym.agents.transfer.rollout import Rollout

__all__ = ["PPOStep", "advantages"]

FloatArray = npt.NDArray[np.float32]

_CLIP = 0.2
_VALUE_WEIGHT = 0.5
_LARGEST_GRADIENT = 0.5
"""All three as Stable-Baselines3 has them."""
_LEAST_SPREAD = 1e-7
"""Advantages that differ by less are rounding."""


@dataclass(frozen=True)
class PPOStep:
    """One update: some epochs over the rollouts, in minibatches."""

    epochs: int
    minibatches: int
    gae_lambda: float
    """Trace of the generalised advantage."""

    def run(
        self,
        network: TransferNetwork,
        optimiser: torch.optim.Adam,
        rollouts: Sequence[Rollout],
        rng: np.random.Generator,
        *,
        learning_rate: float,
        entropy: float,
    ) -> float:
        """Trains on the rollouts and returns the mean entropy of the policy, nats.

        Args:
            network: Is changed.
            optimiser: Of its parameters.
            rollouts: What the network played, one task each.
            rng: Shuffles.
            learning_rate: Of this update.
            entropy: Weight of the entropy bonus.
        """
        parts = [advantages(rollout, self.gae_lambda) for rollout in rollouts]
        flat = [
            np.concatenate([_rows(getattr(r, name)) for r in rollouts])
            for name in ("observations", "masks", "actions", "log_probabilities")
        ]
        observations, masks, actions, before = (torch.from_numpy(part) for part in flat)
        gain, target = (torch.from_numpy(np.concatenate([_rows(p[i]) for p in parts])) for i in range(2))
        for group in optimiser.param_groups:
            group["lr"] = learning_rate
        total = 0.0
        for _ in range(self.epochs):
            order = rng.permutation(len(observations))
            for rows in np.array_split(order, min(self.minibatches, len(order))):
                log, value = network(observations[rows], masks[rows])
                now = log.gather(1, actions[rows][:, None])[:, 0]
                ratio = torch.exp(now - before[rows])
                bounded = torch.clamp(ratio, 1 - _CLIP, 1 + _CLIP)
                policy_loss = -torch.min(gain[rows] * ratio, gain[rows] * bounded).mean()
                value_loss = torch.nn.functional.smooth_l1_loss(value, target[rows])
                # Where masked, the logarithm is -inf and the probability 0.
                spread = -(log.exp() * log.masked_fill(~masks[rows], 0.0)).sum(dim=1).mean()
                loss = policy_loss + _VALUE_WEIGHT * value_loss - entropy * spread
                optimiser.zero_grad()
                loss.backward()
                torch.nn.utils.clip_grad_norm_(network.parameters(), _LARGEST_GRADIENT)
                optimiser.step()
                total += float(spread.detach()) * len(rows)
        return total / (self.epochs * len(observations))


def advantages(rollout: Rollout, gae_lambda: float) -> tuple[FloatArray, FloatArray]:
    """Returns advantages and the values' targets, shape ``(decisions, lanes)``.

    Generalised advantages without discount. Every decision of a task is scaled by itself, over the lanes: costs of
    layers, and of members of a family, differ by orders of magnitude, and scaled together the cheap ones would learn
    nothing.
    """
    following = np.concatenate((rollout.values[1:], np.zeros_like(rollout.values[:1])))
    surprise = rollout.rewards + following - rollout.values
    found = np.zeros_like(surprise)
    trace = np.zeros_like(surprise[0])
    for step in range(len(surprise) - 1, -1, -1):
        trace = surprise[step] + gae_lambda * trace
        found[step] = trace
    centred = found - found.mean(axis=1, keepdims=True)
    scaled = centred / (found.std(axis=1, keepdims=True) + _LEAST_SPREAD)
    return scaled.astype(np.float32), (found + rollout.values).astype(np.float32)


def _rows(values: npt.NDArray[np.generic]) -> npt.NDArray[np.generic]:
    return values.reshape(-1, *values.shape[2:])
