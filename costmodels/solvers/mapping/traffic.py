"""Data movement of a batch of nodes as posynomials: Algorithm 1 of Thistle with reuse across levels.

Derived from the cost model's term table. A monomial is a log coefficient and exponents of the extents, arrays
``(nodes, monomials)`` and ``(nodes, monomials, places + 1, dims)``; extent 0 is the bound, the last one 1.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from accelgym.costmodels.errors import InputError
from accelgym.costmodels.loopnest.terms import TermTable, Transfer, Window
from accelgym.costmodels.solvers.mapping.classes import LevelClasses
from accelgym.costmodels.solvers.mapping.continuation import Run, follow_run
from accelgym.costmodels.solvers.mapping.nodes import Nodes
from accelgym.costmodels.solvers.mapping.space import MappingSpace
from accelgym.costmodels.solvers.mapping.windows import ABSENT, least_distinct, varying_first, window_monomials

__all__ = ["Movement", "Posynomial", "TrafficTerms", "log_of"]

Floats = npt.NDArray[np.float64]
Bools = npt.NDArray[np.bool_]
Ints = npt.NDArray[np.int64]


@dataclass
class Posynomial:
    """Sums of monomials, one per node."""

    log: Floats
    """Log coefficients, shape ``(nodes, monomials)``."""
    exponents: Floats
    """Shape ``(nodes, monomials, places + 1, dims)``."""

    def times(self, log: Floats | float, exponents: Floats | float = 0.0) -> Posynomial:
        """Multiplies by a monomial, ``log`` of shape ``(nodes,)``, ``exponents`` ``(nodes, places + 1, dims)``."""
        log = np.asarray(log, dtype=np.float64)
        exponents = np.asarray(exponents, dtype=np.float64)
        return Posynomial(
            self.log + (log[:, None] if log.ndim else log),
            self.exponents + (exponents[:, None] if exponents.ndim else exponents),
        )

    @staticmethod
    def sum(parts: list[Posynomial]) -> Posynomial:
        """Adds posynomials."""
        return Posynomial(
            np.concatenate([part.log for part in parts], axis=1),
            np.concatenate([part.exponents for part in parts], axis=1),
        )


@dataclass
class Movement:
    """Words of one tensor over the boundary above one level, from below."""

    tensor: int
    child: int
    """Level below the boundary, the number of levels for the multipliers."""
    requests: Posynomial
    """Accesses of the nearest level outside that keeps the tensor."""
    server: Ints
    """That level, shape ``(nodes,)``."""
    delivered: Posynomial | None
    """Words arriving at all instances of ``child``; ``None`` where equal to the requests."""


class _Slide:
    """Loops along which the tile of a tensor slides: which dimension, and at which place."""

    def __init__(self, nodes: int, dims: int) -> None:
        self.along = np.zeros((nodes, dims), dtype=bool)
        self.place = np.zeros(nodes, dtype=np.int64)


class TrafficTerms:
    """Writes the movement of all tensors for a batch of nodes.

    Args:
        space: The map space.
        table: Terms of the cost model in its default convention.
        classes: Permutation classes of every level but the innermost.

    Raises:
        InputError: The output has a window (a strided or transposed output); there is no certified bound then.
    """

    def __init__(self, space: MappingSpace, table: TermTable, classes: tuple[LevelClasses, ...]) -> None:
        self.space, self.table, self.classes = space, table, classes
        self.output = space.problem.tensor_names.index(next(t.name for t in space.problem.tensors if t.read_write))
        if table.transfers[self.output][0].windows:
            raise InputError(f"problem {space.problem.name!r}: no bound for an output with strided or summed axes")
        self.depth = len(space.architecture.levels)
        self.local = {d: k for k, d in enumerate(space.active)}
        self.irrelevant = [self._mask(x[0].irrelevant) for x in table.transfers]
        self.relevant = [self._mask(x[0].relevant) for x in table.transfers]

    def _mask(self, dims: tuple[int, ...]) -> Floats:
        mask = np.zeros(self.space.dims)
        mask[[self.local[d] for d in dims]] = 1.0
        return mask

    # -- monomials -------------------------------------------------------------------------------------------------

    def zeros(self, nodes: int) -> Floats:
        """Exponents of the constant monomial."""
        return np.zeros((nodes, len(self.space.places) + 1, self.space.dims))

    def inner(self, level: int) -> int:
        """Place from which the extents of a level's tile count; the end for the multipliers."""
        return self.space.time[level] if level < self.depth else len(self.space.places)

    def fan_exponents(self, nodes: int, level: int, mask: Floats) -> Floats:
        """Exponents of the product of the factors of some dimensions in the fan-out of a level."""
        exponents = self.zeros(nodes)
        place = self.space.fan(level)
        if place is not None:
            exponents[:, place] += mask
            exponents[:, place + 1] -= mask
        return exponents

    def tile(self, level: int, tensor: int, low: Floats, high: Floats) -> Posynomial:
        """Words of the tile of a tensor at a level, from below."""
        nodes, i = len(low), self.inner(level)
        transfer = self.table.transfers[tensor][0]
        exponents = self.zeros(nodes)
        windowed = {d for window in transfer.windows for d in window.dims}
        for d in transfer.relevant:
            if d not in windowed:
                exponents[:, i, self.local[d]] += 1.0
        words = Posynomial(np.zeros((nodes, 1)), exponents[:, None])
        for window in transfer.windows:
            words = _product(words, self._extent(window, i, low, high, None))
        return words

    # -- movement --------------------------------------------------------------------------------------------------

    def movement(self, nodes: Nodes, low: Floats, high: Floats) -> list[Movement]:
        """Returns what crosses every boundary.

        Args:
            nodes: The nodes.
            low: Logarithms of the least extents, shape ``(nodes, places + 1, dims)``.
            high: Of the largest.
        """
        result = []
        for t, transfers in enumerate(self.table.transfers):
            visits, slide = self.zeros(len(nodes)), _Slide(len(nodes), self.space.dims)
            for transfer in transfers:
                visits, slide, undecided = self._visits(nodes, t, transfer.child, visits, slide)
                result.append(self._boundary(nodes, t, transfer, visits, slide, undecided, low, high))
        return result

    def _visits(self, nodes: Nodes, t: int, child: int, outer: Floats, slide: _Slide) -> tuple[Floats, _Slide, Bools]:
        """Iterations of irrelevant loops, in time and space, that change the tile, and the loop it slides along."""
        parent, n = child - 1, len(nodes)
        i, irrelevant = self.space.time[parent], self.irrelevant[t]
        through, above = self.zeros(n), self.zeros(n)
        through[:, 0] += irrelevant
        above[:, 0] += irrelevant
        through[:, i + 1] -= irrelevant
        above[:, i] -= irrelevant
        if child == self.depth:
            return through, _Slide(n, self.space.dims), np.zeros(n, dtype=bool)
        classes, number = self.classes[parent], nodes.classes[:, parent]
        counted = classes.counted[number, t]
        undecided = number == classes.undecided
        visits = np.where(counted[:, None], through, above)
        now = _Slide(n, self.space.dims)
        now.along, now.place = classes.slide[number, t], np.full(n, i)
        if parent:
            hoisted = classes.hoisted[number, t]
            carried = outer + self.fan_exponents(n, parent - 1, irrelevant)
            visits = np.where(hoisted[:, None, None], carried, visits)
            now.along = np.where(
                undecided[:, None], now.along | slide.along, np.where(hoisted[:, None], slide.along, now.along)
            )
            now.place = np.where(hoisted & ~undecided, slide.place, now.place)
        return visits, now, undecided

    def _boundary(
        self,
        nodes: Nodes,
        t: int,
        transfer: Transfer,
        visits: Floats,
        slide: _Slide,
        undecided: Bools,
        low: Floats,
        high: Floats,
    ) -> Movement:
        n, parent, child = len(nodes), transfer.child - 1, transfer.child
        inside, after = self.inner(child), self.space.time[parent] + 1
        words = Posynomial(np.full((n, 1), np.log(transfer.constant)), visits[:, None].copy())
        for window in transfer.windows:
            count = self.zeros(n)
            for d in window.dims:
                count[:, 0, self.local[d]] += 1.0
                count[:, after, self.local[d]] -= 1.0
            extent = self._sliding_extent(nodes, t, child, window, inside, low, high, slide, undecided, count)
            words = _product(words, extent).times(0.0, count)
        delivered = None
        if self.space.fan(parent) is not None:
            windowed = self._mask(tuple(d for window in transfer.windows for d in window.dims))
            delivered = words.times(0.0, self.fan_exponents(n, parent, self.irrelevant[t] + windowed))
            words = words.times(*self._distinct(parent, transfer, low, high))
        server = np.full(n, parent)
        requests = words
        searching = ~nodes.keep[:, parent, t]
        for v in reversed(range(parent)):
            if not searching.any():
                break
            # A bypassed level passes requests on; equal ones merge in the fan-out above it.
            log, exponents = self._distinct(v, transfer, low, high)
            windowed = self._mask(tuple(d for window in transfer.windows for d in window.dims))
            exponents = exponents - self.fan_exponents(n, v, self.irrelevant[t] + windowed)
            requests = requests.times(np.where(searching, log, 0.0), searching[:, None, None] * exponents)
            server = np.where(searching, v, server)
            searching = searching & ~nodes.keep[:, v, t]
        same = self.space.fan(parent) is None and (delivered is None) and requests is words
        return Movement(t, child, requests, server, None if same else (delivered or words))

    def _distinct(self, level: int, transfer: Transfer, low: Floats, high: Floats) -> tuple[Floats, Floats]:
        """Distinct requests of the children in a fan-out along the windows of a tensor: a monomial from below."""
        n, place, inside = len(low), self.space.fan(level), self.inner(level + 1)
        log, exponents = np.zeros(n), self.zeros(n)
        if place is None:
            return log, exponents
        for window in transfer.windows:
            a = [self.local[d] for d in window.dims]
            powers = [np.ones(n)] * len(a)
            if len(a) == 2:
                ratio = [
                    (np.maximum(low[:, place, d] - high[:, inside, d], 0.0), high[:, place, d] - low[:, inside, d])
                    for d in a
                ]
                step = [
                    (np.log(c) + low[:, inside, d], np.log(c) + high[:, inside, d])
                    for c, d in zip(window.coefficients, a, strict=True)
                ]
                extra, *powers = least_distinct(ratio[0], ratio[1], step[0], step[1])
                log = log + extra
            for power, d in zip(powers, a, strict=True):
                exponents[:, place, d] += power
                exponents[:, place + 1, d] -= power
        return log, exponents

    # -- windows ---------------------------------------------------------------------------------------------------

    def _extent(
        self, window: Window, i: int, low: Floats, high: Floats, stretch: list[tuple[Floats, Floats, Floats]] | None
    ) -> Posynomial:
        """Extent of a window at a place; ``stretch`` multiplies the extent of each dimension by a sliding loop.

        Args:
            window: The axis.
            i: Place of the extents.
            low: Logarithms of the least extents.
            high: Of the largest.
            stretch: Per dimension, exponents of the factor and its least and largest logarithm.
        """
        n = len(low)
        dims = [self.local[d] for d in window.dims]
        offset = float(window.offset)
        order = varying_first(self.space, window)
        constant = np.full(n, offset)
        for k in order[1:]:
            least = low[:, i, dims[k]] + (stretch[k][1] if stretch else 0.0)
            constant = constant + window.coefficients[k] * np.rint(np.exp(least))
        k = order[0]
        exponents = self.zeros(n)
        exponents[:, i, dims[k]] += 1.0
        least, most = low[:, i, dims[k]], high[:, i, dims[k]]
        if stretch:
            exponents = exponents + stretch[k][0]
            most = np.minimum(most + stretch[k][2], np.log(self.space.bounds[dims[k]]))
            least = np.minimum(least + stretch[k][1], most)
        first, power, rest = window_monomials(float(window.coefficients[k]), least, most, constant)
        both = np.stack([exponents * power[:, None, None], np.zeros_like(exponents)], axis=1)
        return Posynomial(np.stack([first, rest], axis=1), both)

    def _sliding_extent(
        self,
        nodes: Nodes,
        t: int,
        child: int,
        window: Window,
        i: int,
        low: Floats,
        high: Floats,
        slide: _Slide,
        undecided: Bools,
        count: Floats,
    ) -> Posynomial:
        """Extent times iterations of the loops that the tile slides along, which leave ``count``, in place."""
        rows, dims = np.arange(len(low)), [self.local[d] for d in window.dims]
        if len(dims) < 2 or not slide.along[:, dims].any():
            return self._extent(window, i, low, high, None)
        run = follow_run(self.space, self.classes, nodes, t, window, child, low, high)
        whole = run.whole & ~undecided
        place = slide.place
        stretch, steps, looped = [], [], []
        gappy = np.full(len(low), -1)
        for k, d in enumerate(dims):
            other = dims[1 - k]
            mine, theirs = window.coefficients[k], window.coefficients[1 - k]
            ratio = np.maximum(low[rows, place + 1, d] - high[:, i, d], 0.0)
            gap = theirs * np.exp(high[:, i, other]) + window.offset
            apart = mine * np.exp(low[:, i, d]) * (np.exp(ratio) - 1.0) >= gap - 1e-9
            # What a tile extends beyond the share of this dimension. Where it may be negative, the extent along the
            # whole slide would count the gaps between tiles that do not meet.
            slack = theirs * np.rint(np.exp(low[:, i, other])) + window.offset
            on = slide.along[:, d] & ~apart & ~undecided & ~whole
            gappy = np.where(on & (slack < 0.0), k, gappy)
            on = on & (slack >= 0.0)
            loops = run.continued[:, :, d] & on[:, None]
            loops[rows, place] |= on
            factor, shortest, longest = self._product_of(loops, d, low, high)
            count -= factor
            stretch.append((factor, shortest, longest))
            step = mine * np.exp(low[:, i, d]) + np.where(apart, slack, np.minimum(slack, 0.0))
            steps.append(np.where(slide.along[:, d], np.maximum(step, 1.0), np.inf))
            looped.append(nodes.high[:, 0, d] > nodes.low[:, i, d])
        extent = self._extent(window, i, low, high, stretch)
        for k in range(len(dims)):
            if (gappy == k).any():
                self._least_tiles(extent, gappy == k, window, k, i, low, high)
        if whole.any():
            extent = self._with_whole_tiles(extent, run, whole, window, i, low, high)
        loose = undecided & slide.along[:, dims].any(axis=1)
        if loose.any():
            # Whatever the loop, a step brings at least the extent of the dimension it moves along, or the whole tile
            # where tiles do not meet. With loops of both dimensions, at least half of the steps bring something.
            least = np.min(steps, axis=0) * np.where(looped[0] & looped[1], 0.5, 1.0)
            fallback = np.log(np.where(loose, least, 1.0))
            extent.log[loose] = ABSENT
            extent.log[loose, 0] = fallback[loose]
            extent.exponents[loose] = 0.0
        return extent

    def _least_tiles(
        self, extent: Posynomial, rows: Bools, window: Window, k: int, i: int, low: Floats, high: Floats
    ) -> None:
        """Counts tiles of the least extent of the other dimension, each whole, in place.

        A step of ``x`` brings ``x + s`` words where the rest ``s`` of the tile is negative, else ``x``: at least
        ``x + s'`` with the least rest ``s' < 0``, and so does the first tile.
        """
        d, other = (self.local[window.dims[j]] for j in (k, 1 - k))
        rest = window.coefficients[1 - k] * np.rint(np.exp(low[rows, i, other])) + window.offset
        log, power, _ = window_monomials(float(window.coefficients[k]), low[rows, i, d], high[rows, i, d], rest)
        extent.log[rows] = ABSENT
        extent.exponents[rows] = 0.0
        extent.log[rows, 0] = log
        extent.exponents[rows, 0, i, d] = power

    def _product_of(self, loops: Bools, d: int, low: Floats, high: Floats) -> tuple[Floats, Floats, Floats]:
        """Exponents, least and largest logarithm of the product of time loops of a dimension, ``(nodes, places)``."""
        factor = self.zeros(len(low))
        factor[:, :-1, d] += loops
        factor[:, 1:, d] -= loops
        shortest = (np.maximum(low[:, :-1, d] - high[:, 1:, d], 0.0) * loops).sum(axis=1)
        longest = (np.maximum(high[:, :-1, d] - low[:, 1:, d], 0.0) * loops).sum(axis=1)
        return factor, shortest, longest

    def _with_whole_tiles(
        self, extent: Posynomial, run: Run, whole: Bools, window: Window, i: int, low: Floats, high: Floats
    ) -> Posynomial:
        """Bounds the words of runs in which a loop may find the whole tile in place.

        With ``n`` iterations of the innermost loop, ``N`` of the loops that continue it and ``m`` of all, the words
        ``V`` of a tile are saved at most ``m / n * (1 - 1 / N)`` times, and the overlap, all but a step, at most
        ``m * (1 - 1 / n)`` times: ``m / (n * N) * V + m * (1 - 1 / n) * step`` remain at least. Here ``m`` is the count
        outside; the innermost loop has two iterations or it would not be one.
        """
        n, rows = len(low), np.arange(len(low))
        dims = [self.local[d] for d in window.dims]
        loops = run.continued.copy()
        loops[rows, run.place] |= run.along
        divided = self.zeros(n)
        step, exponents = np.full(n, ABSENT), self.zeros(n)
        for k, d in enumerate(dims):
            divided += self._product_of(loops[:, :, d], d, low, high)[0]
            mine = whole & run.along[:, d]
            fewest = np.exp(np.maximum(low[rows, run.place, d] - high[rows, run.place + 1, d], 0.0))
            share = np.log1p(-1.0 / np.maximum(np.ceil(fewest - 1e-9), 2.0))
            slack = window.coefficients[1 - k] * np.rint(np.exp(low[:, i, dims[1 - k]])) + window.offset
            short = np.maximum(1.0, window.coefficients[k] * np.exp(low[:, i, d]) + np.minimum(slack, 0.0))
            fits = slack >= 0.0
            step = np.where(mine, share + np.where(fits, np.log(window.coefficients[k]), np.log(short)), step)
            exponents[:, i, d] += mine & fits
        shared = extent.exponents - (whole[:, None, None] * divided)[:, None]
        return Posynomial(
            np.concatenate([extent.log, step[:, None]], axis=1),
            np.concatenate([shared, exponents[:, None]], axis=1),
        )


def _product(a: Posynomial, b: Posynomial) -> Posynomial:
    n = len(a.log)
    log = (a.log[:, :, None] + b.log[:, None]).reshape(n, -1)
    exponents = (a.exponents[:, :, None] + b.exponents[:, None]).reshape(n, -1, *a.exponents.shape[2:])
    return Posynomial(np.maximum(log, ABSENT), exponents)


def log_of(values: Floats) -> Floats:
    """Log coefficients; :data:`ABSENT` where a coefficient is not positive."""
    return np.where(values > 0.0, np.log(np.maximum(values, 1e-80)), ABSENT)
