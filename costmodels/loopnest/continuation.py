"""Reuse along a window beyond its innermost loop: the second half of the exact transfer rule.

A tile that is held while a nest advances moves, at the first iteration of loop ``j``, by ``s_j``: its own step less
what the loops inside it have covered, ``s_j = m_j - sum((n_k - 1) * m_k)``. Timeloop HEAD credits the overlap where
``s_j`` equals the move of the innermost relevant loop, finds the whole tile in place where ``s_j`` is zero, and
forgets what is held where the move changes. All moves are positive, so the first two cases need every relevant loop
inside ``j`` to run on the one axis of ``j``: a window that sums two dimensions, whose innermost run of loops this
module follows outwards over all levels.
"""

from __future__ import annotations

import numpy as np

from accelgym.costmodels.arrays import Array
from accelgym.costmodels.loopnest.columns import Columns, times
from accelgym.costmodels.loopnest.terms import Transfer, Window

__all__ = ["continued_words"]


def continued_words(columns: Columns, transfer: Transfer, window: Window, innermost_move: Array) -> Array | None:
    """Counts the words that loops of a window, outside its innermost loop, find in place.

    Args:
        columns: The batch, with perfect factors.
        transfer: The boundary.
        window: An axis that sums two dimensions.
        innermost_move: How far the innermost relevant loop above the boundary moves the tile along the axis;
            0 where that loop runs on another axis or there is none. Shape ``(n,)``.

    Returns:
        Words along this axis, summed over the iterations at which one child finds them; not yet multiplied by the
        extents of the other axes and by instances. None where no row of a NumPy batch has any.
    """
    xp, parent, child = columns.xp, transfer.child - 1, transfer.child
    extent = columns.one * float(window.offset)
    for d, coefficient in zip(window.dims, window.coefficients, strict=True):
        extent = extent + times(float(coefficient), columns.extent[child][d])
    overlap = xp.where(innermost_move < extent, extent - innermost_move, 0.0)
    alone = innermost_move > 0.0
    covered, total = columns.zero, None
    for level in reversed(range(parent + 1)):
        if xp is np and not np.any(alone):
            break
        position, slot = columns.position[level], columns.slots[level][0]
        others = [position[d] for d in transfer.relevant if d not in window.dims]
        bounds = [columns.factors[slot, d] for d in window.dims]
        reach = [
            (bound - 1.0) * times(float(c), columns.step[level][d])
            for bound, d, c in zip(bounds, window.dims, window.coefficients, strict=True)
        ]
        for k, d in enumerate(window.dims):
            here, beside = position[d], window.dims[1 - k]
            inside = covered + xp.where(position[beside] > here, reach[1 - k], 0.0)
            on_axis = alone & (inside > 0.0)
            for other in others:
                on_axis = on_axis & (other < here)
            move = times(float(window.coefficients[k]), columns.step[level][d]) - inside
            held = xp.where(move == innermost_move, overlap, xp.where(move == 0.0, extent, 0.0))
            held = xp.where(on_axis & (here >= 0.0), held, 0.0)
            if xp is np and not np.any(held):
                continue
            found = held * (bounds[k] - 1.0) * _iterations_outside(columns, level, here)
            total = found if total is None else total + found
        for other in others:
            alone = alone & (other < 0.0)
        covered = covered + reach[0] + reach[1]
    return total


def _iterations_outside(columns: Columns, level: int, position: Array) -> Array:
    """Iterations of all time loops outside a position of a level."""
    xp, result = columns.xp, columns.one
    for d in columns.dims:
        loop = columns.factors[columns.slots[level][0], d]
        result = result * xp.where(columns.position[level][d] < position, loop, 1.0)
        for v in range(level):
            result = result * columns.factors[columns.slots[v][0], d]
    return result
