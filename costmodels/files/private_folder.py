"""Whose a folder is: what is kept to be believed, or run, must lie where nobody else can put it."""

from __future__ import annotations

import os
import stat
from pathlib import Path
from typing import Any

from accelgym.costmodels.errors import InputError
from accelgym.costmodels.files.json_file import read_sealed

__all__ = ["make_private", "read_private", "refuse_foreign"]


def make_private(folder: Path) -> None:
    """Makes a folder, and those above it, that its owner alone may write.

    Raises:
        OSError: It cannot be made.
    """
    folder.parent.mkdir(parents=True, exist_ok=True)
    folder.mkdir(mode=0o755, exist_ok=True)


def refuse_foreign(path: Path) -> None:
    """Checks that a file or folder, where there is one, is this user's and nobody else may write it.

    Raises:
        InputError: It is somebody else's, or others may write it.
    """
    try:
        found = path.stat()
    except OSError:
        return
    if found.st_uid != os.geteuid():
        raise InputError(f"{path}: belongs to another user (number {found.st_uid}): what lies there is not believed")
    others = stat.S_IWOTH | (0 if found.st_gid == os.getegid() else stat.S_IWGRP)
    if found.st_mode & others:
        raise InputError(
            f"{path}: others may write it (mode {stat.S_IMODE(found.st_mode):o}): what lies there is not believed"
        )


def read_private(path: Path) -> dict[str, Any]:
    """Reads a sealed record of a cache, if nobody else can have written it.

    Raises:
        InputError: The file is missing, or it or its folder is somebody else's or others may write it.
        DamagedFileError: It is no sealed record, or was changed.
    """
    refuse_foreign(path.parent)
    refuse_foreign(path)
    return read_sealed(path)
