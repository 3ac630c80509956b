"""The task contract: one space, one evaluation, one reference, behind every door."""

from __future__ import annotations

import hashlib
import json
from abc import ABC, abstractmethod
from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cached_property
from importlib import import_module
from typing import TYPE_CHECKING, Any, ClassVar, Self

import numpy as np
import numpy.typing as npt

from accelgym.costmodels.certificate import Certificate
from accelgym.costmodels.errors import shown
from accelgym.costmodels.registry import Registry
from accelgym.envs.feasible import draw_feasible, relink, single_changes
from accelgym.envs.layout import Layout
from accelgym.envs.space import Designs, Space

if TYPE_CHECKING:
    from gymnasium.vector import VectorEnv

__all__ = ["Outcome", "Task", "of_rows", "tasks"]


_KINDS = {"objective": "fiu", "feasible": "b", "violation": "fiu", "valid": "b"}
_ALLOWED = {"fiu": "an array of a number for every design", "b": "an array of a bool for every design"}


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

    def __post_init__(self) -> None:
        # A task's own code makes this: its fault is told where it is made, and is no bad input.
        shape = np.shape(self.objective)
        for name, kinds in _KINDS.items():
            array = getattr(self, name)
            if (
                not isinstance(array, np.ndarray)
                or array.shape != shape
                or array.ndim != 1
                or array.dtype.kind not in kinds
            ):
                raise TypeError(f"Outcome: {name} is {_described(array)}, allowed {_ALLOWED[kinds]}")
        if not isinstance(self.costs, Mapping):
            raise TypeError(f"Outcome: costs is {shown(self.costs)}, allowed arrays by name")
        for name, array in self.costs.items():
            if not isinstance(array, np.ndarray) or array.shape[:1] != shape or array.dtype.kind == "O":
                raise TypeError(f"Outcome: costs[{name!r}] is {_described(array)}, allowed an array of {shape[0]} rows")

    def __len__(self) -> int:
        return len(self.objective)

    @property
    def score(self) -> npt.NDArray[np.float64]:
        """The objective where feasible, ``inf`` elsewhere."""
        return np.where(self.feasible, self.objective, np.inf)


def _described(value: Any) -> str:
    if isinstance(value, np.ndarray):
        return f"an array of shape {value.shape} and type {value.dtype}"
    return shown(value)


