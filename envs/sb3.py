"""Stable-Baselines3 adapter: a native vector env as an SB3 ``VecEnv`` (extra ``agents``)."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from gymnasium.vector import AutoresetMode, VectorEnv
from stable_baselines3.common.vec_env.base_vec_env import VecEnv

from accelgym.costmodels.errors import InputError

__all__ = ["Sb3VecEnv"]


class Sb3VecEnv(VecEnv):
    """Lets SB3 and sb3-contrib train on all lanes of a Gymnasium ``VectorEnv`` at once.

    SB3 does not accept Gymnasium's class. This adapter passes arrays through and fills an info dictionary only
    for lanes that ended: ``terminal_observation``, ``TimeLimit.truncated`` and the last step's info.

    Args:
        env: A vector env that resets in the step that ends an episode (``AutoresetMode.SAME_STEP``).

    Raises:
        InputError: Another autoreset mode.
    """

    def __init__(self, env: VectorEnv[Any, Any, Any]) -> None:
        mode = env.metadata.get("autoreset_mode")
        if mode is not AutoresetMode.SAME_STEP:
            raise InputError(f"the env's autoreset_mode is {mode}, allowed {AutoresetMode.SAME_STEP}")
        self.env = env
        self._seed_next: int | None = None
        self.render_mode = env.render_mode
        self._quiet: list[dict[str, Any]] = [{} for _ in range(env.num_envs)]
        super().__init__(env.num_envs, env.single_observation_space, env.single_action_space)

    def reset(self) -> np.ndarray[Any, Any]:
        """Resets all lanes."""
        observations, _ = self.env.reset(seed=self._seed_next)
        self._seed_next = None
        return np.asarray(observations)

    def step_async(self, actions: np.ndarray[Any, Any]) -> None:
        """Keeps the actions for :meth:`step_wait`."""
        self._actions = actions

    def step_wait(self) -> Any:
        """Steps all lanes."""
        observations, rewards, terminated, truncated, infos = self.env.step(self._actions)
        dones = terminated | truncated
        if not dones.any():
            return observations, rewards.astype(np.float32), dones, self._quiet
        rows: list[dict[str, Any]] = [{} for _ in range(self.num_envs)]
        final = infos["final_info"]
        keys = [key for key in final if not key.startswith("_")]
        for lane in np.flatnonzero(dones):
            rows[lane] = {key: final[key][lane] for key in keys}
            rows[lane]["terminal_observation"] = infos["final_obs"][lane]
            rows[lane]["TimeLimit.truncated"] = bool(truncated[lane] and not terminated[lane])
        return observations, rewards.astype(np.float32), dones, rows

    def close(self) -> None:
        """Closes the env."""
        self.env.close()

    def seed(self, seed: int | None = None) -> Sequence[int | None]:
        """Seeds the next reset."""
        self._seed_next = seed
        return [seed] * self.num_envs

    def env_method(self, method_name: str, *args: Any, indices: Any = None, **kwargs: Any) -> list[Any]:
        """Calls a method of the vector env and splits its result by lane."""
        result = getattr(self.env, method_name)(*args, **kwargs)
        return [result[i] for i in self._get_indices(indices)]

    def get_attr(self, attr_name: str, indices: Any = None) -> list[Any]:
        """Returns an attribute of the env, once per lane."""
        value = getattr(self.env, attr_name)
        return [value for _ in self._get_indices(indices)]

    def set_attr(self, attr_name: str, value: Any, indices: Any = None) -> None:
        """Sets an attribute of the env for all lanes."""
        setattr(self.env, attr_name, value)

    def env_is_wrapped(self, wrapper_class: type[Any], indices: Any = None) -> list[bool]:
        """No lane is wrapped singly."""
        return [False for _ in self._get_indices(indices)]
