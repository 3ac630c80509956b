"""What callers hand in at the edges of the package (NumPy's scalars, paths as texts), and the plain data of JSON."""

from __future__ import annotations

import math
import operator
import os
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

import numpy as np

from accelgym.costmodels.errors import InputError, shown

__all__ = ["Place", "as_folder", "as_path", "count", "distinct_names", "is_table", "native", "plain"]

Place = Path | str
"""A file or folder, as callers name it."""
_LONGEST_PATH, _LONGEST_NAME = 4095, 255
"""Bytes, of Linux."""


def native(value: Any) -> Any:
    """Returns Python's own numbers, strings and booleans for NumPy's, inside mappings and sequences too.

    Anything else comes back as it is.
    """
    if isinstance(value, np.generic):
        return value.item()
    if isinstance(value, dict):
        return {native(key): native(part) for key, part in value.items()}
    if type(value) in (list, tuple):
        return type(value)(native(part) for part in value)
    return value


def is_table(value: object) -> bool:
    """Returns whether a value is a table whose keys are texts."""
    return isinstance(value, Mapping) and all(isinstance(key, str) for key in value)


def distinct_names(value: object) -> tuple[str, ...]:
    """Returns the texts of a sequence; nothing where it is no sequence, has none or others, or one twice."""
    names = tuple(value) if isinstance(value, Iterable) and not isinstance(value, str) else ()
    return names if all(isinstance(name, str) for name in names) and len(set(names)) == len(names) else ()


def as_path(place: Any, name: str = "path") -> Path:
    """Returns a path for one, or for a text.

    Raises:
        InputError: Neither, or a text that cannot name a file.
    """
    if not isinstance(place, (str, os.PathLike)) or not (text := str(os.fspath(place))) or "\0" in text:
        raise InputError(f"{name} is {shown(place)}, allowed: a path or a text that names one")
    path = Path(text)
    # Asking the system for such a file is an error, where asking for one that is missing is an answer.
    if len(os.fsencode(text)) > _LONGEST_PATH or any(len(os.fsencode(part)) > _LONGEST_NAME for part in path.parts):
        raise InputError(f"{name} {shown(text)}: the name is too long")
    return path


def as_folder(place: Any, name: str = "folder") -> Path:
    """Returns the path of a folder that is there or can be made.

    Raises:
        InputError: As :func:`as_path`, or something else stands there.
    """
    path = as_path(place, name)
    if path.exists() and not path.is_dir():
        raise InputError(f"{path}: is a file, allowed: a folder")
    return path


def plain(data: Any) -> Any:
    """Returns data for strict JSON: numbers that are not finite become ``None``, tuples and arrays lists."""
    if isinstance(data, dict):
        return {str(key): plain(value) for key, value in data.items()}
    if isinstance(data, (list, tuple)):
        return [plain(value) for value in data]
    if isinstance(data, (np.generic, np.ndarray)):
        return plain(data.tolist())
    if isinstance(data, float) and not math.isfinite(data):
        return None
    return data


def count(value: Any, name: str, least: int, most: int = 2**63 - 1) -> int:
    """Returns an argument that counts something as Python's own integer.

    Raises:
        InputError: No integer, below ``least`` or above ``most``.
    """
    try:
        number = operator.index(value)
    except TypeError:
        number = None
    if number is None or isinstance(value, (bool, np.bool_)) or not least <= number <= most:
        limit = "" if most == 2**63 - 1 else f" and <= {most}"
        raise InputError(f"{name} is {shown(value)}, allowed >= {least}{limit}, an integer")
    return number
