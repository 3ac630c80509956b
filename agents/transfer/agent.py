"""A policy trained on other tasks as an agent: its best guess, samples of it, then fine-tuning."""

from __future__ import annotations

from copy import deepcopy
from typing import ClassVar

import numpy as np
import torch

from accelgym.agents.base import Agent
from accelgym.agents.options import require
from accelgym.agents.private_stream import PrivateStream
from accelgym.agents.transfer.policy import TransferPolicy
from accelgym.agents.transfer.ppo import PPOStep
from accelgym.agents.transfer.rollout import Rollout
from accelgym.costmodels.errors import InputError
from accelgym.envs.space import Designs
from accelgym.envs.task import Outcome, Task

__all__ = ["PretrainedPPO"]


class PretrainedPPO(Agent):
    """Searches with a policy that ``accelgym train ppo`` has trained on a family of tasks of this kind.

    1. *Zero-shot.* The first design takes the most probable action at every decision: one evaluation.
    2. *Samples.* The next ``lanes`` designs are drawn from the policy.
    3. *Fine-tuning.* From then on every batch of ``lanes`` designs is drawn from the policy as it is, and teaches it by
       proximal policy optimisation, on this task alone.

    Masks are honoured throughout. What is drawn does not depend on the budget, so that a longer search begins like a
    shorter one. ``lanes``, ``learning_rate`` and ``entropy`` were set once, not tuned.

    Args:
        task: The task to search; its knobs are those that the policy decides.
        seed: Seed of the samples and the minibatches.
        policy: Folder or file of the trained policy.
        lanes: Designs per ask.
        fine_tune: Whether the policy learns; without, all that follows the first design are samples.
        learning_rate: Of Adam.
        entropy: Weight of the entropy bonus.
        epochs: Passes over a batch.

    Raises:
        InputError: A bad option, no policy, or one of other knobs.
    """

    name: ClassVar[str] = "pretrained_ppo"

    def __init__(
        self,
        task: Task,
        *,
        seed: int,
        policy: str = "",
        lanes: int = 16,
        fine_tune: bool = True,
        learning_rate: float = 1e-3,
        entropy: float = 1e-3,
        epochs: int = 3,
    ) -> None:
        super().__init__(task, seed=seed)
        # Advantages are relative to the other lanes.
        require(self.name, 2, lanes=lanes)
        require(self.name, 1, epochs=epochs)
        require(self.name, 0, learning_rate=learning_rate, entropy=entropy)
        if not policy:
            raise InputError(
                f"option 'policy' of agent {self.name!r} is missing, allowed: a folder that accelgym train ppo has made"
            )
        self.lanes, self.fine_tune = lanes, fine_tune
        self._learning_rate, self._entropy = learning_rate, entropy
        trained = TransferPolicy.load(policy)
        self._player = trained.player(task)
        self._network = deepcopy(trained.network)
        self._optimiser = torch.optim.Adam(self._network.parameters(), lr=learning_rate)
        self._step = PPOStep(epochs, minibatches=2, gae_lambda=0.9)
        self._stream = PrivateStream(seed)
        self._rollout: Rollout | None = None
        self._begun = False

    def ask(self, count: int) -> Designs:
        with self._stream.active():
            if not self._begun:
                self._begun = True
                decided = self._player.play(self._network, 1, None).decided
            else:
                self._rollout = self._player.play(self._network, min(count, self.lanes), self.rng)
                decided = self._rollout.decided
        return self.task.designs(decided)

    def tell(self, designs: Designs, outcome: Outcome) -> None:
        rollout, self._rollout = self._rollout, None
        if rollout is None:
            return
        good = rollout.feasible
        if not np.allclose(rollout.objective[good], outcome.objective[good], rtol=1e-9):
            raise InputError(f"agent {self.name!r} was told outcomes that are not those of its task")
        # Fewer lanes are the rest of a budget: nothing follows that could be better for them.
        if self.fine_tune and len(designs) == self.lanes:
            with self._stream.active():
                self._step.run(
                    self._network,
                    self._optimiser,
                    [rollout],
                    self.rng,
                    learning_rate=self._learning_rate,
                    entropy=self._entropy,
                )
