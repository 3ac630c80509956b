"""How much memory of this machine the simulation of a layer takes."""

from __future__ import annotations

import os
from collections.abc import Iterable

import numpy as np

from accelgym.costmodels.errors import InputError
from accelgym.costmodels.systolic.columns import Hardware, LayerColumns
from accelgym.costmodels.systolic.config import SystolicConfig
from accelgym.costmodels.systolic.limits import excess
from accelgym.costmodels.systolic.scheduler import Tiling
from accelgym.costmodels.systolic.tile_grid import TileGrid
from accelgym.costmodels.workloads.layer import Layer

__all__ = ["memory_needed", "require_memory"]

_WORD_BYTES = np.dtype(np.int64).itemsize
_BIT_BYTES = 2 * _WORD_BYTES
"""Of a bit while images are packed: a code is shifted to each of its bits, as 64-bit numbers, then masked."""
_COPIES = 3
"""Of the input matrix: taps, their transposition, and the matrix with its column of zeros."""


def memory_needed(config: SystolicConfig, layer: Layer) -> int:
    """Returns the bytes that golden and memory images of a layer take at least."""
    inputs = layer.N * layer.C * layer.input_height * layer.input_width
    matrix = layer.N * layer.P * layer.Q * layer.C * layer.R * layer.S
    packed = max(inputs * config.input.bits, layer.weight_words * config.weight.bits) * _BIT_BYTES
    tensors = _WORD_BYTES * (inputs + layer.weight_words + layer.output_words)
    return tensors + max(packed, _COPIES * _WORD_BYTES * matrix)


def require_memory(runs: Iterable[tuple[SystolicConfig, Layer, Tiling]]) -> None:
    """Checks that the hardware runs each tiling and that this machine can hold what its simulation takes.

    Raises:
        InputError: Naming the layer, what it needs and what there is.
    """
    there = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
    for config, layer, tiling in runs:
        hardware, problem = Hardware.of([config]), LayerColumns.of([layer])
        beyond = excess(hardware, problem, TileGrid.of(hardware, problem, tiling.arrays()))
        if beyond:
            raise InputError(f"layer {layer.name!r} with {tiling}: {beyond}")
        needed = memory_needed(config, layer)
        if needed > there:
            raise InputError(
                f"layer {layer.name!r}: its simulation takes about {needed / 1e9:,.1f} GB of memory, this machine has "
                f"{there / 1e9:,.1f} GB"
            )
