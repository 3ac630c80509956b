"""One run of a command: within a time limit, alone in its process group, never an exception."""

from __future__ import annotations

import contextlib
import os
import signal
import subprocess
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from threading import Event

__all__ = ["STDERR", "STDOUT", "Ending", "run_command"]

STDOUT, STDERR = "stdout", "stderr"
"""Files beside the folder of a run into which the command prints."""

_SHORTEST_NAP_S, _LONGEST_NAP_S = 0.001, 0.05
"""Between two looks at a process; decides how soon its end is seen, not how long it may take."""


@dataclass(frozen=True)
class Ending:
    """How a run ended."""

    seconds: float
    exit_code: int | None = None
    """Negative: the number of the signal that ended it. ``None`` where it was stopped or never began."""
    timed_out: bool = False
    failure: str = ""
    """Why it never began."""


def run_command(
    command: Sequence[str],
    folder: Path,
    *,
    environment: Mapping[str, str],
    time_limit_s: float,
    file_limit_bytes: int,
    stop: Event,
) -> Ending:
    """Runs a command in a folder and ends everything that it has started.

    The command leads a process group of its own, all of which is killed when it ends, when its time is up, and when
    ``stop`` is set. A descendant that leaves the group for a session of its own is out of reach. Both outputs go into
    files beside the folder, so that a descendant that keeps them open holds up nothing.

    Args:
        command: Program and arguments.
        folder: Where it runs.
        environment: Its variables.
        time_limit_s: Wall seconds.
        file_limit_bytes: Largest file it may write, its outputs included (Linux).
        stop: Set by another thread to end it.
    """
    begin = time.monotonic()
    try:
        with (folder.parent / STDOUT).open("wb") as out, (folder.parent / STDERR).open("wb") as err:
            process = subprocess.Popen(
                list(command),
                cwd=folder,
                env=dict(environment),
                stdin=subprocess.DEVNULL,
                stdout=out,
                stderr=err,
                start_new_session=True,
            )
    except (OSError, ValueError, subprocess.SubprocessError) as error:
        reason = getattr(error, "strerror", None) or str(error)
        return Ending(time.monotonic() - begin, failure=f"{command[0]}: {reason}")
    try:
        _limit_files(process.pid, file_limit_bytes)
        over = _wait(process.pid, begin + time_limit_s, stop)
    finally:
        # The leader is not reaped yet, so the number of its group cannot belong to somebody else.
        with contextlib.suppress(ProcessLookupError, PermissionError):
            os.killpg(process.pid, signal.SIGKILL)
        code = process.wait()
    seconds = time.monotonic() - begin
    if over:
        return Ending(seconds, exit_code=code)
    return Ending(seconds, timed_out=not stop.is_set(), failure="stopped" if stop.is_set() else "")


def _wait(pid: int, deadline: float, stop: Event) -> bool:
    """Waits for a child without reaping it; returns whether it ended by itself."""
    nap = _SHORTEST_NAP_S
    while os.waitid(os.P_PID, pid, os.WEXITED | os.WNOWAIT | os.WNOHANG) is None:
        left = deadline - time.monotonic()
        if left <= 0 or stop.wait(min(nap, left)):
            return False
        nap = min(2 * nap, _LONGEST_NAP_S)
    return True


def _limit_files(pid: int, most: int) -> None:
    """Caps the size of the files that a process writes, so that one that prints without end cannot fill the disk."""
    import resource

    if hasattr(resource, "prlimit"):
        with contextlib.suppress(OSError, ValueError):
            resource.prlimit(pid, resource.RLIMIT_FSIZE, (most, most))
