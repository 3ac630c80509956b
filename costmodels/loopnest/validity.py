"""Which mappings a machine can run: exact factors, fan-outs, tiles that fit."""

from __future__ import annotations

from accelgym.costmodels.arrays import Array
from accelgym.costmodels.costs import Reason
from accelgym.costmodels.loopnest.columns import Columns, times

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
    fans_out = factorised
    for v, level in enumerate(architecture.levels):
        for along, limit in zip(columns.used[v], (level.fanout_y, level.fanout_x), strict=True):
            if limit > 1:
                fans_out = fans_out & (along <= float(limit))
    fits = fans_out
    for v, level in enumerate(architecture.levels):
        capacity = level.tile_capacity
        if capacity is None:
            continue
        total: Array = 0.0
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
    problem = columns.problem
    result: dict[tuple[int, int], Array] = {}
    for v, level in enumerate(columns.architecture.levels):
        if bounded_only and level.tile_capacity is None:
            continue
        extents = {problem.dims[d]: extent for d, extent in columns.extent[v].items()}
        for t, tensor in enumerate(problem.tensors):
            kept = columns.kept(v, t)
            if kept is not False:
                words = problem.tile_words(tensor, extents)
                words = float(words) if isinstance(words, int) else words
                result[v, t] = columns.select(kept, words, columns.zero)
    return result


def utilized(columns: Columns) -> list[Array]:
    """Returns the instances in use per level, then the multipliers in use."""
    used = [columns.one]
    for along_y, along_x in columns.used:
        used.append(times(used[-1] if len(used) > 1 else 1.0, times(along_y, along_x)) * columns.one)
    return used
