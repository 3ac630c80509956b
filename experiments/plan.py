"""From a config to jobs, with everything that can be wrong found before the first one runs."""

from __future__ import annotations

import json
import time
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass
from functools import lru_cache
from pathlib import Path
from typing import Any

import numpy as np

from accelgym.agents import make_agent
from accelgym.costmodels.errors import AccelGymError, InputError
from accelgym.costmodels.files.yaml_source import YamlSource
from accelgym.envs.audits import audit_and_keep, known_audit
from accelgym.envs.registration import make_task, named_task
from accelgym.envs.task import Task, of_rows
from accelgym.experiments.config import AgentEntry, BenchConfig

__all__ = [
    "Job",
    "PlannedTask",
    "build_task",
    "check_agents",
    "design_details",
    "plan_jobs",
    "plan_tasks",
    "task_record",
]


@dataclass(frozen=True)
class PlannedTask:
    """A task of the benchmark and where in the config it stands."""

    task: Task
    env: str
    arguments: dict[str, Any]
    title: str
    cpu_s: float
    """CPU seconds of tabulating and solving the task; charged to no agent."""
    split: str | None = None
    """``train``, ``test`` or neither, see :class:`~accelgym.experiments.config.TaskEntry`."""


@dataclass(frozen=True)
class Job:
    """One search: a task, an agent, a budget and a seed."""

    task_id: str
    env: str
    arguments: dict[str, Any]
    agent: AgentEntry
    budget: int
    seed: int

    def folder(self, out: Path) -> Path:
        """Where the search is kept."""
        return out / "runs" / self.task_id / self.agent.label / f"seed-{self.seed}"

    def identity(self) -> dict[str, Any]:
        """What the search is a function of; its records are held against it."""
        return {
            "task_id": self.task_id,
            "agent": self.agent.name,
            "seed": self.seed,
            "budget": self.budget,
            "options": dict(self.agent.options),
        }

    def order(self, out: Path, cache: Path | None = None) -> dict[str, Any]:
        """Returns plain data for the process that searches.

        Args:
            out: Folder of the benchmark.
            cache: Folder of evaluations that are kept, if any.
        """
        own = asdict(self) | {"agent": self.agent.model_dump(mode="json"), "out": str(out.resolve())}
        return own if cache is None else own | {"cache": str(cache.resolve())}

    @classmethod
    def from_order(cls, order: Mapping[str, Any]) -> tuple[Job, Path]:
        """Inverse of :meth:`order`."""
        fields = {key: value for key, value in order.items() if key not in ("out", "cache")}
        return cls(**fields | {"agent": AgentEntry(**order["agent"])}), Path(order["out"])

    def __str__(self) -> str:
        return f"{self.task_id}/{self.agent.label}/seed-{self.seed}"


def build_task(env: str, arguments: Mapping[str, Any]) -> Task:
    """Builds a task, or returns the one of the last few that is the same, with all that it has tabulated.

    Raises:
        InputError: Unknown environment, a bad argument, or one that is no plain data.
    """
    try:
        text = json.dumps(arguments, sort_keys=True)
    except TypeError as error:
        raise InputError(f"arguments of {env}: allowed plain data: {error}") from error
    return _built(env, text)


@lru_cache(maxsize=8)
def _built(env: str, arguments: str) -> Task:
    return make_task(env, **json.loads(arguments))


def plan_tasks(config: BenchConfig, source: YamlSource | None = None) -> list[PlannedTask]:
    """Builds every task of the config and solves it.

    Raises:
        InputError: A task cannot be built, or stands in the config twice.
    """
    built: list[tuple[str, dict[str, Any], Task, float, str | None]] = []
    seen: set[str] = set()
    for index, entry in enumerate(config.tasks):
        for arguments in entry.expand():
            start = time.process_time()
            try:
                name, own = named_task(entry.env, arguments)
                task = build_task(name, own)
                task.reference()
            except AccelGymError as error:  # Any other one is of a plug-in's own code, and shows where.
                raise _located(source, ("tasks", index), str(error)) from error
            if task.id in seen:
                raise _located(source, ("tasks", index), f"the task {arguments} stands in the config twice")
            seen.add(task.id)
            built.append((name, own, task, time.process_time() - start, entry.split))
    titles = _titles([(env, arguments) for env, arguments, *_ in built])
    return [
        PlannedTask(task, env, arguments, title, cpu_s, split)
        for (env, arguments, task, cpu_s, split), title in zip(built, titles, strict=True)
    ]


