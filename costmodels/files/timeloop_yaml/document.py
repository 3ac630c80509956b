"""Timeloop's files as one table of sections, and look-ups that name what is wrong."""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from accelgym.costmodels.errors import InputError, shown, unknown_name
from accelgym.costmodels.files.plain import as_path
from accelgym.costmodels.files.text import read_text
from accelgym.costmodels.files.timeloop_yaml.templates import is_template, read_template
from accelgym.costmodels.files.timeloop_yaml.text import load_documents

__all__ = [
    "SUFFIXES",
    "Sections",
    "as_integer",
    "as_list",
    "as_number",
    "as_table",
    "list_files",
    "merge_documents",
    "naming",
    "normalise",
    "parse_document",
    "parse_documents",
]

SUFFIXES = (".yaml", ".yml", ".jinja", ".jinja2")
"""Suffixes of files that are read."""
_TEXT = "YAML text"
"""Stands for the path of what was not read from a file."""


class Sections(dict[str, Any]):
    """Sections by name; ``files`` holds the files that each comes from, none of those that come from text."""

    def __init__(self, sections: Mapping[str, Any], files: Mapping[str, tuple[str, ...]] | None = None) -> None:
        super().__init__(sections)
        self.files = dict(files or {})


@contextmanager
def naming(sections: Mapping[str, Any], *names: str) -> Iterator[None]:
    """Puts the files of some sections in front of the message of an :class:`InputError` that names none of them."""
    try:
        yield
    except InputError as error:
        known = sections.files if isinstance(sections, Sections) else {}
        files = dict.fromkeys(file for name in names for file in known.get(name, ()))
        if not files or any(file in str(error) for file in files):
            raise
        raise InputError(f"{', '.join(files)}: {error}") from error


def list_files(source: str | Path) -> list[Path]:
    """Returns a file, or the YAML files of a folder and its folders, in the order of their names.

    Raises:
        InputError: A folder without any.
    """
    path = as_path(source)
    if not path.is_dir():
        return [path]
    files = sorted(file for file in path.rglob("*") if file.suffix.lower() in (".yaml", ".yml") and file.is_file())
    if not files:
        raise InputError(f"{path}: no .yaml file in this folder")
    return files


def parse_document(source: str | Path, defines: Mapping[str, Any] | None = None, root: Path | None = None) -> Sections:
    """Reads the sections of one YAML file, or of YAML text; see :func:`parse_documents`.

    Raises:
        MissingExtraError: A template, and Jinja2 is not installed.
        InputError: As there, or a section stands in two of its documents.
    """
    return merge_documents(parse_documents(source, defines, root))


def parse_documents(
    source: str | Path, defines: Mapping[str, Any] | None = None, root: Path | None = None
) -> list[Sections]:
    """Reads the documents of one YAML file, or of YAML text (anything with a line break), one as a rule.

    A file with Jinja marks is rendered first and holds one document; see :func:`read_template`.

    Args:
        source: Path or text.
        defines: Values of the template's variables.
        root: Folder below which a template may include files; its own unless stated.

    Raises:
        MissingExtraError: A template, and Jinja2 is not installed.
        InputError: The file does not exist, is no YAML, or a document is no mapping.
    """
    if isinstance(source, Path) or "\n" not in source:
        path = as_path(source)
        where = str(path)
        text = _read(path)
    else:
        path, text, where = Path(_TEXT), source, _TEXT
        if is_template(text):
            raise InputError(f"{where}: Jinja templates are read from files only")
    if is_template(text):
        documents = [read_template(path, text, defines or {}, root)]
    else:
        documents = load_documents(text, where) or [None]
    return [_sections(data, where) for data in documents if data is not None or len(documents) == 1]


def _sections(data: Any, where: str) -> Sections:
    if not isinstance(data, dict):
        found = "an empty file" if data is None else type(data).__name__
        raise InputError(f"{where}: a mapping of sections is expected, found {found}")
    # The collections keep what only anchors use under such a name.
    kept = {str(section): value for section, value in data.items() if not str(section).endswith("_ignore")}
    return Sections(kept, {} if where == _TEXT else dict.fromkeys(kept, (where,)))


