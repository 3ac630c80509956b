"""Permutation classes: what the loop order of one level can mean for data movement.

The order of the time loops of a level matters only through its *signature*: per tensor, the irrelevant loops that
lie outside its innermost relevant loop (they repeat its traffic), and that innermost loop if tiles slide along it.
A tensor without any relevant loop at a level is *hoisted*: its tile outlives the level, and loops further out that
leave it in place are free, too. Hoisting is a class of its own, in which the relevant loops are fixed to one.

Every mapping belongs to a class whose expression equals its cost: order its unit loops outermost, hoist the tensors
that have no other relevant loop. Where a machine prescribes an order, which of its loops are one is part of the
class. A class whose signature is worse than another's for every tensor may be dropped, since all counts grow with
the loops counted and shrink with a slide.
"""

from __future__ import annotations

import itertools
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from accelgym.costmodels.architecture.rules import BYPASSED
from accelgym.costmodels.loopnest.terms import TermTable
from accelgym.costmodels.solvers.mapping.space import MappingSpace

__all__ = ["LevelClasses", "level_classes", "mirrors"]

Bools = npt.NDArray[np.bool_]
Ints = npt.NDArray[np.int64]


@dataclass(frozen=True)
class LevelClasses:
    """Classes of one level, the last of which is undecided: below all others in every respect."""

    counted: Bools
    """Irrelevant loops that repeat the traffic of a tensor, shape ``(classes, tensors, dims)``."""
    slide: Bools
    """Loops along which the tile of a tensor slides, same shape."""
    hoisted: Bools
    """Shape ``(classes, tensors)``."""
    unit: Bools
    """Time loops fixed to one, shape ``(classes, dims)``."""
    orders: tuple[tuple[int, ...], ...]
    """A loop order of each class, active dimensions from the innermost outwards."""

    @property
    def undecided(self) -> int:
        """Number of the undecided class."""
        return len(self.counted) - 1


def level_classes(space: MappingSpace, table: TermTable, level: int) -> LevelClasses:
    """Returns the classes of a level.

    Args:
        space: The map space.
        table: Terms of the cost model; says which dimensions are relevant and which slide.
        level: A level but the innermost.
    """
    tensors, dims = len(table.transfers), space.dims
    relevant = np.zeros((tensors, dims), dtype=bool)
    slides = np.zeros((tensors, dims), dtype=bool)
    # What no level further in keeps passes straight to the multipliers, where every loop counts.
    held = (space.rules.keep[level + 1 :] != BYPASSED).any(axis=0)
    for t, transfers in enumerate(table.transfers):
        if not held[t]:
            continue
        for d, dim in enumerate(space.active):
            relevant[t, d] = dim in transfers[0].relevant
            slides[t, d] = any(dim in window.dims and len(window.dims) == 2 for window in transfers[0].windows)
    place = space.time[level]
    loops = space.open[place] | (space.fixed[place] > 1)
    pinned = [space.active.index(d) for d in space.rules.pinned[level] if d in space.active]
    rows: list[tuple[Bools, Bools, Bools, Bools, tuple[int, ...]]] = []
    for hoisted in _hoistings(relevant, loops & space.open[place], loops) if level else [np.zeros(tensors, dtype=bool)]:
        idle = (relevant & hoisted[:, None]).any(axis=0) & loops
        mine = []
        for unit in _unit_loops(idle, loops & space.open[place], pinned):
            for order in _orders(loops & ~unit, pinned):
                signature = _signature(order, relevant, slides, hoisted)
                first = [d for d in pinned if loops[d]]
                rest = [d for d in (*order, *np.flatnonzero(unit).tolist()) if d not in first]
                mine.append((*signature, hoisted, unit, (*first, *rest)))
        rows += _undominated(mine)
    counted, slide, hoists, units, orders = zip(*rows, strict=True)
    every = np.array(slide).any(axis=0)
    none = np.array(counted).all(axis=0)
    undecided_hoist = np.array(hoists).any(axis=0)
    return LevelClasses(
        np.array([*counted, none]),
        np.array([*slide, every]),
        np.array([*hoists, undecided_hoist]),
        np.array([*units, np.array(units).all(axis=0)]),
        (*orders, orders[0]),
    )


def _hoistings(relevant: Bools, free: Bools, loops: Bools) -> list[Bools]:
    """Sets of tensors that can all be without a relevant loop at a level; closed under what the units imply."""
    found: dict[bytes, Bools] = {}
    for choice in itertools.product((False, True), repeat=len(relevant)):
        hoisted = np.array(choice)
        unit = (relevant & hoisted[:, None]).any(axis=0) & loops
        if (unit & ~free).any():
            continue
        closed = ~(relevant & loops & ~unit).any(axis=1)
        found[closed.tobytes()] = closed
    return list(found.values())


