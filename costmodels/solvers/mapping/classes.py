"""Permutation classes: what the loop order of one level can mean for data movement.

The order of the time loops of a level matters only through its *signature*: per tensor, the irrelevant loops that
lie outside its innermost relevant loop (they repeat its traffic), and that innermost loop if tiles slide along it.
A tensor without any relevant loop at a level is *hoisted*: its tile outlives the level, and loops further out that
leave it in place are free, too. Hoisting is a class of its own, in which the relevant loops are fixed to one; in
classes that do not hoist the tensor one of them is *needed*: without, the mapping lies in the class that does.

Further loops of the axis that a tile slides along may continue the slide (``loopnest.continuation``). They need every
relevant loop inside them to be on that axis, so mappings in which one does are classes of their own: the next relevant
loop of a level is the axis's *second* one, or the level is *linked* to those outside, its relevant loops off the axis
fixed to one. All other classes are without continuation; a mapping that has one and lies in them, too, is found in the
class made for it. Such a class holds nothing where none of its loops can continue a slide (:mod:`.continuation`).

Every mapping belongs to a class whose expression equals its cost: order its unit loops outermost, hoist the tensors
that have no other relevant loop. Where a machine prescribes an order, which of its loops are one is part of the
class. A class whose signature is worse than another's for every tensor may be dropped, since all counts grow with
the loops counted and shrink with a slide. Loops counted outside a slide that an inner tile may continue are kept as
they are: each of their iterations saves what the slide finds in place.
"""

from __future__ import annotations

import itertools
from collections.abc import Iterator
from dataclasses import dataclass, replace

import numpy as np
import numpy.typing as npt

from accelgym.costmodels.loopnest.terms import TermTable
from accelgym.costmodels.mapspace import BYPASSED, SiteFactorization

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
    second: Bools
    """Next relevant loops, where they are on the axis of the slide and may continue it, shape as ``slide``."""
    between: Bools
    """Irrelevant loops between a slide and its second loop, shape as ``slide``."""
    linked: Bools
    """Tensors without a relevant loop off the axis of the slide, shape ``(classes, tensors)``."""
    unit: Bools
    """Time loops fixed to one, shape ``(classes, dims)``."""
    needed: Bools
    """Relevant loops of tensors that are not hoisted, shape as ``counted``: at least one of them is not one."""
    orders: tuple[tuple[int, ...], ...]
    """A loop order of each class, active dimensions from the innermost outwards."""

    @property
    def undecided(self) -> int:
        """Number of the undecided class."""
        return len(self.counted) - 1

    @property
    def plain(self) -> Ints:
        """Numbers of the classes without continuation of a slide but for the undecided one."""
        continued = self.second.any(axis=(1, 2)) | self.linked.any(axis=1)
        return np.flatnonzero(~np.asarray(continued)[:-1])


