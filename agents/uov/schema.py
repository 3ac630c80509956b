"""What a policy is a function of and what it chooses: inputs, knobs and the cost model behind them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from typing import Any, Literal

import numpy as np
import numpy.typing as npt

from accelgym.costmodels.errors import InputError, shown, unknown_name, warn_input

__all__ = ["EXTENTS", "Input", "Knob", "Schema"]

Arrays = Mapping[str, npt.NDArray[Any]]

EXTENTS = ("K", "C", "Y", "X", "R", "S")
"""Names under which extents of a layer are known; see :class:`accelgym.dse_dataset.layers.LayerTable`."""

InputKind = Literal["extent", "number", "category"]


@dataclass(frozen=True)
class Input:
    """One input, which becomes one token."""

    name: str
    kind: InputKind
    """``extent`` of a layer, another ``number``, or a ``category``."""
    values: tuple[str, ...] = ()
    """Of a category."""
    low: float = 0.0
    high: float = 0.0
    """Smallest and largest finite number that the policy was trained on."""

    @classmethod
    def of(cls, name: str, values: npt.NDArray[Any]) -> Input:
        """Returns the description of a column to learn from.

        Args:
            name: Its name.
            values: Shape ``(rows,)``: numbers, or anything else as categories.
        """
        if values.dtype.kind not in "iuf":
            return cls(name, "category", tuple(sorted({str(value) for value in values})))
        numbers = values.astype(np.float64)
        finite = numbers[np.isfinite(numbers)]
        low, high = (float(finite.min()), float(finite.max())) if len(finite) else (0.0, 0.0)
        return cls(name, "extent" if name in EXTENTS else "number", (), low, high)


@dataclass(frozen=True)
class Knob:
    """One choice of a design."""

    name: str
    values: tuple[Any, ...]
    ordered: bool = True

    @property
    def levels(self) -> int:
        """Number of values."""
        return len(self.values)


@dataclass(frozen=True)
class Schema:
    """Everything that has to agree between a policy and what it is asked for."""

    name: str
    inputs: tuple[Input, ...]
    knobs: tuple[Knob, ...]
    """In the order in which they are decided."""
    facts: Mapping[str, Any] = field(default_factory=dict)
    """Cost model, version and technology of the labels, and what else identifies them."""
    capped: bool = False
    """Whether a limit among the inputs decides, before any evaluation, which designs are feasible; if so, a token says
    for every value of every knob which share of the designs with it is left."""

    @property
    def sizes(self) -> tuple[int, ...]:
        """Values of each knob."""
        return tuple(knob.levels for knob in self.knobs)

    def to_json(self) -> dict[str, Any]:
        """Returns the schema as plain data."""
        return asdict(self)

    @classmethod
    def from_json(cls, data: Mapping[str, Any]) -> Schema:
        """Returns the schema of plain data.

        Raises:
            InputError: It is none.
        """
        try:
            return cls(
                name=str(data["name"]),
                inputs=tuple(Input(**{**entry, "values": tuple(entry["values"])}) for entry in data["inputs"]),
                knobs=tuple(Knob(**{**entry, "values": tuple(entry["values"])}) for entry in data["knobs"]),
                facts=dict(data["facts"]),
                capped=bool(data["capped"]),
            )
        except (KeyError, TypeError) as error:
            raise InputError(f"no schema of a policy: {error}") from error

    def difference(self, other: Schema) -> str:
        """Words what keeps a policy of this schema from being asked about another one, empty if nothing does."""
        for what in ("inputs", "knobs"):
            mine, theirs = ({entry.name: entry for entry in getattr(s, what)} for s in (self, other))
            if list(mine) != list(theirs):
                return f"its {what} are {', '.join(mine)}, not {', '.join(theirs)}"
        for knob, asked in zip(self.knobs, other.knobs, strict=True):
            if knob != asked:
                order = "" if knob.ordered == asked.ordered else f" ({'' if knob.ordered else 'un'}ordered)"
                return f"knob {knob.name!r} has the values {_some(knob.values)}{order}, not {_some(asked.values)}"
        for known, asked_for in zip(self.inputs, other.inputs, strict=True):
            if known.kind != asked_for.kind:
                return f"input {known.name!r} is a {known.kind}, not a {asked_for.kind}"
            if extra := sorted(set(asked_for.values) - set(known.values)):
                return f"input {known.name!r} is one of {', '.join(known.values)}, not {extra[0]}"
        for key in ("cost_model", "cost_model_version", "technology"):
            if self.facts.get(key) != other.facts.get(key):
                return f"{key} is {self.facts.get(key)}, not {other.facts.get(key)}"
        return ""

    def checked(
        self,
        arrays: Arrays,
        where: str = "inputs",
        lines: npt.NDArray[np.int64] | None = None,
        called: Mapping[str, str] | None = None,
    ) -> Arrays:
        """Checks what a policy is asked about; one warning for each input that leaves the range of the training.

        Args:
            arrays: Columns by name, shape ``(rows,)`` each.
            where: File or argument, for messages.
            lines: Line of each row, for messages.
            called: What messages call an input, if not its name.

        Raises:
            InputError: A column is missing, or a value is no category of it.
        """
        for entry in self.inputs:
            if entry.name not in arrays:
                raise unknown_name("input", entry.name, tuple(arrays))
            values, name = arrays[entry.name], (called or {}).get(entry.name, entry.name)
            if entry.kind == "category":
                bad = np.flatnonzero(~np.isin(values.astype(str), entry.values))
                if len(bad):
                    what = f"{name} is {shown(str(values[bad[0]]))}, allowed: {', '.join(entry.values)}"
                    raise InputError(f"{where}: {_row(bad[0], lines)}: {what}")
                continue
            numbers = values.astype(np.float64)
            out = np.flatnonzero(np.isfinite(numbers) & ((numbers < entry.low) | (numbers > entry.high)))
            if len(out):
                warn_input(
                    f"{where}: {_row(out[0], lines)}: {name} is {values[out[0]]:g}, outside the range that "
                    f"{self.name} was trained on, {entry.low:g}..{entry.high:g}; so in {len(out)} of {len(values)} rows"
                )
        return arrays


def _row(place: int, lines: npt.NDArray[np.int64] | None) -> str:
    return f"row {place}" if lines is None else f"line {lines[place]}"


def _some(values: tuple[Any, ...]) -> str:
    text = ", ".join(map(str, values[:4]))
    return text if len(values) <= 5 else f"{text}, ... {values[-1]} ({len(values)})"
