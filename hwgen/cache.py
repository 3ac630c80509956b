"""A cache of built files keyed by content, safe for several processes and against damaged entries."""

from __future__ import annotations

import atexit
import contextlib
import errno
import fcntl
import hashlib
import os
import shutil
import tempfile
import time
import uuid
import warnings
from collections.abc import Callable
from pathlib import Path

from accelgym.costmodels.errors import InputError
from accelgym.costmodels.files.json_file import read_sealed, write_sealed
from accelgym.costmodels.files.plain import Place, as_path
from accelgym.costmodels.files.private_folder import make_private, refuse_foreign

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


def _hashes(folder: Path) -> dict[str, str]:
    """Hashes of the files of an entry by name.

    Raises:
        OSError: It has anything but files in it, links included.
    """
    paths = sorted(path for path in folder.iterdir() if path.name != _MANIFEST)
    for path in paths:
        if path.is_symlink() or not path.is_file():
            raise OSError(errno.EINVAL, "no regular file", str(path))
    return {path.name: _file_hash(path) for path in paths}


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
    first of two writers wins. Every entry carries its key and the hashes of all its files; one that does not match is
    removed and built again. Programs from the cache are run and records believed, so that a cache which belongs to
    another user, or which others may write, is left alone: what is built then lasts as long as this process.

    Args:
        root: Folder of the cache; created when needed.
    """

    def __init__(self, root: Place | None = None) -> None:
        self.root = default_cache_folder() / "hwgen" if root is None else as_path(root, "root")
        self._is_temporary = False
        self._is_swept = False

    def get(self, key: str) -> Path | None:
        """Returns the folder of an entry, or None when there is none or it was damaged."""
        folder = self.root / key[:2] / key
        if not folder.exists():
            return None
        try:
            manifest = read_sealed(folder / _MANIFEST)
            intact = manifest == {"key": key, "files": _hashes(folder)}
        except (InputError, OSError):
            intact = False
        if intact:
            return folder
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
        if not self._is_temporary:
            try:
                for place in (self.root, self.root / key[:2], self.root / key[:2] / key):
                    refuse_foreign(place)
            except InputError as error:
                self._leave(str(error))
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
            self._leave(f"cache folder {self.root}: cannot be written ({error.strerror})")
        return self.get_or_build(key, build)

    def _build(self, key: str, build: Callable[[Path], None]) -> Path:
        folder = self.root / key[:2] / key
        make_private(self.root)
        make_private(folder.parent)
        # Named before it is made: an interrupt that comes with its making leaves nothing behind, either.
        work = folder.parent / f"{_TEMPORARY[0]}{uuid.uuid4().hex}"
        try:
            work.mkdir(mode=0o700)
            lock = os.open(work / _LOCK, os.O_WRONLY | os.O_CREAT)
            try:
                with contextlib.suppress(OSError):  # A file system may have no locks.
                    fcntl.flock(lock, fcntl.LOCK_EX)
                self._fill(work / "entry", key, build)
            finally:
                os.close(lock)
        finally:
            shutil.rmtree(work, ignore_errors=True)
        return folder

    def _fill(self, work: Path, key: str, build: Callable[[Path], None]) -> None:
        """Builds in a folder and moves it into place."""
        work.mkdir()
        build(work)
        write_sealed(work / _MANIFEST, {"key": key, "files": _hashes(work)})
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

    def _leave(self, why: str) -> None:
        """Goes on in a temporary folder."""
        temporary = Path(tempfile.mkdtemp(prefix="accelgym-cache-"))
        atexit.register(shutil.rmtree, temporary, ignore_errors=True)
        warnings.warn(
            f"{why}; what is built is kept in {temporary} until the end of this run; set ACCELGYM_CACHE to another "
            "folder",
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
