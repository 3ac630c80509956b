"""Agents as labellers of datasets, and the trajectories of finished searches as one."""

from __future__ import annotations

import json
import os
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from accelgym.agents import Trajectory, make_agent, search
from accelgym.costmodels.errors import InputError
from accelgym.costmodels.files.json_file import read_sealed
from accelgym.costmodels.files.plain import plain
from accelgym.dse_dataset.collect import Collected, collect
from accelgym.dse_dataset.columns import Column
from accelgym.dse_dataset.recipes.search import Answer, SearchRecipe, SearchSpec
from accelgym.envs.task import Task
from accelgym.experiments.store import TRAJECTORY

__all__ = ["SOLVER", "check_agent", "pool_runs", "solve", "task_of"]

SOLVER = "accelgym.experiments.labelling:solve"

_POOL = (
    Column("run", "string", "folder of the search, below the folder that was given", "key"),
    Column("task_id", "string", "hash of everything that defines the task", "key"),
    Column("env", "string", "name of the task, empty where the run does not say", "input"),
    Column("arguments_json", "string", "its arguments, JSON", "input"),
    Column("agent", "string", "who proposed the design", "key"),
    Column("agent_seed", "int64", "seed of the agent", "key"),
    Column("budget", "int64", "evaluations that the agent was allowed", "key"),
    Column("evaluation", "int64", "number of the evaluation in its search, from 1", "key"),
    Column("design", "int32", "value indices in the task's space", "input", 0),
    Column("objective", "float64", "to be minimised, inf where invalid", "label"),
    Column("feasible", "bool", "whether the design keeps the constraints", "label"),
    Column("violation", "float64", "relative overshoot, 0 where feasible, inf where invalid", "label"),
    Column("valid", "bool", "whether the cost model knows the design", "label"),
    Column("best_so_far", "float64", "best feasible objective up to here, inf before the first", "label"),
    Column("costs_json", "string", "further figures of the design by name, JSON", "cost"),
)


def solve(task: Task, agent: str, budget: int, seed: int, options: Mapping[str, Any]) -> Answer:
    """Runs an agent and returns its best feasible design; see :data:`~accelgym.dse_dataset.recipes.search.Solver`."""
    found = search(task, agent, budget=budget, seed=seed, options=options)
    return Answer(found.best_design, found.best, found.evaluations)


def check_agent(spec: SearchSpec) -> None:
    """Builds the agent of a dataset on its first task.

    Raises:
        InputError: There is no such task, agent or option, or the agent does not take such tasks.
    """
    make_agent(spec.agent, next(SearchRecipe(spec).tasks()), seed=0, **spec.agent_options)


def pool_runs(folders: Sequence[Path], out: Path) -> dict[str, Any]:
    """Pools every evaluation of finished searches into a dataset, as ArchGym pools its logs.

    All evaluations of one design of one task, by whomever, stand in one split.

    Args:
        folders: Folders of searches or benchmarks.
        out: Folder of the dataset; it must be new or empty.

    Returns:
        The manifest.

    Raises:
        InputError: A folder holds no finished search, or ``out`` is in use.
    """
    runs: set[str] = set()
    for folder in folders:
        found = sorted(folder.rglob(TRAJECTORY))
        if not found:
            raise InputError(
                f"{folder}: holds no finished search (no {TRAJECTORY}); accelgym search or bench makes one"
            )
        runs |= {str(path.resolve()) for path in found}
    shared = Path(os.path.commonpath([str(folder.resolve()) for folder in folders]))
    named = sorted((str(Path(path).parent.relative_to(shared)), Path(path)) for path in runs)
    about = Collected(
        name="pooled-runs",
        title="What is a design of a task worth? Every evaluation of some searches.",
        facts={"searches": len(named)},
        columns=_POOL,
        group=("task_id", "design"),
    )
    return collect(about, lambda: (row for name, path in named for row in _rows(name, path)), out)


def _rows(name: str, path: Path) -> Iterator[dict[str, Any]]:
    """Yields the evaluations of a search in order."""
    run = Trajectory.load(path)
    env, arguments = task_of(path, run.task_id)
    best = run.best_so_far
    for i in range(run.evaluations):
        yield {
            "run": name,
            "task_id": run.task_id,
            "env": env,
            "arguments_json": arguments,
            "agent": run.agent,
            "agent_seed": run.seed,
            "budget": run.budget,
            "evaluation": i + 1,
            "design": run.designs[i].tolist(),
            "objective": float(run.objective[i]),
            "feasible": bool(run.feasible[i]),
            "violation": float(run.violation[i]),
            "valid": bool(run.valid[i]),
            "best_so_far": float(best[i]),
            "costs_json": json.dumps(plain({key: values[i] for key, values in sorted(run.costs.items())})),
        }


def task_of(path: Path, task_id: str) -> tuple[str, str]:
    """Returns name and arguments of a search's task from the record beside the runs; empty where there is none."""
    record = path.parents[4] / "tasks" / f"{task_id}.json" if len(path.parents) > 4 else path
    if record.suffix != ".json" or not record.is_file():
        return "", "{}"
    found = read_sealed(record)
    return str(found.get("env", "")), json.dumps(found.get("arguments", {}), sort_keys=True)
