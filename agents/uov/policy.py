"""A trained policy: inputs in, designs out, with or without torch."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property, partial
from typing import Any

import numpy as np
import numpy.typing as npt

from accelgym.agents.uov import network
from accelgym.agents.uov.features import Tokeniser
from accelgym.agents.uov.inference import NumpyNetwork
from accelgym.agents.uov.network import NetworkSize
from accelgym.agents.uov.operations import Operations, one_thread
from accelgym.agents.uov.ordinal import LevelCode, level_code
from accelgym.agents.uov.schema import Arrays, Schema

__all__ = ["Policy", "Proposals"]

FloatArray = npt.NDArray[np.float64]
BoolArray = npt.NDArray[np.bool_]
IntArray = npt.NDArray[np.int64]

_BLOCK = 128
"""Rows that are answered at once, so that what lies between two layers stays in the cache."""
_TABLE = 4096
"""Rows whose inputs are looked through at once for those that are equal."""
_NEVER = -1e30

_Logits = Callable[[Sequence[IntArray], int], npt.NDArray[np.float32]]


@dataclass(frozen=True)
class Proposals:
    """Designs for some rows, the most likely first."""

    designs: IntArray
    """Value indices, shape ``(rows, top, knobs)``."""
    log_probability: npt.NDArray[np.float32]
    """Shape ``(rows, top)``; below -1e29 where no further design is feasible."""


@dataclass(frozen=True)
class Policy:
    """Parameters with all that gives them a meaning.

    Attributes:
        schema: What the policy is a function of, and what it chooses.
        size: Of the network.
        head: How levels are scored, see :func:`~accelgym.agents.uov.ordinal.level_code`.
        buckets: Buckets of a unified ordinal vector.
        residues: See :class:`~accelgym.agents.uov.features.Tokeniser`.
        parameters: Arrays by name, those of the network and the scales of features and objective.
        card: What it was trained on, as plain data.
    """

    schema: Schema
    size: NetworkSize
    head: str
    buckets: int
    residues: int
    parameters: Mapping[str, npt.NDArray[Any]]
    card: Mapping[str, Any] = field(default_factory=dict)

    @cached_property
    def tokeniser(self) -> Tokeniser:
        """Makes the features."""
        return Tokeniser(self.schema, self.residues)

    @cached_property
    def codes(self) -> tuple[LevelCode, ...]:
        """How each knob's head scores levels; knobs without an order get an output for each value."""
        return tuple(
            level_code(self.head if knob.ordered else "softmax", knob.levels, self.buckets)
            for knob in self.schema.knobs
        )

    def scaled(self, features: npt.NDArray[np.float32]) -> npt.NDArray[np.float32]:
        """Returns features inside the range of the training, centred and scaled."""
        p = self.parameters
        np.clip(features, p["features.low"], p["features.high"], out=features)
        features -= p["features.mean"]
        features *= p["features.scale"]
        return features

    def propose(
        self,
        arrays: Arrays,
        feasible: BoolArray | None = None,
        top: int = 1,
        beam: int | None = None,
        operations: Operations | None = None,
    ) -> Proposals:
        """Returns the designs of each row by a beam search over its knobs; a row's answer depends on nothing else.

        Args:
            arrays: Inputs by name, shape ``(rows,)`` each, as :meth:`Schema.checked` returns them.
            feasible: Which designs may be chosen, shape ``(rows, *sizes)``; all by default.
            top: Designs a row.
            beam: Prefixes kept, ``top`` by default; 1 takes the most likely value of each knob in turn.
            operations: Torch's, in place of the NumPy network.
        """
        found = [(np.zeros((0, top, len(self.schema.knobs)), dtype=np.int64), np.zeros((0, top), dtype=np.float32))]
        with one_thread():
            for rows, logits in self._read(arrays, feasible, operations):
                left = None if feasible is None else feasible[rows]
                found.append(self._search(rows.stop - rows.start, logits, left, top, max(top, beam or top)))
        return Proposals(*(np.concatenate(part) for part in zip(*found, strict=True)))

    def log_best(self, arrays: Arrays, feasible: BoolArray | None = None) -> FloatArray:
        """Predicts the natural logarithm of the best objective of each row, shape ``(rows,)``."""
        with one_thread():
            parts = [self._numpy.log_best(encoded) for _, encoded in self._encoded(arrays, feasible)]
        found = np.concatenate(parts).astype(np.float64) if parts else np.zeros(0)
        return np.asarray(found * self.parameters["best.deviation"] + self.parameters["best.mean"])

    @cached_property
    def _numpy(self) -> NumpyNetwork:
        return NumpyNetwork(self.parameters, self.size, self.codes, self.tokeniser.widths)

    def _encoded(self, arrays: Arrays, feasible: BoolArray | None) -> Iterator[tuple[slice, npt.NDArray[np.float32]]]:
        """Yields rows and their encoded tokens."""
        for many in _slices(0, len(arrays[self.schema.inputs[0].name]), _TABLE):
            left = feasible[many] if feasible is not None and self.schema.capped else None
            tokens = self.tokeniser.distinct({name: values[many] for name, values in arrays.items()}, left)
            table = self._numpy.table(tokens)
            for rows in _slices(many.start, many.stop, _BLOCK):
                yield rows, self._numpy.encode(table, slice(rows.start - many.start, rows.stop - many.start))

    def _read(
        self, arrays: Arrays, feasible: BoolArray | None, ops: Operations | None
    ) -> Iterator[tuple[slice, _Logits]]:
        """Yields rows and what scores the levels of a knob, given those before, as :meth:`NumpyNetwork.logits`."""
        if ops is None:
            for rows, encoded in self._encoded(arrays, feasible):
                yield rows, partial(self._numpy.logits, encoded)
            return
        import torch

        features = torch.from_numpy(self.scaled(self.tokeniser(arrays, feasible if self.schema.capped else None)))
        for rows in _slices(0, len(features), _BLOCK):
            memory = network.remember(
                self._tensors, self.size, network.encode(ops, self._tensors, self.size, features[rows])
            )
            yield rows, partial(self._torch_logits, ops, memory)

    def _torch_logits(self, ops: Operations, memory: Any, chosen: Sequence[IntArray], knob: int) -> Any:
        outputs = network.decode(ops, self._tensors, self.size, memory, chosen, [knob])[0]
        code = self.codes[knob]
        return np.asarray(outputs) @ code.table.T.astype(np.float32) + code.offset.astype(np.float32)

    @cached_property
    def _tensors(self) -> dict[str, Any]:
        import torch

        return {name: torch.from_numpy(np.ascontiguousarray(array)) for name, array in self.parameters.items()}

    def _search(
        self, rows: int, score_levels: _Logits, feasible: BoolArray | None, top: int, beam: int
    ) -> tuple[IntArray, npt.NDArray[np.float32]]:
        each = np.arange(rows)[:, None]
        chosen: list[IntArray] = []
        score = np.zeros((rows, 1), dtype=np.float32)
        for knob in range(len(self.schema.knobs)):
            logits = score_levels(chosen, knob)
            if feasible is not None:
                mask = feasible[(each, *chosen)] if chosen else feasible[:, None]
                logits = np.where(mask.any(axis=tuple(range(3, mask.ndim))), logits, _NEVER)
            levels = logits.shape[-1]
            if beam == 1:
                best = logits.argmax(axis=-1)
                chosen.append(best)
                continue
            logits -= logits.max(axis=-1, keepdims=True)
            logits -= np.log(np.exp(logits).sum(axis=-1, keepdims=True))
            total = (score[..., None] + logits).reshape(rows, -1)
            kept = np.argsort(-total, axis=1, kind="stable")[:, :beam]
            score = np.take_along_axis(total, kept, axis=1)
            chosen = [values[each, kept // levels] for values in chosen] + [kept % levels]
        designs = np.stack(chosen, axis=-1)
        short = max(0, top - designs.shape[1])
        if short:
            designs = np.concatenate([designs, np.repeat(designs[:, :1], short, axis=1)], axis=1)
            score = np.concatenate([score, np.full((rows, short), _NEVER, dtype=np.float32)], axis=1)
        return designs[:, :top], score[:, :top]


def _slices(start: int, stop: int, size: int) -> Iterator[slice]:
    return (slice(i, min(i + size, stop)) for i in range(start, stop, size))
