"""Stable-Baselines3's on-policy algorithms behind ask and tell: a rollout is asked for, training is the answer."""

from __future__ import annotations

from abc import abstractmethod
from typing import Any

import numpy as np
from stable_baselines3.common.callbacks import BaseCallback, CallbackList
from stable_baselines3.common.logger import Logger
from stable_baselines3.common.on_policy_algorithm import OnPolicyAlgorithm

from accelgym.agents.base import Agent
from accelgym.agents.options import require
from accelgym.agents.policy_gradient.networks import SlotFeatures
from accelgym.agents.private_stream import PrivateStream
from accelgym.costmodels.errors import InputError
from accelgym.envs.sb3 import Sb3VecEnv
from accelgym.envs.space import Designs
from accelgym.envs.task import Outcome, Task

__all__ = ["PolicyGradientAgent"]

_WIDEST = 2**14
"""Units of a layer; its weights are as many squared."""
_LEAST_LANES = 12
"""Fewer say too little about what is better than the average."""


class PolicyGradientAgent(Agent):
    """Collects one episode per lane in :meth:`ask` and trains on all of them in :meth:`tell`.

    Episodes have one step per slot, the decisions of a design, so that a rollout of that length is one complete
    design per lane. The learning rate and the entropy bonus fall linearly to zero over the
    evaluations that the first :meth:`ask` is told are left.

    Args:
        task: A task; its lanes are :meth:`~accelgym.envs.Task.vector_env`.
        seed: Seed of the weights, the samples and the minibatches.
        lanes: Most designs per :meth:`ask`.
        updates: Number of asks to make of the budget, unless that takes more than ``lanes`` designs each.
        minibatches: Number of parts a rollout is trained in.
        learning_rate: Of Adam, at the start.
        entropy: Weight of the entropy bonus at the start, over the number of slots.
        gae_lambda: Trace of the generalised advantage.
        width: Hidden units.

    Raises:
        InputError: A bad option.
    """

    def __init__(
        self,
        task: Task,
        *,
        seed: int,
        lanes: int,
        updates: int,
        minibatches: int,
        learning_rate: float,
        entropy: float,
        gae_lambda: float,
        width: int,
    ) -> None:
        super().__init__(task, seed=seed)
        self._steps = len(task.action_sizes)
        require(self.name, 1, lanes=lanes, updates=updates, minibatches=minibatches)
        require(self.name, 1, _WIDEST, width=width)
        require(self.name, 0, learning_rate=learning_rate, entropy=entropy)
        require(self.name, 0, 1, gae_lambda=gae_lambda)
        self._lanes, self._updates, self._minibatches = lanes, updates, minibatches
        self._learning_rate = learning_rate
        self._entropy = entropy / self._steps
        self._gae_lambda, self._width = gae_lambda, width
        self._randomness = PrivateStream(seed)
        # SB3's classes, and the subclasses here, are typed differently for masked and unmasked algorithms.
        self._model: Any = None
        self._callback: BaseCallback = CallbackList([])
        self._budget = 0

    @abstractmethod
    def _build(self, env: Sb3VecEnv, **shared: Any) -> OnPolicyAlgorithm:
        """Builds the algorithm.

        Args:
            env: The lanes.
            **shared: Arguments that all algorithms take.
        """

    def ask(self, count: int) -> Designs:
        with self._randomness.active():
            if self._model is None:
                self._start(count)
            model = self._model
            if count < model.n_envs:
                self._shrink(count)
            # What SB3's learn() would set as training goes on.
            model._current_progress_remaining = count / self._budget
            model.ent_coef = self._entropy * count / self._budget
            model.collect_rollouts(model.env, self._callback, model.rollout_buffer, model.n_steps)
        # What was decided, which is not what was asked for where an action did not exist.
        decided = np.array([info["design"] for info in self._callback.locals["infos"]], dtype=np.int64)
        return self.task.designs(decided)

    def tell(self, designs: Designs, outcome: Outcome) -> None:
        infos = self._callback.locals["infos"]
        seen = np.array([info["objective"] for info in infos])
        good = np.array([info["feasible"] for info in infos], dtype=bool)
        if not np.allclose(seen[good], outcome.objective[good], rtol=1e-9):
            raise InputError(f"agent {self.name!r} was told outcomes that are not those of its task")
        with self._randomness.active():
            self._model.train()

    def _start(self, count: int) -> None:
        lanes = min(self._lanes, max(_LEAST_LANES, count // self._updates))
        lanes = max(1, min(count, lanes - lanes % self._minibatches))
        steps, rate = self._steps, self._learning_rate
        self._budget = count
        env = self._make_env(lanes)
        self._model = self._build(
            env,
            learning_rate=lambda left: rate * left,
            n_steps=steps,
            gamma=1.0,
            gae_lambda=self._gae_lambda,
            policy_kwargs={
                "net_arch": [],
                "share_features_extractor": False,
                "features_extractor_class": SlotFeatures,
                "features_extractor_kwargs": {
                    "slots": steps,
                    "position": getattr(env.env, "progress_column", 0),
                    "width": self._width,
                },
                "knobs": self.task.action_factors,
            },
            device="cpu",
        )
        self._model.set_logger(Logger(folder=None, output_formats=[]))
        _, self._callback = self._model._setup_learn(count * steps, self._callback)

    def _shrink(self, lanes: int) -> None:
        """Makes the rollout smaller: the last of a budget may have room for fewer designs."""
        model = self._model
        model.n_envs = lanes
        model.set_env(self._make_env(lanes))
        model._last_obs = model.env.reset()
        model._last_episode_starts = np.ones(lanes, dtype=bool)
        buffer = model.rollout_buffer
        model.rollout_buffer = type(buffer)(
            buffer.buffer_size,
            buffer.observation_space,
            buffer.action_space,
            device=buffer.device,
            gamma=buffer.gamma,
            gae_lambda=buffer.gae_lambda,
            n_envs=lanes,
        )

    def _make_env(self, lanes: int) -> Sb3VecEnv:
        return Sb3VecEnv(self.task.vector_env(lanes))
