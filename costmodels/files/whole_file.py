"""Files that are written whole or not at all."""

from __future__ import annotations

import os
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import BinaryIO, TextIO, cast

from accelgym.costmodels.errors import InputError, system_reason
from accelgym.costmodels.files.plain import Place, as_path

__all__ = ["whole_binary_file", "whole_file", "write_whole"]


@contextmanager
def whole_file(path: Place) -> Iterator[TextIO]:
    """Opens a UTF-8 text file that takes its name when the block ends without an error.

    Until then it has a name of its own beside it, which nobody can guess and which goes when the block fails; what
    stood under the name stays. A device or a pipe is written as it is.

    Raises:
        InputError: The file cannot be written.
    """
    with whole_binary_file(path) as raw:
        text = os.fdopen(os.dup(raw.fileno()), "w", encoding="utf-8", newline="")
        try:
            yield text
            text.close()
        except BaseException:
            _drop(text)
            raise


@contextmanager
def whole_binary_file(path: Place) -> Iterator[BinaryIO]:
    """Opens a file of bytes as :func:`whole_file` opens one of text.

    Raises:
        InputError: The file cannot be written.
    """
    path = as_path(path)
    try:
        if path.exists() and not path.is_file() and not path.is_dir():
            with path.open("wb") as device:
                yield device
            return
        if path.is_dir():
            raise InputError(f"{path}: cannot be written (it is a folder)")
        handle, name = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name[:40]}-", suffix=".tmp")
    except OSError as error:
        raise InputError(f"{path}: cannot be written ({error.strerror or error})") from error
    temporary = Path(name)
    try:
        with os.fdopen(handle, "wb") as file:
            yield cast(BinaryIO, file)
        mask = os.umask(0)
        os.umask(mask)
        temporary.chmod(0o666 & ~mask)
        temporary.replace(path)
    except OSError as error:
        raise InputError(f"{path}: cannot be written ({error.strerror or error})") from error
    finally:
        temporary.unlink(missing_ok=True)


def write_whole(path: Place, content: str | bytes) -> None:
    """Writes a file in one step, and the folders above it.

    Raises:
        InputError: The file cannot be written.
    """
    path = as_path(path)
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise InputError(f"{error.filename}: {system_reason(error)}") from error
    with whole_binary_file(path) as file:
        file.write(content.encode() if isinstance(content, str) else content)


def _drop(file: TextIO) -> None:
    """Closes a file whose content is not wanted: what cannot be flushed any more is no second error."""
    try:
        file.close()
    except OSError:
        return
