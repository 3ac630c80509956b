"""Training of a transferable policy: updates that depend on seed and number alone, so that a run can go on."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch

from accelgym.agents.checkpoint import read_checkpoint, write_checkpoint
from accelgym.agents.private_stream import PrivateStream
from accelgym.agents.transfer.policy import TransferPolicy
from accelgym.agents.transfer.ppo import PPOStep
from accelgym.agents.transfer.rollout import Rollout
from accelgym.costmodels.errors import DamagedFileError, InputError
from accelgym.envs.family import Family

__all__ = ["PolicyTrainer", "TrainingOptions", "UpdateReport"]

_KIND, _SCHEMA = "training state of a transfer policy", 1


@dataclass(frozen=True)
class TrainingOptions:
    """Hyperparameters; what they were chosen on stands in docs/transfer.md."""

    evaluations: int = 20_000
    """Complete designs to make, over all members."""
    lanes: int = 32
    """Designs of a member in one update."""
    members: int = 6
    """Members played in one update, drawn without replacement; all of them where there are fewer."""
    epochs: int = 3
    minibatches: int = 6
    learning_rate: float = 2e-3
    """Of Adam at the start; falls linearly to zero."""
    entropy: float = 1e-2
    """Weight of the entropy bonus at the start; falls linearly to zero."""
    gae_lambda: float = 0.9
    width: int = 96
    """Hidden units."""

    def __post_init__(self) -> None:
        for name in ("evaluations", "members", "epochs", "minibatches", "width"):
            self._require(name, 1)
        # Advantages are relative to the other lanes.
        self._require("lanes", 2)
        if not self.learning_rate > 0:
            raise InputError(f"learning_rate is {self.learning_rate}, allowed > 0")
        if not self.entropy >= 0:
            raise InputError(f"entropy is {self.entropy}, allowed >= 0")
        if not 0 <= self.gae_lambda <= 1:
            raise InputError(f"gae_lambda is {self.gae_lambda}, allowed 0 to 1")

    def _require(self, name: str, least: int) -> None:
        if getattr(self, name) < least:
            raise InputError(f"{name} is {getattr(self, name)}, allowed >= {least}")


@dataclass(frozen=True)
class UpdateReport:
    """What an update saw, before it learnt."""

    update: int
    evaluations: int
    """Made so far."""
    mean_return: float
    """Of the designs played, over members and lanes."""
    feasible: float
    """Share of them."""
    regret: float
    """Median over the members played of the mean regret of their feasible designs; ``inf`` without any."""
    entropy: float
    """Of the policy, nats a decision."""


class PolicyTrainer:
    """Trains on the ``train`` members of a family.

    Every update plays whole episodes on a few members drawn at random and learns from them. Its random numbers come
    from (seed, update), so that training goes on from a saved state as if it had never stopped.

    Args:
        family: What is learnt from.
        options: Hyperparameters.
        seed: Of weights, members, actions and minibatches.
    """

    def __init__(self, family: Family, options: TrainingOptions, seed: int) -> None:
        self.family, self.options, self.seed = family, options, seed
        self._members = family.members("train")
        self._stream = PrivateStream(seed)
        with self._stream.active():
            self.policy = TransferPolicy.untrained([family.tasks[i] for i in self._members], options.width)
        self._players = {i: self.policy.player(family.tasks[i]) for i in self._members}
        self._optimiser = torch.optim.Adam(self.policy.network.parameters(), lr=options.learning_rate)
        self._step = PPOStep(options.epochs, options.minibatches, options.gae_lambda)
        self._each = min(options.members, len(self._members))
        self.updates = max(1, round(options.evaluations / (self._each * options.lanes)))
        """Of the whole training."""
        self.update = 0
        """Updates made."""

    @property
    def evaluations(self) -> int:
        """Designs made so far."""
        return self.update * self._each * self.options.lanes

    @property
    def evaluations_total(self) -> int:
        """Designs of the whole training: the updates that come nearest to what the options ask for."""
        return self.updates * self._each * self.options.lanes

    def advance(self) -> UpdateReport:
        """Makes one update."""
        rng = np.random.default_rng((self.seed, self.update))
        chosen = rng.choice(self._members, self._each, replace=False)
        left = 1 - self.update / self.updates
        options = self.options
        with self._stream.active():
            rollouts = [self._players[i].play(self.policy.network, options.lanes, rng) for i in chosen]
            entropy = self._step.run(
                self.policy.network,
                self._optimiser,
                rollouts,
                rng,
                learning_rate=options.learning_rate * left,
                entropy=options.entropy * left,
            )
        self.update += 1
        regrets = [self._regret(int(i), rollout) for i, rollout in zip(chosen, rollouts, strict=True)]
        return UpdateReport(
            update=self.update,
            evaluations=self.evaluations,
            mean_return=float(np.mean([r.rewards.sum(axis=0).mean() for r in rollouts])),
            feasible=float(np.mean([r.feasible.mean() for r in rollouts])),
            regret=float(np.median(regrets)),
            entropy=entropy,
        )

    def _regret(self, member: int, rollout: Rollout) -> float:
        if not rollout.feasible.any():
            return float("inf")
        return float(self.family.reference(member).regret(rollout.objective[rollout.feasible]).mean())

    def save_state(self, path: Path, about: Mapping[str, Any]) -> None:
        """Writes weights, moments and the number of updates.

        Args:
            path: The file.
            about: What is trained; :meth:`load_state` compares it.
        """
        network = self.policy.network
        tensors = {f"network.{name}": values.numpy() for name, values in network.state_dict().items()}
        names = [name for name, _ in network.named_parameters()]
        for number, moments in self._optimiser.state_dict()["state"].items():
            tensors |= {f"adam.{names[number]}.{key}": np.asarray(values) for key, values in moments.items()}
        write_checkpoint(path, _KIND, _SCHEMA, {"update": self.update, "trains": dict(about)}, tensors)

    def load_state(self, path: Path, about: Mapping[str, Any]) -> None:
        """Goes on from a saved state.

        Raises:
            InputError: It is of another training.
            DamagedFileError: It was changed.
        """
        note, tensors = read_checkpoint(path, _KIND, _SCHEMA)
        if note["trains"] != dict(about):
            raise InputError(f"{path}: is the state of another training; move it away to begin anew")
        network = self.policy.network
        names = [name for name, _ in network.named_parameters()]
        try:
            network.load_state_dict(
                {name: torch.from_numpy(tensors[f"network.{name}"]) for name in network.state_dict()}
            )
            state: dict[int, dict[str, torch.Tensor]] = {}
            for number, name in enumerate(names):
                state[number] = {
                    key: torch.from_numpy(tensors[f"adam.{name}.{key}"]) for key in ("step", "exp_avg", "exp_avg_sq")
                }
            groups = self._optimiser.state_dict()["param_groups"]
            self._optimiser.load_state_dict({"state": state, "param_groups": groups})
        except (KeyError, RuntimeError) as error:
            raise DamagedFileError(f"{path}: its tensors are not of this training ({error})") from error
        self.update = int(note["update"])
