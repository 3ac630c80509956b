"""Spatial split: which dimensions of a fan-out lie along x, and which along y."""

from __future__ import annotations

import itertools
from collections.abc import Sequence

import numpy as np
import numpy.typing as npt

from accelgym.costmodels.architecture.machine import Architecture
from accelgym.costmodels.mapspace.constraints import Constraints

__all__ = ["lies_along_both", "split_fanout"]

Ints = npt.NDArray[np.int64]
Bools = npt.NDArray[np.bool_]


def lies_along_both(architecture: Architecture, factors: Ints) -> Bools:
    """Returns where a dimension is spread along x and along y of one fan-out, which no mapping may.

    Args:
        architecture: The machine.
        factors: Shape ``(slots, dims, n)``.

    Returns:
        Shape ``(levels * dims, n)``.
    """
    found = [np.zeros((0, factors.shape[2]), dtype=bool)]
    for v in range(len(architecture.levels)):
        x, y = architecture.slot(v, "x"), architecture.slot(v, "y")
        if x is not None and y is not None:
            found.append((factors[x] > 1) & (factors[y] > 1))
    return np.concatenate(found)


def split_fanout(
    constraints: Constraints,
    architecture: Architecture,
    level: int,
    dims: Sequence[int],
    factors: Ints,
    limits: tuple[Ints, Ints],
) -> tuple[Bools, Ints]:
    """Distributes the dimensions of a fan-out over y and x; of several distributions the first that fits counts.

    Args:
        constraints: What restricts the factors.
        architecture: The machine.
        level: The level above the fan-out.
        dims: Dimensions of the factors.
        factors: Shape ``(len(dims), n)``.
        limits: Extents along y and x, broadcastable to ``(n,)``.

    Returns:
        Whether some distribution fits, shape ``(n,)``, and which dimensions lie along x as a bit mask.
    """
    slots = [architecture.slot(level, kind) for kind in ("y", "x")]
    n = factors.shape[1]
    fits, chosen = np.zeros(n, dtype=bool), np.zeros(n, dtype=np.int64)
    spread = np.flatnonzero((factors > 1).any(axis=1)).tolist()
    least = constraints.minimum.factors
    for sides in itertools.product((0, 1), repeat=len(spread)):
        products = [np.ones(n, dtype=np.int64), np.ones(n, dtype=np.int64)]
        good = np.ones(n, dtype=bool)
        for side, d in zip(sides, spread, strict=True):
            slot, other = slots[side], slots[1 - side]
            products[side] = products[side] * factors[d]
            if slot is None:
                good &= factors[d] == 1
                continue
            dim = dims[d]
            largest = constraints.max_factor if constraints.placeable[slot, dim] else constraints.fixed
            good &= factors[d] <= max(int(largest[slot, dim]), 1)
            good &= factors[d] >= least[slot, dim]
            if other is not None and least[other, dim] > 1:
                good &= False
        good &= (products[0] <= limits[0]) & (products[1] <= limits[1]) & ~fits
        chosen[good] = sum(1 << d for side, d in zip(sides, spread, strict=True) if side)
        fits |= good
        if fits.all():
            break
    return fits, chosen
