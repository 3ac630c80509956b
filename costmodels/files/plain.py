"""What callers hand in at the edges of the package (NumPy's scalars, paths as texts), and the plain data of JSON."""

from __future__ import annotations

import math
import operator
import os
from pathlib import Path
from typing import Any

import numpy as np

from accelgym.costmodels.errors import InputError, shown

__all__ = ["Place", "as_path", "count", "native", "plain"]

Place = Path | str
"""A file or folder, as callers name it."""


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


def as_path(place: Any, name: str = "path") -> Path:
    """Returns a path for one, or for a text.

    Raises:
        InputError: Neither, or a text that cannot name a file.
    """
    if not isinstance(place, (str, os.PathLike)) or not (text := str(os.fspath(place))) or "\0" in text:
        raise InputError(f"{name} is {shown(place)}, allowed: a path or a text that names one")
    return Path(place)


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


def count(value: Any, name: str, least: int) -> int:
    """Returns an argument that counts something as Python's own integer.

    Raises:
        InputError: No integer, or below ``least``.
    """
    try:
        number = operator.index(value)
    except TypeError:
        number = None
    if number is None or isinstance(value, (bool, np.bool_)) or number < least:
        raise InputError(f"{name} is {shown(value)}, allowed >= {least}, an integer")
    return number
