"""The file of a submission: designs that were found, and what is claimed of them."""

from __future__ import annotations

import json
import math
from collections.abc import Mapping, Sequence
from importlib.metadata import version
from itertools import pairwise
from pathlib import Path
from typing import Annotated, Any, Literal

import numpy as np
import numpy.typing as npt
from pydantic import Field, Strict, ValidationError, field_validator, model_validator

from accelgym.agents.search import MOST_EVALUATIONS
from accelgym.costmodels.errors import InputError, shown
from accelgym.costmodels.files.json_file import parse_json
from accelgym.costmodels.files.plain import as_path, plain
from accelgym.costmodels.files.strict_model import StrictModel, explain
from accelgym.costmodels.files.text import read_text
from accelgym.costmodels.files.whole_file import write_whole
from accelgym.envs.space import Space

__all__ = [
    "FORMAT",
    "FORMAT_VERSION",
    "MARKS",
    "Point",
    "Run",
    "Submission",
    "SubmittedTask",
    "decode_design",
    "encode_design",
    "package_version",
    "read_submission",
    "write_submission",
]

FORMAT: Literal["accelgym leaderboard submission"] = "accelgym leaderboard submission"
FORMAT_VERSION = 1
"""Files of another one are refused."""
MARKS = tuple(step * 10**power for power in range(10) for step in (1, 2, 5))
"""Evaluations after which a packed run states its best design so far."""

_MOST_TASKS, _MOST_RUNS, _MOST_POINTS, _MOST_PARAMETERS = 1_000, 100_000, 200, 100_000
"""Far above any benchmark; keep a wrong file from filling memory and time."""
_LINE = r"^[^\x00-\x1f\x7f]*$"

Name = Annotated[str, Field(min_length=1, max_length=100, pattern=_LINE)]
"""One line."""
Objective = Annotated[float, Field(allow_inf_nan=False)]
Evaluations = Annotated[int, Field(ge=1, le=MOST_EVALUATIONS)]


class SubmittedTask(StrictModel):
    """What was searched."""

    id: Annotated[str, Field(pattern=r"^[0-9a-f]{16}$")]
    """Hash of all that defines the task, see :attr:`~accelgym.envs.task.Task.id`."""
    env: Name
    """Name of the task, as for :func:`~accelgym.envs.make_task`."""
    arguments: dict[str, Any] = Field(default_factory=dict)
    """Its arguments; none may name a file."""
    parameters: Annotated[tuple[str, ...], Strict(False), Field(min_length=1, max_length=_MOST_PARAMETERS)]
    """Names of the parameters, in the order in which the designs list their values."""


class Point(StrictModel):
    """The best design of a run after some evaluations."""

    evaluations: Evaluations
    """Evaluation that found it, counted from 1."""
    objective: Objective
    """What it is claimed to be worth, in the unit of the task's objective."""
    design: Annotated[tuple[Any, ...], Strict(False), Field(max_length=_MOST_PARAMETERS)]
    """Value of each parameter."""


class Run(StrictModel):
    """One search."""

    task: str
    """Id of one of the tasks."""
    agent: Name
    """Entrant of the leaderboard."""
    seed: Annotated[int, Field(ge=0, lt=2**63)]
    budget: Evaluations
    """Evaluations allowed."""
    evaluations: Annotated[int, Field(ge=0, le=MOST_EVALUATIONS)]
    """Evaluations made."""
    cpu_s: Annotated[float, Field(ge=0, allow_inf_nan=False)] | None = None
    """Processor seconds of agent and evaluations."""
    points: Annotated[tuple[Point, ...], Strict(False), Field(max_length=_MOST_POINTS)]
    """Improvements, in the order in which they were found; the last is the best design. None where nothing feasible
    was found."""

    @model_validator(mode="after")
    def _is_a_search(self) -> Run:
        if self.evaluations > self.budget:
            raise ValueError(f"evaluations is {self.evaluations}, allowed at most the budget, {self.budget}")
        if self.points and self.points[-1].evaluations > self.evaluations:
            found = self.points[-1].evaluations
            raise ValueError(f"a point lies at evaluation {found}, allowed at most the run's {self.evaluations}")
        for one, other in pairwise(self.points):
            if other.evaluations <= one.evaluations or other.objective >= one.objective:
                raise ValueError(
                    f"the point at evaluation {other.evaluations} is no improvement of that at {one.evaluations}, "
                    "allowed: increasing evaluations with decreasing objectives"
                )
        return self

    def best_within(self, evaluations: int) -> float:
        """Returns the best objective within that many evaluations, ``inf`` before the first point."""
        found = [point.objective for point in self.points if point.evaluations <= evaluations]
        return found[-1] if found else math.inf


