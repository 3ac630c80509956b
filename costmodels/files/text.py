"""Text files, read whole and within limits."""

from __future__ import annotations

from pathlib import Path

from accelgym.costmodels.errors import InputError

__all__ = ["read_bytes", "read_text"]

MOST_BYTES = 64 * 2**20
"""Far above any file that people write; keeps a wrong one from filling the memory."""


def read_bytes(path: Path, most: int = MOST_BYTES) -> bytes:
    """Reads a file or a pipe.

    Args:
        path: The file.
        most: Largest size allowed, bytes.

    Raises:
        InputError: It cannot be read, is a device or a folder, or is too large.
    """
    try:
        if not path.is_file() and not path.is_fifo():
            raise InputError(f"{path}: {'no regular file' if path.exists() else 'no such file'}")
        with path.open("rb") as file:
            data = file.read(most + 1)
    except OSError as error:
        raise InputError(f"{path}: cannot be read: {error.strerror or error}") from error
    if len(data) > most:
        raise InputError(f"{path}: more than {most} bytes, allowed: {most}")
    return data


def read_text(path: Path) -> str:
    """Reads UTF-8 text, with or without a byte-order mark.

    Raises:
        InputError: It cannot be read, is no regular file, is too large or no UTF-8 text.
    """
    try:
        return read_bytes(path).decode("utf-8-sig")
    except UnicodeDecodeError as error:
        raise InputError(f"{path}: cannot be read as text: {error}") from error
