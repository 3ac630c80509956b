"""Layers as inputs of labelled rows: drawn on AIrchitect's grid or log-uniformly, or taken from networks."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, fields
from typing import Any

import numpy as np
import numpy.typing as npt

from accelgym.costmodels.maestro.designs import LayerShapes
from accelgym.costmodels.workloads import load_workload
from accelgym.dse_dataset.streams import RowStreams, mix

__all__ = ["SAMPLERS", "LayerTable", "draw_airchitect", "draw_log_uniform", "network_layers", "twin_key"]

IntArray = npt.NDArray[np.int64]

KERNELS = (1, 3, 5, 7, 9)
"""Extents of AIrchitect's kernels."""
LARGEST_GEMM = 16_384
"""Largest extent of a drawn matrix product: beyond the widest projections of 70-billion-parameter decoders (14,336,
28,672 in the feed-forward part of the largest is left out)."""
LARGEST_CHANNELS = 4_096
LARGEST_OUTPUT = 256
GEMM_SHARE, DEPTHWISE_SHARE = 0.4, 0.1


@dataclass(frozen=True)
class LayerTable:
    """Layers in MAESTRO's terms, columns of shape ``(layers,)``.

    ``Y`` and ``X`` are the rows and columns of the input of a convolution with stride 1 and no padding. A matrix
    product ``(M x C) @ (C x K)`` has ``Y = M`` and ``X = R = S = 1``. A depthwise layer has ``K = 1``.
    """

    K: IntArray
    C: IntArray
    Y: IntArray
    X: IntArray
    R: IntArray
    S: IntArray
    depthwise: npt.NDArray[np.bool_]

    def __len__(self) -> int:
        return len(self.K)

    def take(self, rows: Any) -> LayerTable:
        """Returns some layers."""
        return LayerTable(*(getattr(self, f.name)[rows] for f in fields(self)))

    def columns(self) -> dict[str, npt.NDArray[Any]]:
        """Returns the columns by name."""
        return {f.name: getattr(self, f.name) for f in fields(self)}

    def shapes(self) -> LayerShapes:
        """Returns the layers for a cost model, one copy of each."""
        return LayerShapes(**self.columns(), repeat=np.ones(len(self), dtype=np.int64))

    @classmethod
    def joined(cls, tables: Sequence[LayerTable]) -> LayerTable:
        """Returns the layers of several tables, one after another."""
        return cls(*(np.concatenate([getattr(t, f.name) for t in tables]) for f in fields(cls)))

    @classmethod
    def of_rows(cls, rows: Sequence[Sequence[int]]) -> LayerTable:
        """Returns the layers of rows ``(K, C, Y, X, R, S, depthwise)``."""
        table = np.array(rows, dtype=np.int64).reshape(-1, 7).T
        K, C, Y, X, R, S, depthwise = table
        return cls(K, C, Y, X, R, S, depthwise.astype(bool))

    @property
    def legal(self) -> npt.NDArray[np.bool_]:
        """Whether every extent is at least 1 and the kernel fits its input."""
        least = np.minimum.reduce([self.K, self.C, self.Y, self.X, self.R, self.S])
        return np.asarray((least >= 1) & (self.R <= self.Y) & (self.S <= self.X))


def twin_key(layers: LayerTable) -> npt.NDArray[np.uint64]:
    """Returns a hash that layers have in common whose matrix product is the same, shape ``(layers,)``.

    That is the product that ``im2col`` makes of a layer: ``K`` x output positions x ``C R S``. A convolution, the
    same one with rows and columns exchanged, and its twin in a file of matrix products have one key.
    """
    key = mix(layers.K)
    for part in ((layers.Y - layers.R + 1) * (layers.X - layers.S + 1), layers.C * layers.R * layers.S):
        key = mix(key ^ part.astype(np.uint64))
    return mix(key ^ layers.depthwise.astype(np.uint64))


def draw_airchitect(streams: RowStreams) -> LayerTable:
    """Draws convolutions on the grid of the released AIrchitect v2 data, each value as likely as the others.

    K and C are even numbers up to 512, Y and X are 1 or multiples of 8 up to 256, R = S is odd up to 9. (The released
    file draws 4 % to 10 % small inputs and kernels more often.)
    """
    K, C = (2 * streams.integers(draw, 1, 256) for draw in (0, 1))
    Y, X = (np.maximum(1, 8 * streams.integers(draw, 0, 32)) for draw in (2, 3))
    R = np.array(KERNELS)[streams.integers(4, 0, len(KERNELS) - 1)]
    return LayerTable(K, C, Y, X, R, R, np.zeros(len(K), dtype=bool))


def draw_log_uniform(streams: RowStreams) -> LayerTable:
    """Draws matrix products (two in five), depthwise layers (one in ten) and other convolutions.

    All sizes are log-uniform and on no grid: products up to 16,384 in each extent, channels up to 4,096, outputs up
    to 256, kernels up to 11.
    """
    kind = streams.choice(0, (GEMM_SHARE, DEPTHWISE_SHARE, 1 - GEMM_SHARE - DEPTHWISE_SHARE))
    gemm, depthwise = kind == 0, kind == 1
    wide = (streams.log_integers(draw, 1, LARGEST_GEMM) for draw in (1, 2, 3))
    K, C, rows = (
        np.where(gemm, w, streams.log_integers(4 + i, 1, (LARGEST_CHANNELS, LARGEST_CHANNELS, LARGEST_OUTPUT)[i]))
        for i, w in enumerate(wide)
    )
    one = np.ones(len(K), dtype=np.int64)
    columns = np.where(gemm, one, streams.log_integers(7, 1, LARGEST_OUTPUT))
    kernel = 2 * streams.log_integers(8, 1, 6) - 1
    R = np.where(gemm, one, kernel)
    return LayerTable(np.where(depthwise, one, K), C, rows + R - 1, columns + R - 1, R, R, depthwise)


SAMPLERS: dict[str, Callable[[RowStreams], LayerTable]] = {
    "airchitect": draw_airchitect,
    "log-uniform": draw_log_uniform,
}


def network_layers(names: Sequence[str]) -> tuple[LayerTable, list[str]]:
    """Returns the distinct convolutions and products of networks, and where each stands first (``network:layer``).

    One copy of a layer that repeats (batch entries, channel groups).

    Raises:
        InputError: No such network.
    """
    seen: dict[tuple[int, ...], str] = {}
    for name in names:
        layers = load_workload(name).compute_layers
        columns = LayerShapes.from_layers(layers)
        rows = np.stack([getattr(columns, n) for n in ("K", "C", "Y", "X", "R", "S", "depthwise")], axis=1)
        for layer, row in zip(layers, rows.tolist(), strict=True):
            seen.setdefault(tuple(int(v) for v in row), f"{name}:{layer.name}")
    return LayerTable.of_rows(list(seen)), list(seen.values())
