"""Data movement of a batch, read off the term table."""

from __future__ import annotations

import math
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from accelgym.costmodels.arrays import Array
from accelgym.costmodels.loopnest.columns import Columns, times
from accelgym.costmodels.loopnest.continuation import continued_words
from accelgym.costmodels.loopnest.terms import TermTable, Transfer, Window

__all__ = ["Traffic", "count_traffic"]


@dataclass
class Traffic:
    """Arrays of shape ``(n,)``; totals over the instances in use."""

    counters: dict[tuple[int, int, str], Array]
    """Accesses by (level, tensor, counter)."""
    multicast: dict[tuple[int, int], Array]
    """Children served by one access, by (level, tensor)."""


@dataclass
class _Slide:
    """Per window dimension, bound (1 where it does not slide) and step of the innermost relevant loop."""

    bound: dict[int, Array] = field(default_factory=dict)
    step: dict[int, Array] = field(default_factory=dict)


def count_traffic(columns: Columns, table: TermTable, *, needs_clean_nest: bool) -> Traffic:
    """Evaluates the term table.

    Args:
        columns: The batch.
        table: The terms.
        needs_clean_nest: v3.0.3's rule: an irrelevant loop inside the sliding loop forfeits the overlap.
    """
    quantities: dict[tuple[str, int, int], Array] = {}
    multicast: dict[tuple[int, int], Array] = {}
    for t in range(len(columns.problem.tensors)):
        mover = _Mover(columns, table.transfers[t], needs_clean_nest)
        for v, (content, delivered, served) in enumerate(mover.run()):
            quantities["content", v, t] = content
            quantities["delivered", v, t] = delivered
            multicast[v, t] = served
    output = columns.problem.output
    if any(term.quantity == "partition" for term in table.counters):
        for v, words in enumerate(_partitions(columns, table.transfers[output][0])):
            quantities["partition", v, output] = words
    counters: dict[tuple[int, int, str], Array] = {}
    for term in table.counters:
        kept = columns.kept(term.level, term.tensor)
        if term.counter == "fills":
            kept = _both(kept, columns.kept_outside(term.level, term.tensor))
        if kept is False:
            continue
        key = (term.level, term.tensor, str(term.counter))
        value = columns.select(kept, quantities[term.quantity, term.level, term.tensor], columns.zero)
        if key not in counters:
            counters[key] = value
        elif term.sign > 0:
            counters[key] = counters[key] + value
        else:
            counters[key] = counters[key] - value
            if table.transfers[term.tensor][0].windows:
                # A strided output owns words in its bounding box that nobody writes.
                counters[key] = columns.xp.where(counters[key] > 0.0, counters[key], 0.0)
    return Traffic(counters, multicast)


def _both(a: Any, b: Any) -> Any:
    if a is False or b is False:
        return False
    if a is True:
        return b
    return a if b is True else a & b


