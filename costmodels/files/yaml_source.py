"""Reading YAML so that an error can say where: file, line, column and key."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import yaml

from accelgym.costmodels.errors import InputError, shown
from accelgym.costmodels.files.plain import Place, as_path
from accelgym.costmodels.files.strict_yaml import StrictLoader
from accelgym.costmodels.files.text import read_text

__all__ = ["Key", "YamlSource", "read_value", "read_yaml"]

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


class _Loader(StrictLoader):
    """Strict loader that reads application tags such as Timeloop's ``!Container`` as plain nodes."""

    def untagged(self, suffix: str, node: yaml.Node) -> Any:
        """Constructs a node without regard to its tag."""
        if isinstance(node, yaml.MappingNode):
            return self.construct_mapping(node, deep=True)
        if isinstance(node, yaml.SequenceNode):
            return self.construct_sequence(node, deep=True)
        return self.construct_scalar(node)  # type: ignore[arg-type]


_Loader.add_multi_constructor("!", _Loader.untagged)


def read_value(text: str) -> Any:
    """Returns what a text stands for as YAML; the text itself where that is nothing, or no YAML without doubts."""
    try:
        value = yaml.load(text, Loader=StrictLoader)
    except yaml.YAMLError:
        return text
    return text if value is None else value


def read_yaml(path: Place) -> YamlSource:
    """Reads a YAML mapping; application tags (``!name``) are ignored.

    Raises:
        InputError: The file cannot be read, is no YAML, gives a key twice, has a key that is no text, is empty or no
            mapping.
    """
    path = as_path(path)
    text = read_text(path)
    marks: dict[Key, tuple[int, int]] = {}
    try:
        loader = _Loader(text)
        root = loader.get_single_node()
        # Before what is merged with << is written into the nodes.
        if root is not None:
            _collect(root, (), marks, set())
        data: Any = None if root is None else loader.construct_document(root)
    except yaml.MarkedYAMLError as error:
        mark = error.problem_mark
        where = f"{mark.line + 1}:{mark.column + 1}" if mark else "1:1"
        raise InputError(f"{path}:{where}: not valid YAML: {error.problem}") from error
    except yaml.YAMLError as error:
        raise InputError(f"{path}:1:1: not valid YAML: {error}") from error
    if not isinstance(data, dict):
        found = "an empty file" if data is None else type(data).__name__
        raise InputError(f"{path}:1:1: expected a mapping of keys to values, found {found}")
    source = YamlSource(path, data, marks)
    for key in data:
        if not isinstance(key, str):
            raise source.error((), f"key {shown(key)} is no text; allowed, in quotes: {shown(str(key))}")
    return source


def _collect(node: Any, key: Key, marks: dict[Key, tuple[int, int]], seen: set[int]) -> None:
    marks[key] = (node.start_mark.line + 1, node.start_mark.column + 1)
    if id(node) in seen:  # an alias; its anchor may even contain it
        return
    seen.add(id(node))
    if isinstance(node, yaml.MappingNode):
        for name, value in node.value:
            _collect(value, (*key, str(name.value)), marks, seen)
    elif isinstance(node, yaml.SequenceNode):
        for index, value in enumerate(node.value):
            _collect(value, (*key, index), marks, seen)
