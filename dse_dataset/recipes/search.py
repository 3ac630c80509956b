"""Tasks whose space nobody enumerates, labelled by an agent that is handed in."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from importlib import import_module
from typing import Any, ClassVar, Literal

import numpy as np
import numpy.typing as npt
from pydantic import Field

from accelgym.costmodels.errors import InputError
from accelgym.dse_dataset.columns import ROW, Column
from accelgym.dse_dataset.recipes.base import Recipe, RecipeSpec, split_residue
from accelgym.dse_dataset.streams import RowStreams, mix
from accelgym.envs.registration import make_task, task_name
from accelgym.envs.task import Task

__all__ = ["Answer", "SearchRecipe", "SearchSpec", "Solver"]

_COLUMNS = (
    ROW,
    Column("task_id", "string", "hash of everything that defines the task", "key"),
    Column("env", "string", "name of the task", "input"),
    Column("arguments_json", "string", "its arguments, JSON", "input"),
    Column("agent", "string", "who labelled", "key"),
    Column("agent_options_json", "string", "the agent's hyperparameters, JSON", "key"),
    Column("budget", "int64", "evaluations that the agent was allowed", "key"),
    Column("agent_seed", "int64", "seed of the agent", "key"),
    Column("evaluations", "int64", "evaluations that it made", "cost"),
    Column("feasible", "bool", "whether it found a feasible design", "label"),
    Column("objective", "float64", "of its best design, inf without one", "label"),
    Column("lower_bound", "float64", "certified bound on the objective of every feasible design", "label"),
    Column("gap", "float64", "certified: (objective - lower_bound) / objective; inf without a design", "label"),
    Column("bound_is_optimum", "bool", "whether the bound is the proved optimum", "label"),
    Column("bound_method", "string", "how the bound was proved", "label"),
    Column("design", "int32", "value indices in the task's space, empty without one", "label", 0),
    Column("design_json", "string", "the design's real values by parameter, JSON", "label"),
)


@dataclass(frozen=True)
class Answer:
    """What an agent hands back."""

    design: tuple[int, ...] | None
    """Its best feasible design."""
    objective: float
    evaluations: int


Solver = Callable[[Task, str, int, int, Mapping[str, Any]], Answer]
"""Takes a task, an agent's name, a budget, a seed and options; a function of them alone."""


class SearchSpec(RecipeSpec):
    """A family of tasks, and the agent that labels them."""

    kind: Literal["search"] = "search"
    shard_rows: int = Field(default=256, ge=1)
    env: str = "accelgym/ResourceAssignment-v0"
    arguments: dict[str, Any] = Field(default_factory=dict)
    """What all tasks have in common."""
    vary: dict[str, list[Any]] = Field(default_factory=dict)
    """Values of the arguments that are drawn, per row and independently of each other."""
    agent: str = "oracle"
    agent_options: dict[str, Any] = Field(default_factory=dict)
    budget: int = Field(default=1000, ge=1)
    """Evaluations a row."""
    solver: str = Field(default="", pattern=r"^([\w.]+:\w+)?$")
    """Function that runs agents, ``package.module:name``; the command line fills it in."""


