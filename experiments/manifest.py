"""What was run, where and with which software: the file that makes a benchmark repeatable."""

from __future__ import annotations

import os
import platform
import subprocess
import sys
from collections.abc import Sequence
from datetime import UTC, datetime
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

from accelgym.costmodels.errors import InputError
from accelgym.experiments.config import BenchConfig
from accelgym.experiments.files import plain, read_json, write_json
from accelgym.experiments.plan import PlannedTask

__all__ = ["Manifest", "run_environment"]

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


class Manifest:
    """``manifest.json`` of a benchmark folder; every start and resumption is a session of its own.

    Args:
        out: Folder of the benchmark.
        config: What is run.
        planned: Its tasks.

    Raises:
        InputError: The folder holds another benchmark.
    """

    def __init__(self, out: Path, config: BenchConfig, planned: Sequence[PlannedTask]) -> None:
        self.path = out / "manifest.json"
        expected = plain({"config": config.identity(), "tasks": {p.task.id: p.title for p in planned}})
        if self.path.exists():
            self.data: dict[str, Any] = read_json(self.path)
            self._refuse_another(expected)
        else:
            self.data = expected | {"sessions": []}

    def open_session(self, workers: int) -> None:
        """Notes the start of a process that runs jobs."""
        self._session: dict[str, Any] = {
            "start": _now(),
            "end": None,
            "jobs": 0,
            "cpu_s": 0.0,
            "workers": workers,
        } | run_environment()
        self.data["sessions"].append(self._session)
        write_json(self.path, self.data)

    def add_job(self, cpu_s: float) -> None:
        """Notes a job that is over, with its CPU seconds."""
        self._session["jobs"] += 1
        self._session["cpu_s"] += cpu_s
        write_json(self.path, self.data)

    def close_session(self) -> None:
        """Notes the end; a session without one was killed."""
        self._session["end"] = _now()
        write_json(self.path, self.data)

    def _refuse_another(self, expected: dict[str, Any]) -> None:
        stored, given = self.data.get("config", {}), expected["config"]
        for key in given:
            if stored.get(key) != given[key]:
                raise InputError(
                    f"{self.path.parent}: holds another benchmark: {key} was {_short(stored.get(key))} and is now "
                    f"{_short(given[key])}; choose another folder, or remove this one"
                )
        if set(self.data.get("tasks", {})) != set(expected["tasks"]):
            raise InputError(
                f"{self.path.parent}: its tasks were {', '.join(self.data.get('tasks', {}))} and are now "
                f"{', '.join(expected['tasks'])}: a workload or cost model has changed since; choose another folder"
            )


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


def _short(value: Any) -> str:
    text = repr(value)
    return text if len(text) <= 300 else f"{text[:300]}..."


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
