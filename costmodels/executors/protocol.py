"""Protocol of executors, which run jobs elsewhere."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, Literal, Protocol, Self

__all__ = ["Event", "Executor", "Job", "Report", "resolve"]

Report = Callable[[Mapping[str, Any]], None]
"""Called by a job with news of itself, as plain data."""
Job = Callable[[Mapping[str, Any], Report], Mapping[str, Any]]
"""A function of a module: takes an order and a :data:`Report`, returns a result; orders and results are plain data.

It is named ``"package.module:function"``, so that every executor can find it, and keeps what it makes in files.
"""


@dataclass(frozen=True)
class Event:
    """News of a job; after ``done`` and ``failed`` the job is over."""

    key: str
    """The job, by the name that it was started with."""
    kind: Literal["progress", "done", "failed"]
    data: Mapping[str, Any] = field(default_factory=dict)
    """Report of the job, or its result."""
    error: str = ""
    """Why it failed, in one line."""
    traceback: str = ""
    cause: BaseException | None = None
    """The exception itself, where the job ran in this process."""
    cpu_s: float = 0.0
    """CPU seconds, of a job that is over."""


class Executor(Protocol):
    """Runs jobs side by side; a failing job neither stops it nor disturbs another one.

    It is a context manager; at its end, jobs under way are killed.
    """

    def __enter__(self) -> Self: ...

    def __exit__(self, *_: object) -> None: ...

    @property
    def size(self) -> int:
        """Jobs at a time, known once it has been entered."""
        ...

    @property
    def running(self) -> int:
        """Jobs under way."""
        ...

    @property
    def has_room(self) -> bool:
        """Whether another job can start now."""
        ...

    def start(self, key: str, order: Mapping[str, Any]) -> None:
        """Starts a job.

        Args:
            key: Its name in events.
            order: Its argument, as plain data.
        """
        ...

    def next_event(self) -> Event:
        """Waits for news of a running job."""
        ...


def resolve(name: str) -> Job:
    """Returns the function with the name ``"package.module:function"``."""
    from importlib import import_module

    module, _, function = name.partition(":")
    job: Job = getattr(import_module(module), function)
    return job
