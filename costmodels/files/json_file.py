"""JSON files that are whole or absent, and say when a byte of them was changed."""

from __future__ import annotations

import hashlib
import json
from pathlib import Path
from typing import Any

from accelgym.costmodels.errors import DamagedFileError
from accelgym.costmodels.files.plain import plain
from accelgym.costmodels.files.text import read_bytes
from accelgym.costmodels.files.whole_file import write_whole

__all__ = ["read_json", "read_sealed", "write_json", "write_sealed"]

_SEAL = "sha256"
_OPEN = "0" * 64
"""Stands for the checksum while it is computed."""


def write_json(path: Path, data: Any) -> None:
    """Writes strict JSON in one step; see :func:`~accelgym.costmodels.files.plain.plain`."""
    write_whole(path, _text(data))


def read_json(path: Path) -> Any:
    """Reads JSON.

    Raises:
        InputError: The file is missing.
        DamagedFileError: It is no JSON.
    """
    return _parse(path, _read(path))


def write_sealed(path: Path, data: dict[str, Any]) -> None:
    """Writes a JSON object with the SHA-256 of all its other bytes as its last key, ``sha256``."""
    text = _text(data | {_SEAL: _OPEN})
    write_whole(path, _with_seal(text, _OPEN, _digest(text)))


def read_sealed(path: Path) -> dict[str, Any]:
    """Reads what :func:`write_sealed` has written.

    Raises:
        InputError: The file is missing.
        DamagedFileError: It is no JSON object, has no checksum, or another one than its bytes have.
    """
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
        return json.loads(text)
    except (ValueError, RecursionError) as error:
        raise DamagedFileError(f"{path}: cannot be read as JSON ({error})") from error


def _text(data: Any) -> str:
    return json.dumps(plain(data), indent=1, allow_nan=False) + "\n"


def _digest(text: str) -> str:
    return hashlib.sha256(text.encode("utf-8", "surrogatepass")).hexdigest()


def _with_seal(text: str, old: str, new: str) -> str:
    """Replaces the checksum, which stands last."""
    head, _, tail = text.rpartition(old)
    return head + new + tail
