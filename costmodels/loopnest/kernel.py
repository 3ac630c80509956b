"""The batched evaluator, on NumPy and torch alike.

Everything is elementwise and static (rank form: a loop counts iff its rank is at most the rank of the innermost
relevant loop), so ``torch.compile(fullgraph=True)`` fuses it. All counts are integers below ``2**53`` held in
float64, hence exact; in float32 the same code ranks designs to about 1e-6.
"""

from __future__ import annotations

from dataclasses import dataclass, field

from accelgym.costmodels.architecture.loop_nest import LoopNest
from accelgym.costmodels.architecture.machine import Architecture, StorageLevel
from accelgym.costmodels.arrays import Array
from accelgym.costmodels.loopnest.columns import Columns
from accelgym.costmodels.loopnest.terms import DIRECTIONS, TermTable
from accelgym.costmodels.loopnest.traffic import count_traffic
from accelgym.costmodels.loopnest.validity import reasons, tiles, utilized

__all__ = ["Kernel", "Totals", "access_pj"]


@dataclass(frozen=True)
class Totals:
    """Arrays of one batch, shape ``(n,)`` each; counters are totals over the instances in use."""

    energy_pj: Array
    leakage_pj: Array
    """Part of the energy."""
    cycles: Array
    compute_cycles: Array
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
    """Evaluates columns of one problem on one architecture.

    Args:
        problem: The problem.
        architecture: The machine.
        table: Its term table.
        needs_clean_nest: v3.0.3's rule: an irrelevant loop inside the sliding loop forfeits the overlap.
    """

    def __init__(
        self, problem: LoopNest, architecture: Architecture, table: TermTable, *, needs_clean_nest: bool = False
    ) -> None:
        self.problem = problem
        self.architecture = architecture
        self.table = table
        self.needs_clean_nest = needs_clean_nest

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
            detail: Also report tiles of unbounded levels.
        """
        columns = Columns(self.problem, self.architecture, factors, ranks, keep, residuals)
        words = tiles(columns, bounded_only=not detail)
        used = utilized(columns)
        traffic = count_traffic(columns, self.table, needs_clean_nest=self.needs_clean_nest)
        compute = self._compute_cycles(columns, used)
        energy = columns.one * (self.problem.macs * self.architecture.compute.mac_pj)
        level_energy: list[Array] = []
        level_cycles: list[Array] = []
        cycles = compute
        for v, level in enumerate(self.architecture.levels):
            moved = {key[1:]: count for key, count in traffic.counters.items() if key[0] == v}
            spent = self._level_energy(columns, level, moved, used[v])
            level_energy.append(spent)
            energy = energy + spent
            needed = _bandwidth(columns, level, moved, used[v], compute)
            level_cycles.append(compute if needed is None else needed)
            cycles = cycles if needed is None else columns.xp.maximum(cycles, needed)
        leaked = columns.zero
        if self.architecture.leaks:
            leaked = self.architecture.cycle_leakage_pj(used) * cycles
            energy = energy + leaked
        return Totals(
            energy,
            leaked,
            cycles,
            compute,
            reasons(columns, words),
            tuple(used),
            tuple(level_cycles),
            tuple(level_energy),
            words,
            traffic.counters,
            traffic.multicast,
        )

    def _compute_cycles(self, columns: Columns, used: list[Array]) -> Array:
        """Product of all time loops; with exact factors, the iterations each multiplier gets."""
        if columns.residuals is None:
            return float(self.problem.macs) / used[-1]
        cycles = columns.one
        for slots in columns.slots:
            for d in columns.dims:
                cycles = cycles * columns.factors[slots[0], d]
        return cycles

    def _level_energy(
        self, columns: Columns, level: StorageLevel, moved: dict[tuple[int, str], Array], used: Array
    ) -> Array:
        """Energy of a level: whole blocks per instance, at the price of each kind of access."""
        accesses: dict[float, Array] = {}
        for (_, counter), count in moved.items():
            if level.block_size > 1:
                count = columns.xp.ceil(count / used / float(level.block_size)) * used
            price = access_pj(level, counter)
            accesses[price] = accesses[price] + count if price in accesses else count
        spent = columns.zero
        for price, count in accesses.items():
            spent = spent + price * count
        return spent


def _bandwidth(
    columns: Columns, level: StorageLevel, moved: dict[tuple[int, str], Array], used: Array, compute: Array
) -> Array | None:
    """Cycles that a level needs at its bandwidth, ``None`` when that is unlimited.

    Computed as Timeloop does, from the slowdown of the busiest port; words of one tensor written by either side are
    added before they are made a rate, and rates are summed over tensors, so that it rounds alike.
    """
    xp, slowdown = columns.xp, None
    for names, limit in level.ports:
        if limit is None:
            continue
        rate = columns.zero
        for side in DIRECTIONS:
            for t in range(len(columns.problem.tensors)):
                words = [moved[t, name] for name in side if name in names and (t, name) in moved]
                if words:
                    rate = rate + sum(words[1:], start=words[0]) / used / compute
        port = float(limit) / xp.where(rate > 0.0, rate, float(limit))
        slowdown = port if slowdown is None else xp.minimum(slowdown, port)
    if slowdown is None:
        return None
    return xp.ceil(compute / xp.minimum(slowdown, columns.one))


def access_pj(level: StorageLevel, counter: str) -> float:
    """Energy of one physical access of a kind: ``reads``, ``fills`` or ``updates``."""
    if counter == "reads":
        return level.read_pj
    if counter == "updates" and level.update_pj is not None:
        return level.update_pj
    return level.write_pj
