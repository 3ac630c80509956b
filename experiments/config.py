"""What a benchmark is: tasks, agents, budget and seeds, read from one YAML file."""

from __future__ import annotations

import itertools
import re
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, Field, ValidationError, field_validator, model_validator

from accelgym.agents.search import MOST_EVALUATIONS
from accelgym.costmodels.errors import InputError, shown, unknown_name
from accelgym.costmodels.files.plain import as_path, native
from accelgym.costmodels.files.yaml_source import YamlSource, read_yaml

__all__ = ["AgentEntry", "BenchConfig", "Entry", "TaskEntry", "explain_fault", "load_config", "shipped_configs"]

_SHIPPED = Path(__file__).resolve().parent / "configs"
_MOST_SEEDS = 10_000
"""A search each; studies take tens."""
_LABEL = re.compile(r"[A-Za-z0-9][A-Za-z0-9_.+-]*")


class Entry(BaseModel):
    """A part of a config: unknown keys are faults."""

    model_config = ConfigDict(extra="forbid", frozen=True)


class TaskEntry(Entry):
    """Tasks of one environment; every combination of the listed argument values is one task."""

    env: str = "accelgym/ResourceAssignment-v0"
    """Environment id."""
    arguments: dict[str, Any] = Field(default_factory=dict)
    """Arguments of the task; a list stands for several tasks."""
    split: Literal["train", "test"] | None = None
    """Whether its tasks may be tuned on, or are kept aside to show what tuning is worth elsewhere."""

    def expand(self) -> list[dict[str, Any]]:
        """Returns the arguments of each task: the grid over all lists, the last list varying fastest."""
        choices = [value if isinstance(value, list) else [value] for value in self.arguments.values()]
        return [dict(zip(self.arguments, row, strict=True)) for row in itertools.product(*choices)]

    @field_validator("arguments")
    @classmethod
    def _no_empty_list(cls, value: dict[str, Any]) -> dict[str, Any]:
        for key, choices in value.items():
            if choices == []:
                raise ValueError(f"the list of {key!r} is empty, allowed at least one value")
        return value


class AgentEntry(Entry):
    """One contestant."""

    name: str
    """Registered agent."""
    label: str = ""
    """Name in folders and reports; the agent's name when left out."""
    options: dict[str, Any] = Field(default_factory=dict)
    """Hyperparameters."""
    budget: int | None = Field(default=None, ge=1)
    """Evaluations when fewer than everyone's; such an agent is marked "capped" in reports."""
    seeds: int | None = Field(default=None, ge=1)
    """Seeds when fewer than everyone's: the first ones."""
    envs: tuple[str, ...] = ()
    """Environments whose tasks it searches, the namespace ``accelgym/`` may be left out; all when left out."""

    @model_validator(mode="before")
    @classmethod
    def _name_alone(cls, value: Any) -> Any:
        return {"name": value} if isinstance(value, str) else value

    @model_validator(mode="after")
    def _label_is_a_folder(self) -> AgentEntry:
        label = self.label or self.name
        if not _LABEL.fullmatch(label):
            raise ValueError(f"label {label!r}: allowed letters, digits and ._+- (it names a folder)")
        return self.model_copy(update={"label": label}) if not self.label else self

    def searches(self, env: str) -> bool:
        """Whether it searches the tasks of an environment."""
        return not self.envs or env in self.envs or env.removeprefix("accelgym/") in self.envs


