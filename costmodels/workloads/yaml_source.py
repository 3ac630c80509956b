"""Reading YAML so that an error can say where: file, line, column and key."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import yaml
from accelgym.costmodels.errors import InputError

__all__ = ["Key", "YamlSource", "read_yaml"]

Key = tuple[int | str, ...]


@dataclass(frozen=True)
class YamlSource:
    """A parsed YAML file and the positions of its nodes."""

    path: Path
    data: Any
    marks: dict[Key, tuple[int, int]] = field(repr=False)

    def error(self, key: Sequence[int | str], message: str) -> InputError:
        """Builds the error for a key path, at the deepest part of it that stands in the file."""
        place = tuple(key)
        while place and place not in self.marks:
            place = place[:-1]
        line, column = self.marks.get(place, (1, 1))
        dotted = "".join(f"[{part}]" if isinstance(part, int) else f".{part}" for part in key).lstrip(".")
        return InputError(f"{self.path}:{line}:{column}: {dotted + ': ' if dotted else ''}{message}")


def read_yaml(path: Path) -> YamlSource:
    """Reads a YAML mapping.

    Raises:
        InputError: The file cannot be read, is no YAML, is empty or is not a mapping.
    """
    try:
        text = path.read_text(encoding="utf-8-sig")
    except (OSError, UnicodeDecodeError) as error:
        raise InputError(f"{path}: cannot be read as text: {error}") from error
    try:
        root = yaml.compose(text, Loader=yaml.SafeLoader)
        data = yaml.safe_load(text)
    except yaml.MarkedYAMLError as error:
        mark = error.problem_mark
        where = f"{mark.line + 1}:{mark.column + 1}" if mark else "1:1"
        raise InputError(f"{path}:{where}: not valid YAML: {error.problem}") from error
    except yaml.YAMLError as error:
        raise InputError(f"{path}:1:1: not valid YAML: {error}") from error
    except ValueError as error:  # e.g. a date out of range
        raise InputError(f"{path}:1:1: not valid YAML: {error}") from error
    if not isinstance(data, dict):
        found = "an empty file" if data is None else type(data).__name__
        raise InputError(f"{path}:1:1: expected a mapping of keys to values, found {found}")
    marks: dict[Key, tuple[int, int]] = {}
    _collect(root, (), marks)
    return YamlSource(path, data, marks)


def _collect(node: Any, key: Key, marks: dict[Key, tuple[int, int]]) -> None:
    if key in marks:  # an anchor that contains itself
        return
    marks[key] = (node.start_mark.line + 1, node.start_mark.column + 1)
    if isinstance(node, yaml.MappingNode):
        for name, value in node.value:
            _collect(value, (*key, str(name.value)), marks)
    elif isinstance(node, yaml.SequenceNode):
        for index, value in enumerate(node.value):
            _collect(value, (*key, index), marks)
