"""What was run, where and with which software: the file that makes a benchmark repeatable."""

from __future__ import annotations

import os
import platform
import re
import subprocess
import sys
from collections.abc import Sequence
from datetime import UTC, datetime
from importlib.metadata import PackageNotFoundError, version
from itertools import pairwise
from pathlib import Path
from typing import Any

from accelgym.costmodels.errors import DamagedFileError, InputError, shown, warn_input
from accelgym.costmodels.files.json_file import read_json, read_sealed, write_sealed
from accelgym.costmodels.files.plain import plain
from accelgym.costmodels.files.same_run import require_same_run
from accelgym.experiments.config import BenchConfig
from accelgym.experiments.plan import PlannedTask

__all__ = ["SCHEMA", "Manifest", "load_manifest", "refuse_old_results", "run_environment", "software_changes"]

_NAME = "manifest.json"
_TASK_ID = re.compile(r"[A-Za-z0-9_-]{1,64}")
"""Ids name folders and parts of the report's page."""

_PACKAGES = (
    "accelgym",
    "numpy",
    "gymnasium",
    "scipy",
    "torch",
    "stable-baselines3",
    "sb3-contrib",
    "optuna",
    "cmaes",
    "pymoo",
    "plotly",
)


SCHEMA = 2
"""Version of the layout of a run folder and of the files in it; another one is never mixed with this."""


class Manifest:
    """``manifest.json`` of a run folder; every start and resumption is a session of its own.

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
        try:
            self._require_same(out, expected)
        except InputError:
            # A command that was mended before it left an evaluation may have its folder.
            if _holds_results(out):
                raise
            self.data = expected | {"sessions": []}

    def open_session(self, workers: int) -> None:
        """Notes the start of a process that runs jobs; software other than the last session's is said."""
        here = run_environment()
        if self.data["sessions"] and (words := _software_changes(self.data["sessions"][-1], here)):
            warn_input(f"{self.path.parent}: goes on with other software than before: {words}")
        self._session: dict[str, Any] = {
            "start": _now(),
            "end": None,
            "jobs": 0,
            "cpu_s": 0.0,
            "workers": workers,
        } | here
        self.data["sessions"].append(self._session)
        write_sealed(self.path, self.data)

    def keep(self) -> None:
        """Writes the file where it is missing, without a session: one that was removed from a finished benchmark."""
        if not self.path.exists():
            write_sealed(self.path, self.data)

    def add_job(self, cpu_s: float) -> None:
        """Notes a job that is over, with its CPU seconds."""
        self._session["jobs"] += 1
        self._session["cpu_s"] += cpu_s
        write_sealed(self.path, self.data)

    def close_session(self) -> None:
        """Notes the end; a session without one was killed."""
        self._session["end"] = _now()
        write_sealed(self.path, self.data)

    def _require_same(self, out: Path, expected: dict[str, Any]) -> None:
        require_same_run(out, "benchmark", self.data["config"], expected["config"])
        if set(self.data["tasks"]) != set(expected["tasks"]):
            raise InputError(
                f"{out}: its tasks were {', '.join(self.data['tasks'])} and are now {', '.join(expected['tasks'])}: a "
                "workload or cost model has changed since; choose another folder, or remove this one"
            )


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


def refuse_old_results(out: Path) -> None:
    """Refuses a folder in which an older version left a single search.

    Raises:
        InputError: It did.
    """
    for name in ("journal.bin", "trajectory.npz"):
        if (out / name).exists():
            raise InputError(_of_schema(out, "an older version of accelgym", "none"))


def software_changes(sessions: Sequence[dict[str, Any]]) -> list[str]:
    """Returns in words what differs between the software of each session and that of the one before."""
    found = (_software_changes(old, new) for old, new in pairwise(sessions))
    return [words for words in found if words]


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


def _software_changes(old: dict[str, Any], new: dict[str, Any]) -> str:
    flat = [
        {"python": session.get("python"), "commit": session.get("commit"), **session.get("packages", {})}
        for session in (old, new)
    ]
    names = [name for name in dict.fromkeys([*flat[0], *flat[1]]) if flat[0].get(name) != flat[1].get(name)]
    return ", ".join(f"{name} {flat[0].get(name) or 'none'} -> {flat[1].get(name) or 'none'}" for name in names)


def run_environment() -> dict[str, Any]:
    """Returns what a result may depend on besides its seed: interpreter, machine, commit and packages."""
    return {
        "python": sys.version.split()[0],
        "platform": platform.platform(),
        "processor": _processor(),
        "cores": os.cpu_count(),
        "commit": _commit(),
        "packages": _packages(),
    }


def _now() -> str:
    return datetime.now(UTC).isoformat(timespec="seconds")


def _packages() -> dict[str, str]:
    found = {}
    for name in _PACKAGES:
        try:
            found[name] = version(name)
        except PackageNotFoundError:
            continue
    return found


def _commit() -> str | None:
    """The commit of the package's checkout, with a mark when files differ from it; ``None`` outside of one."""
    here = Path(__file__).resolve().parent
    commands = (["git", "rev-parse", "HEAD"], ["git", "status", "--porcelain", "--untracked-files=no"])
    try:
        head, changes = (
            subprocess.run(c, cwd=here, capture_output=True, text=True, check=True, timeout=10).stdout.strip()
            for c in commands
        )
    except (OSError, subprocess.SubprocessError):
        return None
    return f"{head}+changes" if changes else head


def _processor() -> str:
    try:
        lines = Path("/proc/cpuinfo").read_text().splitlines()
    except OSError:
        return platform.processor()
    return next((line.split(":", 1)[1].strip() for line in lines if line.startswith("model name")), "unknown")
