"""Worker processes that outlive a failing search and do not outlive the benchmark."""

from __future__ import annotations

import json
import os
import queue
import subprocess
import sys
import threading
from contextlib import suppress
from dataclasses import asdict
from pathlib import Path
from types import TracebackType
from typing import IO, Any

from accelgym.experiments.plan import Job

__all__ = ["WorkerPool"]

_ENVIRONMENT = {
    # One thread each: results do not depend on how a sum is split, and workers do not fight for cores.
    **{f"{name}_NUM_THREADS": "1" for name in ("OMP", "MKL", "OPENBLAS", "NUMEXPR", "VECLIB_MAXIMUM")},
    # The order of sets must not differ between the process that was killed and the one that replays it.
    "PYTHONHASHSEED": "0",
}

_PATIENCE_S = 5.0


class _Worker:
    """One process and the thread that hears it."""

    def __init__(self, log: IO[str], inbox: _Inbox) -> None:
        self.process = subprocess.Popen(
            [sys.executable, "-m", "accelgym.experiments.worker"],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=log,
            text=True,
            env=os.environ | _ENVIRONMENT,
            # An interrupt from the keyboard reaches the benchmark alone, which then ends its workers.
            start_new_session=True,
        )
        self.job: Job | None = None
        self._ear = threading.Thread(target=self._hear, args=(inbox,), daemon=True)
        self._ear.start()

    def _hear(self, inbox: _Inbox) -> None:
        assert self.process.stdout is not None
        for line in self.process.stdout:
            inbox.put((self, json.loads(line)))
        inbox.put((self, None))

    def start(self, job: Job, out: Path) -> None:
        """Hands the process its next job."""
        self.job = job
        order = asdict(job) | {"agent": job.agent.model_dump(mode="json"), "out": str(out.resolve())}
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
            self.process.kill()
            self.process.wait()
        self._ear.join(_PATIENCE_S)
        for pipe in (self.process.stdin, self.process.stdout):
            if pipe is not None:
                with suppress(BrokenPipeError):
                    pipe.close()
        return self.process.returncode


_Inbox = queue.Queue[tuple[_Worker, dict[str, Any] | None]]


class WorkerPool:
    """Runs jobs in up to ``size`` processes, each with one thread.

    Args:
        size: Processes at a time.
        out: Folder of the benchmark; what workers print goes to ``workers.log`` there.
    """

    def __init__(self, size: int, out: Path) -> None:
        self._size = size
        self._out = out
        self._inbox: _Inbox = queue.Queue()
        self._workers: list[_Worker] = []

    def __enter__(self) -> WorkerPool:
        self._log = (self._out / "workers.log").open("a")
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        for worker in self._workers:
            worker.stop()
        self._log.close()

    @property
    def running(self) -> int:
        """Jobs under way."""
        return sum(worker.job is not None for worker in self._workers)

    @property
    def has_room(self) -> bool:
        """Whether another job can start now."""
        return self.running < self._size

    def start(self, job: Job) -> None:
        """Starts a job in a free process; call only when :attr:`has_room`."""
        worker = next((w for w in self._workers if w.job is None), None)
        if worker is None:
            worker = _Worker(self._log, self._inbox)
            self._workers.append(worker)
        worker.start(job, self._out)

    def next_event(self) -> tuple[Job, dict[str, Any]]:
        """Waits for news of a running job.

        Returns:
            The job and ``{"event": "progress" | "done" | "failed", ...}``; after the last two the job is over.
        """
        while True:
            worker, event = self._inbox.get()
            job = worker.job
            if event is None:
                code = worker.stop(_PATIENCE_S)
                self._workers.remove(worker)
                how = f"was killed by signal {-code}" if code < 0 else f"ended with exit code {code}"
                event = {"event": "failed", "cpu_s": 0.0, "error": f"the worker process {how}", "traceback": ""}
            if job is None:
                continue
            if event["event"] != "progress":
                worker.job = None
            return job, event
