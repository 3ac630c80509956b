"""Certificates that took long to prove, kept on disk by task id."""

from __future__ import annotations

import json
import os
import tempfile
from collections.abc import Callable
from dataclasses import fields
from pathlib import Path

from accelgym.costmodels.certificate import Certificate
from accelgym.hwgen.cache import content_key, default_cache_folder

__all__ = ["kept_certificate"]

_WORTH_KEEPING_S = 1.0


def kept_certificate(task_id: str, method: str, prove: Callable[[], Certificate]) -> Certificate:
    """Returns the certificate of a task, from disk if an earlier process proved it.

    Files lie in ``certificates`` under ``$ACCELGYM_CACHE`` or ``~/.cache/accelgym``. One that cannot be read is
    proved anew; a folder that cannot be written to is no error.

    Args:
        task_id: Canonical id of the task: everything that defines it, the cost model's version included.
        method: Name, version and limits of the solver.
        prove: Finds the certificate.
    """
    path = default_cache_folder() / "certificates" / f"{content_key(task_id, method)}.json"
    try:
        return _read(path)
    except (OSError, ValueError, TypeError, KeyError):
        certificate = prove()
    if certificate.seconds >= _WORTH_KEEPING_S:
        _write(path, certificate)
    return certificate


def _read(path: Path) -> Certificate:
    data = json.loads(path.read_text())
    text = json.dumps(data["certificate"], sort_keys=True)
    if data["sha256"] != content_key(text):
        raise ValueError(f"{path} was changed")
    values = {field.name: data["certificate"][field.name] for field in fields(Certificate)}
    for name in ("design", "relaxations"):
        values[name] = None if values[name] is None else tuple(values[name])
    return Certificate(**values)


def _write(path: Path, certificate: Certificate) -> None:
    plain = certificate.to_json()
    text = json.dumps({"sha256": content_key(json.dumps(plain, sort_keys=True)), "certificate": plain})
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        handle, name = tempfile.mkstemp(dir=path.parent, suffix=".part")
        with os.fdopen(handle, "w") as file:
            file.write(text)
        Path(name).replace(path)
    except OSError:
        return
