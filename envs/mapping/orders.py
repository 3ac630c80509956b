"""Loop orders that dominate all others."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from accelgym.envs.mapping.mapspace import Mapspace

__all__ = ["dominant_orders"]

Ints = npt.NDArray[np.int64]


def dominant_orders(mapspace: Mapspace, level: int) -> Ints:
    """Returns positions in :meth:`Mapspace.rank_table` of orders, one of which is best for any factors.

    Data movement depends on the order of a level only through, per tensor, the run of irrelevant loops inside its
    innermost relevant loop (they cost it nothing) and that loop itself (tiles overlap along it). Let the innermost
    loop be over ``d``. Tensors that use ``d`` slide along it, whatever lies outside. When at most one tensor does
    not use ``d``, moving its other irrelevant loops inwards next to ``d`` only saves it words, and it then slides
    along the next loop. So it is enough to try, per tensor, its irrelevant loops innermost, starting with each
    that others slide along, followed by each that it slides along itself. Every count falls or stays, hence
    energy, cycles and their product do.

    When some loop is irrelevant to two tensors the argument fails and all orders are returned.
    """
    free, table = mapspace.free_order(level), mapspace.rank_table(level)
    tensors = mapspace.problem.tensors
    names = mapspace.problem.dims
    uses = [{d for d in free if names[d] in tensor.dims} for tensor in tensors]
    if any(sum(d not in used for used in uses) > 1 for d in free):
        return np.arange(table.shape[1])
    slides: list[set[int]] = []
    for tensor in tensors:
        axes = [{names.index(name) for name, _ in axis} & set(mapspace.active) for axis in tensor.axes]
        slides.append({d for axis in axes if len(axis) > 1 for d in axis} & set(free))
    orders: set[tuple[int, ...]] = set()
    for t, used in enumerate(uses):
        others = set().union(*(slides[u] for u in range(len(tensors)) if u != t))
        idle = [d for d in free if d not in used]
        for inner in _starting_with(idle, others):
            for outer in _starting_with([d for d in free if d in used], slides[t]):
                orders.add((*inner, *outer))
    for d in free:
        if all(d in used for used in uses) and any(d in slide for slide in slides):
            orders.add((d, *(x for x in free if x != d)))
    inner_first = np.argsort(-table[list(free)], axis=0).T if free else np.zeros((1, 0), dtype=np.int64)
    code = {tuple(free[i] for i in row): n for n, row in enumerate(inner_first.tolist())}
    return np.array(sorted({code[order] for order in orders} or {0}), dtype=np.int64)


def _starting_with(dims: list[int], first: set[int]) -> list[list[int]]:
    """Orders of ``dims``, one for each that starts with a member of ``first``, those members always foremost."""
    leaders = [d for d in dims if d in first]
    rest = [d for d in dims if d not in first]
    return [[d, *(x for x in leaders if x != d), *rest] for d in leaders] or [rest]
