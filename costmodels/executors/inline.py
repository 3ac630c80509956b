"""Jobs one after another in this process: nothing to start, and a debugger sees them."""

from __future__ import annotations

import time
import traceback
from collections import deque
from collections.abc import Callable, Mapping
from typing import Any, Self

from accelgym.costmodels.errors import AccelGymError
from accelgym.costmodels.executors.protocol import Event, resolve

__all__ = ["InlineExecutor", "explain"]


class InlineExecutor:
    """Runs each job to its end before :meth:`start` returns.

    Args:
        job: Name of the job's function, see :data:`~accelgym.costmodels.executors.protocol.Job`.
        progress: Told of progress at once; :meth:`next_event` tells only of the end.
    """

    def __init__(self, job: str, progress: Callable[[Event], None] | None = None) -> None:
        self._job = resolve(job)
        self._progress = progress
        self._events: deque[Event] = deque()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._events.clear()

    @property
    def size(self) -> int:
        return 1

    @property
    def running(self) -> int:
        return len(self._events)

    @property
    def has_room(self) -> bool:
        return not self._events

    def start(self, key: str, order: Mapping[str, Any]) -> None:
        def report(news: Mapping[str, Any]) -> None:
            if self._progress is not None:
                self._progress(Event(key, "progress", news))

        start = time.process_time()
        try:
            result = self._job(order, report)
        except Exception as error:
            text, trace = explain(error)
            cpu_s = time.process_time() - start
            self._events.append(Event(key, "failed", error=text, traceback=trace, cause=error, cpu_s=cpu_s))
        else:
            self._events.append(Event(key, "done", result, cpu_s=time.process_time() - start))

    def next_event(self) -> Event:
        return self._events.popleft()


def explain(error: Exception) -> tuple[str, str]:
    """Returns an exception in one line, and its traceback."""
    known = isinstance(error, AccelGymError)
    return str(error) if known else f"{type(error).__name__}: {error}", traceback.format_exc()
