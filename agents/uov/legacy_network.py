"""The network that AIrchitect v2 released: an index into a table for each input, and attention over the batch.

Own code after a reading of the release (Seo et al., DATE 2025; commit fa36d2f), kept with its faults for comparison:

* Every input is an index. Extents off the grid of the released data take the index of a neighbour (``C = 3`` that of
  ``C = 2``, ``X = 7`` that of ``X = 1``); beyond the tables there is no answer.
* The predictor of the best objective sees the raw embeddings, not what the encoder made of them.
* The decoder reads the rows of a batch as one sequence, so that an answer depends on the rows that it is asked with.
"""

from __future__ import annotations

from collections.abc import Mapping
from itertools import pairwise
from typing import Any

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor, nn

from accelgym.agents.uov.schema import Arrays
from accelgym.costmodels.errors import InputError, shown

__all__ = ["DATAFLOWS", "FEATURES", "LegacyDecoder", "LegacyEncoder", "legacy_indices"]

IntArray = npt.NDArray[np.int64]

DATAFLOWS = ("dla", "eye", "shi")
_WIDTH, _BLOCKS, _HEADS = 32, 4, 4
FEATURES = 128
"""Length of what the encoder makes of a row."""

_TABLES: Mapping[str, tuple[int, int, int, int]] = {
    "K": (2, -1, 0, 256),
    "C": (2, -1, 0, 256),
    "Y": (8, 0, 0, 33),
    "X": (8, 0, 0, 33),
    "R": (2, 0, -1, 5),
    "S": (2, 0, -1, 5),
}
"""Extent ``n`` becomes ``(n + c) // a + b``, an index into ``size`` vectors; by name ``a``, ``b``, ``c``, ``size``.
The released columns ``X`` and ``Y`` are rows and columns, here ``Y`` and ``X``."""


def legacy_indices(
    arrays: Arrays,
    where: str = "inputs",
    lines: npt.NDArray[np.int64] | None = None,
    called: Mapping[str, str] | None = None,
) -> IntArray:
    """Returns the index of every input, shape ``(rows, 7)``.

    Args:
        arrays: ``K``, ``C``, ``Y``, ``X``, ``R``, ``S`` and ``dataflow``, shape ``(rows,)`` each.
        where: File or argument, for messages.
        lines: Line of each row, for messages.
        called: What messages call an input, if not its name.

    Raises:
        InputError: An extent that the tables do not hold, or an unknown dataflow.
    """
    columns = []
    for name, (divisor, shift, before, size) in _TABLES.items():
        values = arrays[name].astype(np.int64)
        index = (values + before) // divisor + shift
        bad = np.flatnonzero((values < 1) | (index < 0) | (index >= size))
        if len(bad):
            least = max(1, -shift * divisor - before)
            most = (size - 1 - shift) * divisor - before + divisor - 1
            raise InputError(
                f"{_place(where, bad[0], lines)}: {(called or {}).get(name, name)} is {values[bad[0]]}, allowed: "
                f"{least}..{most}, what the tables of the legacy policy hold"
            )
        columns.append(index)
    flows = arrays["dataflow"].astype(str)
    known = flows[:, None] == np.array(DATAFLOWS)
    if len(bad := np.flatnonzero(~known.any(axis=1))):
        allowed = ", ".join(DATAFLOWS)
        raise InputError(f"{_place(where, bad[0], lines)}: dataflow is {shown(str(flows[bad[0]]))}, allowed: {allowed}")
    return np.stack([*columns, known.argmax(axis=1)], axis=1)


def _place(where: str, row: int, lines: npt.NDArray[np.int64] | None) -> str:
    return f"{where}: row {row}" if lines is None else f"{where}: line {lines[row]}"


def _block(width: int, heads: int, hidden: int) -> nn.TransformerEncoderLayer:
    """Attention and two layers, normalised after either."""
    return nn.TransformerEncoderLayer(width, heads, hidden, dropout=0.0, batch_first=True)


def _layers(activation: type[nn.Module], *sizes: int) -> nn.Sequential:
    parts: list[nn.Module] = []
    for given, made in pairwise(sizes):
        parts += [nn.Linear(given, made), activation()]
    return nn.Sequential(*parts[:-1])


class LegacyEncoder(nn.Module):
    """Four blocks over the seven inputs, then 128 features; beside them the predictor of the best objective."""

    def __init__(self) -> None:
        super().__init__()
        sizes = [size for *_, size in _TABLES.values()] + [len(DATAFLOWS)]
        flat = _WIDTH * len(sizes)
        self.tables = nn.ModuleList(nn.Embedding(size, _WIDTH) for size in sizes)
        self.blocks = nn.ModuleList(_block(_WIDTH, _HEADS, 4 * _WIDTH) for _ in range(_BLOCKS))
        self.features = _layers(nn.ReLU, flat, 512, 512, FEATURES)
        self.predictor = _layers(nn.Tanh, flat, 512, 256, 1)

    def forward(self, indices: Tensor) -> tuple[Tensor, Tensor]:
        """Returns features and the standardised logarithm of the best objective, ``(rows, 128)`` and ``(rows,)``."""
        embedded = torch.stack([table(indices[:, i]) for i, table in enumerate(self.tables)], dim=1)
        x = embedded
        for block in self.blocks:
            x = block(x)
        return self.features(x.flatten(1)), self.predictor(embedded.flatten(1))[:, 0]


class LegacyDecoder(nn.Module):
    """From features to outputs; with ``attention`` over the batch, or layers alone.

    Args:
        outputs: Of the head.
        attention: The released decoder, 128 heads of size 1 over the rows of the batch; else its layers without it,
            which the release calls ``Linear``.
    """

    def __init__(self, outputs: int, *, attention: bool) -> None:
        super().__init__()
        self.block = _block(FEATURES, FEATURES, 2 * FEATURES) if attention else None
        self.head = _layers(nn.Tanh, FEATURES, 512, 256, outputs)

    def forward(self, features: Tensor) -> Any:
        """Returns the outputs of one batch, shape ``(rows, outputs)``; or of many, ``(batches, rows, outputs)``."""
        return self.head(features if self.block is None else self.block(features))
