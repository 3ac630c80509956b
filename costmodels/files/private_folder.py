"""Whose a folder is: what is kept to be believed, or run, must lie where nobody else can put it."""

from __future__ import annotations

import os
import stat
from pathlib import Path

from accelgym.costmodels.errors import InputError

__all__ = ["make_private", "refuse_foreign"]


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
