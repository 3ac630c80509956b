"""JSON lines in, JSON lines out: a file of rows through the ``loopnest`` model."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

from accelgym.costmodels.errors import InputError
from accelgym.costmodels.files.json_file import parse_json
from accelgym.costmodels.files.plain import Place
from accelgym.costmodels.files.text import lines_of
from accelgym.costmodels.files.whole_file import whole_file
from accelgym.costmodels.loopnest.model import Counting
from accelgym.costmodels.loopnest.rows import evaluate_numbered_rows
from accelgym.costmodels.loopnest.steps import Engine

__all__ = ["evaluate_file"]


def evaluate_file(
    source: Place, target: Place, *, counting: Counting | None = None, engine: Engine = "head"
) -> tuple[int, int]:
    """Evaluates a file of rows; the target is written whole or not at all.

    Args:
        source: JSON lines, see :func:`evaluate_rows`; empty lines are skipped.
        target: Gets one line ``{"id": ..., "result": ...}`` a row, in order.
        counting: See :func:`evaluate_rows`.
        engine: Default of rows that state none.

    Returns:
        How many rows there are, and how many of them are valid.

    Raises:
        InputError: A file cannot be read or written, or a row is malformed: names file, line, key and value.
    """
    total = valid = 0
    with lines_of(source) as lines, whole_file(target) as file:
        try:
            for row in evaluate_numbered_rows(_rows(lines), counting=counting, engine=engine):
                file.write(json.dumps(row, allow_nan=False) + "\n")
                total += 1
                valid += row["result"].get("valid", True)
        except InputError as error:
            raise InputError(f"{source}: {error}") from error
    return total, valid


def _rows(lines: Iterator[str]) -> Iterator[tuple[int, Any]]:
    for number, text in enumerate(lines, start=1):
        if text.strip():
            yield number, _parse(number, text)


def _parse(number: int, text: str) -> Any:
    try:
        return parse_json(text)
    except json.JSONDecodeError as error:
        raise InputError(f"line {number}: not JSON: {error.msg} at column {error.colno}") from error
    except ValueError as error:
        raise InputError(f"line {number}: not JSON: {error}") from error
