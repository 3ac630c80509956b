"""Liberty files: areas, delays, functions and energies of standard cells, as far as reports need them."""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path

from accelgym.costmodels.errors import InputError
from accelgym.costmodels.files.plain import Place, as_path
from accelgym.costmodels.files.text import read_text

__all__ = ["DEFAULT_LIBRARY", "Cell", "FlipFlop", "Library", "WireLoad", "read_library"]

DEFAULT_LIBRARY = Path(__file__).resolve().parent / "libraries" / "nand2.lib"
"""Our own cells, in NAND2 equivalents; its header states what areas and delays rest on."""

_PICOSECONDS = {"ps": 1.0, "ns": 1e3, "us": 1e6}
_FEMTOFARADS = {"ff": 1.0, "pf": 1e3}
_VOLTS = {"mV": 1e-3, "V": 1.0}
_NANOWATTS = {"pW": 1e-3, "nW": 1.0, "uW": 1e3, "mW": 1e6}
_TOKEN = re.compile(r'"(?:[^"\\]|\\.)*"|[{}();:,]|[^\s{}();:,"]+')
_NOISE = re.compile(r"/\*.*?\*/|\\\r?\n|//[^\n]*", re.DOTALL)
_SETUP = ("setup_rising", "setup_falling")
_LAUNCH = ("rising_edge", "falling_edge")
_MEASURED = ("cell_rise", "cell_fall", "rise_constraint", "fall_constraint")
_POWER = ("rise_power", "fall_power", "power")


@dataclass(frozen=True)
class FlipFlop:
    """The group ``ff`` of a cell."""

    state: str
    """Name by which functions of outputs call the state; the inverted one is ``inverted``."""
    inverted: str
    clocked_on: str
    next_state: str


@dataclass(frozen=True)
class Cell:
    """A standard cell; delays in ps, energies in fJ."""

    name: str
    area: float
    sequential: bool
    arcs: dict[tuple[str, str], float]
    """Delay from input pin to output pin."""
    setup: dict[str, float]
    """Setup time of the data pins of a flip-flop."""
    launch: dict[str, float]
    """Delay from the clock to the output pins of a flip-flop."""
    functions: dict[str, str]
    """Expression of every output pin."""
    flip_flop: FlipFlop | None
    capacitances: dict[str, float]
    """Of the input pins, fF."""
    energies: dict[str, float]
    """Inside the cell for a transition of a pin, fJ; pins without ``internal_power`` are missing."""
    leakage_nw: float | None


@dataclass(frozen=True)
class WireLoad:
    """Capacitance of a wire by its fan-out: the group ``wire_load`` that a library takes by default."""

    capacitances: tuple[tuple[float, float], ...]
    """Fan-outs, ascending, and fF."""
    slope: float
    """fF for every fan-out beyond the last."""

    def __call__(self, fanout: int) -> float:
        """Returns fF; on the line between two fan-outs, and through the origin before the first."""
        if not self.capacitances or fanout < 1:
            return 0.0
        last_fanout, last = self.capacitances[-1]
        if fanout >= last_fanout:
            return last + self.slope * (fanout - last_fanout)
        below, above = (0.0, 0.0), self.capacitances[0]
        for above in self.capacitances:
            if above[0] >= fanout:
                break
            below = above
        return below[1] + (above[1] - below[1]) * (fanout - below[0]) / (above[0] - below[0])


@dataclass(frozen=True)
class Library:
    """The cells of a liberty file.

    Delays are the middle entries of their tables, the slower edge: they depend on neither slope nor load. Energies
    are the mean over the middle entries of their tables, over rise and fall and all conditions.
    """

    name: str
    text: str
    cells: dict[str, Cell]
    voltage: float
    """V."""
    wire: WireLoad

    def require_energies(self) -> None:
        """Makes sure that gates and flip-flops have energies.

        Raises:
            InputError: The library has areas only.
        """
        for kind, sequential in (("gate", False), ("flip-flop", True)):
            cells = [cell for cell in self.cells.values() if cell.sequential == sequential]
            if not any(cell.energies and cell.capacitances for cell in cells):
                raise InputError(
                    f"library {self.name!r} has no energies: no {kind} with internal_power and pin capacitance; areas "
                    "and delays can be had from it, energy cannot"
                )


@dataclass
class _Group:
    """``kind (arguments) { values; groups }``."""

    kind: str
    arguments: list[str]
    values: dict[str, list[str]] = field(default_factory=dict)
    groups: list[_Group] = field(default_factory=list)
    repeated: dict[str, list[list[str]]] = field(default_factory=lambda: defaultdict(list))
    """``name (arguments);``, which may come several times."""

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
                group.repeated[name].append(arguments)
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


@dataclass(frozen=True)
class _Units:
    picoseconds: float
    femtofarads: float
    femtojoules: float
    nanowatts: float