def _unit_loops(unit: Bools, free: Bools, pinned: list[int]) -> list[Bools]:
    """Sets of loops that are one: those given and, as a pinned loop of one is no loop, any pinned ones."""
    optional = [d for d in pinned if free[d] and not unit[d]]
    found = []
    for count in range(len(optional) + 1):
        for chosen in itertools.combinations(optional, count):
            more = unit.copy()
            more[list(chosen)] = True
            found.append(more)
    return found


def _orders(loops: Bools, pinned: list[int]) -> list[tuple[int, ...]]:
    """Orders of the time loops of a level, innermost first; pinned dimensions lead."""
    first = [d for d in pinned if loops[d]]
    rest = [int(d) for d in np.flatnonzero(loops) if d not in pinned]
    return [(*first, *order) for order in itertools.permutations(rest)]


def _signature(order: tuple[int, ...], relevant: Bools, slides: Bools, hoisted: Bools) -> tuple[Bools, Bools]:
    counted, slide = np.zeros_like(relevant), np.zeros_like(relevant)
    for t in range(len(relevant)):
        if hoisted[t]:
            continue
        inner = next((k for k, d in enumerate(order) if relevant[t, d]), len(order))
        for d in order[inner:]:
            counted[t, d] = not relevant[t, d]
        if inner < len(order):
            slide[t, order[inner]] = slides[t, order[inner]]
    return counted, slide


def _undominated(
    rows: list[tuple[Bools, Bools, Bools, Bools, tuple[int, ...]]],
) -> list[tuple[Bools, Bools, Bools, Bools, tuple[int, ...]]]:
    """Drops repeated signatures and those that another one, with no more unit loops, beats for every tensor."""
    distinct = {(row[0].tobytes(), row[1].tobytes(), row[3].tobytes()): row for row in reversed(rows)}
    kept = list(distinct.values())
    counted, slide, unit = (np.array([row[i] for row in kept]) for i in (0, 1, 3))
    result = []
    for k in range(len(kept)):
        fewer = ~(counted & ~counted[k] & ~unit[k]).any(axis=(1, 2)) & ~(unit & ~unit[k]).any(axis=1)
        # A slide beats no slide; two different slides are incomparable.
        slid = ((slide == slide[k]).all(axis=2) | ~slide[k].any(axis=1)).all(axis=1)
        better = fewer & slid
        better[k] = False
        if not better.any():
            result.append(kept[k])
    return result


def mirrors(space: MappingSpace, table: TermTable, classes: tuple[LevelClasses, ...]) -> Ints | None:
    """Finds a symmetry of height and width: a swap of dimensions under which the problem and the machine stay.

    Returns:
        Per level and class the number of the mirrored class, shape ``(levels - 1, most classes)``; ``None`` when
        nothing mirrors.
    """
    swap = _swap(space, table)
    if swap is None:
        return None
    result = np.zeros((len(classes), max(len(x.counted) for x in classes)), dtype=np.int64)
    for v, one in enumerate(classes):
        keys = [
            (one.counted[k].tobytes(), one.slide[k].tobytes(), one.unit[k].tobytes()) for k in range(len(one.counted))
        ]
        numbers = {key: k for k, key in enumerate(keys[:-1])}
        result[v, one.undecided] = one.undecided
        for k in range(one.undecided):
            key = tuple(
                np.ascontiguousarray(x[..., swap]).tobytes() for x in (one.counted[k], one.slide[k], one.unit[k])
            )
            if key not in numbers:
                return None
            result[v, k] = numbers[key]
    return result


def _swap(space: MappingSpace, table: TermTable) -> Ints | None:
    """A permutation of the active dimensions that swaps the two windows of a tensor and leaves everything equal."""
    local = {d: k for k, d in enumerate(space.active)}
    for transfers in table.transfers:
        windows = transfers[0].windows
        if len(windows) != 2 or windows[0].coefficients != windows[1].coefficients:
            continue
        swap = np.arange(space.dims)
        for a, b in zip(windows[0].dims, windows[1].dims, strict=True):
            swap[local[a]], swap[local[b]] = local[b], local[a]
        if _symmetric(space, table, swap):
            return swap
    return None


def _symmetric(space: MappingSpace, table: TermTable, swap: Ints) -> bool:
    dims = np.array(space.active)
    rules = space.rules
    same = bool((space.bounds == space.bounds[swap]).all())
    for array in (rules.open, rules.fixed, rules.most):
        same = same and bool((array[:, dims] == array[:, dims[swap]]).all())
    moved = set(dims[swap != np.arange(len(swap))].tolist())
    same = same and not any(moved & set(pinned) for pinned in rules.pinned)
    image = dict(zip(dims.tolist(), dims[swap].tolist(), strict=True))
    for transfers in table.transfers:
        first = transfers[0]
        plain = set(first.relevant) - {d for window in first.windows for d in window.dims}
        same = same and {image[d] for d in plain} == plain
        there = {(window.dims, window.coefficients) for window in first.windows}
        same = (
            same and {(tuple(image[d] for d in window.dims), window.coefficients) for window in first.windows} == there
        )
    return same