class _Mover:
    """Words of one tensor over every boundary, outer to inner."""

    def __init__(self, columns: Columns, transfers: tuple[Transfer, ...], needs_clean_nest: bool) -> None:
        self.columns, self.xp, self.transfers = columns, columns.xp, transfers
        self.clean = needs_clean_nest
        self.irrelevant = transfers[0].irrelevant
        self.windows = transfers[0].windows

    def run(self) -> list[tuple[Array, Array, Array]]:
        """Returns content, words delivered to, and children per access, of every level."""
        columns, depth = self.columns, self.columns.depth
        contents: list[Array] = []
        multicasts: list[Array] = []
        shares: list[tuple[Array, Array]] = []
        arriving: list[Array] = [columns.zero]
        visits: dict[int, Array] = dict.fromkeys(self.irrelevant, 1.0)
        slide = _Slide()
        for transfer in self.transfers:
            child, parent = transfer.child, transfer.child - 1
            if child < depth:
                innermost = self._innermost(parent, transfer)
                slide = self._slides(parent, innermost, slide)
                visits = self._visits(parent, innermost, visits)
            else:
                # The multipliers hold nothing: every loop counts.
                slide = _Slide()
                visits = {d: columns.through[parent][d] for d in self.irrelevant}
            words: Array = 1.0
            for d in self.irrelevant:
                words = times(words, visits[d])
            distinct: Array = 1.0
            served = children = _multiply([columns.spatial[parent][d] for d in self.irrelevant])
            for window in self.windows:
                words = times(words, self._window(parent, child, window, slide))
                both = _multiply([columns.spatial[parent][d] for d in window.dims])
                apart = self._distinct(parent, child, window, both)
                distinct, children = times(distinct, apart), times(children, both)
                if apart is not both:
                    served = times(served, both / apart)
            words = float(transfer.constant) * words * columns.one
            held = self._held(transfer, slide)
            if held is not None:
                words = words - held
            contents.append(times(words, distinct))
            arriving.append(times(words, children))
            multicasts.append(served)
            shares.append((children, distinct))
            visits = {d: columns.extend(visits[d], columns.slots[parent][1:], d) for d in self.irrelevant}
        # A level that is bypassed passes the requests of its children on.
        for v in reversed(range(depth - 1)):
            kept = columns.kept(v + 1, self.transfers[0].tensor)
            if kept is not True:
                # Dividing by the children first keeps every step an integer.
                children, distinct = shares[v]
                contents[v] = columns.select(kept, contents[v], times(contents[v + 1] / children, distinct))
        return list(zip(contents, arriving[:depth], multicasts, strict=True))

    def _innermost(self, parent: int, transfer: Transfer) -> Array | None:
        """Position of the innermost relevant time loop of a level, -1 for none."""
        position = self.columns.position[parent]
        result = None
        for d in transfer.relevant:
            result = position[d] if result is None else self.xp.maximum(result, position[d])
        return result

    def _visits(self, parent: int, innermost: Array | None, outer: dict[int, Array]) -> dict[int, Array]:
        """Iterations per irrelevant dimension, in time and space, that change the tile below ``parent``.

        Where ``parent`` has no relevant loop the tile outlives all its loops, and the count above, ``outer``,
        carries over.
        """
        columns, xp = self.columns, self.xp
        if innermost is None:
            return outer
        result = {}
        for d in self.irrelevant:
            counts = columns.position[parent][d] <= innermost
            result[d] = xp.where(counts, columns.through[parent][d], columns.above[parent][d])
            if parent > 0:
                result[d] = xp.where(innermost >= 0.0, result[d], outer[d])
        return result

    def _slides(self, parent: int, innermost: Array | None, outer: _Slide) -> _Slide:
        """Finds, per window dimension, bound and step of the innermost relevant loop when it is that one."""
        columns, xp = self.columns, self.xp
        result = _Slide()
        if innermost is None:
            return result
        position, slot = columns.position[parent], columns.slots[parent][0]
        still = None
        for d in self.irrelevant if self.clean else ():
            kept = position[d] <= innermost
            still = kept if still is None else still & kept
        for window in self.windows:
            if len(window.dims) < 2:
                continue
            for d in window.dims:
                bound = xp.where(position[d] == innermost, columns.factors[slot, d], 1.0)
                step = columns.step[parent][d]
                if d in outer.bound:
                    here = innermost >= 0.0
                    bound = xp.where(here, bound, outer.bound[d])
                    step = xp.where(here, step, outer.step[d])
                result.bound[d] = bound if still is None else xp.where(still, bound, 1.0)
                result.step[d] = step
        return result

    def _window(self, parent: int, child: int, window: Window, slide: _Slide) -> Array:
        """Words along a window axis over the whole run, per child position."""
        columns, xp = self.columns, self.xp
        extent = columns.extent[child]
        total = _extent(window, [extent[d] for d in window.dims])
        visits: Array = 1.0
        reach: list[Array] = []
        for d, coefficient in zip(window.dims, window.coefficients, strict=True):
            count, mean = columns.through[parent][d], extent[d]
            if columns.residuals is not None:
                mean = float(columns.problem.bounds[d]) / columns.above[child][d]
            if d in slide.bound:
                overlaps = times(float(coefficient), slide.step[d]) < total
                bound = xp.where(overlaps, slide.bound[d], 1.0)
                count = count / bound
                mean = mean + (bound - 1.0) * slide.step[d]
            visits = times(visits, count)
            reach.append(mean)
        return times(visits, _extent(window, reach))

    def _held(self, transfer: Transfer, slide: _Slide) -> Array | None:
        """Words that windows find in place beyond their innermost loop, per child position like the transfer."""
        columns, parent, child = self.columns, transfer.child - 1, transfer.child
        if self.clean or columns.residuals is not None or not slide.bound:
            return None
        total = None
        for window in self.windows:
            if len(window.dims) < 2:
                continue
            move = columns.zero
            for d, coefficient in zip(window.dims, window.coefficients, strict=True):
                step = times(float(coefficient), slide.step[d])
                move = move + columns.xp.where(slide.bound[d] > 1.0, step, 0.0)
            words = continued_words(columns, transfer, window, move)
            if words is None:
                continue
            for other in self.windows:
                if other is not window:
                    words = times(words, _extent(other, [columns.extent[child][d] for d in other.dims]))
            sliding = {d for x in self.windows for d in x.dims}
            for d in transfer.relevant:
                if d not in sliding:
                    words = times(words, columns.step[parent][d])
            for v in range(parent):
                words = times(words, _multiply([columns.spatial[v][d] for d in columns.dims]))
            total = words if total is None else total + words
        return total

    def _distinct(self, parent: int, child: int, window: Window, both: Array) -> Array:
        """Distinct positions of the children's tiles along a window axis.

        Positions ``i*u + j*v`` for ``i < m``, ``j < n`` form chains of equal sums with step
        ``(v/g, -u/g)``, ``g = gcd(u, v)``; the distinct sums are the points less the links.
        """
        columns, xp = self.columns, self.xp
        if len(window.dims) < 2 or all(slot is None for slot in columns.slots[parent][1:]):
            return both
        a, b = window.dims
        m, n = columns.spatial[parent][a], columns.spatial[parent][b]
        if xp is np and not np.any((m > 1.0) & (n > 1.0)):
            return both
        pairs = list(zip(window.dims, window.coefficients, strict=True))
        u, v = (times(float(c), columns.extent[child][d]) for d, c in pairs)
        # Spreading a prime bound leaves tiles of one: where it matters, a stride and so the gcd is 1.
        if not any(c == 1 and _is_prime(columns.problem.bounds[d]) for d, c in pairs):
            smaller = min(c * columns.problem.bounds[d] for d, c in pairs)
            g = _gcd(xp, u * columns.one, v * columns.one, smaller)
            u, v = u / g, v / g
        along, across = m - v, n - u
        return both - xp.where((along > 0.0) & (across > 0.0), along * across, 0.0)