def _internal_energy(pin: _Group, unit: float) -> float | None:
    """Returns the mean energy of a transition of a pin, fJ."""
    found = [
        _middle(table)
        for power in pin.named("internal_power")
        for table in power.named(*_POWER)
        if "values" in table.values
    ]
    return unit * sum(found) / len(found) if found else None


def _flip_flop(group: _Group) -> FlipFlop | None:
    for found in group.named("ff"):
        state, inverted = found.arguments
        return FlipFlop(state, inverted, found.text("clocked_on"), found.text("next_state"))
    return None


def _cell(group: _Group, units: _Units) -> Cell:
    arcs: dict[tuple[str, str], float] = {}
    setup: dict[str, float] = {}
    launch: dict[str, float] = {}
    functions: dict[str, str] = {}
    capacitances: dict[str, float] = {}
    energies: dict[str, float] = {}
    for pin in group.named("pin"):
        energy = _internal_energy(pin, units.femtojoules)
        for name in pin.arguments:
            if "function" in pin.values:
                functions[name] = pin.text("function")
            if "capacitance" in pin.values and pin.text("direction") == "input":
                capacitances[name] = units.femtofarads * float(pin.text("capacitance"))
            if energy is not None:
                energies[name] = energy
            for timing in pin.named("timing"):
                delay, kind = _delay(timing, units.picoseconds), timing.text("timing_type", "combinational")
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
    return Cell(
        name=group.arguments[0],
        area=float(group.text("area", "0")),
        sequential=sequential,
        arcs=arcs,
        setup=setup,
        launch=launch,
        functions=functions,
        flip_flop=_flip_flop(group),
        capacitances=capacitances,
        energies=energies,
        leakage_nw=(
            units.nanowatts * float(group.text("cell_leakage_power")) if "cell_leakage_power" in group.values else None
        ),
    )


def _unit(library: _Group, name: str, default: str, scales: Mapping[str, float]) -> float:
    match = re.fullmatch(rf"([\d.]+)\s*({'|'.join(scales)})", library.text(name, default))
    if match is None:
        raise _Syntax(f"has the {name} {library.text(name)!r}")
    return float(match[1]) * scales[match[2]]


def _capacitance_unit(library: _Group) -> float:
    """Returns the ``capacitive_load_unit``, whose number and name are two arguments, in fF."""
    words = library.values.get("capacitive_load_unit", ["1", "pf"])
    if len(words) != 2 or words[1].lower() not in _FEMTOFARADS:
        raise _Syntax(f"has the capacitive_load_unit {words!r}")
    return float(words[0]) * _FEMTOFARADS[words[1].lower()]


def _units(library: _Group) -> _Units:
    femtofarads = _capacitance_unit(library)
    return _Units(
        picoseconds=_unit(library, "time_unit", "1ns", _PICOSECONDS),
        femtofarads=femtofarads,
        femtojoules=femtofarads * _unit(library, "voltage_unit", "1V", _VOLTS) ** 2,
        nanowatts=_unit(library, "leakage_power_unit", "1nW", _NANOWATTS),
    )


def _wire_load(library: _Group, unit: float) -> WireLoad:
    """Returns the default wire load; no capacitance where the library has none."""
    for group in library.named("wire_load"):
        if group.arguments != [library.text("default_wire_load")]:
            continue
        scale = unit * float(group.text("capacitance", "0"))
        lengths = sorted((float(fanout), float(length)) for fanout, length, *_ in group.repeated["fanout_length"])
        return WireLoad(tuple((f, scale * length) for f, length in lengths), scale * float(group.text("slope", "0")))
    return WireLoad((), 0.0)


def read_library(path: Place | None = None) -> Library:
    """Reads a liberty file.

    Args:
        path: The file; :data:`DEFAULT_LIBRARY` when None.

    Raises:
        InputError: There is no such file, it is not a liberty file, or it lacks cells, a flip-flop or areas.
    """
    file = DEFAULT_LIBRARY if path is None else as_path(path)
    try:
        text = read_text(file)
    except InputError as error:
        raise InputError(f"liberty file {error}") from error
    try:
        group = _Reader(text).library()
        units = _units(group)
        cells = {cell.name: cell for cell in (_cell(found, units) for found in group.named("cell"))}
        wire = _wire_load(group, units.femtofarads)
        voltage = float(group.text("nom_voltage", "1"))
    except (_Syntax, ValueError, IndexError) as error:
        raise InputError(f"{str(file)!r} is not a liberty file: it {error}") from error
    if not any(cell.sequential for cell in cells.values()) or all(cell.sequential for cell in cells.values()):
        raise InputError(f"liberty file {str(file)!r} needs gates and a flip-flop; it has {len(cells)} cells")
    if not any(cell.area > 0 for cell in cells.values()):
        raise InputError(f"liberty file {str(file)!r}: no cell has an area")
    return Library(group.arguments[0] if group.arguments else file.stem, text, cells, voltage, wire)
