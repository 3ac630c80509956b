"""Tokens: inputs as numbers that keep size and divisibility, so that no extent is an index into a table."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
import numpy.typing as npt

from accelgym.agents.uov.schema import Arrays, Input, Knob, Schema

__all__ = ["Tokeniser"]

FloatArray = npt.NDArray[np.float32]
BoolArray = npt.NDArray[np.bool_]
IntArray = npt.NDArray[np.int64]

_TINY = 1e-3
_KERNELS = {"Y": "R", "X": "S"}
_FEW = 32
"""Rows up to which looking for equal ones costs more than it saves."""
_DENSE = 32
"""Largest integer for each row up to which a table finds equal ones faster than sorting."""
_TILED = ("K", "C", "Y", "X")
"""Extents that knobs tile or spread."""
_LEAST_SHARE = 2.0**-8
"""Stands for no design at all."""


@dataclass(frozen=True)
class Tokeniser:
    """Turns inputs into tokens.

    An extent ``n`` becomes ``log2 n`` and, for levels ``b`` of the ordered numeric knobs, ``log2(ceil(n / b) b / n)``:
    what rounding up to whole tiles or rounds of ``b`` costs. ``Y`` and ``X`` say both of themselves and of the outputs
    that they give (``Y - R + 1``), tiles of outputs. A number becomes its logarithm, itself and whether it is infinite;
    a category an entry for each value. With a cap a token holds, for each value of each knob, the logarithm of the
    share of the designs with that value that are feasible, and another, for each value of the first knob, the
    logarithms of the rounds that extents take with the most of a later knob that the cap leaves beside it.

    Attributes:
        schema: The inputs and knobs.
        residues: Levels of each knob that extents are rounded up to, evenly spaced if a knob has more.
    """

    schema: Schema
    residues: int = 16

    @cached_property
    def levels(self) -> npt.NDArray[np.float32]:
        """What extents are rounded up to, ascending."""
        found: set[float] = set()
        for knob in self.schema.knobs:
            if _numeric(knob):
                count = min(self.residues, knob.levels)
                places = np.rint(np.linspace(knob.levels / count, knob.levels, count)).astype(int) - 1
                found |= {float(knob.values[place]) for place in places}
        return np.array(sorted(found - {1.0}), dtype=np.float32)

    @cached_property
    def widths(self) -> tuple[int, ...]:
        """Features of each token."""
        extent = 2 + len(self.levels)
        widths = [
            {"extent": extent, "number": 3, "category": len(entry.values)}[entry.kind] for entry in self.schema.inputs
        ]
        if not self.schema.capped:
            return tuple(widths)
        rounds = self.schema.sizes[0] * len(self._later) * len(_TILED)
        return (*widths, sum(self.schema.sizes), *((rounds,) if rounds else ()))

    @cached_property
    def _later(self) -> tuple[int, ...]:
        """Ordered knobs of numbers that are decided after the first."""
        return tuple(i for i, knob in enumerate(self.schema.knobs) if i and _numeric(knob))

    @property
    def shape(self) -> tuple[int, int]:
        """Tokens, and features of the widest."""
        return len(self.widths), max(self.widths)

    def __call__(self, arrays: Arrays, feasible: BoolArray | None = None) -> FloatArray:
        """Returns the features, 0 beyond those of a token; shape ``(rows, tokens, features)``.

        Args:
            arrays: Inputs by name, shape ``(rows,)`` each.
            feasible: Which designs the cap leaves, shape ``(rows, *sizes)``; needed if the schema is capped.
        """
        tokens = self.distinct(arrays, feasible)
        found = np.zeros((len(tokens[0][1]), *self.shape), dtype=np.float32)
        for place, (features, which) in enumerate(tokens):
            found[:, place, : self.widths[place]] = features[which]
        return found

    def distinct(self, arrays: Arrays, feasible: BoolArray | None = None) -> list[tuple[FloatArray, IntArray]]:
        """Returns the features of each token for inputs that differ, and which of them each row has.

        A batch of layers has few distinct inputs, and tokens of a cap as many as rows.

        Args:
            arrays: As of a call.
            feasible: Likewise.

        Returns:
            For each token shapes ``(distinct, features)`` and ``(rows,)``.
        """
        found = []
        for entry in self.schema.inputs:
            if entry.kind == "category":
                texts = arrays[entry.name].astype(str)
                given = np.stack([texts == value for value in entry.values], axis=1)
                none = len(entry.values)  # A value that is none of them has the last row, all 0.
                which = np.where(given.any(axis=1), given.argmax(axis=1), none)
                found.append((np.eye(none + 1, none, dtype=np.float32), which))
                continue
            known = {name: arrays[name] for name in (entry.name, _KERNELS.get(entry.name, "")) if name in arrays}
            rows, which = _distinct(list(known.values()))
            features = self._token(entry, {name: values[rows] for name, values in known.items()})
            found.append((features.astype(np.float32), which))
        if self.schema.capped:
            assert feasible is not None
            each = np.arange(len(feasible))
            found.append((_shares(feasible), each))
            if len(self.widths) > len(found):
                found.append((self._rounds(arrays, feasible), each))
        return found

    def _rounds(self, arrays: Arrays, feasible: BoolArray) -> FloatArray:
        """Logarithm of the rounds that extents take with the largest later value that each first value leaves."""
        parts = []
        for knob in self._later:
            others = tuple(a + 1 for a in range(1, feasible.ndim - 1) if a != knob)
            left = feasible.any(axis=others)  # (rows, first, values)
            values = np.array(self.schema.knobs[knob].values, dtype=np.float32)
            most = np.where(left, values, 0.0).max(axis=2)
            for name in _TILED:
                if name not in arrays:
                    parts.append(np.zeros_like(most))
                    continue
                rounds = np.ceil(_tiled(arrays, name)[:, None] / np.maximum(most, 1.0))
                parts.append(np.where(most > 0, np.log2(rounds), 0.0))
        return np.concatenate(parts, axis=1).astype(np.float32)

    def _token(self, entry: Input, arrays: Arrays) -> npt.NDArray[Any]:
        values = arrays[entry.name]
        if entry.kind == "number":
            numbers = values.astype(np.float64)
            finite = np.isfinite(numbers)
            numbers = np.where(finite, numbers, 0.0)
            return np.stack([np.log2(np.maximum(numbers, 0.0) + _TINY), numbers, ~finite], axis=1)
        size, tiled = np.maximum(values.astype(np.float32), 1.0), _tiled(arrays, entry.name)
        logs = [np.log2(size)[:, None], np.log2(tiled)[:, None]]
        ratio = np.ceil(tiled[:, None] / self.levels) * self.levels
        ratio /= tiled[:, None]
        return np.concatenate([*logs, np.log2(ratio, out=ratio)], axis=1)


def _numeric(knob: Knob) -> bool:
    return knob.ordered and all(isinstance(v, int | float) and not isinstance(v, bool) for v in knob.values)


def _distinct(columns: list[npt.NDArray[Any]]) -> tuple[IntArray, IntArray]:
    """Returns a row for each distinct one, and which of them each row is."""
    if len(columns[0]) <= _FEW:
        each = np.arange(len(columns[0]))
        return each, each
    key = columns[0]
    for column in columns[1:]:
        key = key.astype(np.int64) * (int(column.max()) + 1) + column
    if key.dtype.kind not in "iu" or key.min() < 0 or key.max() >= _DENSE * len(key):
        _, first, which = np.unique(key, return_index=True, return_inverse=True)
        return first, which
    place = np.full(int(key.max()) + 1, -1)
    place[key] = np.arange(len(key))
    return place[place >= 0], (np.cumsum(place >= 0) - 1)[key]


def _tiled(arrays: Arrays, name: str) -> FloatArray:
    """An extent as it is tiled: rows and columns of the outputs in place of those of the input, at least 1."""
    size = arrays[name].astype(np.float32)
    kernel = _KERNELS.get(name, "")
    if kernel in arrays:
        size = size - arrays[kernel].astype(np.float32) + 1.0
    return np.maximum(size, 1.0)


def _shares(feasible: BoolArray) -> FloatArray:
    """Logarithm of the share of feasible designs for each value of each knob, ``(rows, values of all knobs)``."""
    axes = range(1, feasible.ndim)
    parts: Sequence[FloatArray] = [
        feasible.mean(axis=tuple(a for a in axes if a != axis), dtype=np.float32) for axis in axes
    ]
    return np.asarray(np.log2(np.concatenate(parts, axis=1) + _LEAST_SHARE), dtype=np.float32)
