"""A cache of built files keyed by content, safe for several processes and against damaged entries."""

from __future__ import annotations

import atexit
import contextlib
import errno
import fcntl
import hashlib
import json
import os
import shutil
import tempfile
import time
import warnings
from collections.abc import Callable
from pathlib import Path

__all__ = ["ContentCache", "content_key", "default_cache_folder"]

_MANIFEST = "MANIFEST.json"
_TEMPORARY = (".building-", ".damaged-")
"""Prefixes of folders that last as long as one step."""
_LOCK = "lock"
"""File of a build that its process holds locked."""
_GRACE_SECONDS = 3600.0
"""Age at which a temporary folder without a lock is taken for abandoned."""
_UNWRITABLE = frozenset(
    getattr(errno, name)
    for name in ("EACCES", "EPERM", "EROFS", "ENOSPC", "EDQUOT", "ENOENT", "ENOTDIR", "EEXIST", "EIO", "ENAMETOOLONG")
)
"""What a folder that cannot be made or written answers."""


def default_cache_folder() -> Path:
    """Returns ``$ACCELGYM_CACHE``, or ``~/.cache/accelgym``."""
    named = os.environ.get("ACCELGYM_CACHE")
    return Path(named) if named else Path.home() / ".cache" / "accelgym"


def content_key(*parts: str | bytes) -> str:
    """Returns the SHA-256 of the parts; their borders count."""
    digest = hashlib.sha256()
    for part in parts:
        data = part.encode() if isinstance(part, str) else part
        digest.update(len(data).to_bytes(8, "little"))
        digest.update(data)
    return digest.hexdigest()


def _file_hash(path: Path) -> str:
    return hashlib.sha256(path.read_bytes()).hexdigest()


def _is_abandoned(folder: Path) -> bool:
    """Returns whether the process that works in a temporary folder has ended."""
    try:
        with (folder / _LOCK).open() as lock:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
            return True
    except FileNotFoundError:
        with contextlib.suppress(OSError):
            return time.time() - folder.stat().st_mtime > _GRACE_SECONDS
        return False
    except OSError:
        return False


class ContentCache:
    """Folders of files under their content key.

    An entry is built in a temporary folder and renamed into place, so a reader sees all of it or nothing and the
    first of two writers wins. Every entry carries the hashes of its files; one that does not match is removed
    and built again.

    Args:
        root: Folder of the cache; created when needed.
    """

    def __init__(self, root: Path | None = None) -> None:
        self.root = root or default_cache_folder() / "hwgen"
        self._is_temporary = False
        self._is_swept = False

    def get(self, key: str) -> Path | None:
        """Returns the folder of an entry, or None when there is none or it was damaged."""
        folder = self.root / key[:2] / key
        try:
            manifest = json.loads((folder / _MANIFEST).read_text())
            intact = all(_file_hash(folder / name) == digest for name, digest in manifest.items())
        except FileNotFoundError:
            intact = False
        except (ValueError, AttributeError, OSError):
            intact = False
        if intact:
            return folder
        if folder.exists():
            self._remove(folder)
        return None

    def get_or_build(self, key: str, build: Callable[[Path], None]) -> tuple[Path, bool]:
        """Returns the folder of an entry and whether it was there; builds it when it was not.

        Where the cache cannot be written, entries go to a temporary folder that lasts as long as this process, with a
        warning.

        Args:
            key: Content key, of everything ``build`` depends on.
            build: Called with an empty folder to fill with files.
        """
        if not self._is_swept:
            self._sweep()
        found = self.get(key)
        if found is not None:
            return found, True
        try:
            return self._build(key, build), False
        except OSError as error:
            if error.errno not in _UNWRITABLE or self._is_temporary:
                raise
            self._leave(error)
        return self.get_or_build(key, build)

    def _build(self, key: str, build: Callable[[Path], None]) -> Path:
        folder = self.root / key[:2] / key
        folder.parent.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(dir=folder.parent, prefix=_TEMPORARY[0], ignore_cleanup_errors=True) as name:
            lock = os.open(Path(name) / _LOCK, os.O_WRONLY | os.O_CREAT)
            try:
                with contextlib.suppress(OSError):  # A file system may have no locks.
                    fcntl.flock(lock, fcntl.LOCK_EX)
                self._fill(Path(name) / "entry", key, build)
            finally:
                os.close(lock)
        return folder

    def _fill(self, work: Path, key: str, build: Callable[[Path], None]) -> None:
        """Builds in a folder and moves it into place."""
        work.mkdir()
        build(work)
        hashes = {path.name: _file_hash(path) for path in sorted(work.iterdir())}
        (work / _MANIFEST).write_text(json.dumps(hashes, indent=1))
        try:
            work.rename(self.root / key[:2] / key)
        except OSError:
            if self.get(key) is None:
                raise

    def _sweep(self) -> None:
        """Removes the temporary folders of builds that were killed."""
        self._is_swept = True
        with contextlib.suppress(OSError):
            for folder in [path for prefix in _TEMPORARY for path in self.root.glob(f"*/{prefix}*")]:
                if _is_abandoned(folder):
                    shutil.rmtree(folder, ignore_errors=True)

    def _leave(self, error: OSError) -> None:
        """Goes on in a temporary folder."""
        temporary = Path(tempfile.mkdtemp(prefix="accelgym-cache-"))
        atexit.register(shutil.rmtree, temporary, ignore_errors=True)
        warnings.warn(
            f"cache folder {self.root}: cannot be written ({error.strerror}); what is built is kept in {temporary} "
            "until the end of this run; set ACCELGYM_CACHE to another folder",
            stacklevel=3,
        )
        self.root, self._is_temporary = temporary, True

    def _remove(self, folder: Path) -> None:
        """Moves a damaged entry aside before it is deleted, so that no reader finds half of it."""
        with contextlib.suppress(OSError):
            grave = Path(tempfile.mkdtemp(dir=folder.parent, prefix=_TEMPORARY[1]))
            with contextlib.suppress(OSError):
                folder.rename(grave / "entry")
            shutil.rmtree(grave, ignore_errors=True)
