"""Any task as an environment: one decision a step, by the task contract alone."""

from __future__ import annotations

from importlib import import_module
from typing import Any, ClassVar

import gymnasium as gym
import numpy as np
import numpy.typing as npt
from gymnasium import spaces
from gymnasium.vector import AutoresetMode, VectorEnv

from accelgym.costmodels.errors import InputError
from accelgym.envs.registration import environment_of, make_task
from accelgym.envs.sequential import LANE_OPTIONS, SequentialEnv, SequentialVectorEnv
from accelgym.envs.task import Outcome, Task

__all__ = ["AnyTaskEnv", "AnyTaskVectorEnv", "design_reward", "make_env", "make_vector_env"]

Obs = npt.NDArray[np.float32]
Ints = npt.NDArray[np.int64]
Floats = npt.NDArray[np.float64]
Bools = npt.NDArray[np.bool_]
Infos = dict[str, Any]


class AnyTaskVectorEnv(SequentialVectorEnv):
    """Many lanes of :class:`AnyTaskEnv`, stepped as arrays.

    Args:
        num_envs: Number of lanes.
        task: The task.
        **options: See :class:`SequentialVectorEnv`.
    """

    metadata: ClassVar[dict[str, Any]] = {  # type: ignore[misc]
        "render_modes": ["ansi"],
        "render_fps": 4,
        "autoreset_mode": AutoresetMode.SAME_STEP,
    }

    def __init__(
        self,
        num_envs: int = 1,
        *,
        task: Task,
        render_mode: str | None = None,
        **options: Any,
    ) -> None:
        self.check_arguments(num_envs, task, render_mode, options)
        self.task = task
        self._sizes = task.action_sizes
        self._steps = len(self._sizes)
        self.progress_column = self._steps
        self.set_spaces(self._steps + 1, spaces.Discrete(task.num_actions))
        self._position = np.zeros(num_envs, dtype=np.int64)
        self._actions = np.full((num_envs, self._steps), -1, dtype=np.int64)
        self._replaced = np.zeros(num_envs, dtype=np.int64)
        self._objective = np.full(num_envs, np.inf)
        self._feasible = np.ones(num_envs, dtype=bool)

    def _advance(self, lanes: Ints, actions: Ints) -> tuple[Floats, Bools]:
        position = self._position[lanes]
        last = self._sizes[position] - 1
        self._actions[lanes, position] = np.minimum(actions, last)
        self._replaced[lanes] += actions > last
        self._feasible[lanes] = self._replaced[lanes] == 0
        self._position[lanes] = position + 1
        rewards, over = np.zeros(len(lanes)), position + 1 == self._steps
        if over.any():
            rows = lanes[over]
            outcome = self.task.evaluate(self.task.designs(self._actions[rows]))
            self._feasible[rows] &= outcome.feasible
            self._objective[rows] = np.where(self._feasible[rows], outcome.objective, np.inf)
            rewards[over] = self._reward(rows, outcome)
        return rewards, over

    def _reward(self, rows: Ints, outcome: Outcome) -> Floats:
        return design_reward(self.task, outcome, self._feasible[rows], self._replaced[rows] / self._steps)

    def _masks(self, lanes: Ints) -> Bools:
        mask = np.zeros((self.num_envs, self.task.num_actions), dtype=bool)
        position = self._position[lanes]
        for at in np.unique(position):
            rows = lanes[position == at]
            mask[rows] = self.task.masks(self._actions[rows], int(at))
        return mask

    def paint(self, design: Ints) -> str:
        """Returns the decisions so far, and the design once it is complete, as text."""
        open_ = int((design < 0).sum())
        lines = [f"{self._steps - open_} of {self._steps} decisions: {' '.join(map(str, design[design >= 0]))}"]
        if not open_:
            values = self.task.space.decode(self.task.designs(design[None])[0])
            lines += [f"{name}: {value}" for name, value in values.items()]
        return "\n".join(lines)

    def _designs(self) -> Ints:
        return self._actions

    def _begin(self, lanes: Bools) -> None:
        self._position = np.where(lanes, 0, self._position)
        self._actions[lanes] = -1
        self._replaced = np.where(lanes, 0, self._replaced)
        self._objective[lanes] = np.inf
        self._feasible = self._feasible | lanes

    def _observe(self) -> Obs:
        obs = np.empty((self.num_envs, self._steps + 1), dtype=np.float32)
        obs[:, :-1] = np.where(self._actions < 0, -1.0, self._actions / np.maximum(self._sizes - 1, 1))
        obs[:, -1] = self._position / self._steps
        return obs

    def _values(self) -> Infos:
        columns = {
            "objective": self._objective,
            "feasible": self._feasible,
            "position": self._position,
            "design": self._actions,
        }
        return {key: column.copy() for key, column in columns.items()}


