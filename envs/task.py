"""The task contract: one space, one evaluation, one reference, behind every door."""

from __future__ import annotations

import hashlib
import json
from abc import ABC, abstractmethod
from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any

import numpy as np
import numpy.typing as npt

from accelgym.costmodels.certificate import Certificate
from accelgym.costmodels.registry import Registry
from accelgym.envs.space import Designs, Space

__all__ = ["Outcome", "Task", "tasks"]


@dataclass(frozen=True)
class Outcome:
    """What a batch of designs is worth; arrays of shape ``(designs,)`` unless said otherwise."""

    objective: npt.NDArray[np.float64]
    """To be minimised; ``inf`` where the design is invalid, defined also where it breaks the budget."""
    feasible: npt.NDArray[np.bool_]
    violation: npt.NDArray[np.float64]
    """0 where feasible, else the overshoot relative to the budget; ``inf`` where invalid."""
    valid: npt.NDArray[np.bool_]
    costs: Mapping[str, npt.NDArray[Any]] = field(default_factory=dict)
    """Further figures per design, units in the names; arrays may have trailing axes."""

    def __len__(self) -> int:
        return len(self.objective)

    @property
    def score(self) -> npt.NDArray[np.float64]:
        """The objective where feasible, ``inf`` elsewhere."""
        return np.where(self.feasible, self.objective, np.inf)


class Task(ABC):
    """A workload, a space, a cost model, constraints and an objective: stateless and deterministic."""

    @property
    @abstractmethod
    def env_id(self) -> str:
        """Gymnasium id of the env that wraps this kind of task."""

    @property
    @abstractmethod
    def space(self) -> Space:
        """The designs."""

    @abstractmethod
    def describe(self) -> dict[str, Any]:
        """Everything that defines the task, as plain data; the source of :attr:`id`."""

    @abstractmethod
    def evaluate(self, designs: Designs) -> Outcome:
        """Evaluates complete designs; each row costs one evaluation of budget.

        Args:
            designs: Value indices, shape ``(n, parameters)``.

        Raises:
            InputError: The array does not fit the space.
        """

    @abstractmethod
    def reference(self) -> Certificate:
        """Returns the optimum, or the best known design with a certified lower bound."""

    @abstractmethod
    def sample_feasible(self, rng: np.random.Generator, count: int) -> Designs:
        """Draws random feasible designs, shape ``(count, parameters)``."""

    @abstractmethod
    def repair(self, designs: Designs, rng: np.random.Generator) -> Designs:
        """Returns feasible designs near the given ones; feasible rows come back unchanged."""

    def artifacts(self, design: Designs) -> dict[str, str]:
        """Returns a design in other tools' formats: texts by file name; none by default.

        Args:
            design: Value indices, shape ``(parameters,)``.
        """
        return {}

    def report(self, design: Designs) -> dict[str, Any]:
        """Returns what is worth telling about a design beyond its parameters, as plain data; nothing by default.

        Args:
            design: Value indices, shape ``(parameters,)``.
        """
        return {}

    def convention(self) -> str:
        """Returns in words what the cost model counts, where it has several ways; empty by default."""
        return ""

    def figures(self, value: float) -> dict[str, float]:
        """Returns an objective in the units that the literature compares, by name; none by default."""
        return {}

    @cached_property
    def id(self) -> str:
        """Canonical hash of :meth:`describe`: the key of caches, leaderboards and certificates."""
        text = json.dumps(self.describe(), sort_keys=True, separators=(",", ":"))
        return hashlib.sha256(text.encode()).hexdigest()[:16]

    def __repr__(self) -> str:
        return f"<{type(self).__name__} {self.id}>"


tasks: Registry[Task] = Registry("task", "accelgym.tasks")
"""Task factories by env id; a factory takes the task's specification as keyword arguments."""
