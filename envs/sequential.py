"""Environments with one decision a step: episodes stepped as arrays, and a scalar one that is a row of them."""

from __future__ import annotations

from abc import abstractmethod
from typing import Any, ClassVar

import gymnasium as gym
import numpy as np
import numpy.typing as npt
from gymnasium import spaces
from gymnasium.error import ResetNeeded
from gymnasium.vector import AutoresetMode, VectorEnv
from gymnasium.vector.utils import batch_space

from accelgym.costmodels.errors import InputError, shown, unknown_name
from accelgym.costmodels.files.plain import count
from accelgym.envs.env_spec import PlainSpec
from accelgym.envs.registration import ENVIRONMENTS, EXTERNAL
from accelgym.envs.task import Task

__all__ = ["LANE_OPTIONS", "SequentialEnv", "SequentialVectorEnv", "checked_seed"]

LANE_OPTIONS = ("autoreset_mode", "max_episode_steps", "mask_in_info")
"""Keyword arguments of every vector environment that are none of its task, see :class:`SequentialVectorEnv`."""
_MOST_LANES = 2**24
"""Far above what is stepped at once; arrays are as long."""

Obs = npt.NDArray[np.float32]
Ints = npt.NDArray[np.int64]
Floats = npt.NDArray[np.float64]
Bools = npt.NDArray[np.bool_]
Infos = dict[str, Any]
Step = tuple[Obs, Floats, Bools, Bools, Infos]


