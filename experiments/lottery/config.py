"""What a lottery is: tasks, agents and how many settings of each, read from one YAML file."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from pydantic import Field, ValidationError, model_validator

from accelgym.agents.base import hyperparameters_of
from accelgym.agents.hyperparameters import as_options, draw_setting
from accelgym.costmodels.errors import InputError
from accelgym.costmodels.files.plain import as_path, native
from accelgym.costmodels.files.yaml_source import YamlSource, read_yaml
from accelgym.experiments.config import AgentEntry, BenchConfig, Entry, TaskEntry, explain_fault

__all__ = ["LotteryAgent", "LotteryConfig", "load_lottery", "shipped_lotteries"]

_SHIPPED = Path(__file__).resolve().parents[1] / "configs" / "lotteries"
_MOST_SETTINGS = 999


class LotteryAgent(Entry):
    """One agent and how much of its space is drawn."""

    name: str
    """Registered agent."""
    settings: int = Field(default=30, ge=2, le=_MOST_SETTINGS)
    """Random settings of its hyperparameters, besides the default one; an agent that declares none has only that."""
    budget: int | None = Field(default=None, ge=1)
    """Evaluations when fewer than everyone's."""
    seeds: int | None = Field(default=None, ge=2)
    """Seeds when fewer than everyone's."""
    envs: tuple[str, ...] = ()
    """Environments whose tasks it searches; all when left out."""

    @model_validator(mode="before")
    @classmethod
    def _name_alone(cls, value: Any) -> Any:
        return {"name": value} if isinstance(value, str) else value

    def label(self, index: int) -> str:
        """Returns the name of a setting in folders; 0 is the default one."""
        return f"{self.name}.{index:03d}"

    def drawn(self, seed: int) -> list[dict[str, Any]]:
        """Returns every setting, the default one, which is empty, first.

        Raises:
            InputError: Unknown agent.
        """
        space = hyperparameters_of(self.name)
        drawn = [draw_setting(self.name, space, index, seed=seed) for index in range(self.settings)] if space else []
        return [{}, *drawn]


class LotteryConfig(Entry):
    """A sweep of every agent's hyperparameters over the same tasks."""

    name: str = Field(min_length=1)
    """Title of the report."""
    description: str = ""
    tasks: tuple[TaskEntry, ...] = Field(min_length=1)
    """Those with ``split: train`` are tuned on; those with ``split: test`` show what that is worth elsewhere."""
    agents: tuple[LotteryAgent, ...] = Field(min_length=1)
    budget: int = Field(ge=1)
    """Evaluations of each search."""
    seeds: int = Field(ge=2)
    """Of each setting and task."""
    tuning_seeds: int = Field(ge=1)
    """Of them, the first ones choose the setting; what it is worth is measured with the others."""
    sweep_seed: int = Field(default=0, ge=0)
    """Of the settings drawn."""
    workers: int | None = Field(default=None, ge=1)

    @model_validator(mode="after")
    def _is_a_sweep(self) -> LotteryConfig:
        if any(task.split is None for task in self.tasks) or all(task.split != "train" for task in self.tasks):
            raise ValueError("every task needs split: train or split: test, and at least one of them train")
        names = [agent.name for agent in self.agents]
        if len(set(names)) < len(names):
            raise ValueError(f"an agent stands twice in {', '.join(names)}")
        for agent in self.agents:
            if not self.tuning_seeds < (agent.seeds or self.seeds) <= self.seeds:
                raise ValueError(f"agent {agent.name!r}: allowed tuning_seeds < its seeds <= seeds of all")
        return self

    def bench(self) -> BenchConfig:
        """Returns the benchmark that runs every setting of every agent.

        Raises:
            InputError: Unknown agent, or a fault that a benchmark has, too.
        """
        agents = [
            AgentEntry(
                name=agent.name,
                label=agent.label(index),
                options=as_options(setting),
                budget=agent.budget,
                seeds=agent.seeds,
                envs=agent.envs,
            ).model_dump(mode="json", exclude_none=True)
            for agent in self.agents
            for index, setting in enumerate(agent.drawn(self.sweep_seed))
        ]
        data = self.model_dump(mode="json", include={"name", "description", "tasks", "budget", "seeds", "workers"})
        return BenchConfig.parse(data | {"agents": agents})


def shipped_lotteries() -> dict[str, Path]:
    """Returns the lotteries that come with the package, by name."""
    return {path.stem: path for path in sorted(_SHIPPED.glob("*.yaml"))}


def load_lottery(path: Path | str) -> LotteryConfig:
    """Reads a lottery.

    Args:
        path: A YAML file, or the name of a shipped lottery.

    Raises:
        InputError: No such file, not YAML, or a bad value; names file, line, key and what is allowed.
    """
    place, shipped = as_path(path, "config"), shipped_lotteries()
    if not place.is_file():
        if str(path) not in shipped:
            raise InputError(f"{path}: no such file, and no shipped lottery; shipped: {', '.join(shipped)}")
        place = shipped[str(path)]
    source: YamlSource = read_yaml(place)
    known = {"": LotteryConfig.model_fields, "tasks": TaskEntry.model_fields, "agents": LotteryAgent.model_fields}
    try:
        return LotteryConfig.model_validate(native(source.data))
    except ValidationError as error:
        raise explain_fault(error, source, known) from None
