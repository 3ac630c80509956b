"""One process at a time in a folder."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from accelgym.costmodels.errors import InputError, system_reason
from accelgym.costmodels.files.plain import Place, as_path

__all__ = ["folder_lock"]

_NAME = "lock"


@contextmanager
def folder_lock(folder: Place, *, wait: bool = False) -> Iterator[None]:
    """Holds a folder for this process; the kernel lets go of it when the process ends, however it ends.

    The folder is made if it is missing, and taken away again if the block leaves nothing in it.

    Args:
        folder: The folder; its file ``lock`` names the process.
        wait: Wait for another process to leave instead of raising.

    Raises:
        InputError: The folder cannot be made, or another process is in it.
    """
    import fcntl

    folder = as_path(folder, "folder")
    fresh = not folder.exists()
    try:
        folder.mkdir(parents=True, exist_ok=True)
        handle = _open(folder / _NAME)
    except OSError as error:
        raise InputError(f"{error.filename or folder}: {system_reason(error)}") from error
    try:
        try:
            fcntl.flock(handle, fcntl.LOCK_EX | (0 if wait else fcntl.LOCK_NB))
        except BlockingIOError:
            holder = os.pread(handle, 20, 0).decode(errors="replace").strip() or "unknown"
            raise InputError(
                f"{folder}: in use by another process (number {holder}); wait for it, or choose another folder"
            ) from None
        os.truncate(handle, 0)
        os.pwrite(handle, f"{os.getpid()}\n".encode(), 0)
        try:
            yield
        finally:
            if fresh and [entry.name for entry in folder.iterdir()] == [_NAME]:
                with suppress(OSError):
                    (folder / _NAME).unlink()
                    folder.rmdir()
    finally:
        os.close(handle)


def _open(path: Path) -> int:
    # O_NOFOLLOW: a link under this name would let the lock empty another file.
    return os.open(path, os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW | os.O_CLOEXEC, 0o666)
