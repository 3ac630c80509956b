"""Whole episodes of a policy on a task, side by side."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
import torch

from accelgym.agents.transfer.network import TransferNetwork
from accelgym.costmodels.errors import InputError
from accelgym.envs.member_observation import MemberObserver
from accelgym.envs.sequential import SequentialVectorEnv
from accelgym.envs.task import Task

__all__ = ["Player", "Rollout"]

FloatArray = npt.NDArray[np.float32]
IntArray = npt.NDArray[np.int64]


@dataclass(frozen=True)
class Rollout:
    """One design per lane; arrays of shape ``(decisions, lanes, ...)`` unless said otherwise."""

    observations: FloatArray
    masks: npt.NDArray[np.bool_]
    actions: IntArray
    log_probabilities: FloatArray
    values: FloatArray
    rewards: FloatArray
    decided: IntArray
    """Actions as the environment took them, shape ``(lanes, decisions)``."""
    objective: npt.NDArray[np.float64]
    """Shape ``(lanes,)``."""
    feasible: npt.NDArray[np.bool_]
    """Shape ``(lanes,)``."""


class Player:
    """Plays a task's episodes, all lanes from their first decision to their last.

    Args:
        task: The task.

    Raises:
        InputError: Its lanes are of a kind that decides otherwise.
    """

    def __init__(self, task: Task) -> None:
        self.task = task
        self._lanes: dict[int, SequentialVectorEnv] = {}
        self._observer = MemberObserver(self.lanes(1))
        self.inputs = self._observer.size
        """Numbers that a decision shows, :attr:`features` last."""
        self.features = self._observer.features
        """Those that mean the same in every task of the kind."""

    def lanes(self, count: int) -> SequentialVectorEnv:
        """Returns an environment of so many lanes, the same one every time."""
        if count not in self._lanes:
            env: Any = self.task.vector_env(count)
            if not isinstance(env, SequentialVectorEnv):
                raise InputError(f"{self.task!r}: its lanes are {type(env).__name__}, allowed a SequentialVectorEnv")
            self._lanes = {1: self._lanes[1], count: env} if 1 in self._lanes else {count: env}
        return self._lanes[count]

    def first_observations(self) -> FloatArray:
        """Returns what every decision shows when the cheapest option is taken throughout, ``(decisions, inputs)``.

        The cheapest option stands for any allowed one: the first that the mask leaves open.
        """
        env = self.lanes(1)
        observations = self._observer.extend(env.reset()[0])
        rows = []
        for _ in range(len(self.task.action_sizes)):
            rows.append(observations[0])
            observations = self._observer.extend(env.step(env.action_masks().argmax(axis=1))[0])
        return np.stack(rows)

    def play(self, network: TransferNetwork, lanes: int, rng: np.random.Generator | None) -> Rollout:
        """Plays one episode in every lane.

        Args:
            network: Decides.
            lanes: Designs to make.
            rng: Draws the actions; ``None`` takes the most probable ones.
        """
        env, steps = self.lanes(lanes), len(self.task.action_sizes)
        record: dict[str, list[Any]] = {name: [] for name in ("observations", "masks", "actions", "log", "values")}
        rewards: list[npt.NDArray[np.float64]] = []
        info: dict[str, Any] = {}
        observations = self._observer.extend(env.reset()[0])
        for _ in range(steps):
            masks = env.action_masks()
            with torch.no_grad():
                found, values = network(torch.from_numpy(observations), torch.from_numpy(masks))
            log = found.numpy()
            # Gumbel's maximum is a draw from the distribution.
            noise = 0.0 if rng is None else rng.gumbel(size=log.shape)
            actions = np.asarray((log + noise).argmax(axis=1))
            chosen = np.take_along_axis(log, actions[:, None], axis=1)[:, 0]
            for name, part in zip(record, (observations, masks, actions, chosen, values.numpy()), strict=True):
                record[name].append(part)
            raw, reward, _, _, info = env.step(actions)
            observations = self._observer.extend(raw)
            rewards.append(reward)
        final = info["final_info"]
        stacked = {name: np.stack(rows) for name, rows in record.items()}
        return Rollout(
            observations=stacked["observations"],
            masks=stacked["masks"],
            actions=stacked["actions"],
            log_probabilities=stacked["log"].astype(np.float32),
            values=stacked["values"],
            rewards=np.stack(rewards).astype(np.float32),
            decided=final["design"].astype(np.int64),
            objective=final["objective"].astype(np.float64),
            feasible=final["feasible"].astype(bool),
        )
