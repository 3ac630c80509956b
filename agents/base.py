"""The ask/tell contract that every agent fulfils, and their registry."""

from __future__ import annotations

import inspect
from abc import ABC, abstractmethod
from typing import Any, ClassVar

import numpy as np

from accelgym.agents.hyperparameters import Hyperparameters
from accelgym.agents.options import require_kinds
from accelgym.costmodels.errors import unexpected_argument
from accelgym.costmodels.files.plain import count, native
from accelgym.costmodels.registry import Registry
from accelgym.envs.space import Designs
from accelgym.envs.task import Outcome, Task

__all__ = ["Agent", "agents", "hyperparameters_of", "make_agent"]


class Agent(ABC):
    """Proposes designs and learns from their outcomes.

    An agent is a deterministic function of its task, seed and options, so that a run can be replayed; one that is not
    says so in :attr:`reproducible`. It sees outcomes through :meth:`tell` alone; the loop that evaluates and counts is
    :func:`accelgym.agents.search`.
    Tuned defaults are stated in the class docstring.

    Args:
        task: The task to search.
        seed: Seed of every random choice the agent makes.
    """

    name: ClassVar[str]
    """Name in the registry, in configs and in reports."""
    reproducible: bool = True
    """Whether its proposals are a function of task, seed and options; not so where searches share what they learn."""
    hyperparameters: ClassVar[Hyperparameters] = {}
    """What a sweep may draw of its options; empty where nothing is worth tuning."""

    def __init__(self, task: Task, *, seed: int) -> None:
        self.task = task
        self.seed = seed
        self.rng = np.random.default_rng(seed)

    @abstractmethod
    def ask(self, count: int) -> Designs:
        """Returns between 1 and ``count`` designs, or none when the search is over.

        Args:
            count: Evaluations left in the budget.

        Returns:
            Value indices, shape ``(n, parameters)``, ``n <= count``.
        """

    @abstractmethod
    def tell(self, designs: Designs, outcome: Outcome) -> None:
        """Learns from what the designs of the last :meth:`ask` turned out to be worth.

        Args:
            designs: The designs, shape ``(n, parameters)``.
            outcome: Their evaluation.
        """


agents: Registry[Agent] = Registry("agent", "accelgym.agents")
"""Agent factories by name; called as ``factory(task, seed=..., **options)``."""


def hyperparameters_of(name: str) -> Hyperparameters:
    """Returns what a sweep may draw of an agent's options, empty where it declares nothing.

    Raises:
        InputError: Unknown agent.
        MissingExtraError: It needs a package that is not installed.
    """
    factory = agents.get(name)
    found: Hyperparameters = getattr(getattr(factory, "cls", factory), "hyperparameters", {})
    return found


def make_agent(name: str, task: Task, *, seed: int, **options: Any) -> Agent:
    """Builds an agent by name.

    Args:
        name: Registered name, for example ``"ga"``.
        task: The task to search.
        seed: Seed of the agent.
        **options: Hyperparameters; the agent's constructor lists them.

    Raises:
        InputError: Unknown agent or option, with the nearest valid names, or an option of another type than the
            constructor's annotation says.
    """
    seed, options = count(seed, "seed", 0), native(options)
    parameters = inspect.signature(agents.get(name)).parameters
    if not any(p.kind is inspect.Parameter.VAR_KEYWORD for p in parameters.values()):
        allowed = [key for key in parameters if key not in ("task", "seed", "self")]
        for key in options:
            if key not in allowed:
                raise unexpected_argument(f"option of agent {name!r}", key, allowed)
    require_kinds(name, parameters, options)
    return agents.build(name, task, seed=seed, **options)
