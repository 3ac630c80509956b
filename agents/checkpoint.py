"""Weights of learned models as safetensors: no pickles, the same bytes for the same content, damage is noticed."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from accelgym.costmodels.errors import DamagedFileError, InputError, MissingExtraError
from accelgym.costmodels.files.plain import plain
from accelgym.costmodels.files.text import read_bytes
from accelgym.costmodels.files.whole_file import write_whole

__all__ = ["checkpoint_kind", "read_checkpoint", "write_checkpoint"]

Tensors = dict[str, npt.NDArray[Any]]

_KEY = "accelgym"
"""The only key of the metadata, which safetensors would write in any order."""


def write_checkpoint(path: Path, kind: str, schema: int, about: Mapping[str, Any], tensors: Mapping[str, Any]) -> None:
    """Writes tensors and what they are, whole or not at all.

    Args:
        path: The file.
        kind: What the weights are of.
        schema: Version of its layout.
        about: Plain data: everything besides the weights.
        tensors: Arrays by name.
    """
    arrays = {name: np.ascontiguousarray(values) for name, values in sorted(tensors.items())}
    note = {"kind": kind, "schema": schema, "about": plain(dict(about)), "sha256": _digest(arrays)}
    text = json.dumps(note, sort_keys=True, separators=(",", ":"), allow_nan=False)
    write_whole(path, _safetensors().save(arrays, metadata={_KEY: text}))


def read_checkpoint(path: Path, kind: str, schema: int) -> tuple[dict[str, Any], Tensors]:
    """Reads what :func:`write_checkpoint` has written.

    Returns:
        What the weights are, and the arrays by name.

    Raises:
        InputError: The file is missing, or its weights are of another kind or schema.
        DamagedFileError: It is no such file, or was changed.
    """
    library = _safetensors()
    data = read_bytes(path)
    try:
        found, version, about, digest = (_note(data)[key] for key in ("kind", "schema", "about", "sha256"))
        arrays: Tensors = library.load(data)
    except Exception as error:  # safetensors raises an exception of its own for every fault
        raise DamagedFileError(f"{path}: no checkpoint of accelgym ({type(error).__name__}: {error})") from error
    if found != kind:
        raise InputError(f"{path}: holds the weights of {found!r}, allowed: of {kind!r}")
    if version != schema:
        raise InputError(f"{path}: has schema {version!r}, allowed: {schema}; train it again with this version")
    if digest != _digest(arrays):
        raise DamagedFileError(f"{path}: damaged or changed by hand: its weights have another checksum")
    return dict(about), arrays


def checkpoint_kind(path: Path) -> str | None:
    """Returns what the weights of a file are of, ``None`` where it is no checkpoint.

    Raises:
        InputError: The file is missing.
    """
    try:
        return str(_note(read_bytes(path))["kind"])
    except (ValueError, KeyError, TypeError):
        return None


def _note(data: bytes) -> Any:
    header = json.loads(data[8 : 8 + int.from_bytes(data[:8], "little")])
    return json.loads(header["__metadata__"][_KEY])


def _digest(arrays: Mapping[str, npt.NDArray[Any]]) -> str:
    digest = hashlib.sha256()
    for name, values in sorted(arrays.items()):
        digest.update(f"{name} {values.dtype} {values.shape}\n".encode())
        digest.update(np.ascontiguousarray(values).tobytes())
    return digest.hexdigest()


def _safetensors() -> Any:
    try:
        import safetensors.numpy
    except ImportError as error:
        raise MissingExtraError("a checkpoint", "safetensors", "agents") from error
    return safetensors.numpy
