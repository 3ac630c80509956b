"""NumPy's scalars at the edge of the package, and the plain data that JSON holds."""

from __future__ import annotations

import math
import operator
from typing import Any

import numpy as np

from accelgym.costmodels.errors import InputError, shown

__all__ = ["count", "native", "plain"]


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