class SearchRecipe(Recipe):
    """Labels tasks with what an agent finds, beside what is proved about them."""

    by_row: ClassVar[bool] = True
    value_column: ClassVar[str] = "objective"
    title: ClassVar[str] = "What does an agent find within its budget, and how far from the certified bound is it?"

    def __init__(self, spec: SearchSpec) -> None:
        if not spec.solver:
            raise InputError("solver: a recipe that labels by an agent needs the function that runs it")
        if not all(spec.vary.values()):
            raise InputError(f"vary: {next(k for k, v in spec.vary.items() if not v)} has no values")
        for key in spec.vary:
            if key in spec.arguments:
                raise InputError(f"vary: {key!r} stands among the arguments that all tasks have in common, too")
        task_name(spec.env)
        module, _, name = spec.solver.partition(":")
        self._solver: Solver = getattr(import_module(module), name)
        self._spec = spec

    @property
    def spec(self) -> SearchSpec:
        return self._spec

    @property
    def columns(self) -> tuple[Column, ...]:
        return _COLUMNS

    def facts(self) -> dict[str, Any]:
        spec = self.spec
        sizes = {key: len(values) for key, values in spec.vary.items()}
        return {"label": f"agent {spec.agent}, {spec.budget} evaluations a row", "env": spec.env, "varied": sizes}

    def tasks(self) -> Iterator[Task]:
        """Yields a task for every value of every varied argument, the others at their first.

        Raises:
            InputError: There is no such task.
        """
        first = {key: values[0] for key, values in self.spec.vary.items()}
        yield make_task(self.spec.env, **self.spec.arguments, **first)
        for key, values in self.spec.vary.items():
            for value in values[1:]:
                yield make_task(self.spec.env, **{**self.spec.arguments, **first, key: value})

    def check(self) -> None:
        for _ in self.tasks():
            pass

    def arguments(self, split: str, row: int) -> dict[str, Any]:
        """Returns the arguments of a row's task; equal arguments stand in one split only.

        Raises:
            InputError: No combination of the varied arguments falls into the split.
        """
        streams = RowStreams.of(self.spec.seed, np.array([row]))
        low, high = self.spec.shares.bounds(split)
        for _ in range(10_000):
            drawn = {
                key: values[int(streams.integers(draw, 0, len(values) - 1)[0])]
                for draw, (key, values) in enumerate(sorted(self.spec.vary.items()))
            }
            text = json.dumps(drawn, sort_keys=True).encode()
            words = np.frombuffer(text.ljust(-(-len(text) // 8) * 8), dtype="<u8")
            key = np.zeros(1, dtype=np.uint64)
            for word in words:
                key = mix(key ^ word)
            if low <= split_residue(key)[0] < high:
                return {**self.spec.arguments, **drawn}
            streams = streams.again(np.array([0]))
        raise InputError(
            f"vary: none of its combinations falls into the split {split!r}; give more values, or set shares so that "
            "train has 1000"
        )

    def predictor_inputs(self, arrays: Mapping[str, npt.NDArray[Any]]) -> dict[str, npt.NDArray[Any]]:
        """Returns the environment, and each varied argument as a column of its own."""
        found = {"env": arrays["env"]}
        rows = [json.loads(text) for text in arrays["arguments_json"]]
        for key in self.spec.vary:
            values = [row[key] for row in rows]
            is_number = all(isinstance(value, (int, float)) and not isinstance(value, bool) for value in values)
            found[key] = np.array(values if is_number else [str(value) for value in values])
        return found

    def label_row(self, split: str, row: int) -> dict[str, Any]:
        spec = self.spec
        arguments = self.arguments(split, row)
        task = make_task(spec.env, **arguments)
        reference = task.reference()
        seed = int(mix(RowStreams.of(spec.seed, np.array([row])).keys)[0] >> np.uint64(33))
        found = self._solver(task, spec.agent, spec.budget, seed, spec.agent_options)
        bound = reference.value if reference.exact else reference.lower_bound
        reference.check(found.objective)
        gap = max(0.0, (found.objective - bound) / found.objective) if found.design is not None else float("inf")
        design = found.design or ()
        return {
            "row": row,
            "task_id": task.id,
            "env": spec.env,
            "arguments_json": json.dumps(arguments, sort_keys=True),
            "agent": spec.agent,
            "agent_options_json": json.dumps(spec.agent_options, sort_keys=True),
            "budget": spec.budget,
            "agent_seed": seed,
            "evaluations": found.evaluations,
            "feasible": found.design is not None,
            "objective": found.objective,
            "lower_bound": bound,
            "gap": gap,
            "bound_is_optimum": reference.exact,
            "bound_method": reference.method,
            "design": list(design),
            "design_json": json.dumps(task.space.decode(np.array(design)) if design else {}, default=str),
        }
