"""Fit: the words that tiles occupy against the capacity of a memory, the children in use against a fan-out."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

import numpy as np
import numpy.typing as npt

from accelgym.costmodels.architecture.loop_nest import LoopNest
from accelgym.costmodels.architecture.machine import Architecture

__all__ = ["capacities", "fanouts", "fits_capacity", "fits_fanouts", "held_words", "tile_extents"]

Floats = npt.NDArray[np.float64]
Ints = npt.NDArray[np.int64]
Bools = npt.NDArray[np.bool_]


def capacities(architecture: Architecture) -> Floats:
    """Returns the words that tiles may occupy at each level, ``inf`` where unlimited; shape ``(levels,)``."""
    return np.array([np.inf if x.tile_capacity is None else float(x.tile_capacity) for x in architecture.levels])


def fanouts(architecture: Architecture) -> Floats:
    """Returns the extent of each fan-out along its direction, ``inf`` for time; shape ``(slots,)``."""
    limits = []
    for slot in architecture.slots:
        level = architecture.levels[slot.level]
        limits.append({"temporal": np.inf, "x": float(level.fanout_x), "y": float(level.fanout_y)}[slot.kind])
    return np.array(limits)


def held_words(problem: LoopNest, extents: Mapping[str, Any], keep: npt.NDArray[Any]) -> Any:
    """Returns the words of the tiles that a level keeps, exact in float64.

    Args:
        problem: The problem.
        extents: Extent of the tile by dimension, arrays of one shape ``(...)``; absent ones are 1.
        keep: Whether it keeps each tensor, shape ``(tensors, ...)``.
    """
    total: Any = np.zeros(keep.shape[1:])
    for tensor, kept in zip(problem.tensors, keep, strict=True):
        if kept.any():
            total = total + problem.tile_words(tensor, extents) * kept
    return total


def fits_capacity(problem: LoopNest, capacity: Any, extents: Mapping[str, Any], keep: npt.NDArray[Any]) -> Any:
    """Returns whether the tiles that a memory keeps fit into it together.

    Args:
        problem: The problem.
        capacity: Words that tiles may occupy, ``inf`` where unlimited; a number, or shape ``(...)``.
        extents: As for :func:`held_words`.
        keep: Likewise.
    """
    return held_words(problem, extents, keep) <= capacity


def fits_fanouts(architecture: Architecture, factors: Ints) -> Bools:
    """Returns which tilings use no more children than there are, shape ``(n,)`` from ``(slots, dims, n)``."""
    good = np.ones(factors.shape[2], dtype=bool)
    for s, limit in enumerate(fanouts(architecture)):
        if np.isfinite(limit):
            good &= factors[s].prod(axis=0) <= limit
    return good


def tile_extents(
    problem: LoopNest, architecture: Architecture, factors: Ints
) -> Iterator[tuple[int, dict[str, Floats]]]:
    """Yields each level, the innermost first, with the extents of its tile by dimension, shape ``(n,)`` each.

    Args:
        problem: The problem.
        architecture: The machine.
        factors: Loop bounds, shape ``(slots, dims, n)``.
    """
    extents = np.ones(factors.shape[1:])
    for s in reversed(range(len(architecture.slots))):
        extents = extents * factors[s]
        if architecture.slots[s].kind == "temporal":
            yield architecture.slots[s].level, dict(zip(problem.dims, extents, strict=True))
