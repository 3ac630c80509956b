"""All tilings of one problem inside one template, in blocks."""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from accelgym.costmodels.architecture.loop_nest import LoopNest
from accelgym.costmodels.architecture.machine import Architecture, Slot
from accelgym.costmodels.dataflow_template.templates import BUFFER, DRAM, REGISTERS, Template
from accelgym.costmodels.loopnest import Mappings

__all__ = ["Block", "Tilings"]

Ints = npt.NDArray[np.int64]

_ORDERS = ("GKCNPQ", "GKCNQP", "GNCPQK", "GNCQPK", "GNKPQC")
"""Orders of the DRAM's loops, outer to inner: weights stationary, inputs stationary (either window sliding), outputs.

No other order moves less. With the innermost loop given, only the tensor that does not use its dimension can be
stationary, and it is so through every further loop that it does not use; that is best if these follow at once. The
other tensors see all loops, whatever their order, but for the window that slides along the innermost loop they use.
"""


@dataclass(frozen=True)
class Block:
    """Some mappings, each a tiling with an order of the DRAM's loops; arrays of shape ``(n,)``."""

    tiling: Ints
    """Which tiling."""
    order: Ints
    """Which order."""
    pes: Ints
    """PEs in use."""
    words: Ints
    """Words of the tiles in the buffer."""

    def __len__(self) -> int:
        return len(self.tiling)


class Tilings:
    """Every way to spread the loops of a problem over DRAM, buffer, PEs and registers that a template allows.

    Args:
        problem: A problem from :func:`layer_problem`.
        template: The template.
        most_pes: Tilings that use more are left out.
        most_words: Tilings whose tiles need more of the buffer are left out.
    """

    def __init__(self, problem: LoopNest, template: Template, *, most_pes: int, most_words: int) -> None:
        self.problem, self.template = problem, template
        self.most_pes, self.most_words = most_pes, most_words
        inside = {d: problem.bound[d] for d in template.inside}
        held = {d: inside.get(d, 1) for d in problem.dims}
        if sum(problem.tile_words(tensor, held) for tensor in problem.tensors) > template.register_words:
            inside = {}
        self._chains = [self._chain(dim, inside) for dim in problem.dims]
        self._shape = tuple(len(chain) for chain in self._chains)

    def __len__(self) -> int:
        return math.prod(self._shape)

    def blocks(self, size: int) -> Iterator[Block]:
        """Yields all mappings worth pricing, from ``size`` tilings at a time."""
        for start in range(0, len(self), size):
            block = self._fitting(np.arange(start, min(start + size, len(self))))
            if len(block):
                yield self._ordered(block)

    def factors(self, tiling: Ints) -> Ints:
        """Returns loop bounds over DRAM, buffer, PEs and registers, shape ``(4, dims, n)``."""
        rows = np.unravel_index(tiling, self._shape)
        return np.stack([chain[row].T for chain, row in zip(self._chains, rows, strict=True)], axis=1)

    def ranks(self, order: Ints) -> Ints:
        """Returns loop positions, like :meth:`factors`."""
        dims = self.problem.dims
        within = _positions(dims, self.template.order)
        table = np.array([[_positions(dims, tuple(code)), within, within, within] for code in _ORDERS])
        return np.ascontiguousarray(np.moveaxis(table[order], 0, -1))

    def mappings(self, architecture: Architecture, tiling: Ints, order: Ints) -> Mappings:
        """Returns mappings of the problem onto a machine of :func:`build_machine`."""
        kept = [i for i, slot in enumerate(_SLOTS) if slot in architecture.slots]  # one PE alone has no fan-out
        factors, ranks = self.factors(tiling)[kept], self.ranks(order)[kept]
        return Mappings(self.problem, architecture, factors.transpose(2, 0, 1), ranks.transpose(2, 0, 1))

    def _chain(self, dim: str, inside: dict[str, int]) -> Ints:
        """Ways to spread one bound, shape ``(ways, 4)``."""
        bound = self.problem.bound[dim]
        if dim in inside:
            return np.array([[1, 1, 1, bound]])
        if dim in self.template.spatial:
            spread = [x for x in _divisors(bound) if x <= self.most_pes]
        elif dim in self.template.spatial_whole and 1 < bound <= self.most_pes:
            spread = [1, bound]
        else:
            spread = [1]
        return np.array(
            [
                [left // tile, tile, x, 1]
                for x in spread
                for left in [bound // x]
                for tile in ([left] if dim in "RS" else _divisors(left))
            ]
        )

    def _fitting(self, tiling: Ints) -> Block:
        rows = np.unravel_index(tiling, self._shape)
        pes = np.ones(len(tiling), dtype=np.int64)
        extent = {}
        for dim, chain, row in zip(self.problem.dims, self._chains, rows, strict=True):
            pes *= chain[:, 2][row]
            extent[dim] = chain[:, 1:].prod(axis=1)[row]
        words = np.zeros(len(tiling), dtype=np.int64)
        for tensor in self.problem.tensors:
            box = np.ones(len(tiling), dtype=np.int64)
            for axis in tensor.axes:
                box *= 1 + sum(c * (extent[d] - 1) for d, c in axis)
            words += box
        good = np.flatnonzero((pes <= self.most_pes) & (words <= self.most_words))
        return Block(tiling[good], np.zeros_like(good), pes[good], words[good])

    def _ordered(self, block: Block) -> Block:
        """Crosses tilings with the orders that differ for them."""
        rows = np.unravel_index(block.tiling, self._shape)
        loop = {
            dim: chain[:, 0][row] > 1 for dim, chain, row in zip(self.problem.dims, self._chains, rows, strict=True)
        }
        none = ~(loop["K"] | loop["C"] | loop["P"] | loop["Q"] | loop["N"])
        differs = (
            loop["Q"] | (~loop["P"] & loop["N"]) | none,
            loop["P"],
            loop["K"] & (loop["Q"] | ~loop["P"]),
            loop["K"] & loop["P"],
            loop["C"],
        )
        order, row = np.nonzero(np.stack(differs))
        return Block(block.tiling[row], order, block.pes[row], block.words[row])


_SLOTS = (Slot(DRAM, "temporal"), Slot(BUFFER, "temporal"), Slot(BUFFER, "x"), Slot(REGISTERS, "temporal"))


def _divisors(n: int) -> list[int]:
    low = [i for i in range(1, math.isqrt(n) + 1) if n % i == 0]
    return sorted({*low, *(n // i for i in low)})


def _positions(dims: tuple[str, ...], order: tuple[str, ...]) -> list[int]:
    """Positions of the dimensions in an order, those it does not name outermost."""
    full = [*(d for d in dims if d not in order), *(d for d in order if d in dims)]
    return [full.index(d) for d in dims]
