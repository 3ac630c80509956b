"""Which executor a user asked for."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path

from accelgym.costmodels.errors import InputError, shown, unknown_name
from accelgym.costmodels.executors.inline import InlineExecutor
from accelgym.costmodels.executors.process import ProcessExecutor
from accelgym.costmodels.executors.protocol import Event, Executor
from accelgym.costmodels.executors.ray_cluster import RayExecutor

__all__ = ["EXECUTORS", "make_executor"]

EXECUTORS = ("process", "inline", "ray")


def make_executor(
    name: str,
    job: str,
    *,
    workers: int | None,
    address: str | None,
    log: Path,
    progress: Callable[[Event], None],
) -> Executor:
    """Returns an executor that has not started.

    Args:
        name: ``"process"`` for other processes of this machine, ``"inline"`` for this one, ``"ray"`` for a Ray cluster
            whose machines share the folders that jobs write to.
        job: Name of the job's function.
        workers: Jobs at a time; two by default, and every CPU of a running cluster.
        address: Of a running Ray cluster; without one it is started on this machine.
        log: What workers say on standard output and error, where they are processes.
        progress: Told what jobs in this process say.

    Raises:
        InputError: Unknown executor, an address for one that has none, or one where nobody answers.
        MissingExtraError: Ray is not installed.
    """
    if name not in EXECUTORS:
        raise unknown_name("executor", name, EXECUTORS)
    local = min(2, os.cpu_count() or 1)
    if name == "ray":
        # On a cluster of others' machines every CPU may work; on this one, as many as for processes.
        return RayExecutor(job, workers or (local if address is None else None), address)
    if address is not None:
        raise InputError(f"address {shown(address)}: allowed with executor 'ray' alone, not {name!r}")
    return InlineExecutor(job, progress) if name == "inline" else ProcessExecutor(job, workers or local, log)
