"""Designs of the resource-assignment problem, as a struct of arrays."""

from __future__ import annotations

from dataclasses import dataclass
from enum import IntEnum

import numpy as np

from accelgym.costmodels.arrays import Array
from accelgym.costmodels.workloads.layer import Layer

__all__ = ["Dataflow", "LayerShapes", "ResourceDesigns"]


class Dataflow(IntEnum):
    """ConfuciuX's dataflow styles; depthwise layers always run ``DPT``."""

    DLA = 0
    """NVDLA-like, weight stationary: C spatial."""
    EYE = 1
    """Eyeriss-like, row stationary: Y' and X' spatial."""
    SHI = 2
    """ShiDianNao-like, output stationary: X' spatial."""
    DPT = 3
    """Depthwise: C spatial."""


@dataclass(frozen=True)
class LayerShapes:
    """Layer dimensions as MAESTRO takes them, shape ``(layers,)`` each, int64.

    ``Y, X`` are input extents of the equivalent stride-1, unpadded layer: ``Y = P + R - 1``. It has the real
    layer's output size and MACs. ``repeat`` counts sequential copies (batch entries and channel groups).
    """

    K: Array
    C: Array
    Y: Array
    X: Array
    R: Array
    S: Array
    depthwise: Array
    """bool; K is 1 for these."""
    repeat: Array

    @classmethod
    def from_layers(cls, layers: tuple[Layer, ...]) -> LayerShapes:
        """Converts compute layers."""
        rows = []
        for layer in layers:
            depthwise = layer.is_depthwise and layer.K == layer.C
            groups = 1 if depthwise else layer.groups
            rows.append(
                (
                    1 if depthwise else layer.K // groups,
                    layer.C // groups,
                    layer.P + layer.R - 1,
                    layer.Q + layer.S - 1,
                    layer.R,
                    layer.S,
                    depthwise,
                    layer.N * groups,
                )
            )
        K, C, Y, X, R, S, flags, repeat = np.array(rows, dtype=np.int64).reshape(-1, 8).T
        return cls(K, C, Y, X, R, S, flags.astype(bool), repeat)


@dataclass(frozen=True)
class ResourceDesigns:
    """One row per (layer, hardware assignment): arrays that broadcast to one shape.

    All integer arrays; ``noc_bw`` is the NoC bandwidth in elements per cycle, ``None`` for the model's default.
    """

    K: Array
    C: Array
    Y: Array
    X: Array
    R: Array
    S: Array
    depthwise: Array
    dataflow: Array
    """Values of :class:`Dataflow`; ignored (taken as ``DPT``) where ``depthwise``."""
    num_pes: Array
    buffer_level: Array
    """ConfuciuX's buffer knob: output channels (depthwise: channels) tiled per PE, >= 1."""
    noc_bw: Array | None = None