def level_classes(space: SiteFactorization, table: TermTable, level: int) -> LevelClasses:
    """Returns the classes of a level.

    Args:
        space: The map space.
        table: Terms of the cost model; says which dimensions are relevant and which slide.
        level: A level but the innermost.
    """
    tensors, dims = len(table.transfers), space.dims
    relevant = np.zeros((tensors, dims), dtype=bool)
    axes = np.full((tensors, dims), -1)
    # What no level further in keeps passes straight to the multipliers, where every loop counts.
    held = (space.constraints.keep[level + 1 :] != BYPASSED).any(axis=0)
    for t, transfers in enumerate(table.transfers):
        if not held[t]:
            continue
        for d, dim in enumerate(space.active):
            relevant[t, d] = dim in transfers[0].relevant
            for a, window in enumerate(transfers[0].windows):
                if dim in window.dims and len(window.dims) == 2:
                    axes[t, d] = a
    place = space.time[level]
    loops = space.open[place] | (space.fixed[place] > 1)
    free = loops & space.open[place] & (space.least[place] == 1)
    pinned = [space.active.index(d) for d in space.constraints.pinned[level] if d in space.active]
    # A level whose children hold tiles in turn may continue their slides.
    outer = level < len(space.architecture.levels) - 2
    plain: list[_Class] = []
    continued: list[_Class] = []
    for hoisted in _hoistings(relevant, free, loops) if level else [np.zeros(tensors, dtype=bool)]:
        idle = (relevant & hoisted[:, None]).any(axis=0) & loops
        mine = list(_ordered(loops, free, pinned, idle, relevant, axes, hoisted, np.zeros(tensors, dtype=bool)))
        plain += _undominated(
            [replace(x, second=np.zeros_like(x.second), between=np.zeros_like(x.between)) for x in mine], outer=outer
        )
        continued += [x for x in mine if x.second.any()]
    for hoisted, linked, idle in _links(relevant, axes, free, loops) if level else []:
        continued += list(_ordered(loops, free, pinned, idle, relevant, axes, hoisted, linked))
    rows = plain + _undominated(continued, outer=outer)
    # The outermost level hoists nothing.
    needed = np.array([relevant & loops & ~row.hoisted[:, None] & (level > 0) for row in rows])

    def stacked(name: str) -> Bools:
        return np.array([getattr(row, name) for row in rows])

    counted, slide, hoists, units = (stacked(name) for name in ("counted", "slide", "hoisted", "unit"))
    return LevelClasses(
        np.concatenate([counted, counted.all(axis=0, keepdims=True)]),
        np.concatenate([slide, slide.any(axis=0, keepdims=True)]),
        np.concatenate([hoists, hoists.any(axis=0, keepdims=True)]),
        np.concatenate([stacked("second"), np.zeros((1, tensors, dims), dtype=bool)]),
        np.concatenate([stacked("between"), np.zeros((1, tensors, dims), dtype=bool)]),
        np.concatenate([stacked("linked"), np.zeros((1, tensors), dtype=bool)]),
        np.concatenate([units, units.all(axis=0, keepdims=True)]),
        np.concatenate([needed, np.zeros((1, tensors, dims), dtype=bool)]),
        (*(row.order for row in rows), rows[0].order),
    )


@dataclass(frozen=True)
class _Class:
    """One class; arrays as in :class:`LevelClasses` without the leading axis."""

    counted: Bools
    slide: Bools
    hoisted: Bools
    second: Bools
    between: Bools
    """Irrelevant loops between a slide and its second loop."""
    linked: Bools
    unit: Bools
    order: tuple[int, ...]

    @property
    def key(self) -> tuple[bytes, ...]:
        arrays = (self.counted, self.slide, self.hoisted, self.second, self.between, self.linked, self.unit)
        return tuple(array.tobytes() for array in arrays)


def _ordered(
    loops: Bools,
    free: Bools,
    pinned: list[int],
    idle: Bools,
    relevant: Bools,
    axes: Ints,
    hoisted: Bools,
    linked: Bools,
) -> Iterator[_Class]:
    """Classes of all orders, given the loops that are one."""
    for unit in _unit_loops(idle, free, pinned):
        for order in _orders(loops & ~unit, pinned):
            counted, slide, second, between = _signature(order, relevant, axes, hoisted)
            if linked.any() and not slide[linked].any(axis=1).all():
                continue
            first = [d for d in pinned if loops[d]]
            rest = [d for d in (*order, *np.flatnonzero(unit).tolist()) if d not in first]
            yield _Class(counted, slide, hoisted, second, between, linked, unit, (*first, *rest))


def _links(relevant: Bools, axes: Ints, free: Bools, loops: Bools) -> Iterator[tuple[Bools, Bools, Bools]]:
    """Sets of tensors without a relevant loop off an axis: (hoisted, linked, loops that are one)."""
    seen = set()
    states = [(-1, *sorted(set(axes[t][(axes[t] >= 0) & loops]))) for t in range(len(relevant))]
    for hoisted in _hoistings(relevant, free, loops):
        for choice in itertools.product(*states):
            chosen = np.array(choice)
            linked = chosen >= 0
            if not linked.any() or (linked & hoisted).any():
                continue
            off = relevant & (linked & (axes != chosen[:, None]).T).T
            unit = ((relevant & hoisted[:, None]) | off).any(axis=0) & loops
            closed = ~(relevant & loops & ~unit).any(axis=1)
            key = (unit.tobytes(), linked.tobytes())
            if (unit & ~free).any() or (linked & closed).any() or key in seen:
                continue
            seen.add(key)
            yield closed, linked, unit


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