def _read(path: Path) -> str:
    if path.suffix.lower() == ".cfg" and path.is_file():
        raise InputError(f"{path}: libconfig files are not supported; allowed: YAML ({', '.join(SUFFIXES)})")
    return read_text(path)


def merge_documents(documents: Iterable[Mapping[str, Any]]) -> Sections:
    """Joins sections of several files; classes of components, targets of constraints and variables add up.

    Raises:
        InputError: Any other section appears twice, or a variable does.
    """
    merged = Sections({})
    for document in documents:
        for section, value in document.items():
            if isinstance(document, Sections) and value not in (None, [], {}):
                merged.files[section] = merged.files.get(section, ()) + document.files.get(section, ())
            if merged.get(section) in (None, [], {}):
                merged[section] = value
            elif value not in (None, [], {}):
                merged[section] = _joined(section, merged[section], value)
    return merged


def _joined(section: str, old: Any, new: Any) -> Any:
    if section in ("variables", "globals") and isinstance(old, dict) and isinstance(new, dict):
        for key in set(old) & set(new) - {"version"}:
            raise InputError(f"{section}.{key} appears in two files or documents")
        return old | new
    part = "classes" if "components" in section else "targets" if "constraints" in section else None
    if isinstance(old, list) and isinstance(new, list) and part:
        return [*old, *new]
    if part and all(isinstance(value, dict) and isinstance(value.get(part) or [], list) for value in (old, new)):
        return old | new | {part: [*(old.get(part) or []), *(new.get(part) or [])]}
    raise InputError(f"section {section!r} appears in two files or documents")


def normalise(mapping: Any, where: str, allowed: Iterable[str]) -> dict[str, Any]:
    """Checks keys and spells them with underscores.

    Args:
        mapping: A mapping as read.
        where: Its path, for messages.
        allowed: Known keys, with underscores.

    Raises:
        InputError: Not a mapping, a key that is not understood, or one that is there in both spellings.
    """
    if not isinstance(mapping, Mapping):
        raise InputError(f"{where} is {shown(mapping)}, allowed: a mapping")
    known = set(allowed)
    result = {}
    for key, value in mapping.items():
        name = str(key).replace("-", "_")
        if name not in known:
            raise unknown_name(f"key in {where}", key, known)
        if name in result:
            raise InputError(f"{where}: key {name!r} appears twice")
        result[name] = value
    return result


def as_list(value: Any, where: str) -> list[Any]:
    """Returns a list, ``[]`` for nothing.

    Raises:
        InputError: Something else.
    """
    if value is None:
        return []
    if not isinstance(value, list):
        raise InputError(f"{where} is {shown(value)}, allowed: a list")
    return value


def as_table(value: Any, where: str) -> Mapping[str, Any]:
    """Returns a mapping, ``{}`` for nothing.

    Raises:
        InputError: Something else.
    """
    if value is None:
        return {}
    if not isinstance(value, Mapping):
        raise InputError(f"{where} is {shown(value)}, allowed: a mapping")
    return value


def as_number(value: Any, where: str) -> float:
    """Returns a finite number.

    Raises:
        InputError: Something else.
    """
    try:
        if not isinstance(value, bool) and isinstance(value, int | float) and math.isfinite(value):
            return float(value)
    except OverflowError:
        pass
    raise InputError(f"{where} is {shown(value)}, allowed numbers")


def as_integer(value: Any, where: str) -> int:
    """Returns an integer from 1 to 2**31 - 1.

    Raises:
        InputError: Something else.
    """
    if not isinstance(value, bool) and isinstance(value, int | float) and 1 <= value < 2**31 and value == int(value):
        return int(value)
    raise InputError(f"{where} is {shown(value)}, allowed integers 1..{2**31 - 1}")
