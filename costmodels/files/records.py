"""Append-only files of records, each with a checksum, that survive a kill and a power cut."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from pathlib import Path
from typing import BinaryIO

from accelgym.costmodels.errors import InputError, warn_input

__all__ = ["RecordFile"]

_MAGIC = b"AGR1"
_HEADER = len(_MAGIC) + 8 + 4
_DIGEST = 16
"""Bytes of SHA-256 kept with a record: 128 bits."""
_MOST = 2**31
"""Largest record, bytes."""


class RecordFile:
    """A file whose first record says what it belongs to and whose others are appended one by one.

    A record is a header (``AGR1``, its length as 8 bytes, little endian, and 4 bytes of the SHA-256 of both, so that a
    wrong length is told from a torn record), its bytes, and the first 16 bytes of the SHA-256 of all of that and of
    the checksum before it, so that records cannot change places either.

    Args:
        path: The file; it comes into being with the first :meth:`append`.
        identity: First record. A file that begins with another one, and holds records, is refused.

    Raises:
        InputError: The file cannot be read, or holds records of something else.
    """

    def __init__(self, path: Path, identity: bytes) -> None:
        self.path = path
        self._identity = identity
        self._chain = b""
        self._end = 0

    def replay(self) -> Iterator[bytes]:
        """Yields the whole records in the file and cuts off what follows them.

        A record that a kill has torn goes without a word. Anything else behind the last whole record, such as a
        changed bit or the zeros that a power cut leaves, is an :class:`InputWarning`.

        Raises:
            InputError: See the class.
        """
        self._chain, self._end = b"", 0
        if not self.path.exists():
            return
        try:
            with self.path.open("rb") as file:
                yield from self._whole(file)
                rest = self._rest(file)
            if rest:
                warn_input(f"{self.path}: damaged from byte {self._end} on; what stood there is done again")
            with self.path.open("rb+") as file:
                file.truncate(self._end)
        except OSError as error:
            raise InputError(f"{self.path}: {error.strerror or error}") from error

    def _whole(self, file: BinaryIO) -> Iterator[bytes]:
        """Yields the records behind the identity, up to the first that is not whole."""
        first = self._next(file)
        if first is None:
            return
        if first[0] != self._identity:
            self._chain = first[1]
            another = self._next(file) is not None
            self._chain = b""
            if another:
                raise InputError(f"{self.path}: journal of another search; remove it, or choose another folder")
            return
        self._chain, self._end = first[1:]
        while (found := self._next(file)) is not None:
            self._chain, self._end = found[1:]
            yield found[0]

    def _rest(self, file: BinaryIO) -> bool:
        """Returns whether more stands behind the whole records than the beginning of one that a kill has torn.

        Raises:
            InputError: The file is of another kind.
        """
        file.seek(self._end)
        header = file.read(_HEADER)
        if self._end == 0 and not _MAGIC.startswith(header[: len(_MAGIC)].rstrip(b"\0")):
            raise InputError(f"{self.path}: not a journal of this version of accelgym; remove it to search again")
        if len(header) < _HEADER:
            return header[: len(_MAGIC)] != _MAGIC[: len(header)]
        length = _length(header)
        return length is None or len(file.read(length + _DIGEST)) == length + _DIGEST

    def append(self, record: bytes) -> None:
        """Writes a record; it survives the process from here on.

        Raises:
            InputError: The file cannot be written.
        """
        frames = b""
        chain = self._chain
        for part in (record,) if self._end else (self._identity, record):
            frame = _header(len(part)) + part
            chain = _checksum(chain, frame)
            frames += frame + chain
        try:
            with self.path.open("ab") as file:
                file.write(frames)
        except OSError as error:
            raise InputError(f"{self.path}: {error.strerror or error}") from error
        self._chain, self._end = chain, self._end + len(frames)

    def _next(self, file: BinaryIO) -> tuple[bytes, bytes, int] | None:
        """Returns the record at the position of the file, its checksum and its end; ``None`` if it is not whole."""
        header = file.read(_HEADER)
        length = _length(header)
        if length is None:
            return None
        body = file.read(length + _DIGEST)
        found = _checksum(self._chain, header + body[:length])
        whole = len(body) == length + _DIGEST and body[length:] == found
        return (body[:length], found, file.tell()) if whole else None


def _header(length: int) -> bytes:
    head = _MAGIC + length.to_bytes(8, "little")
    return head + hashlib.sha256(head).digest()[:4]


def _length(header: bytes) -> int | None:
    length = int.from_bytes(header[len(_MAGIC) : len(_MAGIC) + 8], "little")
    return length if header == _header(length) and length < _MOST else None


def _checksum(chain: bytes, frame: bytes) -> bytes:
    return hashlib.sha256(chain + frame).digest()[:_DIGEST]