class AnyTaskEnv(SequentialEnv):
    """Any registered task, those of plug-ins included, as an environment.

    ## Description
    ``task`` names what is searched. A task that has an environment of its own, ``accelgym/Mapping-v0`` say, gives
    that one, page and arguments included. Every other task, as a plug-in package registers it in the entry-point group
    ``accelgym.tasks``, is searched as described here: an episode makes the task's decisions one after the other, by
    default one per parameter, and ends with a complete design.

    ## Action space
    ``Discrete(n)``, ``n`` the number of actions of the widest decision. ``action_masks()`` are the task's: all actions
    that exist, or those that leave a feasible completion where the task knows them. An action that does not exist is
    replaced by the last that does, and the design counts as infeasible.

    ## Observation space
    ``Box(-1, 1, (decisions + 1,), float32)``: each decision made so far, its action scaled to [0, 1], -1 while it is
    open; and the share of the decisions made.

    ## Rewards
    0 until the last decision. A feasible design earns ``1 / (1 + regret)``, in (0, 1], its regret taken to the task's
    certified lower bound. An infeasible one earns ``-v / (1 + v)``, in [-1, 0): ``v`` is its violation (relative
    overshoot of the constraints) plus the share of its decisions that were replaced; -1 where it is invalid.

    ## Starting state
    Nothing decided. There is no randomness.

    ## Episode end
    Terminates when everything is decided.

    ## Arguments
    ``task``: name of a registered task, see ``accelgym envs``. All others are the task's own. ``render_mode`` is
    ``ansi``.

    ```python
    import accelgym, gymnasium

    gymnasium.register_envs(accelgym)
    env = gymnasium.make("accelgym/Task-v0", task="accelgym/HwGen-v0", workload="gpt2/decode_block")
    ```

    ## Info
    The same keys at reset and at every step: ``feasible``, ``position``, ``design`` (action per decision, -1 where
    open), and ``objective``, ``inf`` until a feasible design is complete.

    ## Vectorised environment
    ``gymnasium.make_vec(id, num_envs=64, task=...)`` gives the task's lanes, :class:`AnyTaskVectorEnv` or its own.

    ## Version history
    * v0: first version.
    """

    metadata: ClassVar[dict[str, Any]] = {"render_modes": ["ansi"], "render_fps": 4}  # type: ignore[misc]


def design_reward(task: Task, outcome: Outcome, feasible: Bools, replaced: Floats) -> Floats:
    """Returns what complete designs earn, see :class:`AnyTaskEnv`; shape ``(designs,)``.

    Args:
        task: The task.
        outcome: Of the designs.
        feasible: Whether they count as feasible: those with replaced decisions do not, shape ``(designs,)``.
        replaced: Share of the decisions that were replaced, shape ``(designs,)``.
    """
    bound = task.bound
    regret = (np.where(feasible, outcome.objective, bound) - bound) / (abs(bound) or 1.0)
    broken = np.where(outcome.feasible, 0.0, outcome.violation) + replaced
    # 1 / (1 + x) rather than x / (1 + x), which is not defined at infinity.
    return np.asarray(np.where(feasible, 1.0 / (1.0 + np.maximum(regret, 0.0)), 1.0 / (1.0 + broken) - 1.0))


def make_env(task: str | Task, *, render_mode: str | None = None, **arguments: Any) -> gym.Env[Any, Any]:
    """Returns the scalar environment of a task; the entry point of ``accelgym/Task-v0``.

    Args:
        task: Name of a registered task, or a task.
        render_mode: As the environment allows.
        **arguments: The task's specification, and the options of :class:`SequentialVectorEnv`.

    Raises:
        InputError: Unknown task, or a bad argument.
    """
    entry = environment_of(task) if isinstance(task, str) else None
    if entry is not None:
        env: gym.Env[Any, Any] = _load(entry.entry_point)(render_mode=render_mode, **arguments)
        return env
    options = _lane_options(arguments)
    lanes = _task(task, arguments).vector_env(1, render_mode=render_mode, **options)
    if not isinstance(lanes, SequentialVectorEnv):
        raise InputError(f"task {task!r}: its vector_env() is a {type(lanes).__name__}, allowed a SequentialVectorEnv")
    return AnyTaskEnv(lanes)


def make_vector_env(
    num_envs: int, task: str | Task, *, render_mode: str | None = None, **arguments: Any
) -> VectorEnv[Any, Any, Any]:
    """Returns the lanes of a task; the vector entry point of ``accelgym/Task-v0``. Arguments as :func:`make_env`."""
    entry = environment_of(task) if isinstance(task, str) else None
    if entry is not None:
        env: VectorEnv[Any, Any, Any] = _load(entry.vector_entry_point)(num_envs, render_mode=render_mode, **arguments)
        return env
    options = _lane_options(arguments)
    return _task(task, arguments).vector_env(num_envs, render_mode=render_mode, **options)


def _lane_options(arguments: dict[str, Any]) -> dict[str, Any]:
    """Takes the options of lanes out of the arguments of a task."""
    return {name: arguments.pop(name) for name in LANE_OPTIONS if name in arguments}


def _task(task: str | Task, arguments: dict[str, Any]) -> Task:
    if isinstance(task, str):
        return make_task(task, **arguments)
    if arguments:
        raise InputError(f"give either a task or a name with its arguments, not both: {', '.join(arguments)}")
    return task


def _load(entry_point: str) -> Any:
    module, name = entry_point.split(":")
    return getattr(import_module(module), name)
