"""Large tables with named columns, read block by block.

Blocks of plain lines (no quotes, as many commas in each as in the header) are parsed as bytes by NumPy. Whatever is
not plain, and whatever a plain block cannot make sense of, goes through the ``csv`` module line by line: it has the
last word on what is accepted and the words for what is not.
"""

from __future__ import annotations

import csv
import io
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property
from itertools import chain, islice
from pathlib import Path
from typing import Any, TextIO

import numpy as np
import numpy.typing as npt

from accelgym.costmodels.errors import InputError
from accelgym.costmodels.files.csv_table import check_header
from accelgym.costmodels.files.text import next_line, open_text

__all__ = ["PlainBlock", "RowBlock", "read_blocks"]

_CHARACTERS = 1 << 20
"""Characters in a block."""
_ROWS = 1 << 14
"""Rows in a block that the ``csv`` module reads."""
_MOST_DIGITS = 15

RowBlock = list[tuple[int, dict[str, str]]]
"""Rows by column name, each with the number of its line."""


@dataclass(frozen=True)
class PlainBlock:
    """Lines without quotes, with a cell for every column."""

    text: str
    """The lines, each ended by a newline."""
    first_line: int
    header: tuple[str, ...]
    data: npt.NDArray[np.uint8]
    starts: npt.NDArray[np.intp]
    """Offsets of the cells in ``data``, shape ``(rows, columns)``."""
    ends: npt.NDArray[np.intp]

    @cached_property
    def lines(self) -> list[str]:
        """The lines without their ends."""
        return self.text.split("\n")[:-1]

    def integers(self, column: str) -> npt.NDArray[np.int64] | None:
        """Returns a column of digits; ``None`` if a cell is empty, holds anything else or more than 15 of them."""
        at = self.header.index(column)
        last, length = self.ends[:, at] - 1, self.ends[:, at] - self.starts[:, at]
        most = int(length.max())
        if length.min() < 1 or most > _MOST_DIGITS:
            return None
        total = np.zeros(len(length), dtype=np.int64)
        for i in range(most):
            digit = self.data[last - i].astype(np.int64) - ord("0")
            held = length > i
            if bool((held & ((digit < 0) | (digit > 9))).any()):
                return None
            total += np.where(held, digit, 0) * 10**i
        return total

    def choices(self, column: str, words: Sequence[str]) -> npt.NDArray[np.int64] | None:
        """Returns which of some words each cell of a column is; ``None`` if a cell is none of them."""
        at = self.header.index(column)
        start, length = self.starts[:, at], self.ends[:, at] - self.starts[:, at]
        found = np.full(len(start), -1, dtype=np.int64)
        for code, word in enumerate(words):
            same = length == len(word)
            for i, character in enumerate(word.encode()):
                same &= self.data[np.minimum(start + i, len(self.data) - 1)] == character
            found[same] = code
        return None if bool((found < 0).any()) else found

    def begins_with(self, characters: Sequence[str]) -> bool:
        """Whether any cell begins with one of some characters."""
        looked_for = np.zeros(256, dtype=np.bool_)
        looked_for[[ord(character) for character in characters]] = True
        return bool(looked_for[self.data[self.starts]].any())

    def rows(self) -> RowBlock:
        """Returns the block as the ``csv`` module reads it."""
        reader = csv.reader(self.lines)
        return [(self.first_line + i, dict(zip(self.header, cells, strict=True))) for i, cells in enumerate(reader)]


def read_blocks(path: Path, columns: Sequence[str]) -> Iterator[tuple[list[str], PlainBlock | RowBlock]]:
    """Reads a CSV with a header, a block at a time.

    Args:
        path: The file.
        columns: Columns it has to have, among others.

    Yields:
        The header, and a block; at least one, of no rows if there are none.

    Raises:
        InputError: The file cannot be read, lacks a column or has one twice, or has a row of another length.
    """
    try:
        with open_text(path) as file:
            yield from _blocks(path, file, columns)
    except csv.Error as error:
        raise InputError(f"{path}: cannot be read ({error})") from error


def _blocks(path: Path, file: TextIO, columns: Sequence[str]) -> Iterator[tuple[list[str], PlainBlock | RowBlock]]:
    reader = csv.reader(iter(lambda: next_line(file), ""))
    header = [name.strip() for name in next(reader, [])]
    check_header(path, header, columns)
    line, is_empty = reader.line_num, True
    distinct = len(set(header)) == len(header)
    while text := file.read(_CHARACTERS):
        text += next_line(file)
        block = _plain(text, tuple(header), line + 1) if distinct else None
        if block is not None:
            line += len(block.starts)
            is_empty = False
            yield header, block
            continue
        # A quoted cell may go on behind the block, so what follows is read in one go.
        rest: Iterator[str] = iter(lambda: next_line(file), "") if '"' in text else iter(())
        reader = csv.reader(chain(io.StringIO(text, newline=""), rest))
        rows = _rows(path, reader, header, line)
        while batch := list(islice(rows, _ROWS)):
            is_empty = False
            yield header, batch
        line += reader.line_num
    if is_empty:
        yield header, []


def _rows(path: Path, reader: Any, header: list[str], before: int) -> Iterator[tuple[int, dict[str, str]]]:
    """Rows of a ``csv`` reader that starts behind line ``before``; blank lines are none."""
    for cells in reader:
        if not cells:
            continue
        if len(cells) != len(header):
            raise InputError(f"{path}: line {before + reader.line_num}: expected {len(header)} cells as in the header")
        yield before + reader.line_num, dict(zip(header, cells, strict=True))


def _plain(text: str, header: tuple[str, ...], first_line: int) -> PlainBlock | None:
    """Returns whole lines as a block, ``None`` if they are not plain."""
    if '"' in text or len(header) < 2:
        return None
    if "\r" in text:
        text = text.replace("\r\n", "\n")
        if "\r" in text:
            return None
    if not text.endswith("\n"):
        text += "\n"
    data = np.frombuffer(text.encode(), dtype=np.uint8)
    ends = np.flatnonzero((data == ord(",")) | (data == ord("\n")))
    if len(ends) % len(header):
        return None
    starts = np.empty_like(ends)
    starts[0], starts[1:] = 0, ends[:-1] + 1
    if int((ends - starts).max()) > csv.field_size_limit():
        return None
    grid = (-1, len(header))
    separators = data[ends].reshape(grid)
    if not bool((separators[:, -1] == ord("\n")).all() and (separators[:, :-1] == ord(",")).all()):
        return None
    return PlainBlock(text, first_line, header, data, starts.reshape(grid), ends.reshape(grid))
