"""Sessions of a run: every start and resumption, where it ran and with which software."""

from __future__ import annotations

import os
import platform
import subprocess
import sys
from collections.abc import Sequence
from datetime import UTC, datetime
from importlib.metadata import PackageNotFoundError, version
from itertools import pairwise
from pathlib import Path
from typing import Any

from accelgym.costmodels.files.json_file import write_sealed

__all__ = ["Sessions", "run_environment", "software_changes"]

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


class Sessions:
    """The sessions of a run, kept in its sealed manifest.

    Each is a dictionary with ``start`` and ``end`` (``None`` while it lasts, and where it was killed), ``cpu_s``, what
    else is noted, and :func:`run_environment`.

    Args:
        path: The manifest.
        data: What it holds, with the list ``sessions``.
    """

    def __init__(self, path: Path, data: dict[str, Any]) -> None:
        self._path, self._data = path, data
        self._now: dict[str, Any] = {}

    def open(self, **about: Any) -> None:
        """Begins a session.

        Args:
            about: Further entries, such as counters that begin at 0.
        """
        self._now = {"start": _time(), "end": None, "cpu_s": 0.0, **about, **run_environment()}
        self._data["sessions"].append(self._now)
        self.save()

    def add(self, cpu_s: float, **counts: int) -> None:
        """Adds to the CPU seconds and counters of the session."""
        for name, amount in {"cpu_s": cpu_s, **counts}.items():
            self._now[name] += amount
        self.save()

    def close(self) -> None:
        """Ends the session."""
        self._now["end"] = _time()
        self.save()

    def save(self) -> None:
        """Writes the manifest."""
        write_sealed(self._path, self._data)


def software_changes(sessions: Sequence[dict[str, Any]]) -> list[str]:
    """Returns in words what differs between the software of each session and that of the one before."""
    found = (_software_changes(old, new) for old, new in pairwise(sessions))
    return [words for words in found if words]


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


def _time() -> str:
    return datetime.now(UTC).isoformat(timespec="seconds")


def _software_changes(old: dict[str, Any], new: dict[str, Any]) -> str:
    flat = [
        {"python": session.get("python"), "commit": session.get("commit"), **session.get("packages", {})}
        for session in (old, new)
    ]
    names = [name for name in dict.fromkeys([*flat[0], *flat[1]]) if flat[0].get(name) != flat[1].get(name)]
    return ", ".join(f"{name} {flat[0].get(name) or 'none'} -> {flat[1].get(name) or 'none'}" for name in names)


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
