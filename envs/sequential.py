"""Environments with one decision a step: episodes stepped as arrays, and a scalar one that is a row of them."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Mapping
from typing import Any, ClassVar

import gymnasium as gym
import numpy as np
import numpy.typing as npt
from gymnasium import spaces
from gymnasium.error import ResetNeeded
from gymnasium.vector import AutoresetMode, VectorEnv
from gymnasium.vector.utils import batch_space

from accelgym.costmodels.errors import InputError, shown

__all__ = ["SequentialEnv", "SequentialVectorEnv"]

Obs = npt.NDArray[np.float32]
Ints = npt.NDArray[np.int64]
Floats = npt.NDArray[np.float64]
Bools = npt.NDArray[np.bool_]
Infos = dict[str, Any]
Step = tuple[Obs, Floats, Bools, Bools, Infos]


class SequentialVectorEnv(VectorEnv[Obs, Ints, npt.NDArray[Any]]):
    """Episodes of one decision a step, in lanes that reset in the step that ends them (``AutoresetMode.SAME_STEP``).

    The last observation and info of an episode are in ``infos["final_obs"]`` and ``infos["final_info"]``, with masks
    ``_final_obs`` and ``_final_info``. A subclass calls :meth:`check_arguments`, builds its task, calls
    :meth:`set_spaces`, and says how a lane begins, what it shows and what its step does.
    """

    metadata: ClassVar[dict[str, Any]] = {  # type: ignore[misc]
        "render_modes": ["ansi", "rgb_array"],
        "render_fps": 4,
        "autoreset_mode": AutoresetMode.SAME_STEP,
    }
    task: Any
    """The task that the lanes search."""
    progress_column: int = 0
    """Column of the observation that holds the number of decisions made, over that of a design."""

    def check_arguments(
        self, num_envs: int, task: object | None, render_mode: str | None, arguments: Mapping[str, Any]
    ) -> None:
        """Takes the number of lanes and the render mode.

        Raises:
            InputError: No lane, an unknown render mode, or a task together with its arguments.
        """
        if num_envs < 1:
            raise InputError(f"num_envs is {num_envs}, allowed >= 1")
        if task is not None and arguments:
            raise InputError(f"give either task or its arguments, not both: {', '.join(arguments)}")
        if render_mode not in (None, *self.metadata["render_modes"]):
            allowed = ", ".join(self.metadata["render_modes"])
            raise InputError(f"render_mode is {render_mode!r}, allowed {allowed} or None")
        self.num_envs, self.render_mode = num_envs, render_mode

    def set_spaces(self, features: int, action_space: spaces.Space[Any]) -> None:
        """Declares observations of ``features`` numbers in [-1, 1], and the actions of one lane."""
        self.single_observation_space = spaces.Box(-1.0, 1.0, (features,), np.float32)
        self.single_action_space = action_space
        self.observation_space = batch_space(self.single_observation_space, self.num_envs)
        self.action_space = batch_space(self.single_action_space, self.num_envs)

    def check_actions(self, actions: Any, choices: int) -> Ints:
        """Returns the actions as int64.

        Raises:
            InputError: Not one integer below ``choices`` per lane; numbers with a fraction and texts are none.
        """
        array = np.asarray(actions)
        fits = array.shape == (self.num_envs,) and np.issubdtype(array.dtype, np.integer)
        if not fits or array.min() < 0 or array.max() >= choices:
            raise InputError(f"actions must be {self.num_envs} integers in 0..{choices - 1}, got {shown(actions)}")
        return array.astype(np.int64)

    def reset(
        self, *, seed: int | list[int | None] | None = None, options: dict[str, Any] | None = None
    ) -> tuple[Obs, Infos]:
        """Starts new episodes in all lanes, or in those of ``options["reset_mask"]``.

        The environment is deterministic; ``seed`` only seeds ``np_random``.
        """
        super().reset(seed=seed if isinstance(seed, int) else None)
        everywhere = np.ones(self.num_envs, dtype=bool)
        mask = np.asarray((options or {}).get("reset_mask", everywhere))
        if mask.shape != (self.num_envs,) or mask.dtype != bool:
            raise InputError(f"options['reset_mask'] is {shown(mask)}, allowed {self.num_envs} bools")
        self._begin(mask)
        return self._observe(), self._infos(everywhere)

    def end_step(self, rewards: Floats, terminated: Bools) -> Step:
        """Resets the lanes that ended and returns what a step returns."""
        truncated = np.zeros(self.num_envs, dtype=bool)
        everywhere = np.ones(self.num_envs, dtype=bool)
        if not terminated.any():
            return self._observe(), rewards, terminated, truncated, self._infos(everywhere)
        final_obs, final_info = self._observe(), self._infos(terminated)
        self._begin(terminated)
        infos = self._infos(everywhere)
        objects = np.full(self.num_envs, None, dtype=object)
        for lane in np.flatnonzero(terminated):
            objects[lane] = final_obs[lane]
        infos |= {"final_obs": objects, "_final_obs": terminated.copy()}
        infos |= {"final_info": final_info, "_final_info": terminated.copy()}
        return self._observe(), rewards, terminated, truncated, infos

    def render(self) -> tuple[Any, ...] | None:
        """Returns one frame per lane, or ``None`` without a render mode."""
        if self.render_mode is None:
            return None
        return tuple(self.paint(row) for row in self._designs())

    def _infos(self, present: Bools) -> Infos:
        values = self._values()
        return values | {f"_{key}": present.copy() for key in values}

    @abstractmethod
    def action_masks(self) -> Bools:
        """Actions that leave a feasible completion, shape ``(num_envs, actions)``."""

    @abstractmethod
    def paint(self, design: Ints) -> Any:
        """Returns a frame of a design, open where -1, in the render mode."""

    @abstractmethod
    def _designs(self) -> Ints:
        """The designs so far, -1 where open, shape ``(num_envs, decisions)``."""

    @abstractmethod
    def _begin(self, lanes: Bools) -> None:
        """Starts new episodes in some lanes."""

    @abstractmethod
    def _observe(self) -> Obs:
        """Observations of all lanes."""

    @abstractmethod
    def _values(self) -> Infos:
        """Info of all lanes by key, among them ``design``; arrays that later steps leave alone."""


class SequentialEnv(gym.Env[Obs, np.int64]):
    """One lane as a scalar environment, so that it is equal to a row of the vector environment bit for bit."""

    metadata: ClassVar[dict[str, Any]] = {  # type: ignore[misc]
        "render_modes": ["ansi", "rgb_array"],
        "render_fps": 4,
    }

    def __init__(self, lane: SequentialVectorEnv) -> None:
        self.lane = lane
        """The vector environment of one lane that it shows."""
        self.task = lane.task
        self._frame: Ints | None = None
        self._last: tuple[Obs, float, bool, bool, dict[str, Any]] | None = None
        self.render_mode = lane.render_mode
        self.observation_space = lane.single_observation_space
        self.action_space = lane.single_action_space

    def reset(self, *, seed: int | None = None, options: dict[str, Any] | None = None) -> tuple[Obs, dict[str, Any]]:
        """Starts an episode."""
        super().reset(seed=seed)
        obs, infos = self.lane.reset(seed=seed)
        self._last = None
        return obs[0], self._take(infos)

    def step(self, action: np.int64 | Ints) -> tuple[Obs, float, bool, bool, dict[str, Any]]:
        """Makes the next decision.

        After the end of an episode nothing happens: a warning, and the last observation again with a reward of 0.

        Raises:
            InputError: The action is no integer of the action space.
            ResetNeeded: No episode has begun.
        """
        if self._frame is None:
            raise ResetNeeded("call reset() before step()")
        if self._last is not None:
            gym.logger.warn(
                "You are calling 'step()' even though this environment has already returned terminated = True. You "
                "should always call 'reset()' once you receive 'terminated = True' -- any further steps are undefined "
                "behavior."
            )
            return self._last
        obs, rewards, terminated, truncated, infos = self.lane.step(np.array([action]))
        ended = bool(terminated[0])
        info = self._take(infos["final_info"] if ended else infos)
        last = infos["final_obs"][0] if ended else obs[0]
        if ended:
            self._last = last, 0.0, True, False, info
        return last, float(rewards[0]), ended, bool(truncated[0]), info

    def action_masks(self) -> Bools:
        """Actions that leave a feasible completion, shape ``(actions,)``."""
        return np.asarray(self.lane.action_masks()[0])

    def render(self) -> Any:
        """Returns the design so far as text or as an RGB array, or ``None`` without a render mode.

        Raises:
            ResetNeeded: No episode has begun.
        """
        if self._frame is None:
            raise ResetNeeded("call reset() before render()")
        return None if self.render_mode is None else self.lane.paint(self._frame)

    def _take(self, infos: Infos) -> dict[str, Any]:
        """The info of the lane; remembers its design, which the lane forgets when it begins anew."""
        info = {key: _plain(values[0]) for key, values in infos.items() if not key.startswith(("_", "final_"))}
        self._frame = info["design"]
        return info


def _plain(value: Any) -> Any:
    """A row of the info as ``bool``, ``int``, ``float``, ``str``, or a copy of an array."""
    if isinstance(value, np.ndarray):
        return value.copy()
    return value.item() if isinstance(value, np.generic) else value
