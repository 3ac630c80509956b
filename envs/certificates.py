"""Certificates that took long to prove: shipped with the package, or kept on disk, by task id."""

from __future__ import annotations

import math
from abc import abstractmethod
from collections.abc import Callable
from dataclasses import fields
from functools import cached_property
from pathlib import Path
from typing import Any

from accelgym.costmodels.certificate import Certificate
from accelgym.costmodels.errors import InputError
from accelgym.costmodels.files.json_file import read_sealed, write_sealed
from accelgym.costmodels.files.private_folder import read_private
from accelgym.envs.task import Task
from accelgym.hwgen.cache import content_key, default_cache_folder

__all__ = ["ProvedTask", "differences", "kept_certificate", "known_certificate", "write_certificate"]

_SHIPPED = Path(__file__).with_name("stored_certificates")
_WORTH_KEEPING_S = 1.0
_SAME_BOUND = 1e-9


class ProvedTask(Task):
    """A task whose reference is kept once it is proved, and can be proved again."""

    @property
    @abstractmethod
    def proof(self) -> str:
        """Name, version and limits of the proof; a certificate of another proof does not count."""

    @abstractmethod
    def prove(self, *, anew: bool = False) -> Certificate:
        """Finds the reference: the same on every machine but for the time it takes.

        Args:
            anew: Prove parts again, too, instead of taking kept certificates of them.
        """

    def reference(self) -> Certificate:
        return self._certificate

    @cached_property
    def _certificate(self) -> Certificate:
        return kept_certificate(self.id, self.proof, self.prove)


def kept_certificate(task_id: str, method: str, prove: Callable[[], Certificate]) -> Certificate:
    """Returns the certificate of a task: shipped with the package, from disk if an earlier process proved it, or new.

    Files lie in ``certificates`` under ``$ACCELGYM_CACHE`` or ``~/.cache/accelgym``. One that cannot be read, or that
    another user may have written, is proved anew; a folder that cannot be written to is no error.

    Args:
        task_id: Canonical id of the task: everything that defines it, the cost model's version included.
        method: Name, version and limits of the solver.
        prove: Finds the certificate.
    """
    known = known_certificate(task_id, method)
    if known is not None:
        return known
    certificate = prove()
    if certificate.seconds >= _WORTH_KEEPING_S and certificate.limited_by != "seconds":
        write_certificate(_kept(task_id, method), certificate, {"task": task_id, "proof": method})
    return certificate


def known_certificate(task_id: str, method: str) -> Certificate | None:
    """Returns the certificate of a task that is shipped or on disk, ``None`` where there is none of this proof."""
    for path in (_SHIPPED / f"{task_id}.json", _kept(task_id, method)):
        try:
            return _read(path, task_id, method)
        except (InputError, ValueError, TypeError, KeyError):
            continue
    return None


def differences(stored: Certificate, proved: Certificate) -> dict[str, tuple[Any, Any]]:
    """Returns what two certificates of one task do not share, by field; times and rounding of bounds do not count."""
    result = {}
    for field in fields(Certificate):
        one, other = getattr(stored, field.name), getattr(proved, field.name)
        if field.name in ("lower_bound", "gap"):
            same = math.isclose(one, other, rel_tol=_SAME_BOUND, abs_tol=_SAME_BOUND if field.name == "gap" else 0.0)
        else:
            same = one == other or field.name == "seconds"
        if not same:
            result[field.name] = (one, other)
    return result


def _kept(task_id: str, method: str) -> Path:
    return default_cache_folder() / "certificates" / f"{content_key(task_id, method)}.json"


def _read(path: Path, task_id: str, method: str) -> Certificate:
    data = read_sealed(path) if path.parent == _SHIPPED else read_private(path)
    if (data["task"], data["proof"]) != (task_id, method):
        raise ValueError(f"{path} is of another task or proof")
    return Certificate.from_json(data["certificate"])


def write_certificate(path: Path, certificate: Certificate, about: dict[str, Any]) -> None:
    """Writes a certificate whole or not at all; a folder that cannot be written to is no error.

    Args:
        path: The file.
        certificate: The certificate.
        about: At least ``task`` and ``proof``, which a reader compares.
    """
    try:
        write_sealed(path, about | {"certificate": certificate.to_json()})
    except InputError:
        return
