"""Numbers out of what a simulator wrote: JSON, CSV columns, and texts searched with regular expressions."""

from __future__ import annotations

import csv
import io
import math
import re
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, Literal

from pydantic import Field, model_validator

from accelgym.costmodels.errors import InputError, shown
from accelgym.costmodels.files.json_file import parse_json
from accelgym.costmodels.files.strict_model import StrictModel
from accelgym.costmodels.files.text import read_bytes
from accelgym.envs.external.process import STDERR, STDOUT

__all__ = ["MissingOutputError", "OutOfRangeError", "OutputSpec", "UnreadableError", "check_relative", "read_output"]

_NUMBER = re.compile(r"[+-]?(?:[0-9]+\.?[0-9]*|\.[0-9]+)(?:[eE][+-]?[0-9]+)?")
_NOT_FINITE = re.compile(r"[+-]?(?:nan|inf|infinity)", re.IGNORECASE)
_MOST_BYTES = 16 * 2**20
"""Of an output that is read; rubbish without end is no result."""


class MissingOutputError(ValueError):
    """The simulator left no such file."""


class UnreadableError(ValueError):
    """The file is there, and what was asked for is not in it."""


class OutOfRangeError(ValueError):
    """A number that cannot be."""


class OutputSpec(StrictModel):
    """Where a number is found; exactly one of ``json``, ``csv`` and ``regex``."""

    json_key: list[str | int] | str | None = Field(default=None, alias="json")
    """Keys from the top of a JSON file, as a list or joined by dots; integers are places in lists."""
    csv_column: str | None = Field(default=None, alias="csv")
    """Name of a column; the first line names them."""
    regex: str | None = None
    """With one group, which is the number."""
    file: str = STDOUT
    """Where: a file below the folder of the run, or ``stdout`` or ``stderr``."""
    take: Literal["only", "first", "last", "sum", "min", "max", "mean"] = "only"
    """Which of several rows or matches; ``only``: there must be one."""
    least: float = Field(default=0.0, allow_inf_nan=False)
    """Smallest value that can be."""
    most: float = math.inf
    """Largest."""

    @model_validator(mode="after")
    def _is_one_kind(self) -> OutputSpec:
        kinds = [x is not None for x in (self.json_key, self.csv_column, self.regex)]
        if sum(kinds) != 1:
            raise InputError("give exactly one of json, csv and regex")
        if self.regex is not None:
            try:
                groups = re.compile(self.regex).groups
            except (re.error, RecursionError, OverflowError) as error:
                raise InputError(f"regex {shown(self.regex)}: {error}") from None
            if groups != 1:
                raise InputError(f"regex {shown(self.regex)} has {groups} groups, allowed: one, the number")
        if not self.least <= self.most:
            raise InputError(f"least is {self.least}, allowed: at most most, {self.most}")
        check_relative(self.file, "file")
        return self


def check_relative(name: str, what: str) -> None:
    """Refuses names of files that lead out of the folder of a run.

    Raises:
        InputError: An absolute path, or one with ``..``.
    """
    path = Path(name)
    if not name or "\0" in name or path.is_absolute() or ".." in path.parts or name.endswith("/") or not path.parts:
        raise InputError(f"{what} is {shown(name)}, allowed: a file below the folder of the run")


def read_output(spec: OutputSpec, folder: Path) -> float:
    """Reads one number of a run that is over.

    Args:
        spec: Where it is found.
        folder: The folder of the run; both printed outputs lie beside it.

    Raises:
        MissingOutputError: There is no such file.
        UnreadableError: It has no such number, or several.
        OutOfRangeError: The number is not finite, or cannot be.
    """
    text = _read(folder.parent / spec.file if spec.file in (STDOUT, STDERR) else folder / spec.file, spec.file)
    try:
        if spec.json_key is not None:
            found = [_at(parse_json(text), spec.json_key)]
        elif spec.csv_column is not None:
            found = _column(text, spec.csv_column)
        else:
            found = re.findall(spec.regex or "", text)
    except (ValueError, csv.Error, RecursionError) as error:
        raise UnreadableError(f"{spec.file}: {error}") from None
    if not found:
        sought = "no row" if spec.regex is None else f"nothing matches {shown(spec.regex)}"
        raise UnreadableError(f"{spec.file}: {sought}")
    if spec.take == "only" and len(found) > 1:
        raise UnreadableError(f"{spec.file}: {len(found)} values, expected one (say which with take)")
    try:
        value = _TAKE[spec.take]([_number(item, spec.file) for item in found])
    except OverflowError:
        raise OutOfRangeError(f"{spec.file}: a number beyond the range of a double") from None
    if not (math.isfinite(value) and spec.least <= value <= spec.most):
        raise OutOfRangeError(f"{spec.file}: {value!r}, allowed {spec.least} to {spec.most}")
    return value


_TAKE: dict[str, Callable[[Sequence[float]], float]] = {
    "only": lambda values: values[0],
    "first": lambda values: values[0],
    "last": lambda values: values[-1],
    "sum": math.fsum,
    "min": min,
    "max": max,
    "mean": lambda values: math.fsum(values) / len(values),
}


def _read(path: Path, name: str) -> str:
    # A pipe left under this name would hold up the reader for ever.
    if not path.is_file():
        raise MissingOutputError(f"{name}: the simulator wrote no such file")
    try:
        data = read_bytes(path, _MOST_BYTES)
    except InputError as error:
        raise UnreadableError(str(error)) from None
    return data.decode("utf-8-sig", errors="replace")


def _at(data: Any, key: list[str | int] | str) -> Any:
    """Follows keys down into JSON data."""
    for part in key.split(".") if isinstance(key, str) else key:
        if isinstance(data, dict) and str(part) in data:
            data = data[str(part)]
        elif isinstance(data, list) and str(part).isdecimal() and int(part) < len(data):
            data = data[int(part)]
        else:
            raise UnreadableError(f"no key {part!r} of {key!r}")
    return data


def _column(text: str, name: str) -> list[str]:
    rows = [[cell.strip() for cell in row] for row in csv.reader(io.StringIO(text), skipinitialspace=True)]
    rows = [row for row in rows if any(row)]
    if not rows or rows[0].count(name) != 1:
        times = rows[0].count(name) if rows else 0
        raise UnreadableError(f"column {name!r} occurs {times} times in the first line")
    place = rows[0].index(name)
    for number, row in enumerate(rows[1:], 2):
        if len(row) <= place:
            raise UnreadableError(f"row {number} has {len(row)} cells")
    return [row[place] for row in rows[1:]]


def _number(item: Any, file: str) -> float:
    if isinstance(item, int | float) and not isinstance(item, bool):
        return float(item)
    text = item.strip() if isinstance(item, str) else ""
    if _NOT_FINITE.fullmatch(text):
        raise OutOfRangeError(f"{file}: {text} is no finite number")
    if not _NUMBER.fullmatch(text):
        raise UnreadableError(f"{file}: {shown(item)} is no number")
    return float(text)
