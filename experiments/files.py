"""JSON files that are whole or absent, also after a kill."""

from __future__ import annotations

import json
import math
from pathlib import Path
from typing import Any

from accelgym.costmodels.errors import InputError

__all__ = ["plain", "read_json", "write_json"]


def write_json(path: Path, data: Any) -> None:
    """Writes strict JSON in one step; see :func:`plain`."""
    path.parent.mkdir(parents=True, exist_ok=True)
    temporary = path.with_name(path.name + ".tmp")
    temporary.write_text(json.dumps(plain(data), indent=1, allow_nan=False) + "\n")
    temporary.replace(path)


def read_json(path: Path) -> Any:
    """Reads JSON.

    Raises:
        InputError: The file is missing or is no JSON.
    """
    try:
        return json.loads(path.read_text())
    except (OSError, ValueError) as error:
        raise InputError(f"{path}: cannot be read as JSON ({error})") from error


def plain(data: Any) -> Any:
    """Returns data for strict JSON: numbers that are not finite become ``None``, tuples lists."""
    if isinstance(data, dict):
        return {str(key): plain(value) for key, value in data.items()}
    if isinstance(data, (list, tuple)):
        return [plain(value) for value in data]
    if isinstance(data, float) and not math.isfinite(data):
        return None
    if hasattr(data, "item"):
        return plain(data.item())
    return data