class BenchConfig(Entry):
    """One benchmark; everything its results are a function of, but for the software itself."""

    name: str = Field(min_length=1)
    """Title of the report."""
    description: str = ""
    """What is compared and why; printed under the title."""
    tasks: tuple[TaskEntry, ...] = Field(min_length=1)
    agents: tuple[AgentEntry, ...] = Field(min_length=1)
    budget: int = Field(ge=1, le=MOST_EVALUATIONS)
    """Evaluations of each search."""
    seeds: tuple[int, ...] = Field(min_length=1)
    """Seeds; a count ``n`` stands for ``0..n-1``."""
    workers: int | None = Field(default=None, ge=1)
    """Searches running at a time; at most two when left out."""

    @field_validator("seeds", mode="before")
    @classmethod
    def _count_of_seeds(cls, value: Any) -> Any:
        if isinstance(value, int) and not isinstance(value, bool):
            if not 1 <= value <= _MOST_SEEDS:
                raise ValueError(f"allowed a count >= 1 and <= {_MOST_SEEDS}, or a list of seeds >= 0")
            return tuple(range(value))
        return value

    @field_validator("seeds")
    @classmethod
    def _seeds_differ(cls, value: tuple[int, ...]) -> tuple[int, ...]:
        if len(set(value)) != len(value) or min(value) < 0 or max(value) >= 2**63:
            raise ValueError("allowed different seeds in 0..2**63-1")
        if len(value) > _MOST_SEEDS:
            raise ValueError(f"{len(value)} seeds, allowed at most {_MOST_SEEDS}")
        return value

    @field_validator("agents")
    @classmethod
    def _labels_differ(cls, value: tuple[AgentEntry, ...]) -> tuple[AgentEntry, ...]:
        seen: set[str] = set()
        for entry in value:
            if entry.label in seen:
                raise ValueError(f"two agents are called {entry.label!r}; give one of them another label")
            seen.add(entry.label)
        return value

    @model_validator(mode="after")
    def _caps_lie_below_the_budget(self) -> BenchConfig:
        for entry in self.agents:
            if entry.budget is not None and entry.budget > self.budget:
                raise ValueError(
                    f"agent {entry.label!r} has budget={entry.budget}, allowed at most the budget of all, {self.budget}"
                )
            if entry.seeds is not None and entry.seeds > len(self.seeds):
                most = len(self.seeds)
                raise ValueError(f"agent {entry.label!r} has seeds={entry.seeds}, allowed at most {most}, as all have")
        return self

    def budget_of(self, agent: AgentEntry) -> int:
        """Evaluations of one search of this agent."""
        return self.budget if agent.budget is None else agent.budget

    def seeds_of(self, agent: AgentEntry) -> tuple[int, ...]:
        """Seeds of the searches of this agent on each of its tasks."""
        return self.seeds[: agent.seeds]

    def identity(self) -> dict[str, Any]:
        """Returns the config as plain data, without what the results do not depend on."""
        data = self.model_dump(mode="json", exclude={"workers"})
        # What says nothing is left out, so that folders from before there was such a key go on.
        for key, entries in (("split", data["tasks"]), ("seeds", data["agents"])):
            for entry in entries:
                if entry[key] is None:
                    del entry[key]
        return data

    @classmethod
    def parse(cls, data: dict[str, Any], source: YamlSource | None = None) -> BenchConfig:
        """Validates plain data.

        Args:
            data: The config.
            source: File it was read from, named in errors.

        Raises:
            InputError: Names file, line, key, value and what is allowed.
        """
        try:
            return cls.model_validate(native(data))
        except ValidationError as error:
            raise explain_fault(error, source, _KEYS) from None


_KEYS = {"": BenchConfig.model_fields, "tasks": TaskEntry.model_fields, "agents": AgentEntry.model_fields}


def shipped_configs() -> dict[str, Path]:
    """Returns the configs that come with the package, by name."""
    return {path.stem: path for path in sorted(_SHIPPED.glob("*.yaml"))}


def load_config(path: Path | str) -> tuple[BenchConfig, YamlSource]:
    """Reads a config.

    Args:
        path: A YAML file, or the name of a shipped config such as ``demo``.

    Returns:
        The config and the file, for errors found later.

    Raises:
        InputError: No such file, not YAML, or a bad value; names file, line, key and what is allowed.
    """
    shipped = shipped_configs()
    place = as_path(path, "config")
    if not place.is_file():  # a folder of that name is no config
        if str(path) not in shipped:
            raise InputError(f"{path}: no such file, and no shipped config; shipped: {', '.join(shipped)}")
        place = shipped[str(path)]
    source = read_yaml(place)
    return BenchConfig.parse(source.data, source), source


def explain_fault(error: ValidationError, source: YamlSource | None, keys: Mapping[str, Iterable[str]]) -> InputError:
    """Turns one fault into a message that says where it is and what is allowed.

    Args:
        error: Of pydantic.
        source: File of the config, if any.
        keys: Keys that exist, by the list whose entries have them; those of the config itself under ``""``.
    """
    # A misspelt key is also a missing one: the misspelling is the news.
    first = min(error.errors(include_url=False), key=lambda fault: fault["type"] != "extra_forbidden")
    key = first["loc"]
    if first["type"] == "extra_forbidden":
        room = str(key[0]) if len(key) > 1 else ""
        message = str(unknown_name("key", key[-1], keys.get(room, keys[""])))
    elif first["type"] == "missing":
        message = "is missing"
    else:
        given = "" if isinstance(first["input"], dict) else f"is {shown(first['input'])}: "
        message = given + first["msg"].removeprefix("Value error, ")
    if source is not None:
        return source.error(key, message)
    dotted = "".join(f"[{part}]" if isinstance(part, int) else f".{part}" for part in key).lstrip(".")
    return InputError(f"config: {dotted + ': ' if dotted else ''}{message}")
