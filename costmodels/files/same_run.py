"""A folder of results belongs to one run: what it was made with is compared with what is asked for now."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from accelgym.costmodels.errors import InputError, shown

__all__ = ["require_same_run"]


def require_same_run(folder: Path, kind: str, stored: Any, given: Mapping[str, Any]) -> None:
    """Checks that a folder may go on.

    Args:
        folder: Of results.
        kind: What it holds, such as ``training``.
        stored: What identifies the run that it holds, read from a file; nothing is taken for granted.
        given: What identifies the run that is asked for, plain data.

    Raises:
        InputError: The folder holds another run; names the first key that differs, narrowed to what differs in it.
    """
    found = stored if isinstance(stored, dict) else {}
    for key, value in given.items():
        if found.get(key) != value:
            was, now = _narrowed(found.get(key), value)
            raise InputError(
                f"{folder}: holds another {kind}: {key} was {shown(was)} and is now {shown(now)}; choose another "
                "folder, or remove this one"
            )


def _narrowed(stored: Any, given: Any) -> tuple[Any, Any]:
    """Returns the first entries in which two lists differ, and of mappings the keys that do."""
    if isinstance(stored, list) and isinstance(given, list) and len(stored) == len(given):
        stored, given = next((pair for pair in zip(stored, given, strict=True) if pair[0] != pair[1]), (stored, given))
    if isinstance(stored, dict) and isinstance(given, dict):
        keys = [key for key in dict.fromkeys([*stored, *given]) if stored.get(key) != given.get(key)]
        stored, given = ({key: part[key] for key in keys if key in part} for part in (stored, given))
    return stored, given