def _is_prime(x: int) -> bool:
    return x > 1 and all(x % i for i in range(2, math.isqrt(x) + 1))


def _gcd(xp: Any, u: Array, v: Array, largest: int) -> Array:
    """Greatest common divisor of positive integers, the smaller at most ``largest``; unrolled Euclid."""
    g, rest = xp.maximum(u, v), xp.minimum(u, v)
    # Lame: at most log_phi(sqrt(5) * smaller) divisions.
    for _ in range(math.ceil(math.log(math.sqrt(5) * largest, (1 + math.sqrt(5)) / 2)) + 1):
        divisor = xp.where(rest > 0.0, rest, 1.0)
        remainder = g - divisor * xp.floor(g / divisor)
        g, rest = xp.where(rest > 0.0, rest, g), xp.where(rest > 0.0, remainder, 0.0)
    return g


def _partitions(columns: Columns, first: Transfer) -> list[Array]:
    """Words of the output owned by the instances of each level, all instances together."""
    whole = columns.one * float(first.constant)
    for window in first.windows:
        whole = whole * _extent(window, [float(columns.problem.bounds[d]) for d in window.dims])
    result, owned, copies = [whole], whole, columns.one
    sliding = {d for window in first.windows for d in window.dims}
    for v in range(1, columns.depth):
        outer = columns.spatial[v - 1]
        if sliding:
            # Along a window the children's boxes overlap: each owns its share of their common box.
            share: Array = 1.0
            for window in first.windows:
                tile = _extent(window, [columns.extent[v][d] for d in window.dims])
                share = share * tile / _extent(window, [columns.step[v - 1][d] for d in window.dims])
            alone = _multiply([outer[d] for d in first.relevant if d not in sliding])
            owned = columns.xp.floor(owned * share / alone + 1e-9)
            copies = times(copies, _multiply([outer[d] for d in first.relevant]))
        copies = times(copies, _multiply([outer[d] for d in first.irrelevant]))
        result.append(owned * copies)
    return result


def _extent(window: Window, extents: list[Array]) -> Array:
    total: Array = None
    for coefficient, extent in zip(window.coefficients, extents, strict=True):
        reach = times(float(coefficient), extent)
        total = reach if total is None else total + reach
    return total + float(window.offset) if window.offset else total


def _multiply(arrays: list[Array]) -> Array:
    result: Array = 1.0
    for array in arrays:
        result = times(result, array)
    return result
