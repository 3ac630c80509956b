"""Masks as data: observations that carry the action mask, for libraries that read it there."""

from __future__ import annotations

from typing import Any

import gymnasium as gym
import numpy as np
import numpy.typing as npt
from gymnasium import spaces
from gymnasium.utils import RecordConstructorArgs
from gymnasium.vector import VectorEnv, VectorWrapper
from gymnasium.vector.utils import batch_space

from accelgym.costmodels.errors import InputError, shown

__all__ = ["OBSERVATION_KEY", "MaskedObservation", "VectorMaskedObservation"]

OBSERVATION_KEY, MASK_KEY = "observations", "action_mask"
"""Keys of RLlib's examples of masked policies."""

Masked = dict[str, npt.NDArray[Any]]


def _space(observations: spaces.Space[Any], actions: int, observation_key: str, mask_key: str) -> Any:
    for name, key in (("observation_key", observation_key), ("mask_key", mask_key)):
        if not isinstance(key, str) or not key:
            raise InputError(f"{name} is {shown(key)}, allowed: a name")
    if observation_key == mask_key:
        raise InputError(f"observation_key and mask_key are both {mask_key!r}, allowed: different names")
    return spaces.Dict({observation_key: observations, mask_key: spaces.Box(0.0, 1.0, (actions,), np.float32)})


class MaskedObservation(gym.Wrapper[Masked, Any, Any, Any], RecordConstructorArgs):
    """Observations as a dictionary of what the environment shows and of its ``action_masks()``.

    Args:
        env: An environment of this package, wrapped or not.
        observation_key: Key of the observation: ``observations`` for RLlib, ``observation`` for TorchRL and PettingZoo,
            ``obs`` for tianshou.
        mask_key: Key of the mask, float32 of shape ``(actions,)``, 1 where an action may be taken.

    Raises:
        InputError: An environment without masks, a key that is no name, or both keys are the same.
    """

    def __init__(
        self, env: gym.Env[Any, Any], *, observation_key: str = OBSERVATION_KEY, mask_key: str = MASK_KEY
    ) -> None:
        RecordConstructorArgs.__init__(self, observation_key=observation_key, mask_key=mask_key)
        gym.Wrapper.__init__(self, env)
        self._keys = observation_key, mask_key
        if not env.has_wrapper_attr("action_masks"):
            raise InputError(f"{env} has no action_masks(), allowed: an environment of this package")
        self._masks = env.get_wrapper_attr("action_masks")
        space = env.action_space
        actions = int(space.n if isinstance(space, spaces.Discrete) else space.nvec.sum())  # type: ignore[attr-defined]
        self.observation_space = _space(env.observation_space, actions, observation_key, mask_key)

    def reset(self, *, seed: int | None = None, options: dict[str, Any] | None = None) -> tuple[Masked, dict[str, Any]]:
        obs, info = self.env.reset(seed=seed, options=options)
        return self._with_mask(obs), info

    def step(self, action: Any) -> tuple[Masked, Any, bool, bool, dict[str, Any]]:
        obs, reward, terminated, truncated, info = self.env.step(action)
        return self._with_mask(obs, over=terminated), reward, terminated, truncated, info

    def _with_mask(self, obs: Any, *, over: bool = False) -> Masked:
        # When a design is complete there is nothing to decide, and every action does.
        masks = np.asarray(self._masks(), dtype=np.float32)
        return {self._keys[0]: obs, self._keys[1]: np.ones_like(masks) if over else masks}


class VectorMaskedObservation(VectorWrapper[Masked, Any, Any, Any, Any]):
    """:class:`MaskedObservation` of all lanes of a native vector environment, those of ``final_obs`` included.

    Args:
        env: A vector environment of this package.
        observation_key: Key of the observations.
        mask_key: Key of the masks, float32 of shape ``(num_envs, actions)``.
    """

    def __init__(
        self, env: VectorEnv[Any, Any, Any], *, observation_key: str = OBSERVATION_KEY, mask_key: str = MASK_KEY
    ) -> None:
        super().__init__(env)
        self._keys = observation_key, mask_key
        self._masks = getattr(env.unwrapped, "action_masks", None)
        if self._masks is None:
            raise InputError(f"{env} has no action_masks(), allowed: a vector environment of this package")
        space = env.single_action_space
        actions = int(space.n if isinstance(space, spaces.Discrete) else space.nvec.sum())  # type: ignore[attr-defined]
        self.single_observation_space = _space(env.single_observation_space, actions, observation_key, mask_key)
        self.observation_space = batch_space(self.single_observation_space, self.num_envs)

    def reset(self, *, seed: Any = None, options: dict[str, Any] | None = None) -> tuple[Masked, dict[str, Any]]:
        obs, infos = self.env.reset(seed=seed, options=options)
        return self._with_masks(obs), infos

    def step(self, actions: Any) -> tuple[Masked, Any, Any, Any, dict[str, Any]]:
        obs, rewards, terminated, truncated, infos = self.env.step(actions)
        found = self._with_masks(obs)
        if "final_obs" in infos:
            ones = np.ones(found[self._keys[1]].shape[1], dtype=np.float32)
            last = np.full(self.num_envs, None, dtype=object)
            for lane in np.flatnonzero(infos["_final_obs"]):
                last[lane] = {self._keys[0]: infos["final_obs"][lane], self._keys[1]: ones.copy()}
            infos = infos | {"final_obs": last}
        return found, rewards, terminated, truncated, infos

    def _with_masks(self, obs: Any) -> Masked:
        assert self._masks is not None
        return {self._keys[0]: obs, self._keys[1]: np.asarray(self._masks(), dtype=np.float32)}
