"""Where in a file a message belongs."""

from __future__ import annotations

import re
from pathlib import Path

from accelgym.costmodels.errors import InputError
from accelgym.costmodels.files.text import read_text
from accelgym.costmodels.files.timeloop_yaml.templates import is_template
from accelgym.costmodels.files.yaml_source import Key, read_yaml

__all__ = ["located"]

_PART = re.compile(r"\.?([A-Za-z_][\w-]*)|\[(\d+)\]")


def located(path: Path, message: str, section: str) -> str:
    """Puts the file, and line and column of the key that a message begins with, in front of the message.

    Args:
        path: The file. Templates have no lines that a user could look up; they are named without.
        message: Begins with a key, ``problem.shape.data-spaces[1].projection``, where it is about one.
        section: The key where it does not.
    """
    try:
        marks = {} if is_template(read_text(path)) else read_yaml(path).marks
    except InputError:
        marks = {}
    if not marks:
        return f"{path}: {message}"
    place: Key = ()
    for part in _key(message, section):
        below = next(((*place, spelling) for spelling in _spellings(part) if (*place, spelling) in marks), None)
        if below is None:
            break
        place = below
    line, column = marks.get(place, (1, 1))
    return f"{path}:{line}:{column}: {message}"


def _key(message: str, section: str) -> list[int | str]:
    parts: list[int | str] = []
    at = 0
    while found := _PART.match(message, at):
        if at and not found.group(0).startswith((".", "[")):
            break
        parts.append(int(found.group(2)) if found.group(2) else found.group(1))
        at = found.end()
    return parts if parts[:1] == [section] else [section]


def _spellings(part: int | str) -> tuple[int | str, ...]:
    return (part,) if isinstance(part, int) else (part, part.replace("_", "-"), part.replace("-", "_"))