class Submission(StrictModel):
    """Everything in one file."""

    format: Literal["accelgym leaderboard submission"] = FORMAT
    format_version: int
    accelgym: Name
    """Version of the package that the results were made with."""
    name: Name
    """Title of the submission."""
    author: Annotated[str, Field(max_length=200, pattern=_LINE)] = ""
    link: Annotated[str, Field(max_length=500, pattern=r"^(https://[!-~]+)?$")] = ""
    """Where the agents are described."""
    software: dict[Name, Name] = Field(default_factory=dict)
    """Interpreter, machine and packages that the results may depend on."""
    agents: dict[Name, dict[str, Any]] = Field(default_factory=dict)
    """What is to be known about an entrant, its hyperparameters say."""
    tasks: Annotated[tuple[SubmittedTask, ...], Strict(False), Field(min_length=1, max_length=_MOST_TASKS)]
    runs: Annotated[tuple[Run, ...], Strict(False), Field(min_length=1, max_length=_MOST_RUNS)]

    @field_validator("format_version")
    @classmethod
    def _known_version(cls, value: int) -> int:
        if value != FORMAT_VERSION:
            raise ValueError(f"{value}: allowed {FORMAT_VERSION}; the file was written for another version of accelgym")
        return value

    @model_validator(mode="after")
    def _fits_together(self) -> Submission:
        tasks: dict[str, SubmittedTask] = {}
        for task in self.tasks:
            if task.id in tasks:
                raise ValueError(f"two tasks have the id {task.id!r}")
            tasks[task.id] = task
        seen: set[tuple[str, str, int]] = set()
        for number, run in enumerate(self.runs):
            if run.task not in tasks:
                raise ValueError(f"runs.{number}.task is {shown(run.task)}, allowed an id of tasks")
            if (key := (run.task, run.agent, run.seed)) in seen:
                raise ValueError(f"runs.{number}: agent {run.agent!r} has two runs of seed {run.seed} on {run.task}")
            seen.add(key)
            width = len(tasks[run.task].parameters)
            for place, point in enumerate(run.points):
                if len(point.design) != width:
                    raise ValueError(
                        f"runs.{number}.points.{place}.design has {len(point.design)} values, allowed one for each of "
                        f"the {width} parameters"
                    )
        return self

    @classmethod
    def parse(cls, data: Mapping[str, Any], where: str) -> Submission:
        """Checks the form of plain data.

        Args:
            data: The keys.
            where: What stands before every message, a file say.

        Raises:
            InputError: A value that is not allowed.
        """
        try:
            return cls.model_validate(data)
        except ValidationError as error:
            first = error.errors(include_url=False)[0]
            place = ".".join(map(str, first["loc"]))
            cause = first.get("ctx", {}).get("error")
            # What several keys break together would otherwise be shown with all of them.
            whole = isinstance(first["input"], (dict, StrictModel)) and cause is not None
            message = str(cause) if whole else explain(first)
            raise InputError(f"{where}: {place}{': ' if place else ''}{message}") from None

    def to_json(self) -> dict[str, Any]:
        """Returns plain data."""
        return dict(plain(self.model_dump()))


def package_version() -> str:
    """Returns the version of this package."""
    return version("accelgym")


def read_submission(path: Path | str) -> Submission:
    """Reads a submission and checks its form, not what it claims.

    Raises:
        InputError: No such file, no JSON, another format or schema, or a value that is not allowed.
    """
    place = as_path(path, "submission")
    text = read_text(place)
    try:
        data = parse_json(text)
    except ValueError as error:
        raise InputError(f"{place}: cannot be read as JSON ({error})") from error
    if not isinstance(data, dict) or data.get("format") != FORMAT:
        raise InputError(f"{place}: no submission: key 'format' is missing or not {FORMAT!r}")
    return Submission.parse(data, str(place))


def write_submission(path: Path | str, submission: Submission) -> None:
    """Writes a submission whole or not at all; one line for every task and every point."""
    data = submission.to_json()
    tasks, runs = data.pop("tasks"), data.pop("runs")
    head = json.dumps(data, indent=1, allow_nan=False)[:-2]
    lines = [f'{head},\n "tasks": [', _listed(tasks), ' ],\n "runs": [']
    blocks = []
    for run in runs:
        points = run.pop("points")
        start = json.dumps(run, allow_nan=False)[:-1]
        blocks.append(f'  {start}, "points": [\n{_listed(points)}]}}' if points else f'  {start}, "points": []}}')
    lines += [",\n".join(blocks), " ]\n}\n"]
    write_whole(as_path(path, "--out"), "\n".join(lines))


def _listed(parts: Sequence[Any]) -> str:
    return ",\n".join(f"  {json.dumps(part, allow_nan=False)}" for part in parts)


def encode_design(space: Space, names: Sequence[str], values: Sequence[Any]) -> npt.NDArray[np.int64]:
    """Returns a design of a space, shape ``(parameters,)``.

    Args:
        space: The space.
        names: Parameters in the order of the values, all of the space.
        values: Real values as JSON has them.

    Raises:
        InputError: A parameter is missing or unknown, or a value is none of its own.
    """
    given = dict(zip(names, values, strict=True))
    wanted = [parameter.name for parameter in space.parameters]
    for name in wanted:
        if name not in given:
            raise InputError(f"parameter {name!r} is missing")
    if extra := [name for name in names if name not in set(wanted)]:
        raise InputError(f"parameter {shown(extra[0])} is none of the task's")
    row = []
    for parameter in space.parameters:
        keys = [_key(value) for value in parameter.values]
        key = _key(given[parameter.name])
        if key not in keys:
            allowed = ", ".join(map(str, parameter.values[:20])) + (", ..." if len(keys) > 20 else "")
            raise InputError(f"parameter {parameter.name!r} is {shown(given[parameter.name])}, allowed {allowed}")
        row.append(keys.index(key))
    return np.array(row, dtype=np.int64)


def decode_design(space: Space, design: Sequence[int] | npt.NDArray[np.int64]) -> tuple[Any, ...]:
    """Returns the real values of a design in the order of the parameters, as JSON has them."""
    return tuple(plain(value) for value in space.decode(design).values())


def _key(value: Any) -> str:
    """A value as text, the same for numbers that are equal: 8 and 8.0, but not 1 and true."""
    value = plain(value)
    if isinstance(value, float) and value.is_integer() and abs(value) < 2**53:
        value = int(value)
    return json.dumps(value)
