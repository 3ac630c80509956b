"""Reading comma-separated layer tables so that an error can say file, line and column."""

from __future__ import annotations

import csv
from dataclasses import dataclass
from pathlib import Path

from accelgym.costmodels.errors import InputError
from accelgym.costmodels.workloads.layer import MAX_DIM

__all__ = ["CsvRow", "read_csv"]


@dataclass(frozen=True)
class CsvRow:
    """One non-empty line, its cells stripped of blanks."""

    path: Path
    line: int
    cells: tuple[str, ...]

    def error(self, column: int, message: str) -> InputError:
        """Builds the error for a cell; columns count from 1."""
        return InputError(f"{self.path}:{self.line}:{column + 1}: {message}")

    def integer(self, column: int, name: str, *, low: int = 1) -> int:
        """Returns a cell as an integer.

        Raises:
            InputError: The cell is missing, no integer, or outside ``low..MAX_DIM``.
        """
        if column >= len(self.cells) or not self.cells[column]:
            raise self.error(column, f"column {name!r} is missing")
        text = self.cells[column]
        digits = text.removeprefix("-")
        value = int(text) if digits.isascii() and digits.isdigit() and len(digits) < 20 else None
        if value is None or not low <= value <= MAX_DIM:
            raise self.error(column, f"column {name!r} is {text!r}, allowed: integers {low}..{MAX_DIM}")
        return value


def read_csv(path: Path) -> list[CsvRow]:
    """Reads the non-empty lines of a file.

    Raises:
        InputError: The file cannot be read, is no text or has no line.
    """
    try:
        text = path.read_text(encoding="utf-8-sig")
    except (OSError, UnicodeDecodeError) as error:
        raise InputError(f"{path}: cannot be read as text: {error}") from error
    rows = []
    reader = csv.reader(text.splitlines())
    try:
        for cells in reader:
            if any(cell.strip() for cell in cells):
                rows.append(CsvRow(path, reader.line_num, tuple(cell.strip() for cell in cells)))
    except csv.Error as error:
        raise InputError(f"{path}:{reader.line_num}:1: {error}") from error
    if not rows:
        raise InputError(f"{path}:1:1: the file is empty")
    return rows
