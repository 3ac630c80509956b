"""Stable-Baselines3 adapter: a native vector env as an SB3 ``VecEnv`` (extra ``agents``)."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any

import numpy as np
from gymnasium.vector import AutoresetMode, VectorEnv, VectorWrapper
from stable_baselines3.common.vec_env.base_vec_env import VecEnv

from accelgym.costmodels.errors import InputError

__all__ = ["Sb3VecEnv"]


class Sb3VecEnv(VecEnv):
    """Lets SB3 and sb3-contrib train on all lanes of a Gymnasium ``VectorEnv`` at once.

    SB3 does not accept Gymnasium's class. This adapter passes arrays through and fills an info dictionary only for
    lanes that ended: ``terminal_observation``, ``TimeLimit.truncated`` and the last step's info. All info is in
    ``reset_infos`` after a reset. The lanes are one object, so that attributes and methods are those of all lanes; what
    a method returns is split by lane where it has an entry per lane.

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
        self._own: dict[str, dict[int, Any]] = {}
        super().__init__(env.num_envs, env.single_observation_space, env.single_action_space)
        self.metadata = self.metadata | {"render_fps": env.metadata.get("render_fps", 30)}

    def reset(self) -> Any:
        """Resets all lanes."""
        options = next((dict(given) for given in self._options if given), None)
        observations, infos = self.env.reset(seed=self._seed_next, options=options)
        self._seed_next = None
        self._reset_options()
        self.reset_infos = [_row(infos, lane) for lane in range(self.num_envs)]
        return observations if isinstance(observations, dict) else np.asarray(observations)

    def step_async(self, actions: np.ndarray[Any, Any]) -> None:
        """Keeps the actions for :meth:`step_wait`."""
        self._actions = actions

    def step_wait(self) -> Any:
        """Steps all lanes."""
        observations, rewards, terminated, truncated, infos = self.env.step(self._actions)
        dones = terminated | truncated
        # New ones in every step: callbacks write into them.
        rows: list[dict[str, Any]] = [{} for _ in range(self.num_envs)]
        for lane in np.flatnonzero(dones):
            rows[lane] = _row(infos["final_info"], int(lane))
            rows[lane]["terminal_observation"] = infos["final_obs"][lane]
            rows[lane]["TimeLimit.truncated"] = bool(truncated[lane] and not terminated[lane])
        return observations, rewards.astype(np.float32), dones, rows

    def get_images(self) -> Sequence[np.ndarray[Any, Any] | None]:
        """Returns a frame of each lane; ``None`` unless the render mode is ``rgb_array``."""
        frames = self.env.render() if self.render_mode == "rgb_array" else None
        images: list[Any] = [None] * self.num_envs if frames is None else list(frames)
        return images

    def close(self) -> None:
        """Closes the env."""
        self.env.close()

    def seed(self, seed: int | None = None) -> Sequence[int | None]:
        """Seeds the next reset."""
        self._seed_next = seed
        return [seed] * self.num_envs

    def env_method(self, method_name: str, *args: Any, indices: Any = None, **kwargs: Any) -> list[Any]:
        """Calls a method of the vector env, once, and returns a result per lane asked for.

        An array or tuple with an entry per lane is split; anything else is the result of every lane.
        """
        result = self._find(method_name)(*args, **kwargs)
        by_lane = isinstance(result, (tuple, list)) or (isinstance(result, np.ndarray) and result.ndim > 0)
        by_lane = by_lane and len(result) == self.num_envs
        return [result[lane] if by_lane else result for lane in self._get_indices(indices)]

    def get_attr(self, attr_name: str, indices: Any = None) -> list[Any]:
        """Returns an attribute of the env, once per lane, or what :meth:`set_attr` has noted for a lane."""
        lanes = list(self._get_indices(indices))
        noted = self._own.get(attr_name, {})
        if all(lane in noted for lane in lanes) and noted:
            return [noted[lane] for lane in lanes]
        value = self._find(attr_name)
        return [noted.get(lane, value) for lane in lanes]

    def set_attr(self, attr_name: str, value: Any, indices: Any = None) -> None:
        """Sets an attribute of all lanes, or notes a new one for some.

        Raises:
            InputError: An attribute of the env itself for some lanes only, which share it.
        """
        lanes = list(self._get_indices(indices))
        owner = next((env for env in self._chain() if attr_name in vars(env) or hasattr(type(env), attr_name)), None)
        if owner is not None and {lane % self.num_envs for lane in lanes} != set(range(self.num_envs)):
            raise InputError(f"set_attr {attr_name!r}: indices are {lanes}, allowed all: lanes share one environment")
        if owner is not None:
            setattr(owner, attr_name, value)
        else:
            self._own.setdefault(attr_name, {}).update(dict.fromkeys(lanes, value))

    def env_is_wrapped(self, wrapper_class: type[Any], indices: Any = None) -> list[bool]:
        """Whether the vector env is wrapped, for each lane asked for."""
        wrapped = any(isinstance(env, wrapper_class) for env in self._chain())
        return [wrapped for _ in self._get_indices(indices)]

    def _chain(self) -> Iterable[Any]:
        """The env's wrappers from the outside, and itself."""
        env: Any = self.env
        while isinstance(env, VectorWrapper):
            yield env
            env = env.env
        yield env

    def _find(self, name: str) -> Any:
        for env in self._chain():
            if name in vars(env) or hasattr(type(env), name):
                return getattr(env, name)
        raise AttributeError(f"{self.env} has no attribute {name!r}")


def _row(infos: dict[str, Any], lane: int) -> dict[str, Any]:
    """Info of one lane, in arrays of its own."""
    values = {key: column[lane] for key, column in infos.items() if not key.startswith("_")}
    return {key: value.copy() if isinstance(value, np.ndarray) else value for key, value in values.items()}
