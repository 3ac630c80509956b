"""The batched evaluator: walks the term table with whole columns, on NumPy and torch alike.

Everything is elementwise and static (rank form: a loop counts iff its rank is at most the rank of the innermost
relevant loop), so ``torch.compile(fullgraph=True)`` fuses it. All quantities are integers below ``2**53`` held
in float64, hence exact; in float32 the same code ranks designs to about 1e-6.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from accelgym.costmodels.architecture.machine import Architecture, StorageLevel
from accelgym.costmodels.architecture.problem import Problem
from accelgym.costmodels.arrays import Array, array_namespace
from accelgym.costmodels.costs import Reason
from accelgym.costmodels.loopnest.terms import TermTable, Transfer, Window

__all__ = ["Kernel", "Totals"]


@dataclass
class Totals:
    """Arrays of one batch, shape ``(n,)`` each; counters are totals over the instances in use."""

    energy_pj: Array
    cycles: Array
    reason: Array
    """Values of :class:`Reason` as floats."""
    utilized: tuple[Array, ...]
    """Instances in use per level, then multipliers."""
    level_cycles: tuple[Array, ...]
    level_energy: tuple[Array, ...]
    tiles: dict[tuple[int, int], Array] = field(default_factory=dict)
    """Words of the tile by (level, tensor)."""
    counters: dict[tuple[int, int, str], Array] = field(default_factory=dict)
    """Accesses by (level, tensor, counter)."""
    multicast: dict[tuple[int, int], Array] = field(default_factory=dict)
    """Children served by one access, by (level, tensor)."""


class Kernel:
    """Evaluates columns ``factors[slot, dim]`` of one problem on one architecture.

    Args:
        problem: The problem.
        architecture: The machine.
        table: Its term table.
        halo_needs_clean_nest: v3.0.3's rule: an irrelevant loop inside the sliding loop destroys the overlap.
    """

    def __init__(
        self,
        problem: Problem,
        architecture: Architecture,
        table: TermTable,
        *,
        halo_needs_clean_nest: bool = False,
    ) -> None:
        self.problem = problem
        self.architecture = architecture
        self.table = table
        self.clean = halo_needs_clean_nest
        self.depth = len(architecture.levels)

    def __call__(
        self,
        factors: Array,
        ranks: Array,
        keep: Array | None = None,
        residuals: Array | None = None,
        *,
        detail: bool = False,
    ) -> Totals:
        """Evaluates a batch.

        Args:
            factors: Loop bounds, ``(slots, dims, n)``, one floating dtype for everything.
            ranks: Loop positions, same shape and dtype.
            keep: bool, ``(levels, tensors, n)``.
            residuals: Bounds in the last iteration, like ``factors``.
            detail: Also fill the dictionaries of :class:`Totals`.
        """
        return _Evaluation(self, factors, ranks, keep, residuals, detail).run()


class _Evaluation:
    """One pass over one batch; attributes are the shared sub-expressions."""

    def __init__(
        self,
        k: Kernel,
        factors: Array,
        ranks: Array,
        keep: Array | None,
        residuals: Array | None,
        detail: bool,
    ) -> None:
        self.k, self.xp, self.detail = k, array_namespace(factors), detail
        self.factors, self.ranks, self.keep, self.residuals = factors, ranks, keep, residuals
        architecture, dims = k.architecture, k.table.dims
        self.slots = [
            [architecture.slot(level, kind) for kind in ("temporal", "y", "x")]  # type: ignore[arg-type]
            for level in range(k.depth)
        ]
        self.one = factors[0, 0] * 0.0 + 1.0
        self.spatial = [{d: self._product(self.slots[v][1:], d) for d in dims} for v in range(k.depth)]
        # Extents inside the time loops of each level (the step of those loops), and of the level's tile.
        self.step: list[dict[int, Array]] = [{} for _ in range(k.depth)]
        self.extent: list[dict[int, Array]] = [{} for _ in range(k.depth + 1)]
        self.extent[k.depth] = dict.fromkeys(dims, 1.0)
        for v in reversed(range(k.depth)):
            for d in dims:
                self.step[v][d] = self.spatial[v][d] * self.extent[v + 1][d]
                self.extent[v][d] = self.factors[self.slots[v][0], d] * self.step[v][d]
        # Position of a loop among those of its level, -1 for none.
        self.position = [
            {
                d: self.xp.where(factors[self.slots[v][0], d] > 1.0, ranks[self.slots[v][0], d], -1.0)
                for d in dims
            }
            for v in range(k.depth - 1)
        ]
        # All loops above each boundary, counted, and the same with the time loops below it.
        self.iterations: list[dict[int, Array]] = [dict.fromkeys(dims, 1.0)]
        self.through: list[dict[int, Array]] = []
        for v in range(k.depth):
            self.through.append({d: self._extend(self.iterations[v][d], self.slots[v][:1], d) for d in dims})
            self.iterations.append({d: self._extend(self.through[v][d], self.slots[v][1:], d) for d in dims})
        self.totals = Totals(None, None, None, (), (), ())

    def run(self) -> Totals:
        k, xp = self.k, self.xp
        valid_product = self.one > 0.0
        for d in k.table.dims:
            valid_product = valid_product & (self.iterations[k.depth][d] == float(k.problem.bounds[d]))
        for d in range(len(k.problem.bounds)):
            if d not in k.table.dims:
                for slots in self.slots:
                    valid_product = valid_product & (self._product(slots, d) == 1.0)
        fits_fanout, used = self._fanouts()
        fits, tiles = self._capacity()
        zero, codes = self.one * 0.0, Reason
        reason = xp.where(fits, zero, float(codes.CAPACITY))
        reason = xp.where(fits_fanout, reason, float(codes.FANOUT))
        reason = xp.where(valid_product, reason, float(codes.FACTORISATION))
        if self.keep is not None:
            for t, tensor in enumerate(k.problem.tensors):
                if k.architecture.levels[0].may_store(tensor.name):
                    reason = xp.where(self.keep[0, t], reason, float(codes.BAD_VALUE))
        counters = self._counters()
        self._costs(counters, used)
        self.totals.reason, self.totals.utilized = reason, tuple(used)
        if self.detail:
            self.totals.tiles, self.totals.counters = tiles, counters
        return self.totals

    # Building blocks.

    def _product(self, slots: list[int | None], d: int) -> Array:
        result: Array = self.one
        for slot in slots:
            if slot is not None:
                result = self.factors[slot, d] if result is self.one else result * self.factors[slot, d]
        return result

    def _extend(self, count: Array, slots: list[int | None], d: int) -> Array:
        """Continues a count of iterations inwards over some slots; exact with residuals, too."""
        for slot in slots:
            if slot is None:
                continue
            if self.residuals is None:
                count = count * self.factors[slot, d]
            else:
                count = (count - 1.0) * self.factors[slot, d] + self.residuals[slot, d]
        return count

    def _kept(self, level: int, tensor: int) -> Any:
        """Whether a level keeps a tensor: a Python bool where it is static, else a bool array."""
        architecture, problem = self.k.architecture, self.k.problem
        if not architecture.levels[level].may_store(problem.tensors[tensor].name):
            return False
        return True if self.keep is None else self.keep[level, tensor]

    def _where(self, condition: Any, a: Array, b: Array) -> Array:
        if isinstance(condition, bool):
            return a if condition else b
        return self.xp.where(condition, a, b)

    # Validity.

    def _fanouts(self) -> tuple[Array, list[Array]]:
        fits = self.one > 0.0
        used = [self.one]
        for v, level in enumerate(self.k.architecture.levels):
            count = self.one
            for slot, limit in zip(self.slots[v][1:], (level.fanout_y, level.fanout_x), strict=True):
                if slot is None:
                    continue
                along = self.one
                for d in self.k.table.dims:
                    along = along * self.factors[slot, d]
                fits = fits & (along <= float(limit))
                count = count * along
            used.append(used[-1] * count)
        return fits, used

    def _capacity(self) -> tuple[Array, dict[tuple[int, int], Array]]:
        k, fits = self.k, self.one > 0.0
        tiles: dict[tuple[int, int], Array] = {}
        for v, level in enumerate(k.architecture.levels):
            capacity = level.tile_capacity
            if not self.detail and capacity is None:
                continue
            total = self.one * 0.0
            for t in range(len(k.problem.tensors)):
                kept = self._kept(v, t)
                if kept is False:
                    continue
                words = self._where(kept, self._tile(v, k.table.transfers[t][0]), self.one * 0.0)
                tiles[v, t] = words
                total = total + words
            if capacity is not None:
                fits = fits & (total <= float(capacity))
                if level.min_utilization > 0.0:
                    fits = fits & (total >= level.min_utilization * capacity)
        return fits, tiles

    def _tile(self, level: int, transfer: Transfer) -> Array:
        extent = self.extent[level]
        words = self.one
        inside = {d for window in transfer.windows for d in window.dims}
        for d in transfer.relevant:
            if d not in inside:
                words = words * extent[d]
        for window in transfer.windows:
            words = words * _extent(window, [extent[d] for d in window.dims])
        return words

    # Data movement.

    def _counters(self) -> dict[tuple[int, int, str], Array]:
        k = self.k
        quantities: dict[tuple[str, int, int], Array] = {}
        for t in range(len(k.problem.tensors)):
            quantities.update(self._moved(t))
        if any(term.quantity == "partition" for term in k.table.counters):
            for v, words in enumerate(self._partitions()):
                quantities["partition", v, k.problem.output] = words
        counters: dict[tuple[int, int, str], Array] = {}
        for term in k.table.counters:
            kept = self._kept(term.level, term.tensor)
            if term.counter == "fills":
                kept = self._both(kept, self._any_kept(term.level, term.tensor))
            if kept is False:
                continue
            key = (term.level, term.tensor, str(term.counter))
            value = quantities[term.quantity, term.level, term.tensor]
            if key in counters:
                value = counters[key] + value if term.sign > 0 else counters[key] - value
            counters[key] = self._where(kept, value, self.one * 0.0)
        return counters

    def _both(self, a: Any, b: Any) -> Any:
        if a is False or b is False:
            return False
        if a is True:
            return b
        return a if b is True else a & b

    def _any_kept(self, level: int, tensor: int) -> Any:
        """Whether some outer level keeps the tensor, i.e. this one is not its backing store."""
        result: Any = False
        for v in range(level):
            kept = self._kept(v, tensor)
            if kept is True:
                return True
            if kept is not False:
                result = kept if result is False else result | kept
        return result

    def _moved(self, t: int) -> dict[tuple[str, int, int], Array]:
        """``content`` and ``delivered`` of one tensor at every level."""
        k, xp = self.k, self.xp
        transfers = k.table.transfers[t]
        first = transfers[0]
        result: dict[tuple[str, int, int], Array] = {}
        contents: list[Array] = []
        multicasts: list[Array] = []
        delivered: list[Array] = []
        visits: dict[int, Array] = dict.fromkeys(first.irrelevant, 1.0)
        slide = _Slide()
        for transfer in transfers:
            c, p = transfer.child, transfer.child - 1
            if c < k.depth:
                innermost = self.position[p][first.relevant[0]] if first.relevant else None
                for d in first.relevant[1:]:
                    innermost = xp.maximum(innermost, self.position[p][d])
                visits = self._visits(p, transfer, innermost, visits)
                slide = self._slides(p, transfer, innermost, slide)
            else:
                visits = {d: self.through[p][d] for d in first.irrelevant}
                slide = _Slide()
            shared = self.one * float(transfer.constant)
            for d in first.irrelevant:
                shared = shared * visits[d]
            served = fan = self.one
            for d in first.irrelevant:
                fan = fan * self.spatial[p][d]
            served = fan
            children = fan
            distinct = self.one
            for window in transfer.windows:
                shared = shared * self._window(p, c, window, slide)
                both = _multiply([self.spatial[p][d] for d in window.dims])
                apart = self._distinct(p, c, window, both)
                distinct, children, served = distinct * apart, children * both, served * (both / apart)
            contents.append(shared * distinct)
            delivered.append(shared * children)
            multicasts.append(served)
            visits = {d: self._extend(visits[d], self.slots[p][1:], d) for d in first.irrelevant}
        # A level that is bypassed passes the requests of its children on.
        for v in reversed(range(k.depth)):
            if v + 1 < k.depth:
                passed = contents[v + 1] / multicasts[v]
                contents[v] = self._where(self._kept(v + 1, t), contents[v], passed)
            result["content", v, t] = contents[v]
            if v > 0:
                result["delivered", v, t] = delivered[v - 1]
            if self.detail:
                self.totals.multicast[v, t] = multicasts[v]
        result["delivered", 0, t] = self.one * 0.0
        return result

    def _visits(
        self, p: int, transfer: Transfer, innermost: Array | None, outer: dict[int, Array]
    ) -> dict[int, Array]:
        """Counts per irrelevant dimension the iterations that change the tile below ``p``, with ``S_d``.

        ``outer`` is the count above ``p`` (with the fan-out of ``p-1``) under the same rule.
        """
        xp = self.xp
        if innermost is None:
            return outer
        here = innermost >= 0.0
        result = {}
        for d in transfer.irrelevant:
            above = xp.where(here, self.iterations[p][d], outer[d]) if p > 0 else 1.0
            result[d] = xp.where(here & (self.position[p][d] <= innermost), self.through[p][d], above)
        return result

    def _slides(self, p: int, transfer: Transfer, innermost: Array | None, outer: _Slide) -> _Slide:
        """Finds, per window dimension, the innermost relevant loop's bound and step, when it is that one."""
        xp, slot = self.xp, self.slots[p][0]
        result = _Slide()
        if innermost is None:
            return result
        here = innermost >= 0.0
        still = None
        if self.k.clean:
            for d in transfer.irrelevant:
                inside = self.position[p][d] <= innermost
                still = inside if still is None else still & inside
        for window in transfer.windows:
            if len(window.dims) < 2:
                continue
            for d in window.dims:
                bound = xp.where(self.position[p][d] == innermost, self.factors[slot, d], 1.0)
                if still is not None:
                    bound = xp.where(still, bound, 1.0)
                step = self.step[p][d]
                if d in outer.bound:
                    passed = outer.bound[d]
                    if still is not None:
                        passed = xp.where(still, passed, 1.0)
                    bound, step = xp.where(here, bound, passed), xp.where(here, step, outer.step[d])
                result.bound[d], result.step[d] = bound, step
        return result

    def _window(self, p: int, c: int, window: Window, slide: _Slide) -> Array:
        """Words along a window axis over the whole run, per child position."""
        xp, extent = self.xp, self.extent[c]
        total = _extent(window, [extent[d] for d in window.dims])
        visits: list[Array] = []
        reach: list[Array] = []
        for d, coefficient in zip(window.dims, window.coefficients, strict=True):
            count, mean = self.through[p][d], extent[d]
            if self.residuals is not None:
                mean = float(self.k.problem.bounds[d]) / self.iterations[c][d]
            if d in slide.bound:
                overlaps = coefficient * slide.step[d] < total
                bound = xp.where(overlaps, slide.bound[d], 1.0)
                count = count / bound
                mean = mean + (bound - 1.0) * slide.step[d]
            visits.append(count)
            reach.append(mean)
        return _multiply(visits) * _extent(window, reach)

    def _distinct(self, p: int, c: int, window: Window, both: Array) -> Array:
        """Distinct positions of the children's tiles along a window axis.

        Positions ``i*u + j*v`` for ``i < m``, ``j < n`` form chains of equal sums with step
        ``(v/g, -u/g)``, ``g = gcd(u, v)``; the distinct sums are the points less the links.
        """
        if len(window.dims) < 2 or all(slot is None for slot in self.slots[p][1:]):
            return both
        (a, b), xp = window.dims, self.xp
        m, n = self.spatial[p][a], self.spatial[p][b]
        if xp is np and not np.any((m > 1.0) & (n > 1.0)):
            return both
        u, v = (
            c_ * self.extent[c][d] * self.one for d, c_ in zip(window.dims, window.coefficients, strict=True)
        )
        smaller = min(
            c_ * self.k.problem.bounds[d] for d, c_ in zip(window.dims, window.coefficients, strict=True)
        )
        g, rest = xp.maximum(u, v), xp.minimum(u, v)
        # Euclid needs at most log_phi(sqrt(5) * smaller) steps (Lame).
        for _ in range(math.ceil(math.log(math.sqrt(5) * smaller, (1 + math.sqrt(5)) / 2)) + 1):
            divisor = xp.where(rest > 0.0, rest, 1.0)
            remainder = g - divisor * xp.floor(g / divisor)
            g, rest = xp.where(rest > 0.0, rest, g), xp.where(rest > 0.0, remainder, 0.0)
        along, across = m - v / g, n - u / g
        links = xp.where((along > 0.0) & (across > 0.0), along * across, 0.0)
        return both - links

    def _partitions(self) -> list[Array]:
        """Words of the output owned by the instances of each level."""
        k = self.k
        first = k.table.transfers[k.problem.output][0]
        whole = self.one * float(first.constant)
        for window in first.windows:
            whole = whole * _extent(window, [float(k.problem.bounds[d]) for d in window.dims])
        result = [whole]
        owned, copies = whole, self.one
        for v in range(1, k.depth):
            if first.windows:
                # Along a window, neighbours overlap: own the share of the box that the fan-out covers.
                union = self.one
                for window in first.windows:
                    reach = [self.step[v - 1][d] for d in window.dims]
                    tile = [self.extent[v][d] for d in window.dims]
                    union = union * _extent(window, tile) / _extent(window, reach)
                for d in first.relevant:
                    copies = copies * self.spatial[v - 1][d]
                inside = {d for window in first.windows for d in window.dims}
                alone = _multiply([self.spatial[v - 1][d] for d in first.relevant if d not in inside])
                owned = self.xp.floor(owned * union / alone + 1e-9)
            for d in first.irrelevant:
                copies = copies * self.spatial[v - 1][d]
            result.append(owned * copies)
        return result

    # Costs.

    def _costs(self, counters: dict[tuple[int, int, str], Array], used: list[Array]) -> None:
        k, xp = self.k, self.xp
        cycles = self.one
        for v in range(k.depth):
            for d in k.table.dims:
                cycles = cycles * self.factors[self.slots[v][0], d]
        energy = self.one * (k.problem.macs * k.architecture.compute.mac_pj)
        level_energy: list[Array] = []
        level_cycles: list[Array] = []
        total = cycles
        for v, level in enumerate(k.architecture.levels):
            spent = self.one * 0.0
            words: dict[str, Array] = {}
            for (at, _, counter), count in counters.items():
                if at != v:
                    continue
                price = _price(level, counter)
                spent = spent + price * self._accesses(count, used[v], level.block_size)
                words[counter] = words[counter] + count if counter in words else count
            level_energy.append(spent)
            energy = energy + spent
            limited = self._bandwidth(level, words, used[v])
            if limited is not None:
                total = xp.maximum(total, limited)
            if self.detail:
                level_cycles.append(cycles if limited is None else xp.maximum(cycles, limited))
        if k.architecture.leakage_pj > 0.0:
            energy = energy + k.architecture.leakage_pj * total
        self.totals.energy_pj, self.totals.cycles = energy, total
        self.totals.level_energy, self.totals.level_cycles = tuple(level_energy), tuple(level_cycles)

    def _accesses(self, count: Array, used: Array, block: int) -> Array:
        """Physical accesses: whole blocks per instance."""
        if block == 1:
            return count
        return self.xp.ceil(count / used / float(block)) * used

    def _bandwidth(self, level: StorageLevel, words: dict[str, Array], used: Array) -> Array | None:
        """Cycles that a level needs at its bandwidth, ``None`` when that is unlimited."""
        xp, needed = self.xp, None
        read = ("reads",), level.read_bw
        write = ("fills", "updates"), level.write_bw
        shared = ("reads", "fills", "updates"), level.shared_bw
        for names, limit in (read, write, shared):
            present = [words[name] for name in names if name in words]
            if limit is None or not present:
                continue
            moved = present[0]
            for more in present[1:]:
                moved = moved + more
            time = xp.ceil(moved / used / float(limit))
            needed = time if needed is None else xp.maximum(needed, time)
        return needed


@dataclass
class _Slide:
    """Per window dimension, bound (1 where it does not slide) and step of the innermost relevant loop."""

    bound: dict[int, Array] = field(default_factory=dict)
    step: dict[int, Array] = field(default_factory=dict)


def _extent(window: Window, extents: list[Any]) -> Any:
    total: Any = float(window.offset)
    for coefficient, extent in zip(window.coefficients, extents, strict=True):
        total = total + (extent if coefficient == 1 else float(coefficient) * extent)
    return total


def _multiply(arrays: list[Any]) -> Any:
    result: Any = 1.0
    for array in arrays:
        result = array if isinstance(result, float) else result * array
    return result


def _price(level: StorageLevel, counter: str) -> float:
    if counter == "reads":
        return level.read_pj
    if counter == "updates" and level.update_pj is not None:
        return level.update_pj
    return level.write_pj
