"""Jobs on a Ray cluster (extra ``distributed``): a local one, or one that runs already.

Jobs keep what they make in files, so that all machines of a cluster must share the folder of results. A job whose
worker is lost runs again, on the machine that has room, and goes on from its files. Ray's usage statistics are off.
"""

from __future__ import annotations

import os
import re
import socket
import threading
from collections.abc import Mapping
from contextlib import suppress
from typing import Any, Self

from accelgym.costmodels.errors import InputError, MissingExtraError, shown
from accelgym.costmodels.executors.process import WORKER_ENVIRONMENT
from accelgym.costmodels.executors.protocol import Event, resolve
from accelgym.costmodels.executors.worker import perform
from accelgym.costmodels.files.plain import count

__all__ = ["RayExecutor", "check_address"]

_RETRIES = 3
"""Of a job whose worker was lost; the next loss is taken for the job's own doing."""
_PATIENCE_S = 5.0
"""Time a machine has to answer at all."""
_CONNECT_S = 30.0
"""Time a cluster has to let this process in; decides no result."""
_ADDRESS = re.compile(r"(?P<client>ray://)?(?P<host>[A-Za-z0-9_.-]+|\[[0-9a-fA-F:.]+\]):(?P<port>[0-9]{1,5})")


class RayExecutor:
    """Runs jobs as Ray tasks of one CPU each; tells of their end, not of their progress.

    Args:
        job: Name of the job's function, see :data:`~accelgym.costmodels.executors.protocol.Job`; every machine has the
            package that it is in.
        size: Jobs at a time; every CPU of the cluster when left out.
        address: ``auto``, ``HOST:PORT`` or ``ray://HOST:PORT`` of a running cluster; without one a cluster of this
            machine is started, and ended with the executor.

    Raises:
        InputError: An address that is none or where nobody answers, or a size below 1.
        MissingExtraError: Ray is not installed.
    """

    def __init__(self, job: str, size: int | None = None, address: str | None = None) -> None:
        if address is not None:
            check_address(address)
        self._job, self._address = job, address
        self.size = 0 if size is None else count(size, "size", 1)
        self._keys: dict[Any, str] = {}
        self._ray = _import_ray()

    def __enter__(self) -> Self:
        ray = self._ray
        self._owned = not ray.is_initialized()
        if self._owned:
            if self._address is None:
                # Workers end with this process: Ray binds what it starts to the life of its parent.
                ray.init(num_cpus=self.size or os.cpu_count(), include_dashboard=False, **_QUIET)
            else:
                self._connect(self._address)
        if not self.size:
            self.size = max(1, int(ray.cluster_resources().get("CPU", 1)))
        environment = {"env_vars": WORKER_ENVIRONMENT | {"RAY_USAGE_STATS_ENABLED": "0"}}
        self._run = ray.remote(_run_job).options(num_cpus=1, max_retries=_RETRIES, runtime_env=environment)
        return self

    def __exit__(self, *_: object) -> None:
        for reference in self._keys:
            with suppress(Exception):  # The cluster may be what has ended.
                self._ray.cancel(reference, force=True)
        self._keys.clear()
        if self._owned:
            self._ray.shutdown()

    @property
    def running(self) -> int:
        return len(self._keys)

    @property
    def has_room(self) -> bool:
        return self.running < self.size

    def start(self, key: str, order: Mapping[str, Any]) -> None:
        self._keys[self._run.remote(self._job, dict(order))] = key

    def next_event(self) -> Event:
        ready, _ = self._ray.wait(list(self._keys), num_returns=1)
        key = self._keys.pop(ready[0])
        try:
            news = self._ray.get(ready[0])
        except self._ray.exceptions.RayError as error:
            lost = isinstance(error, self._ray.exceptions.WorkerCrashedError)
            how = f"was lost {_RETRIES + 1} times" if lost else f"failed: {str(error).strip().splitlines()[0]}"
            news = {"kind": "failed", "error": f"the Ray worker {how}"}
        return Event(key, **news)

    def _connect(self, address: str) -> None:
        """Joins a running cluster, within a time that a person would wait.

        Raises:
            InputError: None answers, or it does not let this process in.
        """
        outcome: list[BaseException | None] = []

        def join() -> None:
            try:
                self._ray.init(address=address, **_QUIET)
                outcome.append(None)
            except BaseException as error:
                outcome.append(error)

        # Ray waits minutes for a port that answers and is no cluster.
        thread = threading.Thread(target=join, daemon=True)
        thread.start()
        thread.join(_CONNECT_S)
        if not outcome:
            raise InputError(f"address {address}: answers, but not as a Ray cluster, within {_CONNECT_S:g} seconds")
        if (error := outcome[0]) is not None:
            if not isinstance(error, Exception):
                raise error
            words = (str(error).strip() or type(error).__name__).splitlines()[0]
            raise InputError(f"address {address}: no Ray cluster that can be joined: {words}") from error


_QUIET: dict[str, Any] = {"log_to_driver": False, "logging_level": "ERROR", "ignore_reinit_error": False}


def check_address(address: str) -> None:
    """Checks that somebody listens at the address of a cluster; ``auto`` is left to Ray.

    Raises:
        InputError: Not an address, or nobody answers.
    """
    place = _parse(address)
    if place is None:
        return
    try:
        socket.create_connection(place, timeout=_PATIENCE_S).close()
    except OSError as error:
        raise InputError(
            f"address {address}: nobody answers ({error.strerror or error}); start a cluster with ray start --head"
        ) from error


def _parse(address: str) -> tuple[str, int] | None:
    if address == "auto":
        return None
    found = _ADDRESS.fullmatch(address) if isinstance(address, str) else None
    if found is None or not 0 < int(found["port"]) < 2**16:
        raise InputError(f"address {shown(address)}: allowed auto, HOST:PORT or ray://HOST:PORT")
    return found["host"].strip("[]"), int(found["port"])


def _import_ray() -> Any:
    # Read when Ray is imported.
    os.environ.setdefault("RAY_USAGE_STATS_ENABLED", "0")
    try:
        import ray
    except ImportError as error:
        raise MissingExtraError("executor 'ray'", "ray", "distributed") from error
    return ray


def _run_job(job: str, order: dict[str, Any]) -> dict[str, Any]:
    """Runs on a worker."""
    return perform(resolve(job), order, lambda news: None)