class SequentialVectorEnv(PlainSpec, VectorEnv[Obs, Ints, npt.NDArray[Any]]):
    """Episodes of one decision a step, in lanes.

    Options of all lanes, keyword arguments of every subclass:

    * ``autoreset_mode``: an ``AutoresetMode``, its name or its value. ``SAME_STEP``, the default, begins a new episode
      in the step that ends one: the last observation and info are in ``infos["final_obs"]`` and
      ``infos["final_info"]``, with masks ``_final_obs`` and ``_final_info``. ``NEXT_STEP`` begins it in the step after
      that, whose action is ignored and whose reward is 0. With ``DISABLED`` a lane stands still, with a reward of 0,
      until ``reset`` names it in ``options["reset_mask"]``.
    * ``max_episode_steps``: an episode that is not over by then is truncated, as by Gymnasium's ``TimeLimit``.
    * ``mask_in_info``: whether infos hold :meth:`action_masks` as ``action_mask``, of type int8 as
      ``Discrete.sample(mask)`` takes it.

    A subclass calls :meth:`check_arguments`, builds its task, calls :meth:`set_spaces`, and says how a lane begins,
    what it shows and what a decision does.
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
        self, num_envs: int, task: object | None, render_mode: str | None, arguments: dict[str, Any]
    ) -> None:
        """Takes the number of lanes, the render mode and the options of lanes.

        Args:
            num_envs: Number of lanes.
            task: A task object, or ``None``.
            render_mode: As in :attr:`metadata`, or ``None``.
            arguments: Keyword arguments of the environment; options of lanes are taken out of them.

        Raises:
            InputError: A bad option, no lane, an unknown render mode, a task of another kind, or one together with its
                arguments.
        """
        self._mode = _autoreset_mode(arguments.pop("autoreset_mode", AutoresetMode.SAME_STEP))
        steps = arguments.pop("max_episode_steps", None)
        self._most_steps = None if steps is None else count(steps, "max_episode_steps", 1)
        self._mask_in_info = _flag(arguments.pop("mask_in_info", False), "mask_in_info")
        num_envs = count(num_envs, "num_envs", 1, _MOST_LANES)
        if task is not None and arguments:
            raise InputError(f"give either task or its arguments, not both: {', '.join(arguments)}")
        kind = _kind_of_task(type(self))
        if task is not None and not isinstance(task, kind):
            raise InputError(f"task is {shown(task)}, allowed: a {kind.__name__}, or its arguments")
        if render_mode not in (None, *self.metadata["render_modes"]):
            allowed = ", ".join(self.metadata["render_modes"])
            raise InputError(f"render_mode is {render_mode!r}, allowed {allowed} or None")
        self.num_envs, self.render_mode = num_envs, render_mode
        self.metadata = self.metadata | {"autoreset_mode": self._mode}  # type: ignore[misc]
        self._all = np.arange(num_envs)
        self._elapsed = np.zeros(num_envs, dtype=np.int64)
        # Lanes whose episode is over and whose next one has not begun; how it ended.
        self._ended = np.zeros(num_envs, dtype=bool)
        self._terminated, self._truncated = self._ended, self._ended

    def set_spaces(self, features: int, action_space: spaces.Space[Any]) -> None:
        """Declares observations of ``features`` numbers in [-1, 1], and the actions of one lane."""
        self.single_observation_space = spaces.Box(-1.0, 1.0, (features,), np.float32)
        self.single_action_space = action_space
        self.observation_space = batch_space(self.single_observation_space, self.num_envs)
        self.action_space = batch_space(self.single_action_space, self.num_envs)

    @property
    def autoreset_mode(self) -> AutoresetMode:
        """When a lane whose episode is over begins the next one."""
        return self._mode

    def step(self, actions: Ints) -> Step:
        """Makes the next decision of every lane whose episode is not over.

        Raises:
            InputError: The actions are not in the action space.
        """
        actions = self._check_actions(actions)
        if self._ended.any():
            rewards, terminated, truncated = self._step_some(actions)
        else:
            rewards, terminated = self._advance(self._all, actions)
            truncated = self._time_is_up(self._all)
        ended = terminated | truncated
        if self._mode is AutoresetMode.SAME_STEP:
            infos = self._begin_ended(ended, terminated)
        else:
            self._ended, self._terminated, self._truncated = ended, terminated.copy(), truncated.copy()
            infos = self._infos()
        return self._observe(), rewards, terminated, truncated, infos

    def reset(
        self, *, seed: int | list[int | None] | None = None, options: dict[str, Any] | None = None
    ) -> tuple[Obs, Infos]:
        """Starts new episodes in all lanes, or in those of ``options["reset_mask"]``.

        The environment is deterministic; ``seed`` only seeds ``np_random``, unless it is a list with one for each lane.

        Raises:
            InputError: A bad seed, or the mask is not one bool per lane.
        """
        super().reset(seed=self._check_seed(seed))
        mask = np.asarray((options or {}).get("reset_mask", np.ones(self.num_envs, dtype=bool)))
        if mask.shape != (self.num_envs,) or mask.dtype != bool:
            raise InputError(f"options['reset_mask'] is {shown(mask)}, allowed {self.num_envs} bools")
        self._start(mask)
        return self._observe(), self._infos()

    def action_masks(self) -> Bools:
        """Actions that leave a feasible completion, shape ``(num_envs, actions)``; sound and tight.

        A lane that is infeasible already has no such action; it gets every one that exists. A lane whose design is
        complete gets all: there is nothing to decide.
        """
        masks = self._masks(np.flatnonzero(~self._terminated) if self._terminated.any() else self._all)
        masks[self._terminated] = True
        return masks

    def render(self) -> tuple[Any, ...] | None:
        """Returns one frame per lane, or ``None`` without a render mode."""
        if self.render_mode is None:
            return None
        return tuple(self.paint(row) for row in self._designs())

    def _check_seed(self, seed: Any) -> int | None:
        """Returns the seed of all lanes; ``None`` where each has its own, which nothing of theirs depends on."""
        if not isinstance(seed, (list, tuple, np.ndarray)):
            return checked_seed(seed)
        if len(seed) != self.num_envs:
            raise InputError(f"seed is {shown(seed)}, allowed an integer, or a list of {self.num_envs}")
        for one in seed:
            checked_seed(one)
        return None

    def _check_actions(self, actions: Any) -> Ints:
        """Returns the actions as int64; numbers with a fraction and texts are none."""
        space, array = self.single_action_space, np.asarray(actions)
        if isinstance(space, spaces.MultiDiscrete):
            if array.shape != self.action_space.shape:
                raise InputError(f"actions have shape {array.shape}, allowed {self.action_space.shape}")
            return array
        choices = int(space.n)  # type: ignore[attr-defined]
        fits = array.shape == (self.num_envs,) and np.issubdtype(array.dtype, np.integer)
        if not fits or array.min() < 0 or array.max() >= choices:
            raise InputError(f"actions must be {self.num_envs} integers in 0..{choices - 1}, got {shown(actions)}")
        return array.astype(np.int64)

    def _step_some(self, actions: Ints) -> tuple[Floats, Bools, Bools]:
        """Makes the next decision where the episode is not over; begins the others anew, or lets them stand still."""
        lanes = np.flatnonzero(~self._ended)
        rewards, terminated, truncated = np.zeros(self.num_envs), self._terminated.copy(), self._truncated.copy()
        if self._mode is AutoresetMode.NEXT_STEP:
            self._start(self._ended)
            terminated, truncated = self._terminated.copy(), self._truncated.copy()
        if len(lanes):
            rewards[lanes], terminated[lanes] = self._advance(lanes, actions[lanes])
            truncated[lanes] = self._time_is_up(lanes)
        return rewards, terminated, truncated

    def _time_is_up(self, lanes: Ints) -> Bools:
        """Counts a step of some lanes; returns which of them have no more, shape ``(len(lanes),)``."""
        if self._most_steps is None:
            return np.zeros(len(lanes), dtype=bool)
        self._elapsed[lanes] += 1
        return np.asarray(self._elapsed[lanes] >= self._most_steps)

    def _start(self, lanes: Bools) -> None:
        """Starts new episodes in some lanes."""
        self._begin(lanes)
        self._elapsed[lanes] = 0
        self._ended, self._terminated, self._truncated = (
            flags & ~lanes for flags in (self._ended, self._terminated, self._truncated)
        )

    def _begin_ended(self, ended: Bools, terminated: Bools) -> Infos:
        """Starts new episodes in the lanes that ended; returns the info of all, and the last of those."""
        if not ended.any():
            return self._infos()
        self._ended, self._terminated = ended, terminated.copy()
        final_obs, final_info = self._observe(), self._infos(ended)
        self._start(ended)
        objects = np.full(self.num_envs, None, dtype=object)
        for lane in np.flatnonzero(ended):
            objects[lane] = final_obs[lane]
        return self._infos() | {
            "final_obs": objects,
            "_final_obs": ended.copy(),
            "final_info": final_info,
            "_final_info": ended.copy(),
        }

    def _infos(self, present: Bools | None = None) -> Infos:
        values = self._values()
        if self._mask_in_info:
            values["action_mask"] = self.action_masks().astype(np.int8)
        present = np.ones(self.num_envs, dtype=bool) if present is None else present
        return values | {f"_{key}": present.copy() for key in values}

    @abstractmethod
    def paint(self, design: Ints) -> Any:
        """Returns a frame of a design, open where -1, in the render mode."""

    @abstractmethod
    def _advance(self, lanes: Ints, actions: Ints) -> tuple[Floats, Bools]:
        """Makes the next decision of some lanes.

        Args:
            lanes: Their numbers, rising.
            actions: Their actions, shape ``(len(lanes), ...)``.

        Returns:
            Rewards, and which episodes are over, of shape ``(len(lanes),)``.
        """

    @abstractmethod
    def _masks(self, lanes: Ints) -> Bools:
        """Masks of shape ``(num_envs, actions)``; rows of other than the given lanes may hold anything."""

    @abstractmethod
    def _designs(self) -> Ints:
        """The designs so far, -1 where open, shape ``(num_envs, decisions)``."""

    @abstractmethod
    def _begin(self, lanes: Bools) -> None:
        """Empties some lanes."""

    @abstractmethod
    def _observe(self) -> Obs:
        """Observations of all lanes."""

    @abstractmethod
    def _values(self) -> Infos:
        """Info of all lanes by key, among them ``design``; arrays that later steps leave alone."""


class SequentialEnv(PlainSpec, gym.Env[Obs, np.int64]):
    """One lane as a scalar environment, so that it is equal to a row of the vector environment bit for bit."""

    metadata: ClassVar[dict[str, Any]] = {  # type: ignore[misc]
        "render_modes": ["ansi", "rgb_array"],
        "render_fps": 4,
    }

    def __init__(self, lane: SequentialVectorEnv) -> None:
        if lane.autoreset_mode is not AutoresetMode.SAME_STEP:
            raise InputError(f"autoreset_mode is {lane.autoreset_mode.name}: an option of vector environments alone")
        self.lane = lane
        """The vector environment of one lane that it shows."""
        self.task = lane.task
        self._frame: Ints | None = None
        self._last: tuple[Obs, float, bool, bool, dict[str, Any]] | None = None
        self.render_mode = lane.render_mode
        self.observation_space = lane.single_observation_space
        self.action_space = lane.single_action_space

    def reset(self, *, seed: int | None = None, options: dict[str, Any] | None = None) -> tuple[Obs, dict[str, Any]]:
        """Starts an episode.

        Raises:
            InputError: A bad seed.
        """
        seed = checked_seed(seed)
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
        over, cut = bool(terminated[0]), bool(truncated[0])
        info = self._take(infos["final_info"] if over or cut else infos)
        last = infos["final_obs"][0] if over or cut else obs[0]
        if over or cut:
            self._last = last, 0.0, over, cut, info
        return last, float(rewards[0]), over, cut, info

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


def checked_seed(seed: Any) -> int | None:
    """Returns the seed of a reset as Python's integer, the only one that Gymnasium takes.

    Raises:
        InputError: No integer, or a negative one.
    """
    return None if seed is None else count(seed, "seed", 0)


def _kind_of_task(lanes: type[SequentialVectorEnv]) -> type[Task]:
    """Returns the class of the tasks that some lanes search, which those registered under an id of their own read."""
    entries = {entry.vector_entry_point: entry for entry in (*ENVIRONMENTS, EXTERNAL)}
    # A class of a user's own is of the kind of the nearest one that it derives from.
    names = (f"{kind.__module__}:{kind.__qualname__}" for kind in lanes.__mro__)
    entry = next((entries[name] for name in names if name in entries), None)
    return Task if entry is None else entry.task_class()


def _plain(value: Any) -> Any:
    """A row of the info as ``bool``, ``int``, ``float``, ``str``, or a copy of an array."""
    if isinstance(value, np.ndarray):
        return value.copy()
    return value.item() if isinstance(value, np.generic) else value


def _autoreset_mode(value: Any) -> AutoresetMode:
    """Returns a mode by itself, its name or its value; texts survive ``EnvSpec.to_json``."""
    for mode in AutoresetMode:
        if isinstance(value, (AutoresetMode, str)) and value in (mode, mode.name, mode.value):
            return mode
    raise unknown_name("autoreset_mode", value, [mode.name for mode in AutoresetMode])


def _flag(value: Any, name: str) -> bool:
    if not isinstance(value, (bool, np.bool_)):
        raise InputError(f"{name} is {shown(value)}, allowed True or False")
    return bool(value)
