"""ConfuciuX's first stage: REINFORCE over layers in random order."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import numpy as np
import numpy.typing as npt
import torch

from accelgym.agents.confuciux.policy import Hidden, RecurrentPolicy
from accelgym.agents.private_stream import PrivateStream
from accelgym.costmodels.maestro.designs import LayerShapes
from accelgym.envs.resource_assignment import ResourceAssignmentTask
from accelgym.envs.resource_assignment.rewards import reward_scheme
from accelgym.envs.resource_assignment.spec import Deployment

__all__ = ["Episode", "Reinforce", "standardise"]

FloatArray = npt.NDArray[np.float64]
IntArray = npt.NDArray[np.int64]

_LEARNING_RATE, _LEAST_RATE, _RATE_DECAY, _DECAY_EVERY = 1e-3, 1e-6, 0.8, 100
_GAMMA = 0.9
_CLIP_ALL, _CLIP_LSTM = 100.0, 10.0
_EPSILON = 2.0**-12


@dataclass(frozen=True)
class Episode:
    """One pass over the slots."""

    order: IntArray
    """Slots in the order they were decided, shape ``(slots,)``."""
    states: torch.Tensor
    """What the policy saw before each decision, ``(slots, state)``."""
    picks: IntArray
    """Value index of each knob at each decision, ``(slots, knobs)``."""

    @property
    def design(self) -> IntArray:
        """The design it makes, as one row of the task's space."""
        rows = np.empty_like(self.picks)
        rows[self.order] = self.picks
        return rows.ravel()


