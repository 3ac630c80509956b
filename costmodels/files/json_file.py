"""JSON files that are whole or absent, and say when a byte of them was changed."""

from __future__ import annotations

import hashlib
import json
from pathlib import Path
from typing import Any

from accelgym.costmodels.errors import DamagedFileError, shown
from accelgym.costmodels.files.plain import Place, as_path, plain
from accelgym.costmodels.files.text import read_bytes
from accelgym.costmodels.files.whole_file import write_whole

__all__ = ["parse_json", "read_json", "read_sealed", "write_json", "write_sealed"]

_SEAL = "sha256"
_OPEN = "0" * 64
"""Stands for the checksum while it is computed."""


def write_json(path: Place, data: Any) -> None:
    """Writes strict JSON in one step; see :func:`~accelgym.costmodels.files.plain.plain`."""
    write_whole(path, _text(data))


def parse_json(text: str) -> Any:
    """Parses JSON strictly.

    Raises:
        ValueError: No JSON, a number that JSON does not have (``NaN``), a key given twice, or nesting without end; says
            what and, where the parser knows, in which line and column.
    """
    try:
        return json.loads(text, parse_constant=_refuse, object_pairs_hook=_without_repetition)
    except RecursionError as error:
        raise ValueError("nested too deeply") from error


def _refuse(name: str) -> Any:
    raise ValueError(f"{name} is no JSON number")


def _without_repetition(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found = dict(pairs)
    if len(found) < len(pairs):
        seen: set[str] = set()
        repeated = next(key for key, _ in pairs if key in seen or seen.add(key))  # type: ignore[func-returns-value]
        raise ValueError(f"key {shown(repeated)} is given twice")
    return found


def read_json(path: Place) -> Any:
    """Reads JSON.

    Raises:
        InputError: The file is missing.
        DamagedFileError: It is no JSON.
    """
    path = as_path(path)
    return _parse(path, _read(path))


def write_sealed(path: Place, data: dict[str, Any]) -> None:
    """Writes a JSON object with the SHA-256 of all its other bytes as its last key, ``sha256``."""
    text = _text(data | {_SEAL: _OPEN})
    write_whole(path, _with_seal(text, _OPEN, _digest(text)))


def read_sealed(path: Place) -> dict[str, Any]:
    """Reads what :func:`write_sealed` has written.

    Raises:
        InputError: The file is missing.
        DamagedFileError: It is no JSON object, has no checksum, or another one than its bytes have.
    """
    path = as_path(path)
    text = _read(path)
    data = _parse(path, text)
    seal = data.pop(_SEAL, None) if isinstance(data, dict) else None
    if not isinstance(seal, str):
        raise DamagedFileError(f"{path}: has no checksum (key {_SEAL!r}): not written by this version of accelgym")
    if len(seal) != len(_OPEN) or _digest(_with_seal(text, seal, _OPEN)) != seal:
        raise DamagedFileError(f"{path}: damaged or changed by hand: its checksum is another")
    return dict(data)


def _read(path: Path) -> str:
    try:
        return read_bytes(path).decode()
    except UnicodeDecodeError as error:
        raise DamagedFileError(f"{path}: cannot be read as text ({error})") from error


def _parse(path: Path, text: str) -> Any:
    try:
        return parse_json(text)
    except ValueError as error:
        raise DamagedFileError(f"{path}: cannot be read as JSON ({error})") from error


def _text(data: Any) -> str:
    return json.dumps(plain(data), indent=1, allow_nan=False) + "\n"


def _digest(text: str) -> str:
    return hashlib.sha256(text.encode("utf-8", "surrogatepass")).hexdigest()


def _with_seal(text: str, old: str, new: str) -> str:
    """Replaces the checksum, which stands last."""
    head, _, tail = text.rpartition(old)
    return head + new + tail