class Task(ABC):
    """A workload, a space, a cost model, constraints and an objective: stateless and deterministic.

    A subclass states :attr:`space`, :meth:`describe`, :meth:`evaluate` and :meth:`reference`. Everything else has a
    default that holds where designs are built parameter by parameter and any value may follow any other. A task that
    knows what fits before it is evaluated says so in :meth:`fits` and :meth:`masks`; one whose decisions are not its
    parameters overrides :attr:`action_sizes`, :meth:`actions` and :meth:`designs` together.
    """

    lanes: ClassVar[str] = "accelgym.envs.any_task:AnyTaskVectorEnv"
    """Module and class of the lanes; imported when they are asked for."""

    @property
    def env_id(self) -> str:
        """Gymnasium id of the env that wraps this kind of task."""
        return "accelgym/Task-v0"

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

    @property
    def bound(self) -> float:
        """A certified lower bound on the objective of every design, the reference's unless there is a cheaper one."""
        return self.reference().lower_bound

    @property
    def interface(self) -> frozenset[Any]:
        """What actions mean, by default the knobs and their values; tasks with equal ones can form a family."""
        return frozenset((p.knob, p.values) for p in self.space.parameters)

    # -- designs as sequences of decisions -------------------------------------------------------------------

    @property
    def action_sizes(self) -> npt.NDArray[np.int64]:
        """Number of actions of each decision, shape ``(decisions,)``; one decision per parameter by default."""
        return self.space.nvec

    @property
    def num_actions(self) -> int:
        """Number of actions of the widest decision: what a flat action space has."""
        return int(self.action_sizes.max())

    @property
    def action_factors(self) -> tuple[int, ...]:
        """Sizes of the choices that an action combines, the last varying fastest; their product is the action space."""
        return (self.num_actions,)

    @property
    def decision_parameters(self) -> tuple[tuple[int, ...], ...]:
        """Parameters that each decision sets, by their place in the space.

        By default as many neighbouring ones for every decision, in order. A decision that sets several combines their
        values as :attr:`action_factors` does.

        Raises:
            NotImplementedError: Their numbers do not divide; such a task overrides this.
        """
        decisions, parameters = len(self.action_sizes), len(self.space)
        if parameters % decisions:
            raise NotImplementedError(
                f"{parameters} parameters of {decisions} decisions: decision_parameters is needed"
            )
        width = parameters // decisions
        return tuple(tuple(range(start, start + width)) for start in range(0, parameters, width))

    def actions(self, designs: Designs) -> npt.NDArray[np.int64]:
        """Returns the decisions that make the designs, shape ``(n, decisions)``; inverse of :meth:`designs`."""
        return self.space.check(designs)

    def designs(self, actions: npt.NDArray[np.int64]) -> Designs:
        """Returns what sequences of decisions make, shape ``(n, parameters)``.

        Args:
            actions: Each below its entry of :attr:`action_sizes`, shape ``(n, decisions)``.
        """
        return self.space.check(actions)

    def masks(self, actions: npt.NDArray[np.int64], position: int) -> npt.NDArray[np.bool_]:
        """Returns which actions may come next, shape ``(n, num_actions)``; all that exist by default.

        An override is sound (every allowed prefix has a feasible completion) and tight (every feasible design, or an
        equivalent one, is reachable). A prefix that has no such completion gets the actions that exist.

        Args:
            actions: Decisions made so far; the columns from ``position`` on are not read.
            position: Their number.
        """
        return np.tile(np.arange(self.num_actions) < self.action_sizes[position], (len(actions), 1))

    def decision_features(self) -> npt.NDArray[np.float64]:
        """Returns what tells decisions apart across tasks, shape ``(decisions, features)``; no features by default.

        Numbers within [-1, 1] that mean the same in every task of the kind, and that an observation, which is relative
        to its own task, may lack: absolute sizes, how tight the budget is, what is minimised. They follow from the
        specification and from what is known without an evaluation; the cost of a design is not among them.
        """
        return np.zeros((len(self.action_sizes), 0))

    def vector_env(self, num_envs: int, *, render_mode: str | None = None, **options: Any) -> VectorEnv[Any, Any, Any]:
        """Returns a :class:`~accelgym.envs.sequential.SequentialVectorEnv`: an episode decides one design.

        Args:
            num_envs: Number of lanes.
            render_mode: As the environment allows.
            **options: Options of lanes, ``autoreset_mode`` say.
        """
        module, name = self.lanes.split(":")
        built: VectorEnv[Any, Any, Any] = getattr(import_module(module), name)(
            num_envs, task=self, render_mode=render_mode, **options
        )
        return built

    # -- feasible designs, without spending evaluations ------------------------------------------------------

    def fits(self, designs: Designs) -> npt.NDArray[np.bool_]:
        """Returns which designs are feasible, shape ``(n,)``: knowledge that costs no evaluation of the budget."""
        return self.evaluate(designs).feasible

    def sample_feasible(self, rng: np.random.Generator, count: int) -> Designs:
        """Draws random feasible designs, shape ``(count, parameters)``.

        Raises:
            InputError: Hardly any design that :meth:`masks` lets through fits.
        """
        return draw_feasible(self, rng, count)

    def repair(self, designs: Designs, rng: np.random.Generator) -> Designs:
        """Returns feasible designs near the given ones; feasible rows come back unchanged."""
        result = self.space.check(designs).copy()
        poor = np.flatnonzero(~self.fits(result))
        result[poor] = relink(self, result[poor], rng)
        return result

    def neighbours(self, design: Designs) -> Designs:
        """Returns the feasible designs that differ in one parameter, shape ``(n, parameters)``.

        Args:
            design: Value indices, shape ``(parameters,)``.
        """
        near = single_changes(self.space, design)
        return near[self.fits(near)]

    def constant_designs(self, rng: np.random.Generator, most: int) -> Designs:
        """Returns designs that make the same choice in every group, feasible or not, shape ``(n, parameters)``.

        Args:
            rng: Draws which ones when there are more than ``most``.
            most: Limit of their number.
        """
        return self.layout.constants(rng, most)

    @cached_property
    def layout(self) -> Layout:
        """Groups and knobs of the space."""
        return Layout(self.space)

    # -- what else there is to tell --------------------------------------------------------------------------

    def artifacts(self, design: Designs) -> dict[str, str]:
        """Returns a design in other tools' formats: texts by file name; none by default.

        Args:
            design: Value indices, shape ``(parameters,)``.
        """
        return {}

    def report(self, design: Designs) -> dict[str, Any]:
        """Returns what is worth telling about a design beyond its parameters, as plain data; nothing by default.

        An entry ``costs`` stands in for the costs of the outcome; other entries of ``best.json`` cannot be replaced.

        Args:
            design: Value indices, shape ``(parameters,)``.
        """
        return {}

    def convention(self) -> str:
        """Returns in words what the cost model counts, where it has several ways; empty by default."""
        return ""

    def normalised_metrics(self, value: float) -> dict[str, float]:
        """Returns an objective in the units that the literature compares, by name; none by default."""
        return {}

    @cached_property
    def id(self) -> str:
        """Canonical hash of :meth:`describe`: the key of caches, leaderboards and certificates."""
        text = json.dumps(self.describe(), sort_keys=True, separators=(",", ":"))
        return hashlib.sha256(text.encode()).hexdigest()[:16]

    def __repr__(self) -> str:
        return f"<{type(self).__name__} {self.id}>"

    def __deepcopy__(self, memo: dict[int, Any]) -> Self:
        # Stateless: copies of environments and of their specifications share it, with all that it has tabulated.
        return self


def of_rows(outcome: Any, task: Task, designs: int) -> Outcome:
    """Returns what a task's ``evaluate`` has returned, if it is that.

    Raises:
        RuntimeError: It is no :class:`Outcome`, or one of another number of designs: a fault of the task.
    """
    if not isinstance(outcome, Outcome) or len(outcome) != designs:
        found = f"an Outcome of {len(outcome)}" if isinstance(outcome, Outcome) else _described(outcome)
        raise RuntimeError(f"{type(task).__name__}.evaluate returned {found} for {designs} designs, allowed an Outcome")
    return outcome


tasks: Registry[Task] = Registry("task", "accelgym.tasks")
"""Task factories by name; a factory takes the task's specification as keyword arguments."""