class Reinforce:
    """Samples one episode at a time and learns from it.

    Args:
        task: The task.
        rng: Source of orders and decisions.
        seed: Seed of the weights.
        sees: ``"previous"`` or ``"current"``: whose dimensions the policy sees when it decides a layer.
    """

    def __init__(
        self,
        task: ResourceAssignmentTask,
        *,
        rng: np.random.Generator,
        seed: int,
        sees: Literal["previous", "current"],
    ) -> None:
        self._rng = rng
        self._sees = sees
        self._slots = len(task.slot_names)
        self._layers = _layer_rows(task)
        self._levels = [_level_row(knob.values) for knob in task.knobs]
        self._rewards = reward_scheme("confuciux", task.table, 1)
        with PrivateStream(seed).active():
            self.policy = RecurrentPolicy(self._layers.shape[1], [len(row) for row in self._levels])
        self._optimiser = torch.optim.Adam(self.policy.parameters(), lr=_LEARNING_RATE)
        self._episodes = 0
        self._succeeded = False

    @property
    def learning_rate(self) -> float:
        """The optimiser's present one."""
        return float(self._optimiser.param_groups[0]["lr"])

    def sample(self) -> Episode:
        """Decides all slots, in a new random order."""
        self._episodes += 1
        if self._succeeded and (self._episodes + 1) % _DECAY_EVERY == 0:
            for group in self._optimiser.param_groups:
                group["lr"] = max(_LEAST_RATE, group["lr"] * _RATE_DECAY)
        order = self._rng.permutation(self._slots)
        draws = self._rng.random((self._slots, len(self._levels)))
        states, picks = [], np.empty(draws.shape, dtype=np.int64)
        hidden: Hidden | None = None
        with torch.inference_mode():
            for step in range(self._slots):
                state = torch.from_numpy(self._state(order, picks, step))[None]
                logs, hidden = self.policy(state, hidden)
                for knob, log in enumerate(logs):
                    cumulated = np.cumsum(np.exp(log[0].numpy().astype(np.float64)))
                    picks[step, knob] = np.searchsorted(cumulated, draws[step, knob] * cumulated[-1], side="right")
                states.append(state)
            return Episode(order, torch.cat(states), picks)

    def learn(self, episode: Episode, cost: FloatArray, resource: FloatArray, valid: npt.NDArray[np.bool_]) -> None:
        """Makes one gradient step.

        The episode ends where the budget is exceeded, or at an invalid choice; decisions after that teach
        nothing. After an invalid choice nothing is learnt at all.

        Args:
            episode: Of the last :meth:`sample`.
            cost: Cost of each slot of the design, shape ``(slots,)``.
            resource: Resource of each slot.
            valid: Whether each slot's choice is valid.
        """
        order = episode.order
        rewards, complete, failed = self._play(order, cost[order], resource[order], valid[order])
        self._succeeded |= complete
        if failed:
            return
        weights = torch.from_numpy(_weights(rewards)).float()
        logs, _ = self.policy(episode.states[: len(rewards)].clone())
        picks = torch.from_numpy(episode.picks[: len(rewards)])
        taken = [log.gather(1, picks[:, [knob]])[:, 0] for knob, log in enumerate(logs)]
        loss = -(torch.stack(taken).sum(dim=0) * weights).sum()
        self._optimiser.zero_grad()
        loss.backward()  # type: ignore[no-untyped-call]
        torch.nn.utils.clip_grad_norm_(self.policy.parameters(), _CLIP_ALL)
        torch.nn.utils.clip_grad_norm_(self.policy.lstm.parameters(), _CLIP_LSTM)
        self._optimiser.step()

    def _play(
        self, order: IntArray, cost: FloatArray, resource: FloatArray, valid: npt.NDArray[np.bool_]
    ) -> tuple[FloatArray, bool, bool]:
        """Rewards up to the end of the episode, whether it was completed, and whether a choice was invalid."""
        self._rewards.begin(np.ones(1, dtype=bool))
        used = np.cumsum(resource)
        rewards: list[float] = []
        for step in range(len(order)):
            at = slice(step, step + 1)
            reward, ended = self._rewards.step(slice(None), order[at], cost[at], valid[at], used[at])
            rewards.append(float(reward[0]))
            if ended[0]:
                return np.array(rewards), False, not valid[step]
        return np.array(rewards), True, False

    def _state(self, order: IntArray, picks: IntArray, step: int) -> npt.NDArray[np.float32]:
        """What the policy sees before a decision: a layer, a position and the decision before, in [-1, 1]."""
        if step == 0:
            start = np.zeros(1 + len(self._levels))
            return np.concatenate((self._layers[order[0]], start)).astype(np.float32)
        seen = step if self._sees == "current" else step - 1
        last = [levels[pick] for levels, pick in zip(self._levels, picks[step - 1], strict=True)]
        state = np.concatenate((self._layers[order[seen]], [seen / self._slots], last))
        return (2 * state - 1).astype(np.float32)


def standardise(values: FloatArray) -> FloatArray:
    """Returns values of mean 0 and deviation 1."""
    return np.asarray((values - values.mean()) / (values.std() + _EPSILON))


def _weights(rewards: FloatArray) -> FloatArray:
    """Standardised discounted returns of standardised rewards."""
    returns = standardise(rewards)
    for step in range(len(returns) - 2, -1, -1):
        returns[step] += _GAMMA * returns[step + 1]
    return standardise(returns)


def _layer_rows(task: ResourceAssignmentTask) -> FloatArray:
    """K, C, Y, X, R, S and type (1, or 2 for depthwise) of each slot over the largest of the network."""
    shapes = LayerShapes.from_layers(task.layers)
    kind = 1 + np.asarray(shapes.depthwise, dtype=np.int64)
    rows = np.stack([shapes.K, shapes.C, shapes.Y, shapes.X, shapes.R, shapes.S, kind], axis=1).astype(np.float64)
    rows /= rows.max(axis=0)
    return rows.mean(axis=0, keepdims=True) if task.spec.deployment is Deployment.SEQUENTIAL else rows


def _level_row(values: tuple[object, ...]) -> FloatArray:
    """Values of a knob over the largest; evenly spaced when they are not numbers."""
    if all(isinstance(v, int) for v in values):
        row: FloatArray = np.array(values, dtype=np.float64)
    else:
        row = np.arange(1.0, len(values) + 1)
    return np.asarray(row / row.max())
