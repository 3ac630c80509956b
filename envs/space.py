"""Design spaces: named discrete parameters; a design is one row of value indices."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
import numpy.typing as npt

from accelgym.costmodels.errors import InputError, unknown_name

__all__ = ["Designs", "Parameter", "Space"]

Designs = npt.NDArray[np.int64]
"""Value indices, shape ``(designs, parameters)``."""


@dataclass(frozen=True)
class Parameter:
    """One discrete choice with its real values."""

    name: str
    values: tuple[Any, ...]
    ordered: bool = True
    """Whether neighbouring values are alike (a number of PEs) or not (a dataflow)."""
    group: str = ""
    """Layer or component that it configures; its own name by default."""
    knob: str = ""
    """What it sets there, the same for all groups that have it; its own name by default."""

    def __post_init__(self) -> None:
        if not self.values:
            raise InputError(f"parameter {self.name!r} has no values")
        for field in ("group", "knob"):
            object.__setattr__(self, field, getattr(self, field) or self.name)


@dataclass(frozen=True)
class Space:
    """The product of its parameters. Every agent, env and solver searches the same one."""

    parameters: tuple[Parameter, ...]

    def __post_init__(self) -> None:
        names: set[str] = set()
        roles: set[tuple[str, str]] = set()
        for p in self.parameters:
            if p.name in names:
                raise InputError(f"two parameters have the name {p.name!r}")
            if (p.group, p.knob) in roles:
                raise InputError(
                    f"parameter {p.name!r}: group {p.group!r} has the knob {p.knob!r} already; each layer or component "
                    "needs a group of its own"
                )
            names.add(p.name)
            roles.add((p.group, p.knob))

    @cached_property
    def nvec(self) -> npt.NDArray[np.int64]:
        """Number of values per parameter, shape ``(parameters,)``."""
        return np.array([len(p.values) for p in self.parameters], dtype=np.int64)

    @cached_property
    def ordered(self) -> npt.NDArray[np.bool_]:
        """Which parameters are ordered, shape ``(parameters,)``."""
        return np.array([p.ordered for p in self.parameters])

    @property
    def cardinality(self) -> int:
        """Number of designs."""
        return math.prod(len(p.values) for p in self.parameters)

    def __len__(self) -> int:
        return len(self.parameters)

    def sample(self, rng: np.random.Generator, count: int) -> Designs:
        """Draws designs uniformly, feasible or not; shape ``(count, parameters)``."""
        return rng.integers(0, self.nvec, size=(count, len(self)))

    def check(self, designs: Any) -> Designs:
        """Returns the designs as an int64 array.

        Raises:
            InputError: Wrong shape, not integers, or an index out of range.
        """
        array = np.asarray(designs)
        if array.ndim != 2 or array.shape[1] != len(self):
            raise InputError(f"designs have shape {array.shape}, expected (n, {len(self)})")
        if not np.issubdtype(array.dtype, np.integer):
            raise InputError(f"designs have dtype {array.dtype}, expected integer indices")
        bad = np.argwhere((array < 0) | (array >= self.nvec))
        if len(bad):
            row, column = bad[0]
            parameter = self.parameters[column]
            raise InputError(
                f"design {row}: index {array[row, column]} of parameter {parameter.name!r} is out of range, "
                f"allowed 0..{len(parameter.values) - 1}"
            )
        return array.astype(np.int64, copy=False)

    def decode(self, design: Sequence[int] | npt.NDArray[np.int64]) -> dict[str, Any]:
        """Returns the real values of one design, by parameter name."""
        row = self.check(np.asarray(design)[None])[0]
        return {p.name: p.values[i] for p, i in zip(self.parameters, row, strict=True)}

    def encode(self, values: Mapping[str, Any]) -> npt.NDArray[np.int64]:
        """Returns the indices of one design given by its real values, shape ``(parameters,)``.

        Raises:
            InputError: A parameter is missing or unknown, or a value is not one of its values.
        """
        names = [p.name for p in self.parameters]
        for name in values:
            if name not in names:
                raise unknown_name("parameter", name, names)
        row = []
        for p in self.parameters:
            if p.name not in values:
                raise InputError(f"parameter {p.name!r} is missing")
            if values[p.name] not in p.values:
                raise InputError(
                    f"parameter {p.name!r} is {values[p.name]!r}, allowed {', '.join(map(repr, p.values))}"
                )
            row.append(p.values.index(values[p.name]))
        return np.array(row, dtype=np.int64)
