"""Arrays with a header in one ``.npz`` that says when a byte of it was changed."""

from __future__ import annotations

import hashlib
import io
import json
import struct
import zipfile
import zlib
from collections.abc import Mapping
from typing import Any

import numpy as np
import numpy.typing as npt

from accelgym.costmodels.errors import DamagedFileError
from accelgym.costmodels.files.plain import Place, plain
from accelgym.costmodels.files.text import read_bytes
from accelgym.costmodels.files.whole_file import write_whole

__all__ = ["compact", "read_arrays", "write_arrays"]

_HEADER = "header"
_NOTE = b"sha256 "
_DIGEST = 64
_MOST = 2**31
"""Largest file, and largest sum of its arrays, bytes."""


def compact(indices: npt.NDArray[Any]) -> npt.NDArray[Any]:
    """Returns non-negative integers in the smallest unsigned type that holds them all."""
    largest = int(indices.max()) if indices.size else 0
    return indices.astype(np.min_scalar_type(largest))


def write_arrays(path: Place, header: Mapping[str, Any], arrays: Mapping[str, npt.NDArray[Any]]) -> None:
    """Writes a compressed ``.npz`` whose comment is the SHA-256 of all bytes before it.

    Args:
        path: The file.
        header: Plain data, kept as JSON under the name ``header``.
        arrays: Arrays by name.
    """
    buffer = io.BytesIO()
    text = json.dumps(plain(header), allow_nan=False)
    np.savez_compressed(buffer, allow_pickle=False, **{_HEADER: np.array(text)}, **arrays)
    # A zip file ends with the length of its comment, which is empty here, and the comment.
    body = buffer.getvalue()[:-2] + struct.pack("<H", len(_NOTE) + _DIGEST) + _NOTE
    write_whole(path, body + hashlib.sha256(body).hexdigest().encode())


def read_arrays(path: Place) -> tuple[dict[str, Any], dict[str, npt.NDArray[Any]]]:
    """Reads what :func:`write_arrays` has written.

    Raises:
        InputError: The file is missing or too large.
        DamagedFileError: It is none of that kind, or was changed.
    """
    data = read_bytes(path, _MOST)
    body, seal = data[:-_DIGEST], data[-_DIGEST:]
    if not body.endswith(_NOTE):
        raise DamagedFileError(f"{path}: has no checksum at its end: cut off, or of an older version")
    if hashlib.sha256(body).hexdigest().encode() != seal:
        raise DamagedFileError(f"{path}: damaged: its checksum is another")
    try:
        with zipfile.ZipFile(io.BytesIO(data)) as archive:
            size = sum(entry.file_size for entry in archive.infolist())
        if size > _MOST:
            raise DamagedFileError(f"{path}: unpacks to {size} bytes, allowed: {_MOST}")
        with np.load(io.BytesIO(data), allow_pickle=False) as file:
            arrays = {name: file[name] for name in file.files}
        header = json.loads(str(arrays.pop(_HEADER)))
    except (OSError, KeyError, ValueError, EOFError, zipfile.BadZipFile, zlib.error, RecursionError) as error:
        raise DamagedFileError(f"{path}: not a file of arrays ({error})") from error
    if not isinstance(header, dict):
        raise DamagedFileError(f"{path}: its header is no mapping")
    return header, arrays
