"""Sub-expressions of a batch that validity, data movement and costs share, as whole columns."""

from __future__ import annotations

from typing import Any

from accelgym.costmodels.architecture.loop_nest import LoopNest
from accelgym.costmodels.architecture.machine import Architecture
from accelgym.costmodels.arrays import Array, array_namespace

__all__ = ["Columns", "times"]


class Columns:
    """Factors of a batch by slot and dimension, and the extents and counts they imply.

    Everything is elementwise on arrays of shape ``(n,)`` of one floating dtype. A dimension with bound 1 drops
    out of all but the check that it really has no loops.

    Args:
        problem: The problem.
        architecture: The machine.
        factors: Loop bounds, ``(slots, dims, n)``.
        ranks: Loop positions, same shape and dtype.
        keep: bool, ``(levels, tensors, n)``, or ``None`` for all.
        residuals: Bounds in the last iteration, like ``factors``, or ``None``.
    """

    def __init__(
        self,
        problem: LoopNest,
        architecture: Architecture,
        factors: Array,
        ranks: Array,
        keep: Array | None = None,
        residuals: Array | None = None,
    ) -> None:
        self.problem, self.architecture = problem, architecture
        self.factors, self.keep, self.residuals = factors, keep, residuals
        self.xp = xp = array_namespace(factors)
        self.depth = depth = len(architecture.levels)
        self.dims = dims = tuple(d for d, bound in enumerate(problem.bounds) if bound > 1)
        self.zero = factors[0, 0] * 0.0
        self.one = self.zero + 1.0
        kinds = ("temporal", "y", "x")
        self.slots = [[architecture.slot(v, kind) for kind in kinds] for v in range(depth)]  # type: ignore[arg-type]
        self.spatial = [{d: self.product(self.slots[v][1:], d) for d in dims} for v in range(depth)]
        """Spatial factor of each dimension in the fan-out of each level; the float 1.0 where there is none."""
        self.used = [[self._along(slot) for slot in self.slots[v][1:]] for v in range(depth)]
        """Children in use along y and x of each fan-out."""
        self.step: list[dict[int, Array]] = [{} for _ in range(depth)]
        """Extents inside the time loops of each level: how far one iteration moves."""
        self.extent: list[dict[int, Array]] = [{} for _ in range(depth + 1)]
        """Extents of the tile each level holds; 1 at the multipliers."""
        self.extent[depth] = dict.fromkeys(dims, 1.0)
        for v in reversed(range(depth)):
            for d in dims:
                self.step[v][d] = times(self.spatial[v][d], self.extent[v + 1][d])
                self.extent[v][d] = times(factors[self.slots[v][0], d], self.step[v][d])
        if residuals is not None:
            # The outermost tile is the whole problem, however far its last iterations would reach.
            self.extent[0] = {d: self.zero + float(problem.bounds[d]) for d in dims}
        self.above: list[dict[int, Array]] = [dict.fromkeys(dims, 1.0)]
        """Iterations of all loops above each level, in time and space."""
        self.through: list[dict[int, Array]] = []
        """The same with the time loops of the level, without its fan-out."""
        for v in range(depth):
            self.through.append({d: self.extend(self.above[v][d], self.slots[v][:1], d) for d in dims})
            self.above.append({d: self.extend(self.through[v][d], self.slots[v][1:], d) for d in dims})
        self.position = [
            {d: xp.where(factors[self.slots[v][0], d] > 1.0, ranks[self.slots[v][0], d], -1.0) for d in dims}
            for v in range(depth - 1)
        ]
        """Position of the time loop of each dimension in its level, -1 for none."""

    def product(self, slots: list[int | None], d: int) -> Array:
        """Multiplies the factors of one dimension over some slots."""
        result: Array = 1.0
        for slot in slots:
            if slot is not None:
                result = times(result, self.factors[slot, d])
        return result

    def extend(self, count: Array, slots: list[int | None], d: int) -> Array:
        """Continues a count of iterations inwards over some slots; exact with residuals, too."""
        for slot in slots:
            if slot is None:
                continue
            if self.residuals is None:
                count = times(count, self.factors[slot, d])
            else:
                count = (count - 1.0) * self.factors[slot, d] + self.residuals[slot, d]
        return count

    def _along(self, slot: int | None) -> Array:
        result: Array = 1.0
        if slot is not None:
            for d in self.dims:
                result = times(result, self.factors[slot, d])
        return result

    def kept(self, level: int, tensor: int) -> Any:
        """Whether a level keeps a tensor: a Python bool where that is static, else a bool array."""
        if not self.architecture.levels[level].may_store(self.problem.tensors[tensor].name):
            return False
        return True if self.keep is None else self.keep[level, tensor]

    def kept_outside(self, level: int, tensor: int) -> Any:
        """Whether some outer level keeps the tensor, so that ``level`` is not its backing store."""
        result: Any = False
        for v in range(level):
            kept = self.kept(v, tensor)
            if kept is True:
                return True
            if kept is not False:
                result = kept if result is False else result | kept
        return result

    def select(self, condition: Any, a: Array, b: Array) -> Array:
        """``where`` for a condition that may be a Python bool."""
        if isinstance(condition, bool):
            return a if condition else b
        return self.xp.where(condition, a, b)


def times(a: Array, b: Array) -> Array:
    """Multiplies, skipping factors that are statically one."""
    if isinstance(a, float) and a == 1.0:
        return b
    if isinstance(b, float) and b == 1.0:
        return a
    return a * b
