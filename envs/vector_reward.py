"""Several objectives as a vector of rewards, as MO-Gymnasium's algorithms read it."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, SupportsFloat

import gymnasium as gym
import numpy as np
import numpy.typing as npt
from gymnasium import spaces

from accelgym.costmodels.errors import InputError, shown, unknown_name
from accelgym.costmodels.files.plain import distinct_names
from accelgym.envs.task import Outcome, Task

__all__ = ["VectorReward"]

Floats = npt.NDArray[np.float64]


class VectorReward(gym.Wrapper[Any, Any, Any, Any]):
    """Rewards a finished design with one number per objective, and the decisions before it with zeros.

    Of a feasible design each number is what the task's reference design has of that cost over what the design has: 1
    where both are alike, above 1 where the design is better in this objective. An infeasible design gets the scalar
    reward in every objective, which says how far it is from feasible.

    ``reward_space`` stands on the wrapper and on the innermost environment, where MO-Gymnasium (Felten et al., 2023)
    and its wrappers look for it.

    Args:
        env: A scalar environment of this package.
        objectives: Names of costs in the task's outcomes, to be minimised: ``latency_cycles``, ``area_nand2``.

    Raises:
        InputError: No environment of a task, no objectives, the same one twice, no such cost or not one number a
            design, or a task whose reference has no design.
    """

    def __init__(self, env: gym.Env[Any, Any], objectives: Sequence[str]) -> None:
        super().__init__(env)
        task = getattr(env.unwrapped, "task", None)
        if not isinstance(task, Task):
            raise InputError(f"VectorReward: {env} has no task, allowed are environments of tasks")
        names = distinct_names(objectives)
        if not names:
            raise InputError(f"objectives are {shown(objectives)}, allowed one or more different names")
        self.objectives = names
        self._task = task
        self._reference = self._costs_of_reference()
        low, high = np.full(len(names), -np.inf, np.float32), np.full(len(names), np.inf, np.float32)
        self.reward_space = spaces.Box(low, high, dtype=np.float32)
        env.unwrapped.reward_space = self.reward_space  # type: ignore[attr-defined]

    def step(self, action: Any) -> tuple[Any, SupportsFloat, bool, bool, dict[str, Any]]:
        """Makes a decision; the reward is an array of shape ``(objectives,)``, float32."""
        observation, scalar, terminated, truncated, info = self.env.step(action)
        reward = np.zeros(len(self.objectives), dtype=np.float32)
        if terminated:
            outcome = self._task.evaluate(self._task.designs(np.array([info["design"]], dtype=np.int64)))
            reward[:] = self._reference / self._costs(outcome) if outcome.feasible[0] else scalar
        vector: Any = reward
        return observation, vector, terminated, truncated, info

    def _costs_of_reference(self) -> Floats:
        design = self._task.reference().design
        if design is None:
            raise InputError(f"VectorReward: the reference of {self._task!r} has no design to compare with")
        outcome = self._task.evaluate(np.array([design], dtype=np.int64))
        for name in self.objectives:
            if name not in outcome.costs:
                raise unknown_name("objective", name, tuple(outcome.costs))
            if np.asarray(outcome.costs[name]).ndim != 1:
                raise InputError(f"objective {name!r} has more than one number a design, allowed one")
        return self._costs(outcome)

    def _costs(self, outcome: Outcome) -> Floats:
        """The objectives of the only design of an outcome."""
        return np.array([float(outcome.costs[name][0]) for name in self.objectives])
