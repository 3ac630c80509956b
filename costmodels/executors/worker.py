"""The process that works: orders arrive as JSON lines on standard input, events leave on standard output."""

from __future__ import annotations

import json
import os
import sys
import time
from collections.abc import Mapping
from typing import IO, Any

from accelgym.costmodels.executors.inline import explain
from accelgym.costmodels.executors.protocol import Job, Report, resolve
from accelgym.costmodels.files.plain import plain

__all__ = ["main", "perform"]

_SECONDS_BETWEEN_EVENTS = 0.2
"""Progress is shown to people; decides no result."""


def main() -> None:
    """Serves jobs of the function named by the only argument until standard input closes."""
    # What jobs print must not mix with the events: standard output becomes the log, the pipe gets a new name.
    with os.fdopen(os.dup(1), "w", buffering=1) as channel:
        os.dup2(2, 1)
        job = resolve(sys.argv[1])
        for line in sys.stdin:
            _send(channel, perform(job, json.loads(line), _reporter(channel)))


def perform(job: Job, order: Mapping[str, Any], report: Report) -> dict[str, Any]:
    """Runs a job to its end and returns the news of it, the fields of an event but its key, as plain data."""
    start = time.process_time()
    try:
        result = plain(job(order, report))
        return {"kind": "done", "data": result, "cpu_s": time.process_time() - start}
    except Exception as error:
        text, trace = explain(error)
        return {"kind": "failed", "error": text, "traceback": trace, "cpu_s": time.process_time() - start}


def _reporter(channel: IO[str]) -> Report:
    """Returns a callback that tells the parent how the job goes, and ends the process when it has none.

    A job whose parent was killed would go on writing to files that the next process reads.
    """
    parent = os.getppid()
    last = 0.0

    def report(news: Mapping[str, Any]) -> None:
        nonlocal last
        if os.getppid() != parent:
            os._exit(1)
        now = time.monotonic()
        if now - last >= _SECONDS_BETWEEN_EVENTS:
            last = now
            _send(channel, {"kind": "progress", "data": plain(news)})

    return report


def _send(channel: IO[str], event: dict[str, Any]) -> None:
    try:
        channel.write(json.dumps(event) + "\n")
        channel.flush()
    except BrokenPipeError:
        os._exit(1)
