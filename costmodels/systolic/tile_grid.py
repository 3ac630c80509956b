"""Numbers of tiles a layer is divided into, as arrays."""

from __future__ import annotations

from dataclasses import dataclass

from accelgym.costmodels.arrays import Array, array_namespace
from accelgym.costmodels.systolic.columns import Hardware, LayerColumns

__all__ = ["TileGrid", "Tilings"]


@dataclass(frozen=True)
class Tilings:
    """Tile sizes as int64 arrays of one shape."""

    p1: Array
    """Output rows of a tile; output stationary: blocks of ``rows`` pixels."""
    q1: Array
    """Output columns of a tile; output stationary: 1."""
    k1: Array
    """Blocks of ``columns`` output channels."""
    c1: Array
    """Blocks of ``rows`` input channels; output stationary: steps of the reduction ``C*R*S``."""
    r1: Array
    """Filter rows of a tile; output stationary: 1."""
    s1: Array
    """Filter columns of a tile; output stationary: 1."""
    pixels_inner: Array
    """bool. Without a tiled reduction: the tiles of one weight block follow each other (its weights are loaded
    once); otherwise those of one input tile do (its inputs are loaded once). Ignored with a tiled reduction."""


@dataclass(frozen=True)
class TileGrid:
    """Tiles along every dimension and words of a tile, int64 arrays of one shape.

    Output stationary: ``p`` counts tiles of pixels of all images and ``c`` tiles of the reduction ``C*R*S``; ``n``,
    ``q``, ``r`` and ``s`` are 1.
    """

    tile: Tilings
    n: Array
    p: Array
    q: Array
    k: Array
    c: Array
    r: Array
    s: Array
    tile_height: Array
    """Input rows of a tile in the buffer (weight stationary)."""
    tile_width: Array
    passes: Array
    """Passes of a tile."""
    tile_weight_words: Array
    """Weight-buffer words of a tile."""
    tile_rows: Array
    """Most pixels of a tile that a loader or the drain counts in one loop."""

    @classmethod
    def of(cls, hardware: Hardware, problem: LayerColumns, tilings: Tilings) -> TileGrid:
        """Divides layers; all arguments broadcast against each other."""
        hw, layer, t = hardware, problem, tilings
        xp = array_namespace(t.p1)
        ws = hw.weight_stationary
        # A tile that holds one filter tap needs no halo: the loader then steps over the unused pixels.
        height = xp.where(t.r1 > 1, (t.p1 - 1) * layer.stride_y + (t.r1 - 1) * layer.dilation_y + 1, t.p1)
        width = xp.where(t.s1 > 1, (t.q1 - 1) * layer.stride_x + (t.s1 - 1) * layer.dilation_x + 1, t.q1)
        one = t.p1 * 0 + 1
        return cls(
            tile=t,
            n=xp.where(ws, layer.N, one),
            p=xp.where(ws, _ceil(layer.P, t.p1), _ceil(layer.N * layer.P * layer.Q, t.p1 * hw.rows)),
            q=xp.where(ws, _ceil(layer.Q, t.q1), one),
            k=_ceil(layer.K, t.k1 * hw.columns),
            c=xp.where(ws, _ceil(layer.C, t.c1 * hw.rows), _ceil(layer.C * layer.R * layer.S, t.c1)),
            r=xp.where(ws, _ceil(layer.R, t.r1), one),
            s=xp.where(ws, _ceil(layer.S, t.s1), one),
            tile_height=height,
            tile_width=width,
            passes=xp.where(ws, t.k1 * t.c1 * t.r1 * t.s1, t.p1 * t.k1),
            tile_weight_words=xp.where(ws, t.k1 * t.c1 * t.r1 * t.s1 * hw.weight_words, t.k1 * t.c1),
            tile_rows=xp.where(ws, xp.maximum(height, width), t.p1 * hw.rows),
        )

    @property
    def pixels(self) -> Array:
        """Tiles of output pixels."""
        return self.n * self.p * self.q

    @property
    def reductions(self) -> Array:
        """Tiles that add up to one output tile."""
        return self.c * self.r * self.s

    @property
    def reduces(self) -> Array:
        """Whether the reduction is tiled, bool."""
        return self.reductions > 1


def _ceil(a: Array, b: Array) -> Array:
    return (a + b - 1) // b
