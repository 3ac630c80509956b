"""What was run, where and with which software: the file that makes a benchmark repeatable."""

from __future__ import annotations

import re
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from accelgym.costmodels.errors import DamagedFileError, InputError, shown, warn_input
from accelgym.costmodels.files.json_file import read_json, read_sealed
from accelgym.costmodels.files.plain import plain
from accelgym.costmodels.files.same_run import require_same_run
from accelgym.experiments.config import BenchConfig
from accelgym.experiments.plan import PlannedTask, plan_jobs
from accelgym.experiments.sessions import Sessions, software_changes

__all__ = ["SCHEMA", "Manifest", "load_manifest", "refuse_old_results", "stored_config"]

_NAME = "manifest.json"
_TASK_ID = re.compile(r"[A-Za-z0-9_-]{1,64}")
"""Ids name folders and parts of the report's page."""
SCHEMA = 2
"""Version of the layout of a run folder and of the files in it; another one is never mixed with this."""


class Manifest:
    """``manifest.json`` of a run folder; every start and resumption is a session of its own.

    A benchmark may grow: the folder goes on where every search that it was made for is still asked for.

    Args:
        out: Folder of the benchmark.
        config: What is run.
        planned: Its tasks.

    Raises:
        InputError: The folder holds results of another benchmark, or of another schema, or the file is damaged.
    """

    def __init__(self, out: Path, config: BenchConfig, planned: Sequence[PlannedTask]) -> None:
        self.path = out / _NAME
        identity = {"config": config.identity(), "tasks": {p.task.id: p.title for p in planned}}
        expected: dict[str, Any] = {"schema": SCHEMA} | plain(identity)
        refuse_old_results(out)
        self.data = load_manifest(out) if self.path.exists() else expected | {"sessions": []}
        self._differs = any(self.data[key] != expected[key] for key in identity)
        if self._differs:
            sessions = self.data["sessions"]
            try:
                _require_all(out, self.data, config, planned)
            except InputError:
                # A command that was mended before it left an evaluation may have its folder.
                if _holds_results(out):
                    raise
                sessions = []
            self.data = expected | {"sessions": sessions}
        self.sessions = Sessions(self.path, self.data)

    def open_session(self, workers: int) -> None:
        """Notes the start of a process that runs jobs; software other than the last session's is said."""
        self.sessions.open(jobs=0, workers=workers)
        for words in software_changes(self.data["sessions"][-2:]):
            warn_input(f"{self.path.parent}: goes on with other software than before: {words}")

    def keep(self) -> None:
        """Writes the file without a session where nothing is left to do and it is missing or says another config."""
        if self._differs or not self.path.exists():
            self.sessions.save()


def load_manifest(out: Path) -> dict[str, Any]:
    """Reads ``manifest.json`` of a run folder.

    Raises:
        InputError: No run folder, one of another schema, or the file is damaged; the message says what to do.
    """
    path = out / _NAME
    refuse_old_results(out)
    try:
        data = read_json(path)
        schema = data.get("schema") if isinstance(data, dict) else None
        if schema is None and isinstance(data, dict) and {"sessions", "packages"} & set(data):
            raise InputError(_of_schema(out, "an older version of accelgym", "none"))
        if isinstance(schema, int) and schema != SCHEMA:
            age = "an older" if schema < SCHEMA else "a newer"
            raise InputError(_of_schema(out, f"{age} version of accelgym", str(schema)))
        data = read_sealed(path)
        _check(data, path)
    except DamagedFileError as error:
        raise DamagedFileError(
            f"{error}; if you remove it, the command that made this folder writes it again and keeps the searches"
        ) from error
    return data


def stored_config(data: dict[str, Any], out: Path) -> BenchConfig:
    """Returns the config in a manifest.

    Raises:
        InputError: It is none of this version; names the manifest.
    """
    try:
        return BenchConfig.parse(data["config"])
    except InputError as error:
        raise InputError(f"{out / _NAME}: {error}") from error


def refuse_old_results(out: Path) -> None:
    """Refuses a folder in which an older version left a single search.

    Raises:
        InputError: It did.
    """
    for name in ("journal.bin", "trajectory.npz"):
        if (out / name).exists():
            raise InputError(_of_schema(out, "an older version of accelgym", "none"))


def _require_all(out: Path, stored: dict[str, Any], config: BenchConfig, planned: Sequence[PlannedTask]) -> None:
    """Checks that every search of the benchmark that a manifest describes is one of this benchmark.

    Raises:
        InputError: One is not; names what differs, and not what may differ.
    """
    tasks = {p.task.id: p for p in planned}
    if not stored["tasks"].keys() <= tasks.keys():
        require_same_run(out, "benchmark", stored["config"], {"tasks": plain(config.identity()["tasks"])})
        raise InputError(
            f"{out}: its tasks were {', '.join(stored['tasks'])} and are now {', '.join(tasks)}: a "
            "workload or cost model has changed since; choose another folder, or remove this one"
        )
    wanted = {str(job): job for job in plan_jobs(config, planned)}
    for job in plan_jobs(stored_config(stored, out), [tasks[task_id] for task_id in stored["tasks"]]):
        found = wanted.get(str(job))
        search = f"its search by {job.agent.label!r} with seed {job.seed} of {stored['tasks'][job.task_id]}"
        if found is None:
            raise InputError(
                f"{out}: holds another benchmark: {search} is not among those asked for; choose another folder, or "
                "remove this one"
            )
        require_same_run(out, f"benchmark: {search}", job.identity(), found.identity())


def _check(data: dict[str, Any], path: Path) -> None:
    for key, kind in (("config", dict), ("tasks", dict), ("sessions", list)):
        if not isinstance(data.get(key), kind):
            raise DamagedFileError(f"{path}: key {key!r} is missing")
    for task_id in data["tasks"]:
        if not _TASK_ID.fullmatch(task_id):
            raise DamagedFileError(f"{path}: {shown(task_id)} is no id of a task")


def _of_schema(out: Path, version: str, schema: str) -> str:
    return (
        f"{out}: written by {version} (schema {schema}, this one has {SCHEMA}): its results are neither read nor "
        "mixed with new ones; run the same command with another folder, or remove this one"
    )


def _holds_results(out: Path) -> bool:
    return any(next(out.glob(f"runs/*/*/*/{name}"), None) for name in ("trajectory.npz", "journal"))
