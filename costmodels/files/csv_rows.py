"""Reading comma-separated tables so that an error can say file, line and column."""

from __future__ import annotations

import csv
from dataclasses import dataclass
from pathlib import Path

from accelgym.costmodels.errors import InputError, shown
from accelgym.costmodels.files.csv_table import integer, refuse_repeated
from accelgym.costmodels.files.plain import Place, as_path
from accelgym.costmodels.files.text import read_text

__all__ = ["CsvRow", "check_length", "column_positions", "read_csv", "refuse_repeated_columns"]

_LARGEST = 2**31 - 1
"""Largest number in a table of layers: what a signed 32-bit count holds."""


@dataclass(frozen=True)
class CsvRow:
    """One non-empty line, its cells stripped of blanks."""

    path: Path
    line: int
    cells: tuple[str, ...]

    def error(self, column: int, message: str) -> InputError:
        """Builds the error for a cell; columns count from 1."""
        return InputError(f"{self.path}:{self.line}:{column + 1}: {message}")

    def integer(self, column: int, name: str, *, low: int = 1, high: int = _LARGEST) -> int:
        """Returns a cell as an integer.

        Raises:
            InputError: The cell is missing, no integer, or outside ``low..high``.
        """
        if column >= len(self.cells) or not self.cells[column]:
            raise self.error(column, f"column {name!r} is missing")
        text = self.cells[column]
        value = integer(text)
        if value is None or not low <= value <= high:
            raise self.error(column, f"column {name!r} is {shown(text)}, allowed: integers {low}..{high}")
        return value


def column_positions(header: CsvRow) -> dict[str, int]:
    """Returns the position of every named column.

    Raises:
        InputError: A column stands twice.
    """
    refuse_repeated_columns(header)
    return {name: index for index, name in enumerate(header.cells) if name}


def refuse_repeated_columns(header: CsvRow) -> None:
    """Checks that no column stands twice.

    Raises:
        InputError: One does.
    """
    if repeated := refuse_repeated(header.cells):
        raise header.error(0, repeated)


def check_length(header: CsvRow, row: CsvRow, needed: int | None = None) -> None:
    """Checks that a row has a cell for every column; empty cells behind the last column do not count.

    Args:
        header: The header.
        row: A row below it.
        needed: Cells without which the row is too short; those of the header when None.

    Raises:
        InputError: The row is shorter, or longer.
    """
    most = len(_without_empty_end(header.cells))
    least = most if needed is None else needed
    found = len(_without_empty_end(row.cells)) if len(row.cells) > most else len(row.cells)
    if not least <= found <= most:
        raise row.error(min(found, most), f"the row has {found} cells, the header {most}")


def _without_empty_end(cells: tuple[str, ...]) -> tuple[str, ...]:
    while cells and not cells[-1]:
        cells = cells[:-1]
    return cells


def read_csv(path: Place) -> list[CsvRow]:
    """Reads the non-empty lines of a file; cells end at commas, or at tabs if the first line has no comma.

    Raises:
        InputError: The file cannot be read, is no text or has no line.
    """
    path = as_path(path)
    lines = read_text(path).splitlines()
    first = next((line for line in lines if line.strip()), "")
    delimiter = "\t" if "\t" in first and "," not in first else ","
    rows = []
    reader = csv.reader(lines, delimiter=delimiter)
    try:
        for cells in reader:
            if any(cell.strip() for cell in cells):
                rows.append(CsvRow(path, reader.line_num, tuple(cell.strip() for cell in cells)))
    except csv.Error as error:
        raise InputError(f"{path}:{reader.line_num}:1: {error}") from error
    if not rows:
        raise InputError(f"{path}:1:1: the file is empty")
    return rows