def _signature(
    order: tuple[int, ...], relevant: Bools, axes: Ints, hoisted: Bools
) -> tuple[Bools, Bools, Bools, Bools]:
    """Loops counted, slides, second loops and what lies between, shape ``(tensors, dims)`` each."""
    counted, slide, second, between = (np.zeros_like(relevant) for _ in range(4))
    for t in range(len(relevant)):
        if hoisted[t]:
            continue
        inner = next((k for k, d in enumerate(order) if relevant[t, d]), len(order))
        for d in order[inner:]:
            counted[t, d] = not relevant[t, d]
        if inner == len(order) or axes[t, order[inner]] < 0:
            continue
        slide[t, order[inner]] = True
        after = next((k for k, d in enumerate(order) if k > inner and relevant[t, d]), len(order))
        if after < len(order) and axes[t, order[after]] == axes[t, order[inner]]:
            second[t, order[after]] = True
            between[t, list(order[inner + 1 : after])] = True
    return counted, slide, second, between


def _undominated(rows: list[_Class], *, outer: bool) -> list[_Class]:
    """Drops repeated signatures and those that another one, with no more unit loops, beats for every tensor.

    Args:
        rows: The classes.
        outer: Whether slides of tiles further in may continue at this level.
    """
    if not rows:
        return []
    kept = list({row.key: row for row in reversed(rows)}.values())
    counted, slide, unit = (np.array([getattr(row, name) for row in kept]) for name in ("counted", "slide", "unit"))
    second, between, linked, hoisted = (
        np.array([getattr(row, name) for row in kept]) for name in ("second", "between", "linked", "hoisted")
    )
    result = []
    for k in range(len(kept)):
        fewer = ~(counted & ~counted[k] & ~unit[k]).any(axis=(1, 2)) & ~(unit & ~unit[k]).any(axis=1)
        if outer:
            sliding = slide[k].any(axis=1)
            fewer &= ((counted == counted[k]) | unit[k] | ~sliding[:, None]).all(axis=(1, 2))
        # A slide beats no slide; two different slides are incomparable.
        slid = ((slide == slide[k]).all(axis=2) | ~slide[k].any(axis=1)).all(axis=1)
        same = (second == second[k]).all(axis=(1, 2)) & (linked == linked[k]).all(axis=1)
        # Loops that a hoisted tensor does not count are counted where it is not.
        same &= (hoisted == hoisted[k]).all(axis=1)
        better = fewer & slid & same & ~(between & ~between[k]).any(axis=(1, 2))
        better[k] = False
        if not better.any():
            result.append(kept[k])
    return result


def mirrors(space: SiteFactorization, table: TermTable, classes: tuple[LevelClasses, ...]) -> Ints | None:
    """Finds a symmetry of height and width: a swap of dimensions under which the problem and the machine stay.

    Returns:
        Per level and class the number of the mirrored class, shape ``(levels - 1, most classes)``; ``None`` when
        nothing mirrors.
    """
    swap = _swap(space, table) if classes else None
    if swap is None:
        return None
    result = np.zeros((len(classes), max(len(x.counted) for x in classes)), dtype=np.int64)
    for v, one in enumerate(classes):
        arrays = (one.counted, one.slide, one.second, one.between, one.unit)
        own = [(one.linked[k].tobytes(), one.hoisted[k].tobytes()) for k in range(len(one.counted))]
        keys = [(*(x[k].tobytes() for x in arrays), *own[k]) for k in range(len(one.counted))]
        numbers = {key: k for k, key in enumerate(keys[:-1])}
        result[v, one.undecided] = one.undecided
        for k in range(one.undecided):
            swapped = (np.ascontiguousarray(x[k][..., swap]).tobytes() for x in arrays)
            key = (*swapped, *own[k])
            if key not in numbers:
                return None
            result[v, k] = numbers[key]
    return result


def _swap(space: SiteFactorization, table: TermTable) -> Ints | None:
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


def _symmetric(space: SiteFactorization, table: TermTable, swap: Ints) -> bool:
    dims = np.array(space.active)
    constraints = space.constraints
    same = bool((space.bounds == space.bounds[swap]).all())
    limits = (constraints.placeable, constraints.fixed, constraints.max_factor, constraints.minimum.factors)
    for array in limits:
        same = same and bool((array[:, dims] == array[:, dims[swap]]).all())
    moved = set(dims[swap != np.arange(len(swap))].tolist())
    same = same and not any(moved & set(pinned) for pinned in constraints.pinned)
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
