"""Tables with named columns, read with errors that name file and line."""

from __future__ import annotations

import csv
from collections.abc import Iterable, Sequence
from dataclasses import fields
from typing import TYPE_CHECKING, Any, TextIO, TypeVar

from accelgym.costmodels.errors import InputError
from accelgym.costmodels.files.plain import Place, as_path
from accelgym.costmodels.files.text import lines_of
from accelgym.costmodels.files.whole_file import whole_file

if TYPE_CHECKING:
    from _typeshed import DataclassInstance

Record = TypeVar("Record", bound="DataclassInstance")

_DIGITS = 4300
FORMULA = ("=", "+", "-", "@", "\t", "\r")
"""What a cell begins with that spreadsheets run."""

__all__ = ["FORMULA", "TableWriter", "check_header", "integer", "read_table", "refuse_repeated", "write_records"]


def integer(text: str) -> int | None:
    """Returns the integer that a cell holds, None for anything but ASCII digits with an optional minus sign."""
    digits = text.strip().removeprefix("-")
    return int(text) if digits.isascii() and digits.isdigit() and len(digits) < _DIGITS else None


def refuse_repeated(header: Sequence[str]) -> str:
    """Words the first column name that stands twice in a header, empty when none does."""
    for index, name in enumerate(header):
        if name and name in header[:index]:
            return f"column {name!r} stands twice, as columns {list(header).index(name) + 1} and {index + 1}"
    return ""


def check_header(path: Place, header: Sequence[str], columns: Sequence[str]) -> None:
    """Checks the columns of a table.

    Raises:
        InputError: A column stands twice, or one that is needed is missing.
    """
    if repeated := refuse_repeated(header):
        raise InputError(f"{path}: line 1: {repeated}")
    missing = [name for name in columns if name not in header]
    if missing:
        raise InputError(f"{path}: line 1: column {missing[0]!r} is missing; needed: {', '.join(columns)}")


def read_table(path: Place, columns: Sequence[str]) -> tuple[list[str], list[tuple[int, dict[str, str]]]]:
    """Reads a CSV with a header.

    Args:
        path: The file.
        columns: Columns it has to have, among others.

    Returns:
        The header, and every row with the number of its line.

    Raises:
        InputError: The file cannot be read, lacks a column or has one twice, or has a row of another length.
    """
    path = as_path(path)
    try:
        with lines_of(path) as lines:
            reader = csv.DictReader(lines)
            header = [name.strip() for name in reader.fieldnames or ()]
            reader.fieldnames = header
            rows = [(reader.line_num, row) for row in reader]
    except csv.Error as error:
        raise InputError(f"{path}: cannot be read ({error})") from error
    check_header(path, header, columns)
    for line, row in rows:
        if None in row or None in row.values():
            raise InputError(f"{path}: line {line}: expected {len(header)} cells as in the header")
    return header, rows


class TableWriter:
    """Writes rows of a CSV in which no text is a formula of a spreadsheet: one that would be follows an apostrophe.

    Args:
        file: Opened without translation of line ends.
        line_end: Of every row.
    """

    def __init__(self, file: TextIO, *, line_end: str = "\r\n") -> None:
        self._writer = csv.writer(file, lineterminator=line_end)

    def row(self, cells: Sequence[Any]) -> None:
        """Writes a row; ``None`` is an empty cell."""
        self._writer.writerow([_harmless(cell) for cell in cells])


def write_records(path: Place, kind: type[Record], records: Iterable[Record]) -> None:
    """Writes a table with a column for each field of a dataclass, whole or not at all.

    Args:
        path: The file.
        kind: The dataclass.
        records: A row each.

    Raises:
        InputError: The file cannot be written.
    """
    names = [field.name for field in fields(kind)]
    with whole_file(path) as file:
        writer = TableWriter(file)
        writer.row(names)
        for record in records:
            writer.row([getattr(record, name) for name in names])


def _harmless(cell: Any) -> Any:
    if not isinstance(cell, str) or not cell.startswith(FORMULA):
        return cell
    try:
        float(cell)
    except ValueError:
        return cell if cell == "-" else f"'{cell}"
    return cell
