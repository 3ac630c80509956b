"""Where text goes: results to standard output, progress and errors to standard error."""

from __future__ import annotations

import json
import math
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn, TimeRemainingColumn
from rich.table import Table

__all__ = ["errors", "out", "print_json", "print_table", "progress_bar"]

out = Console(soft_wrap=True, markup=False, emoji=False)
"""Text is data: brackets in the names of layers and files mean nothing. What is to be bold is a ``rich.text.Text``."""
errors = Console(stderr=True, soft_wrap=True, markup=False, emoji=False)
_WIDEST = 1_000_000
"""Characters of a line in a file or a pipe."""


def print_json(data: Any) -> None:
    """Prints strict JSON on one line; infinities become ``null``."""
    out.file.write(json.dumps(_strict(data)) + "\n")


def print_table(table: Table) -> None:
    """Prints a table without cutting a cell: folded to the width of a terminal, a line for each row elsewhere."""
    for column in table.columns:
        column.overflow = "fold"
    if not out.is_terminal:
        table.width = out.measure(table, options=out.options.update(max_width=_WIDEST)).maximum
    out.print(table)


@contextmanager
def progress_bar() -> Iterator[Progress]:
    """A progress bar on standard error, shown on a terminal only."""
    columns = (
        TextColumn("{task.description}", markup=False),
        BarColumn(),
        MofNCompleteColumn(),
        TimeElapsedColumn(),
        TimeRemainingColumn(),
        TextColumn("{task.fields[note]}", markup=False),
    )
    with Progress(*columns, console=errors, disable=not errors.is_terminal) as progress:
        yield progress


def _strict(data: Any) -> Any:
    if isinstance(data, dict):
        return {key: _strict(value) for key, value in data.items()}
    if isinstance(data, (list, tuple)):
        return [_strict(value) for value in data]
    if isinstance(data, float) and not math.isfinite(data):
        return None
    return data