def plan_jobs(config: BenchConfig, planned: Sequence[PlannedTask], source: YamlSource | None = None) -> list[Job]:
    """Returns all searches of a benchmark.

    Raises:
        InputError: An agent is limited to an environment that no task has.
    """
    present = list(dict.fromkeys(named_task(x.env, arguments)[0] for x in config.tasks for arguments in x.expand()))
    for index, agent in enumerate(config.agents):
        for env in agent.envs:
            if env not in present and f"accelgym/{env}" not in present:
                message = f"envs of {agent.label!r}: no task has {env!r}, allowed: {', '.join(present)}"
                raise _located(source, ("agents", index), message)
    return [
        Job(p.task.id, p.env, p.arguments, agent, config.budget_of(agent), seed)
        for p in planned
        for agent in config.agents
        if agent.searches(p.env)
        for seed in config.seeds_of(agent)
    ]


def check_agents(
    jobs: Iterable[Job], planned: Iterable[PlannedTask], config: BenchConfig, source: YamlSource | None = None
) -> None:
    """Builds every agent on every task that it still has to search.

    Raises:
        InputError: An unknown agent or option, a bad value, or a task the agent cannot search.
        MissingExtraError: An agent needs a package that is not installed.
    """
    tasks = {p.task.id: p.task for p in planned}
    for agent, task_id in dict.fromkeys((config.agents.index(job.agent), job.task_id) for job in jobs):
        entry = config.agents[agent]
        try:
            make_agent(entry.name, tasks[task_id], seed=config.seeds[0], **entry.options)
        except InputError as error:
            raise _located(source, ("agents", agent), str(error)) from error


def task_record(planned: PlannedTask, *, audit: bool = True) -> dict[str, Any]:
    """Returns what a report needs to know about a task, as plain data.

    Args:
        planned: The task.
        audit: Whether to audit it where that has not been done before; else that entry may be ``None``.
    """
    task = planned.task
    reference = task.reference()
    try:
        best = design_details(task, reference.design)
    except InputError as error:  # No input has a part in it.
        raise RuntimeError(f"{type(task).__name__}.reference: its design: {error}") from error
    start = time.process_time()
    audited = known_audit(task)
    if audited is None and audit:
        audited = audit_and_keep(task)
    return {
        "id": task.id,
        "title": planned.title,
        "env": planned.env,
        "arguments": planned.arguments,
        "split": planned.split,
        "description": task.describe(),
        "parameters": [
            {"name": p.name, "values": list(p.values), "ordered": p.ordered, "group": p.group, "knob": p.knob}
            for p in task.space.parameters
        ],
        "reference": reference.to_json(),
        "reference_design": best,
        "audit": None if audited is None else audited.to_json(),
        "prepare_cpu_s": planned.cpu_s,
        "audit_cpu_s": time.process_time() - start,
    }


def design_details(task: Task, design: Sequence[int] | None) -> dict[str, Any] | None:
    """Returns one design by its real values, with its objective and all its costs, as plain data."""
    if design is None:
        return None
    outcome = of_rows(task.evaluate(np.array([design])), task, 1)
    return {
        "design": task.space.decode(design),
        "objective": float(outcome.objective[0]),
        "costs": {name: np.asarray(figure)[0].tolist() for name, figure in outcome.costs.items()},
    }


def _titles(tasks: Sequence[tuple[str, dict[str, Any]]]) -> list[str]:
    """Names each task by its workload and by the arguments that tell the tasks of its environment apart."""
    missing = object()
    several_envs = len({env for env, _ in tasks}) > 1
    titles = []
    for env, arguments in tasks:
        alike = [others for other, others in tasks if other == env]
        keys = dict.fromkeys(key for others in alike for key in others if key != "workload")
        varying = [k for k in keys if any(o.get(k, missing) != alike[0].get(k, missing) for o in alike)]
        words = [env.split("/")[-1]] if several_envs or not arguments else []
        words += [str(arguments["workload"])] if "workload" in arguments else []
        words += [f"{key}={arguments[key]}" for key in varying if key in arguments]
        titles.append(" ".join(words) or env.split("/")[-1])
    return titles


def _located(source: YamlSource | None, key: tuple[str, int], message: str) -> InputError:
    if source is not None:
        return source.error(key, message)
    return InputError(f"config: {key[0]}[{key[1]}]: {message}")
