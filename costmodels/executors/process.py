"""Worker processes that outlive a failing job and do not outlive the process that started them."""

from __future__ import annotations

import json
import os
import queue
import signal
import subprocess
import sys
import tempfile
import threading
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path
from typing import IO, Any, Self

from accelgym.costmodels.executors.protocol import Event

__all__ = ["WORKER_ENVIRONMENT", "ProcessExecutor"]

WORKER_ENVIRONMENT = {
    # One thread each: results do not depend on how a sum is split, and workers do not fight for cores.
    **{f"{name}_NUM_THREADS": "1" for name in ("OMP", "MKL", "OPENBLAS", "NUMEXPR", "VECLIB_MAXIMUM")},
    # The order of sets must not differ between the process that was killed and the one that replays it.
    "PYTHONHASHSEED": "0",
}
"""Of every worker, wherever it runs."""

_PATIENCE_S = 5.0
"""Time a worker has to end by itself before it is stopped; decides no result."""


class _Worker:
    """One process and the thread that hears it."""

    def __init__(self, job: str, log: IO[str], scratch: str, inbox: _Inbox) -> None:
        self.process = subprocess.Popen(
            # -P: the current folder is no place to import from. Not -m: the package imports the module, too.
            [sys.executable, "-P", "-c", "from accelgym.costmodels.executors.worker import main; main()", job],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=log,
            text=True,
            env=os.environ | WORKER_ENVIRONMENT | {"TMPDIR": scratch},
            # An interrupt from the keyboard reaches the parent alone, which then ends its workers.
            start_new_session=True,
        )
        self.key: str | None = None
        self._ear = threading.Thread(target=self._hear, args=(inbox,), daemon=True)
        self._ear.start()

    def _hear(self, inbox: _Inbox) -> None:
        assert self.process.stdout is not None
        for line in self.process.stdout:
            inbox.put((self, json.loads(line)))
        inbox.put((self, None))

    def start(self, key: str, order: Mapping[str, Any]) -> None:
        """Hands the process its next job."""
        self.key = key
        assert self.process.stdin is not None
        # A process that died while idle is reported through its closed output.
        with suppress(BrokenPipeError):
            self.process.stdin.write(json.dumps(order) + "\n")
            self.process.stdin.flush()

    def stop(self, patience: float = 0.0) -> int:
        """Ends the process, after waiting for it to end by itself, and returns its exit code."""
        try:
            self.process.wait(patience)
        except subprocess.TimeoutExpired:
            # With what it has started, such as a compiler: it leads a group of its own.
            with suppress(ProcessLookupError, PermissionError):
                os.killpg(self.process.pid, signal.SIGKILL)
            self.process.wait()
        self._ear.join(_PATIENCE_S)
        for pipe in (self.process.stdin, self.process.stdout):
            if pipe is not None:
                with suppress(BrokenPipeError):
                    pipe.close()
        return self.process.returncode


_Inbox = queue.Queue[tuple[_Worker, dict[str, Any] | None]]


class ProcessExecutor:
    """Runs jobs in up to ``size`` processes of this machine, each with one thread.

    Args:
        job: Name of the job's function, see :data:`~accelgym.costmodels.executors.protocol.Job`.
        size: Processes at a time.
        log: File to which what the workers print is appended.
    """

    def __init__(self, job: str, size: int, log: Path) -> None:
        self._job = job
        self.size = size
        self._log_path = log
        self._inbox: _Inbox = queue.Queue()
        self._workers: list[_Worker] = []

    def __enter__(self) -> Self:
        self._log = self._log_path.open("a")
        # Temporary files of workers that are killed go with the executor.
        self._scratch = tempfile.TemporaryDirectory(prefix="accelgym-workers-", ignore_cleanup_errors=True)
        return self

    def __exit__(self, *_: object) -> None:
        for worker in self._workers:
            worker.stop()
        self._log.close()
        self._scratch.cleanup()

    @property
    def running(self) -> int:
        return sum(worker.key is not None for worker in self._workers)

    @property
    def has_room(self) -> bool:
        return self.running < self.size

    def start(self, key: str, order: Mapping[str, Any]) -> None:
        worker = next((w for w in self._workers if w.key is None), None)
        if worker is None:
            worker = _Worker(self._job, self._log, self._scratch.name, self._inbox)
            self._workers.append(worker)
        worker.start(key, order)

    def next_event(self) -> Event:
        while True:
            worker, news = self._inbox.get()
            key = worker.key
            if news is None:
                code = worker.stop(_PATIENCE_S)
                self._workers.remove(worker)
                how = f"was killed by signal {-code}" if code < 0 else f"ended with exit code {code}"
                news = {"kind": "failed", "error": f"the worker process {how}"}
            if key is None:
                continue
            if news["kind"] != "progress":
                worker.key = None
            return Event(key, **news)
