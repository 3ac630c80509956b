"""Inputs of datasets as the numbers that predictors take."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from accelgym.costmodels.errors import DamagedFileError, InputError, shown, unknown_name, warn_input
from accelgym.dse_dataset.columns import Column

__all__ = ["InputEncoder", "input_names"]

FloatArray = npt.NDArray[np.float64]
Arrays = Mapping[str, npt.NDArray[Any]]

_LARGEST = 1e18
"""Stands for infinity: no cap."""
_LEAST = 1e-3
"""Added before the logarithm, so that 0 has one."""


def input_names(columns: Sequence[Column]) -> list[str]:
    """Returns the names of the inputs that are single numbers or names."""
    return [column.name for column in columns if column.role == "input" and column.length is None]


@dataclass(frozen=True)
class InputEncoder:
    """Logarithms of numbers, and a column for each known value of everything else."""

    numbers: tuple[tuple[str, float, float], ...]
    """Name, least and largest value of each numeric input among the rows that it was made from."""
    choices: tuple[tuple[str, tuple[str, ...]], ...]
    """Name and values of each other input."""
    order: tuple[str, ...]
    """All inputs in the order of their features."""

    @classmethod
    def of(cls, arrays: Arrays, names: Sequence[str]) -> InputEncoder:
        """Makes an encoder of the rows that a predictor learns from.

        Args:
            arrays: Columns by name, shape ``(rows,)``.
            names: The inputs.

        Raises:
            InputError: There is no such column, or no row.
        """
        numbers, choices = [], []
        for name in names:
            if name not in arrays:
                raise unknown_name("column", name, arrays)
            values = np.asarray(arrays[name])
            if not len(values):
                raise InputError(f"column {name!r} has no rows to learn from")
            if values.dtype.kind in "iuf":
                whole = _numbers(values)
                numbers.append((name, float(whole.min()), float(whole.max())))
            else:
                choices.append((name, tuple(sorted({str(value) for value in values}))))
        return cls(tuple(numbers), tuple(choices), tuple(names))

    @property
    def size(self) -> int:
        """Number of features."""
        return len(self.numbers) + sum(len(values) for _, values in self.choices)

    def encode(self, arrays: Arrays, *, warn: bool = True) -> FloatArray:
        """Returns the features of rows, shape ``(rows, size)``.

        Args:
            arrays: Columns by name; those that are no inputs are not looked at.
            warn: Whether to warn of values outside the range of the rows that the encoder was made from.

        Raises:
            InputError: A column is missing, or holds no numbers where there were numbers.
        """
        known = dict(self.choices)
        ranges = {name: (low, high) for name, low, high in self.numbers}
        found: list[FloatArray] = []
        for name in self.order:
            if name not in arrays:
                raise InputError(f"column {name!r} is missing; the inputs are {', '.join(self.order)}")
            values = np.asarray(arrays[name])
            if name in known:
                texts = np.array([str(value) for value in values])
                strange = sorted(set(texts.tolist()) - set(known[name]))
                if strange and warn:
                    warn_input(f"column {name!r} holds {shown(strange[0])}, learnt from: {', '.join(known[name])}")
                found += [(texts == value).astype(np.float64) for value in known[name]]
                continue
            if values.dtype.kind not in "iuf":
                raise InputError(f"column {name!r} holds {shown(values[:1].tolist())}, allowed: numbers")
            whole, (low, high) = _numbers(values), ranges[name]
            if warn and len(whole) and (whole.min() < low or whole.max() > high):
                warn_input(f"column {name!r} holds {whole.min():g} to {whole.max():g}, learnt from {low:g} to {high:g}")
            found.append(np.log2(np.maximum(whole, 0.0) + _LEAST))
        return np.stack(found, axis=1)

    def to_json(self) -> dict[str, Any]:
        """Returns plain data."""
        return {"numbers": self.numbers, "choices": self.choices, "order": self.order}

    @classmethod
    def from_json(cls, data: Mapping[str, Any]) -> InputEncoder:
        """Returns the encoder of :meth:`to_json`'s data.

        Raises:
            DamagedFileError: A part is missing.
        """
        try:
            numbers = tuple((str(name), float(low), float(high)) for name, low, high in data["numbers"])
            choices = tuple((str(name), tuple(values)) for name, values in data["choices"])
            return cls(numbers, choices, tuple(data["order"]))
        except (KeyError, TypeError, ValueError) as error:
            raise DamagedFileError(f"no encoding of inputs ({error})") from error


def _numbers(values: npt.NDArray[Any]) -> FloatArray:
    return np.nan_to_num(values.astype(np.float64), posinf=_LARGEST)
