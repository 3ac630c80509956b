"""Loop orders worth trying: those that dominate all others, and those that local search starts from."""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np
import numpy.typing as npt

from accelgym.costmodels.mapspace.space import MapSpace

__all__ = ["dominant_orders", "promising_orders"]

Ints = npt.NDArray[np.int64]


def dominant_orders(mapspace: MapSpace, level: int) -> Ints:
    """Returns codes of orders of a level, one of which is best for any factors.

    Without windows, data movement depends on the order of a level only through, per tensor, the run of irrelevant
    loops inside its innermost relevant loop: they cost it nothing. When at most one tensor does not use a loop, moving
    its other irrelevant loops inwards next to it only saves words, so it is enough to try, per tensor, its irrelevant
    loops innermost. Every count falls or stays, hence energy, cycles and their product do.

    When some loop is irrelevant to two tensors the argument fails. So it does where an axis sums two dimensions: which
    loops continue a slide depends on the factors, and loops outside multiply what it saves. Then all orders are
    returned.
    """
    free = mapspace.permutation.free[level]
    uses, slides = _uses(mapspace, free), _slides(mapspace, set(mapspace.active))
    if any(slides) or any(sum(d not in used for used in uses) > 1 for d in free):
        return np.arange(math.factorial(len(free)))
    orders = {(*(d for d in free if d not in used), *(d for d in free if d in used)) for used in uses}
    return _codes(mapspace, level, orders)


def promising_orders(mapspace: MapSpace, level: int) -> Ints:
    """Returns codes of orders that are good for most factors, those that local search tries.

    Per tensor, its irrelevant loops innermost, starting with each that others slide along, followed by each that it
    slides along itself; the other dimension of the same axis follows where it can, so that the slide goes on.
    """
    free = mapspace.permutation.free[level]
    uses, axes = _uses(mapspace, free), _slides(mapspace, set(free))
    slides = [set().union(*pairs) for pairs in axes]
    partner = {d: pair - {d} for pairs in axes for pair in pairs for d in pair}
    orders: set[tuple[int, ...]] = set()
    for t, used in enumerate(uses):
        others = set().union(*(slides[u] for u in range(len(uses)) if u != t))
        idle = [d for d in free if d not in used]
        for inner in _starting_with(idle, others, partner):
            for outer in _starting_with([d for d in free if d in used], slides[t], partner):
                orders.add((*inner, *outer))
    for d in partner:
        rest = [x for x in free if x != d]
        orders.add((d, *sorted(rest, key=lambda x: x not in partner[d])))
    return _codes(mapspace, level, orders)


def _uses(mapspace: MapSpace, free: Sequence[int]) -> list[set[int]]:
    """Dimensions with a free loop that each tensor uses."""
    names = mapspace.problem.dims
    return [{d for d in free if names[d] in tensor.dims} for tensor in mapspace.problem.tensors]


def _slides(mapspace: MapSpace, among: set[int]) -> list[list[set[int]]]:
    """Per tensor, the dimensions of each axis that sums two, as far as they are among those given."""
    names = mapspace.problem.dims
    found: list[list[set[int]]] = []
    for tensor in mapspace.problem.tensors:
        axes = [{names.index(name) for name, _ in axis} & set(mapspace.active) for axis in tensor.axes]
        found.append([axis & among for axis in axes if len(axis) > 1 and axis & among])
    return found


def _codes(mapspace: MapSpace, level: int, orders: set[tuple[int, ...]]) -> Ints:
    loops = np.array(sorted(orders or {mapspace.permutation.free[level]}), dtype=np.int64)
    return np.unique(mapspace.permutation.code(level, loops.T))


def _starting_with(dims: list[int], first: set[int], partner: dict[int, set[int]]) -> list[list[int]]:
    """Orders of ``dims``, one for each that starts with a member of ``first``, its partner next, those foremost."""
    leaders = [d for d in dims if d in first]
    rest = [d for d in dims if d not in first]
    return [
        [d, *sorted((x for x in leaders if x != d), key=lambda x: x not in partner.get(d, set())), *rest]
        for d in leaders
    ] or [rest]
