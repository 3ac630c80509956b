"""Which mappings a machine can run: exact factors, fan-outs, tiles that fit."""

from __future__ import annotations

from accelgym.costmodels.arrays import Array
from accelgym.costmodels.costs import Reason
from accelgym.costmodels.loopnest.columns import Columns

__all__ = ["reasons", "tiles", "utilized"]


def reasons(columns: Columns, words: dict[tuple[int, int], Array]) -> Array:
    """Returns a :class:`Reason` per row, as floats; the first that applies of value, factors, fan-out, capacity.

    Args:
        columns: The batch.
        words: Its tiles, from :func:`tiles`.
    """
    xp, architecture = columns.xp, columns.architecture
    factorised = columns.one > 0.0
    for d, bound in enumerate(columns.problem.bounds):
        if bound > 1:
            factorised = factorised & (columns.above[columns.depth][d] == float(bound))
        else:
            for slots in columns.slots:
                factorised = factorised & (columns.product(slots, d) == 1.0)
    fans_out = columns.one > 0.0
    for v, level in enumerate(architecture.levels):
        for slot, limit in zip(columns.slots[v][1:], (level.fanout_y, level.fanout_x), strict=True):
            if slot is not None:
                fans_out = fans_out & (_along(columns, slot) <= float(limit))
    fits = columns.one > 0.0
    for v, level in enumerate(architecture.levels):
        capacity = level.tile_capacity
        if capacity is None:
            continue
        total = columns.zero
        for (at, _), size in words.items():
            if at == v:
                total = total + size
        fits = fits & (total <= float(capacity))
        if level.min_utilization > 0.0:
            fits = fits & (total >= level.min_utilization * capacity)
    reason = xp.where(fits, columns.zero, float(Reason.CAPACITY))
    reason = xp.where(fans_out, reason, float(Reason.FANOUT))
    reason = xp.where(factorised, reason, float(Reason.FACTORISATION))
    if columns.keep is not None:
        # The outermost memory holds every tensor.
        for t in range(len(columns.problem.tensors)):
            reason = xp.where(columns.keep[0, t], reason, float(Reason.BAD_VALUE))
    return reason


def tiles(columns: Columns, *, bounded_only: bool = False) -> dict[tuple[int, int], Array]:
    """Returns the words of each kept tile by (level, tensor), 0 where bypassed.

    Args:
        columns: The batch.
        bounded_only: Leave out levels without a capacity.
    """
    result: dict[tuple[int, int], Array] = {}
    for v, level in enumerate(columns.architecture.levels):
        if bounded_only and level.tile_capacity is None:
            continue
        for t in range(len(columns.problem.tensors)):
            kept = columns.kept(v, t)
            if kept is not False:
                result[v, t] = columns.select(kept, _box(columns, v, t), columns.zero)
    return result


def utilized(columns: Columns) -> list[Array]:
    """Returns the instances in use per level, then the multipliers in use."""
    used = [columns.one]
    for slots in columns.slots:
        count = used[-1]
        for slot in slots[1:]:
            if slot is not None:
                count = count * _along(columns, slot)
        used.append(count)
    return used


def _along(columns: Columns, slot: int) -> Array:
    """Children in use along one direction of a fan-out."""
    result = columns.one
    for d in columns.dims:
        result = result * columns.factors[slot, d]
    return result


def _box(columns: Columns, level: int, tensor: int) -> Array:
    """Words of the bounding box of a tile."""
    problem = columns.problem
    words = columns.one
    for axis in problem.tensors[tensor].axes:
        offset, extent = 1, columns.zero
        for name, coefficient in axis:
            d = problem.dims.index(name)
            if d in columns.dims:
                offset -= coefficient
                extent = extent + float(coefficient) * columns.extent[level][d]
        if offset != 1:
            words = words * (extent + float(offset) if offset else extent)
    return words
