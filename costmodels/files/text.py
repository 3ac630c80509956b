"""Text files, read whole and within limits, or line by line."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TextIO

from accelgym.costmodels.errors import InputError
from accelgym.costmodels.files.plain import Place, as_path

__all__ = ["lines_of", "next_line", "open_text", "read_bytes", "read_text"]

MOST_BYTES = 64 * 2**20
"""Far above any file that people write; keeps a wrong one from filling the memory."""
_LONGEST_LINE = 2**20
"""Characters. Files of designs may have any number of lines, but none that fills the memory."""


def read_bytes(path: Place, most: int = MOST_BYTES) -> bytes:
    """Reads a file or a pipe.

    Args:
        path: The file.
        most: Largest size allowed, bytes.

    Raises:
        InputError: It cannot be read, is a device or a folder, or is too large.
    """
    path = as_path(path)
    try:
        _refuse_devices(path)
        with path.open("rb") as file:
            data = file.read(most + 1)
    except OSError as error:
        raise InputError(f"{path}: cannot be read: {error.strerror or error}") from error
    if len(data) > most:
        raise InputError(f"{path}: more than {most} bytes, allowed: {most}")
    return data


def read_text(path: Place) -> str:
    """Reads UTF-8 text, with or without a byte-order mark.

    Raises:
        InputError: It cannot be read, is no regular file, is too large or no UTF-8 text.
    """
    try:
        return read_bytes(path).decode("utf-8-sig")
    except UnicodeDecodeError as error:
        raise InputError(f"{path}: cannot be read as text: {error}") from error


@contextmanager
def lines_of(path: Place) -> Iterator[Iterator[str]]:
    """Opens UTF-8 text of any length; its lines, with their ends, take the memory of one.

    Raises:
        InputError: It cannot be read, is a device or a folder, is no UTF-8 text, or has a line without end.
    """
    with open_text(path) as file:
        yield _lines(file)


@contextmanager
def open_text(path: Place) -> Iterator[TextIO]:
    """Opens UTF-8 text, with or without a byte-order mark; line ends stay as they are.

    Raises:
        InputError: It cannot be read, is a device or a folder, or is no UTF-8 text.
    """
    path = as_path(path)
    try:
        _refuse_devices(path)
        with path.open(encoding="utf-8-sig", newline="") as file:
            yield file
    except UnicodeDecodeError as error:
        raise InputError(f"{path}: cannot be read as text: {error}") from error
    except OSError as error:
        raise InputError(f"{path}: cannot be read: {error.strerror or error}") from error


def _lines(file: TextIO) -> Iterator[str]:
    number = 1
    while line := next_line(file, number):
        yield line
        number += 1


def next_line(file: TextIO, number: int | None = None) -> str:
    """Reads what is left of a line, its end included; nothing at the end of the file.

    Args:
        file: Opened text.
        number: Of the line, where it is known, for the message.

    Raises:
        InputError: The line has no end.
    """
    line = file.readline(_LONGEST_LINE + 1)
    if len(line) > _LONGEST_LINE:
        where = "a line has" if number is None else f"line {number}:"
        raise InputError(f"{file.name}: {where} more than {_LONGEST_LINE} characters")
    return line


def _refuse_devices(path: Path) -> None:
    if not path.is_file() and not path.is_fifo():
        raise InputError(f"{path}: {'no regular file' if path.exists() else 'no such file'}")
