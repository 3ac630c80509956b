"""Liberty files: the areas and delays of standard cells, as far as reports need them."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

from accelgym.costmodels.errors import InputError

__all__ = ["DEFAULT_LIBRARY", "Cell", "Library", "read_library"]

DEFAULT_LIBRARY = Path(__file__).resolve().parent / "libraries" / "nand2.lib"
"""Our own cells, in NAND2 equivalents; its header states what areas and delays rest on."""

_PICOSECONDS = {"ps": 1.0, "ns": 1e3, "us": 1e6}
_TOKEN = re.compile(r'"(?:[^"\\]|\\.)*"|[{}();:,]|[^\s{}();:,"]+')
_NOISE = re.compile(r"/\*.*?\*/|\\\r?\n|//[^\n]*", re.DOTALL)
_SETUP = ("setup_rising", "setup_falling")
_LAUNCH = ("rising_edge", "falling_edge")
_MEASURED = ("cell_rise", "cell_fall", "rise_constraint", "fall_constraint")


@dataclass(frozen=True)
class Cell:
    """A standard cell; delays in ps."""

    name: str
    area: float
    sequential: bool
    arcs: dict[tuple[str, str], float]
    """Delay from input pin to output pin."""
    setup: dict[str, float]
    """Setup time of the data pins of a flip-flop."""
    launch: dict[str, float]
    """Delay from the clock to the output pins of a flip-flop."""


@dataclass(frozen=True)
class Library:
    """The cells of a liberty file.

    Delays are the middle entries of their tables, the slower edge: they depend on neither slope nor load.
    """

    name: str
    text: str
    cells: dict[str, Cell]


@dataclass
class _Group:
    """``kind (arguments) { values; groups }``."""

    kind: str
    arguments: list[str]
    values: dict[str, list[str]] = field(default_factory=dict)
    groups: list[_Group] = field(default_factory=list)

    def named(self, *kinds: str) -> Iterator[_Group]:
        return (group for group in self.groups if group.kind in kinds)

    def text(self, name: str, default: str = "") -> str:
        return " ".join(self.values.get(name, [default]))


class _Syntax(Exception):
    pass


class _Reader:
    def __init__(self, text: str) -> None:
        self._tokens: list[str] = [match[0] for match in _TOKEN.finditer(_NOISE.sub(" ", text))]
        self._at = 0

    def library(self) -> _Group:
        kind, arguments = self._take(), self._arguments()
        if kind != "library":
            raise _Syntax(f"begins with {kind!r}")
        self._expect("{")
        return self._body(_Group(kind, arguments))

    def _take(self) -> str:
        if self._at >= len(self._tokens):
            raise _Syntax("ends early")
        self._at += 1
        return self._tokens[self._at - 1].strip('"')

    def _peek(self) -> str:
        return self._tokens[self._at] if self._at < len(self._tokens) else ""

    def _expect(self, token: str) -> None:
        found = self._take()
        if found != token:
            raise _Syntax(f"has {found!r} where {token!r} is due")

    def _arguments(self) -> list[str]:
        self._expect("(")
        found = []
        while (token := self._take()) != ")":
            if token != ",":
                found.append(token)
        return found

    def _body(self, group: _Group) -> _Group:
        while (name := self._take()) != "}":
            if name == ";":
                continue
            if self._peek() == ":":
                self._take()
                value = []
                while self._peek() not in (";", "}", ""):
                    value.append(self._take())
                group.values[name] = value
                continue
            arguments = self._arguments()
            if self._peek() == "{":
                self._take()
                group.groups.append(self._body(_Group(name, arguments)))
            else:
                group.values[name] = arguments
        return group


def _middle(table: _Group) -> float:
    rows = [[float(number) for number in row.replace(",", " ").split()] for row in table.values["values"]]
    row = rows[len(rows) // 2]
    return row[len(row) // 2]


def _delay(timing: _Group, unit: float) -> float | None:
    """Returns the slower edge of an arc, ps."""
    found = [_middle(table) for table in timing.named(*_MEASURED) if "values" in table.values]
    found += [float(timing.text(name)) for name in ("intrinsic_rise", "intrinsic_fall") if name in timing.values]
    return max(found) * unit if found else None


def _cell(group: _Group, unit: float) -> Cell:
    arcs: dict[tuple[str, str], float] = {}
    setup: dict[str, float] = {}
    launch: dict[str, float] = {}
    for pin in group.named("pin"):
        for name in pin.arguments:
            for timing in pin.named("timing"):
                delay, kind = _delay(timing, unit), timing.text("timing_type", "combinational")
                if delay is None:
                    continue
                if kind in _SETUP:
                    setup[name] = max(delay, setup.get(name, 0.0))
                elif kind in _LAUNCH:
                    launch[name] = max(delay, launch.get(name, 0.0))
                elif kind == "combinational":
                    for source in timing.text("related_pin").split():
                        arcs[source, name] = max(delay, arcs.get((source, name), 0.0))
    sequential = any(True for _ in group.named("ff", "latch"))
    return Cell(group.arguments[0], float(group.text("area", "0")), sequential, arcs, setup, launch)


def _time_unit(library: _Group) -> float:
    match = re.fullmatch(r"([\d.]+)\s*(ps|ns|us)", library.text("time_unit", "1ns"))
    if match is None:
        raise _Syntax(f"has the time_unit {library.text('time_unit')!r}")
    return float(match[1]) * _PICOSECONDS[match[2]]


def read_library(path: Path | None = None) -> Library:
    """Reads a liberty file.

    Args:
        path: The file; :data:`DEFAULT_LIBRARY` when None.

    Raises:
        InputError: There is no such file, it is not a liberty file, or it lacks cells, a flip-flop or areas.
    """
    file = path or DEFAULT_LIBRARY
    try:
        text = file.read_text()
    except (OSError, UnicodeDecodeError) as error:
        raise InputError(f"liberty file {str(file)!r} cannot be read: {error}") from error
    try:
        group = _Reader(text).library()
        unit = _time_unit(group)
        cells = {cell.name: cell for cell in (_cell(found, unit) for found in group.named("cell"))}
    except (_Syntax, ValueError, IndexError) as error:
        raise InputError(f"{str(file)!r} is not a liberty file: it {error}") from error
    if not any(cell.sequential for cell in cells.values()) or all(cell.sequential for cell in cells.values()):
        raise InputError(f"liberty file {str(file)!r} needs gates and a flip-flop; it has {len(cells)} cells")
    if not any(cell.area > 0 for cell in cells.values()):
        raise InputError(f"liberty file {str(file)!r}: no cell has an area")
    return Library(group.arguments[0] if group.arguments else file.stem, text, cells)
