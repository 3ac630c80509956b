"""The grid of tiles a layer runs as, and its im2col view."""

from __future__ import annotations

import itertools
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from accelgym.costmodels.systolic.config import SystolicConfig, Template
from accelgym.costmodels.systolic.scheduler import Tiling
from accelgym.costmodels.workloads.layer import Layer

__all__ = ["Grid", "im2col"]

Codes = npt.NDArray[np.int64]


@dataclass(frozen=True)
class Grid:
    """Numbers of tiles along every dimension, and the tile they are made of."""

    tile: Tiling
    groups: int
    n: int
    p: int
    q: int
    k: int
    c: int
    r: int
    s: int

    @classmethod
    def of(cls, config: SystolicConfig, layer: Layer, tile: Tiling) -> Grid:
        """Divides a layer; output stationary: ``p`` counts tiles of pixels and ``c`` those of ``C*R*S``."""
        g = layer.groups
        k = -(-(layer.K // g) // (tile.k1 * config.columns))
        channels = layer.C // g
        if config.template is Template.OUTPUT_STATIONARY:
            pixels = layer.N * layer.P * layer.Q
            steps = channels * layer.R * layer.S
            return cls(tile, g, 1, -(-pixels // (tile.p1 * config.rows)), 1, k, -(-steps // tile.c1), 1, 1)
        return cls(
            tile,
            groups=g,
            n=layer.N,
            p=-(-layer.P // tile.p1),
            q=-(-layer.Q // tile.q1),
            k=k,
            c=-(-channels // (tile.c1 * config.rows)),
            r=-(-layer.R // tile.r1),
            s=-(-layer.S // tile.s1),
        )

    @property
    def reductions(self) -> int:
        """Tiles that add up to one output tile."""
        return self.c * self.r * self.s


def im2col(layer: Layer, inputs: Codes, zero: int = 0) -> Codes:
    """Returns the input matrix of a layer, ``zero`` outside the image.

    Args:
        layer: The layer.
        inputs: Shape ``(N, channels, H, W)``, channels over all groups: those of the layer, or blocks of them.
        zero: Value outside the image.

    Returns:
        Shape ``(groups, N*P*Q, channels/groups*R*S)``.
    """
    g, channels, (py, px) = layer.groups, inputs.shape[1], layer.padding
    (sy, sx), (dy, dx) = layer.stride, layer.dilation
    # Zeros below and to the right reach as far as the last window.
    height = max((layer.P - 1) * sy + (layer.R - 1) * dy + 1, py + layer.input_height)
    width = max((layer.Q - 1) * sx + (layer.S - 1) * dx + 1, px + layer.input_width)
    padded = np.full((layer.N, channels, height, width), zero, dtype=np.int64)
    padded[:, :, py : py + layer.input_height, px : px + layer.input_width] = inputs
    taps = [
        padded[:, :, r * dy : r * dy + (layer.P - 1) * sy + 1 : sy, s * dx : s * dx + (layer.Q - 1) * sx + 1 : sx]
        for r, s in itertools.product(range(layer.R), range(layer.S))
    ]
    stacked = np.stack(taps, axis=2).reshape(layer.N, g, channels // g, layer.R * layer.S, layer.P * layer.Q)
    return stacked.transpose(1, 0, 4, 2, 3).reshape(g, layer.N * layer.P * layer.Q, -1)
