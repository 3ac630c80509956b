"""Independent PPO: every agent of a team learns alone, from what it saw and from the reward that all share."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import torch
from torch import nn

from accelgym.agents.private_stream import PrivateStream
from accelgym.envs.multi_agent import Team

__all__ = ["Found", "IndependentPPO"]

Ints = npt.NDArray[np.int64]

_LEARNING_RATE, _ENTROPY, _EPOCHS, _CLIP, _WIDTH = 1e-2, 0.2, 3, 0.2, 64
"""As agent ``ppo``; the learning rate and the entropy bonus fall linearly to zero over the budget."""


@dataclass(frozen=True)
class Found:
    """What a search has found."""

    score: npt.NDArray[np.float64]
    """Objective of every evaluation where feasible, else ``inf``; shape ``(evaluations,)``."""
    best: Ints | None
    """The best design, value indices; ``None`` where nothing feasible was found."""


@dataclass(frozen=True)
class _Row:
    """One choice of one agent in all lanes."""

    place: int
    seen: torch.Tensor
    mask: torch.Tensor
    action: torch.Tensor
    log_probability: torch.Tensor
    value: torch.Tensor


class IndependentPPO:
    """One PPO (Schulman et al., 2017) per agent, with a network and an optimiser of its own.

    As in de Witt et al., "Is Independent Learning All You Need in the StarCraft Multi-Agent Challenge?", 2020. With a
    team of one agent it is the single-agent algorithm, so that a comparison differs in nothing else. Returns are not
    discounted, and advantages are standardised choice by choice.

    Args:
        team: The team.
        seed: Seed of the weights and the samples.
        lanes: Designs per update.
    """

    def __init__(self, team: Team, *, seed: int, lanes: int = 20) -> None:
        self._team, self._lanes = team, lanes
        self._randomness = PrivateStream(seed)
        own = {name: [i for i, c in enumerate(team.choices) if c.agent == name] for name in team.agents}
        with self._randomness.active():
            self._policies = {
                name: _Policy(len(team.choices) + 1, own[name], team.actions[name], _WIDTH) for name in team.agents
            }
        self._optimisers = {
            name: torch.optim.Adam(policy.parameters(), lr=_LEARNING_RATE, eps=1e-5)
            for name, policy in self._policies.items()
        }

    def search(self, budget: int) -> Found:
        """Builds and evaluates designs until the budget is spent."""
        scores: list[npt.NDArray[np.float64]] = []
        best: Ints | None = None
        least = float("inf")
        spent = 0
        while spent < budget:
            lanes = min(self._lanes, budget - spent)
            with self._randomness.active():
                made, replaced, rows = self._collect(lanes)
            reward, outcome = self._team.evaluate(made, replaced)
            score = outcome.score
            if score.min() < least:
                least = float(score.min())
                best = self._team.designs(made)[int(score.argmin())]
            scores.append(score)
            with self._randomness.active():
                self._train(rows, torch.as_tensor(reward, dtype=torch.float32), 1 - spent / budget)
            spent += lanes
        return Found(np.concatenate(scores), best)

    @torch.no_grad()
    def _collect(self, lanes: int) -> tuple[Ints, Ints, list[_Row]]:
        """Plays one design in every lane."""
        team = self._team
        rows: list[_Row] = []
        made = np.full((lanes, len(team.choices)), -1, dtype=np.int64)
        replaced = np.zeros(lanes, dtype=np.int64)
        for number, places in enumerate(team.steps):
            share = np.full((lanes, 1), number / len(team.steps), dtype=np.float32)
            seen = torch.as_tensor(np.concatenate((team.state(made), share), axis=1))
            chosen: dict[int, Ints] = {}
            for place in places:
                mask = torch.as_tensor(team.mask(made, place))
                logits, value = self._policies[team.choices[place].agent](seen, place, mask)
                choice = torch.distributions.Categorical(logits=logits)
                action = choice.sample()  # type: ignore[no-untyped-call]
                log_probability = choice.log_prob(action)  # type: ignore[no-untyped-call]
                rows.append(_Row(place, seen, mask, action, log_probability, value))
                chosen[place], over = team.choose(action.numpy(), place)
                replaced += over
            for place, choices in chosen.items():
                made[:, place] = choices
        return made, replaced, rows

    def _train(self, rows: list[_Row], reward: torch.Tensor, left: float) -> None:
        for name, policy in self._policies.items():
            own = [row for row in rows if self._team.choices[row.place].agent == name]
            optimiser = self._optimisers[name]
            for group in optimiser.param_groups:
                group["lr"] = _LEARNING_RATE * left
            for _ in range(_EPOCHS):
                loss = torch.stack([self._loss(policy, row, reward, left) for row in own]).mean()
                optimiser.zero_grad()
                loss.backward()  # type: ignore[no-untyped-call]
                nn.utils.clip_grad_norm_(policy.parameters(), 0.5)
                optimiser.step()

    def _loss(self, policy: nn.Module, row: _Row, reward: torch.Tensor, left: float) -> torch.Tensor:
        logits, value = policy(row.seen, row.place, row.mask)
        choice = torch.distributions.Categorical(logits=logits)
        advantage = reward - row.value
        advantage = (advantage - advantage.mean()) / (advantage.std(correction=0) + 1e-8)
        ratio = (choice.log_prob(row.action) - row.log_probability).exp()  # type: ignore[no-untyped-call]
        gain = torch.minimum(ratio * advantage, ratio.clamp(1 - _CLIP, 1 + _CLIP) * advantage).mean()
        entropy = choice.entropy().mean() * _ENTROPY * left / len(self._team.choices)  # type: ignore[no-untyped-call]
        error = 0.5 * (value - reward).square().mean()
        loss: torch.Tensor = error - gain - entropy
        return loss


class _Policy(nn.Module):
    """Policy and value of one agent: a row of weights per own choice beside a hidden layer over what is seen.

    Args:
        features: Numbers seen.
        places: The agent's choices.
        actions: Its actions.
        width: Hidden units.
    """

    def __init__(self, features: int, places: list[int], actions: int, width: int) -> None:
        super().__init__()
        self._own = {place: number for number, place in enumerate(places)}
        self._mix = nn.Linear(features, width)
        self._embed = nn.Embedding(len(places), width)
        self._logits = nn.Linear(len(places) + width, actions)
        self._value = nn.Linear(len(places) + width, 1)
        nn.init.orthogonal_(self._logits.weight, 0.01)
        nn.init.zeros_(self._logits.bias)

    def forward(self, seen: torch.Tensor, place: int, mask: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        """Returns logits, shape ``(n, actions)``, and values, shape ``(n,)``."""
        own = torch.full((len(seen),), self._own[place])
        hidden = torch.tanh(self._mix(seen) + self._embed(own))
        row = torch.cat((nn.functional.one_hot(own, len(self._own)), hidden), dim=1)
        return self._logits(row).masked_fill(~mask, -1e8), self._value(row).squeeze(1)
