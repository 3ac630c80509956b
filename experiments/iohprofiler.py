"""Results in IOHprofiler's form, for IOHanalyzer and iohinspector (Doerr et al., 2018; format of ioh 0.3.22)."""

from __future__ import annotations

import re
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from accelgym.agents import Trajectory
from accelgym.costmodels.errors import InputError
from accelgym.costmodels.files.json_file import write_json
from accelgym.costmodels.files.plain import as_folder
from accelgym.costmodels.files.whole_file import whole_file
from accelgym.experiments.results import AgentRuns, BenchResults, TaskResults

__all__ = ["export_iohprofiler"]

_VERSION = "0.3.22"
"""Of the format."""


def export_iohprofiler(results: BenchResults, out: Path) -> list[Path]:
    """Writes one folder per agent, and in it a description and a data file per task.

    The value of an evaluation is the objective, and only feasible designs count: a row stands where the best feasible
    objective improves, and at the last evaluation of a run that found one, with the best so far. A run that found
    nothing feasible has its evaluations in the description and no row. Instances are seeds; ``x`` of the best design
    are value indices.

    Args:
        results: A benchmark, finished or not.
        out: Folder; made when missing.

    Returns:
        The descriptions.

    Raises:
        InputError: The folder has something in it, or is none.
    """
    if as_folder(out, "out").exists() and any(out.iterdir()):
        raise InputError(f"{out}: is not empty; choose another folder, nothing was written")
    written = []
    for place, agent in enumerate(results.config.agents):
        for number, task in enumerate(results.tasks, start=1):
            runs = task.agents[place]
            if runs.runs:
                written.append(_export(results, task, runs, number, out / agent.label))
    return written


def _export(results: BenchResults, task: TaskResults, runs: AgentRuns, number: int, folder: Path) -> Path:
    name = re.sub(r"[^A-Za-z0-9]+", "-", task.title).strip("-")
    dimension = len(task.record["parameters"])
    data = Path(f"data_f{number}_{name}") / f"IOHprofiler_f{number}_DIM{dimension}.dat"
    (folder / data.parent).mkdir(parents=True, exist_ok=True)
    with whole_file(folder / data) as file:
        for run in runs.runs:
            file.write("evaluations raw_y\n")
            file.writelines(f"{count} {value!r}\n" for count, value in _rows(run))
    description: dict[str, Any] = {
        "version": _VERSION,
        "suite": "AccelGym",
        "function_id": number,
        "function_name": name,
        "maximization": False,
        "algorithm": {"name": runs.agent.label, "info": runs.agent.name},
        # Not "suite": iohinspector renames an attribute of that name.
        "experiment_attributes": [
            {"task": str(task.record["id"])},
            {"hardness": task.audit.hardness if task.audit else "unknown"},
            {"benchmark": results.config.name},
        ],
        "attributes": ["evaluations", "raw_y"],
        "run_attributes": ["seed", "lower_bound"],
        "scenarios": [
            {
                "dimension": dimension,
                "path": str(data),
                "runs": [_run(run, runs.certificate.lower_bound) for run in runs.runs],
            }
        ],
    }
    path = folder / f"IOHprofiler_f{number}_{name}.json"
    write_json(path, description)
    return path


def _rows(run: Trajectory) -> Sequence[tuple[int, float]]:
    best = run.best_so_far
    found = np.flatnonzero(np.isfinite(best) & (best < np.concatenate(([np.inf], best[:-1]))))
    rows = [(int(i) + 1, float(best[i])) for i in found]
    if rows and rows[-1][0] != run.evaluations:
        rows.append((run.evaluations, rows[-1][1]))
    return rows


def _run(run: Trajectory, lower_bound: float) -> dict[str, Any]:
    entry = {"instance": run.seed, "evals": run.evaluations, "seed": run.seed, "lower_bound": lower_bound}
    if run.best_design is None:
        return entry
    reached = run.evaluations_to(run.best)
    return entry | {"best": {"evals": reached, "y": run.best, "x": list(run.best_design)}}
