"""Audits that were made before: shipped with the package, or kept on disk, by task id.

An audit takes seconds to minutes, and does not change until the task, its proof or the rules of the audit do. So it is
made once and shown wherever a result of the task is.
"""

from __future__ import annotations

import contextlib
import time
from functools import cache
from pathlib import Path
from typing import Any

from accelgym.costmodels.errors import InputError
from accelgym.costmodels.files.json_file import read_sealed, write_sealed
from accelgym.costmodels.files.private_folder import read_private
from accelgym.envs.certificates import ProvedTask
from accelgym.envs.hardness import AUDIT_RULES, Audit, audit
from accelgym.envs.task import Task
from accelgym.hwgen.cache import content_key, default_cache_folder

__all__ = ["SHIPPED_AUDITS", "audit_and_keep", "default_audit", "known_audit", "write_audits"]

SHIPPED_AUDITS = Path(__file__).with_name("stored_audits.json")
_WORTH_KEEPING_S = 1.0


def known_audit(task: Task) -> Audit | None:
    """Returns the audit of a task that was made before; ``None`` where there is none of these rules and this proof.

    Only tasks whose references are kept have one: of others nothing says when their code has changed.
    """
    if not isinstance(task, ProvedTask):
        return None
    shipped = _shipped().get(task.id)
    if shipped is not None and shipped["proof"] == task.proof:
        return Audit.from_json(shipped["audit"])
    try:
        stored = read_private(_kept(task))
        if (stored["task"], stored["proof"], stored["rules"]) == (task.id, task.proof, AUDIT_RULES):
            return Audit.from_json(stored["audit"])
    except (InputError, KeyError, TypeError):
        pass
    return None


def audit_and_keep(task: Task) -> Audit:
    """Audits a task and keeps the result for later processes, where it took more than a second.

    Files lie in ``audits`` under ``$ACCELGYM_CACHE`` or ``~/.cache/accelgym``; a folder that cannot be written to is no
    error.
    """
    start = time.perf_counter()
    found = audit(task)
    if isinstance(task, ProvedTask) and time.perf_counter() - start >= _WORTH_KEEPING_S:
        about = {"task": task.id, "proof": task.proof, "rules": AUDIT_RULES}
        with contextlib.suppress(InputError):
            write_sealed(_kept(task), about | {"audit": found.to_json()})
    return found


def default_audit(env_id: str) -> Audit | None:
    """Returns the shipped audit of an environment's default arguments, without building the task."""
    found = [entry for entry in _shipped().values() if entry["env"] == env_id and entry["default"]]
    return Audit.from_json(found[0]["audit"]) if found else None


def write_audits(path: Path, entries: dict[str, dict[str, Any]]) -> None:
    """Writes the file of shipped audits.

    Args:
        path: The file.
        entries: By task id: ``env``, ``arguments``, whether these are the environment's ``default`` ones, ``proof`` and
            ``audit``.
    """
    write_sealed(path, {"rules": AUDIT_RULES, "tasks": entries})


@cache
def _shipped() -> dict[str, dict[str, Any]]:
    """The shipped audits by task id, those of other rules left out."""
    if not SHIPPED_AUDITS.exists():
        return {}
    data = read_sealed(SHIPPED_AUDITS)
    tasks: dict[str, dict[str, Any]] = data["tasks"] if data["rules"] == AUDIT_RULES else {}
    return tasks


def _kept(task: ProvedTask) -> Path:
    return default_cache_folder() / "audits" / f"{content_key(task.id, task.proof, AUDIT_RULES)}.json"
