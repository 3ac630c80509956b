"""PPO, MaskablePPO and A2C of Stable-Baselines3 as agents."""

from __future__ import annotations

from typing import Any, ClassVar

from sb3_contrib import MaskablePPO
from stable_baselines3 import A2C, PPO
from stable_baselines3.common.on_policy_algorithm import OnPolicyAlgorithm

from accelgym.agents.hyperparameters import Choice, Hyperparameters, Real, Whole
from accelgym.agents.options import require
from accelgym.agents.policy_gradient.base import PolicyGradientAgent
from accelgym.agents.policy_gradient.networks import MaskableSlotPolicy, SlotPolicy
from accelgym.agents.policy_gradient.rollouts import MaskableSlotBuffer, SlotBuffer
from accelgym.envs.sb3 import Sb3VecEnv
from accelgym.envs.task import Task

__all__ = ["A2CAgent", "MaskablePPOAgent", "PPOAgent"]


class PPOAgent(PolicyGradientAgent):
    """Proximal policy optimisation (Schulman et al., 2017), Stable-Baselines3.

    Every option is open at every slot; a design past the budget is infeasible and pays the reward's penalty.

    Tuned, with :class:`MaskablePPOAgent`, on ``confuciux/mobilenet_v2`` and ``confuciux/resnet18`` (MAESTRO, dla,
    budget 0.1) at 20,000 evaluations, two seeds; nothing else was looked at but ``confuciux/vgg16`` for the entropy.

    Args:
        task: The task to search.
        seed: Seed of the weights, the samples and the minibatches.
        lanes: Most designs per ask.
        updates: Number of asks to make of the budget, unless that takes more than ``lanes`` designs each.
        minibatches: Number of parts a rollout is trained in.
        epochs: Passes over a rollout.
        learning_rate: Of Adam, at the start.
        entropy: Weight of the entropy bonus at the start, over the number of slots.
        gae_lambda: Trace of the generalised advantage.
        clip: Range of the probability ratio.
        width: Hidden units.
    """

    name: ClassVar[str] = "ppo"
    hyperparameters: ClassVar[Hyperparameters] = {
        "updates": Whole(5, 100, log=True),
        "minibatches": Whole(1, 4),
        "epochs": Whole(1, 10, log=True),
        "learning_rate": Real(1e-4, 5e-2, log=True),
        "entropy": Real(1e-3, 2.0, log=True),
        "gae_lambda": Real(0.8, 1.0),
        "clip": Real(0.05, 0.5, log=True),
        "width": Choice((16, 64, 128)),
    }
    _algorithm: ClassVar[type[Any]] = PPO
    _policy: ClassVar[type[Any]] = SlotPolicy
    _buffer: ClassVar[type[Any]] = SlotBuffer

    def __init__(
        self,
        task: Task,
        *,
        seed: int,
        lanes: int = 1024,
        updates: int = 160,
        minibatches: int = 3,
        epochs: int = 3,
        learning_rate: float = 1e-2,
        entropy: float = 0.2,
        gae_lambda: float = 0.95,
        clip: float = 0.2,
        width: int = 64,
    ) -> None:
        super().__init__(
            task,
            seed=seed,
            lanes=lanes,
            updates=updates,
            minibatches=minibatches,
            learning_rate=learning_rate,
            entropy=entropy,
            gae_lambda=gae_lambda,
            width=width,
        )
        require(self.name, 1, epochs=epochs)
        require(self.name, 1e-6, clip=clip)
        self._epochs, self._clip = epochs, clip

    def _build(self, env: Sb3VecEnv, **shared: Any) -> OnPolicyAlgorithm:
        parts = self._minibatches if env.num_envs % self._minibatches == 0 else 1
        model: OnPolicyAlgorithm = self._algorithm(
            self._policy,
            env,
            batch_size=env.num_envs * shared["n_steps"] // parts,
            n_epochs=self._epochs,
            clip_range=self._clip,
            normalize_advantage=False,
            rollout_buffer_class=self._buffer,
            **shared,
        )
        return model


class MaskablePPOAgent(PPOAgent):
    """PPO with invalid-action masking (Huang and Ontanon, 2022), sb3-contrib.

    The environment's mask closes the options after which no completion fits the budget or the memories, so that every
    design is feasible where the task's masks are sound. Otherwise as :class:`PPOAgent`, arguments included.
    """

    name: ClassVar[str] = "maskable_ppo"
    _algorithm: ClassVar[type[Any]] = MaskablePPO
    _policy: ClassVar[type[Any]] = MaskableSlotPolicy
    _buffer: ClassVar[type[Any]] = MaskableSlotBuffer


class A2CAgent(PolicyGradientAgent):
    """Synchronous advantage actor-critic (Mnih et al., 2016), Stable-Baselines3, with Adam.

    One gradient step per rollout, so that it lives on many small ones. Options are open as for
    :class:`PPOAgent`.

    Args:
        task: The task to search.
        seed: Seed of the weights and the samples.
        lanes: Most designs per ask.
        updates: Number of asks to make of the budget, unless that takes more than ``lanes`` designs each.
        learning_rate: Of Adam, at the start.
        entropy: Weight of the entropy bonus at the start, over the number of slots.
        gae_lambda: Trace of the generalised advantage.
        width: Hidden units.
    """

    name: ClassVar[str] = "a2c"
    hyperparameters: ClassVar[Hyperparameters] = {
        "updates": Whole(5, 200, log=True),
        "learning_rate": Real(1e-4, 1e-1, log=True),
        "entropy": Real(1e-3, 2.0, log=True),
        "gae_lambda": Real(0.8, 1.0),
        "width": Choice((16, 64, 128)),
    }

    def __init__(
        self,
        task: Task,
        *,
        seed: int,
        lanes: int = 1024,
        updates: int = 640,
        learning_rate: float = 2e-2,
        entropy: float = 0.2,
        gae_lambda: float = 0.95,
        width: int = 64,
    ) -> None:
        super().__init__(
            task,
            seed=seed,
            lanes=lanes,
            updates=updates,
            minibatches=1,
            learning_rate=learning_rate,
            entropy=entropy,
            gae_lambda=gae_lambda,
            width=width,
        )

    def _build(self, env: Sb3VecEnv, **shared: Any) -> OnPolicyAlgorithm:
        return A2C(
            SlotPolicy,
            env,
            normalize_advantage=False,
            rollout_buffer_class=SlotBuffer,
            use_rms_prop=False,
            **shared,
        )
