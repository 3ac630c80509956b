"""The ``loopnest`` cost model: Timeloop's counting rules over batches of mappings."""

from __future__ import annotations

import math
from functools import cached_property
from typing import Any, Literal

import numpy as np

from accelgym.costmodels.architecture.loop_nest import LoopNest
from accelgym.costmodels.architecture.machine import Architecture
from accelgym.costmodels.arrays import Array, array_namespace, to_numpy
from accelgym.costmodels.costs import Costs, Reason
from accelgym.costmodels.errors import InputError, unknown_name
from accelgym.costmodels.loopnest.columns import Columns
from accelgym.costmodels.loopnest.kernel import Kernel
from accelgym.costmodels.loopnest.mappings import Mappings
from accelgym.costmodels.loopnest.movement import price_movement
from accelgym.costmodels.loopnest.recorded import RecordedKernel
from accelgym.costmodels.loopnest.steps import Engine
from accelgym.costmodels.loopnest.table import dtype_of, tabulate
from accelgym.costmodels.loopnest.terms import TermTable
from accelgym.costmodels.loopnest.validity import reasons, tiles
from accelgym.costmodels.loopnest.walk import walk

__all__ = ["COUNTINGS", "ENGINES", "Counting", "LoopnestModel"]

Counting = Literal["closed", "walk", "sampled"]
COUNTINGS: tuple[Counting, ...] = ("closed", "walk", "sampled")
ENGINES: tuple[Engine, ...] = ("head", "v3.0.3")


class LoopnestModel:
    """Counts, latency and energy of mappings of one problem onto one architecture.

    The default convention is Timeloop HEAD with every iteration walked and without neighbour links, in closed form:
    reuse across levels, the overlap of sliding windows along every loop that continues them, exact multicast and
    first-read elision. All other options reproduce what some Timeloop version prints; no bound uses them. Timeloop's
    own default extrapolates from iterations 0 and 1 of every loop (``sampled``), which may be less than the truth.

    With imperfect factors the closed form counts the last iterations as short as they are, but no reuse that only they
    have, as behind a residual of 1, and is approximate for sliding windows; ``walk`` and ``sampled`` step through the
    iterations of the first child of every fan-out, as Timeloop does, so that residuals in space tell them apart.

    Args:
        problem: The problem.
        architecture: The machine.
        engine: ``head``, or ``v3.0.3``, where an irrelevant inner loop forfeits halo reuse.
        counting: ``closed`` form; ``walk`` applies the rule at every iteration, to the same counts where factors
            are perfect and the engine is HEAD; ``sampled`` at iterations 0 and 1 of every loop, as Timeloop does.
            The last two visit one mapping at a time.
        first_read_elision: The first accumulation of a word is a pure write.
        link_transfers: Neighbours forward words (``walk`` and ``sampled`` only).
        clock_ghz: Clock, for the power.

    Raises:
        InputError: An option is unknown, or the problem has no closed form.
    """

    name = "loopnest"
    version = "2.0"

    def __init__(
        self,
        problem: LoopNest,
        architecture: Architecture,
        *,
        engine: Engine = "head",
        counting: Counting = "closed",
        first_read_elision: bool = True,
        link_transfers: bool = False,
        clock_ghz: float = 1.0,
    ) -> None:
        if engine not in ENGINES:
            raise unknown_name("engine", engine, ENGINES)
        if counting not in COUNTINGS:
            raise unknown_name("counting", counting, COUNTINGS)
        if link_transfers and counting == "closed":
            raise InputError("link_transfers has no closed form; use counting='walk' or 'sampled'")
        for level in architecture.levels:
            unknown = (level.stores or frozenset()) - set(problem.tensor_names)
            if unknown:
                raise unknown_name(f"tensor stored by {level.name!r}", min(unknown), problem.tensor_names)
        for tensor in problem.tensor_names:
            if not architecture.levels[0].may_store(tensor):
                raise InputError(f"{architecture.levels[0].name!r}, the outermost level, must store {tensor!r}")
        self.problem = problem
        self.architecture = architecture
        self.technology = architecture.technology
        self.engine = engine
        self.counting = counting
        self.first_read_elision = first_read_elision
        self.link_transfers = link_transfers
        self.clock_ghz = clock_ghz
        self._closed: Kernel | None = None

    @property
    def terms(self) -> TermTable:
        """The term table the evaluator walks; bounds and masks derive from the same one."""
        return self._kernel().table

    def evaluate(self, mappings: Mappings, *, block: int = 8192) -> Costs:
        """Evaluates a batch with the full breakdown.

        Counts are exact: int64 in the breakdown, where keys read ``level.tensor.reads`` (``fills``,
        ``updates``, ``tile_words``, ``multicast``), ``level.energy_pj``, ``level.cycles``, ``level.instances``.
        ``bound_by`` holds the level whose bandwidth sets the latency, or the number of levels for the
        multipliers. Counters are totals over the instances in use.

        Args:
            mappings: The batch, NumPy or torch.
            block: Rows evaluated at a time (NumPy), so that columns stay in cache.

        Returns:
            Costs with arrays of shape ``(n,)``.
        """
        if mappings.problem != self.problem or mappings.architecture != self.architecture:
            raise InputError("the mappings belong to another problem or architecture than the model")
        if self.counting != "closed":
            return self._walk(mappings)
        n = len(mappings)
        if self._machine.wants(mappings):
            return self._assemble(self._machine.run(mappings))
        if array_namespace(mappings.factors) is not np or n <= block:
            return self._assemble(self._block(mappings))
        columns: dict[str, Any] = {}
        for start in range(0, n, block):
            part = self._block(mappings[start : start + block])
            for name, values in part.items():
                if name not in columns:
                    columns[name] = np.empty(n, dtype=values.dtype)
                columns[name][start : start + block] = values
        return self._assemble(columns)

    def score(self, factors: Array, ranks: Array, keep: Array | None = None) -> tuple[Array, Array, Array]:
        """Ranks designs: energy (pJ), cycles and validity, without checks or breakdown.

        The function to hand to ``torch.compile(fullgraph=True)``; differentiable almost everywhere.

        Args:
            factors: ``(slots, dims, n)``, float32 or float64.
            ranks: Positions in time, same shape and dtype.
            keep: bool, ``(levels, tensors, n)``.

        Returns:
            Three arrays of shape ``(n,)``.
        """
        totals = self._kernel()(factors, ranks, keep)
        return totals.energy_pj, totals.cycles, totals.reason == 0.0

    def _kernel(self) -> Kernel:
        if self._closed is None:
            table = TermTable.build(self.problem, self.architecture, elide_first_read=self.first_read_elision)
            clean = self.engine == "v3.0.3"
            self._closed = Kernel(self.problem, self.architecture, table, needs_clean_nest=clean)
        return self._closed

    @cached_property
    def _machine(self) -> RecordedKernel:
        return RecordedKernel(self._kernel())

    def _block(self, mappings: Mappings) -> dict[str, Array]:
        xp = array_namespace(mappings.factors)
        factors = _columns(xp, mappings.factors)
        residuals = None if mappings.residuals is None else _columns(xp, mappings.residuals)
        ranks = _columns(xp, mappings.ranks)
        with np.errstate(all="ignore"):
            totals = self._kernel()(factors, ranks, mappings.keep, residuals, detail=True)
            reason = xp.where(self._bad(xp, mappings), float(Reason.BAD_VALUE), totals.reason)
            table = tabulate(self.problem, self.architecture, totals, reason)
            # Counts are whole numbers except for windows with residuals, which are averages.
            if mappings.residuals is not None:
                table = {name: xp.round(a) if dtype_of(name) == "int64" else a for name, a in table.items()}
            return {name: _cast(xp, values, dtype_of(name)) for name, values in table.items()}

    def _bad(self, xp: Any, mappings: Mappings) -> Array:
        """Rows whose factors are below 1 or whose ranks are no permutation."""
        dims = len(self.problem.dims)
        ranks = mappings.ranks if xp is np else mappings.ranks.to(xp.int64)
        inside = (ranks >= 0) & (ranks < dims)
        # dims powers of two with exponents below dims add up to 2**dims - 1 only if all differ.
        spread = (1 << xp.where(inside, ranks, 0)).sum(1) == (1 << dims) - 1
        good = inside.all(1).all(0) & spread.all(0) & (mappings.factors >= 1).all(1).all(0)
        if mappings.residuals is not None:
            within = (mappings.residuals >= 1) & (mappings.residuals <= mappings.factors)
            good = good & within.all(1).all(0)
        return ~good

    def _assemble(self, table: dict[str, Array]) -> Costs:
        latency, energy = table.pop("latency_cycles"), table.pop("energy_pj")
        reason = table.pop("reason")
        with np.errstate(divide="ignore", invalid="ignore"):
            power = energy / latency * self.clock_ghz
            area = latency * 0.0 + self.architecture.area_um2
        return Costs(
            latency_cycles=latency,
            energy_pj=energy,
            area_um2=area,
            power_mw=power,
            valid=reason == 0,
            reason=reason,
            model=self.name,
            version=self.version,
            technology=self.technology,
            breakdown=table,
        )

    def _walk(self, mappings: Mappings) -> Costs:
        """Evaluates row by row; rows that are invalid keep zeros."""
        problem, architecture, n = self.problem, self.architecture, len(mappings)
        mappings = _as_numpy(mappings)
        reason = self._reasons(mappings)
        table: dict[str, Any] = {"latency_cycles": np.zeros(n), "energy_pj": np.zeros(n), "reason": reason}
        everything = np.array([[x.may_store(t) for t in problem.tensor_names] for x in architecture.levels])
        for row in np.flatnonzero(reason == Reason.OK):
            keep = everything if mappings.keep is None else everything & to_numpy(mappings.keep[..., row])
            movement = walk(
                problem,
                architecture,
                mappings.loops(int(row)),
                keep,
                engine=self.engine,
                sampled=self.counting == "sampled",
                links=self.link_transfers,
                elide_first_read=self.first_read_elision,
            )
            cycles = math.prod(x.bound for x in mappings.loops(int(row)) if x.kind == "temporal")
            for name, value in price_movement(problem, architecture, movement, cycles).items():
                if name not in table:
                    table[name] = np.zeros(n, dtype=dtype_of(name))
                table[name][row] = value
        return self._assemble(table)

    def _reasons(self, mappings: Mappings) -> np.ndarray[Any, Any]:
        """Validity alone, for problems with and without a closed form."""
        residuals = None if mappings.residuals is None else _columns(np, mappings.residuals)
        factors, ranks = _columns(np, mappings.factors), _columns(np, mappings.ranks)
        columns = Columns(self.problem, self.architecture, factors, ranks, mappings.keep, residuals)
        reason = reasons(columns, tiles(columns, bounded_only=True))
        return np.where(self._bad(np, mappings), Reason.BAD_VALUE, reason).astype(np.int8)


def _columns(xp: Any, array: Array) -> Array:
    """Contiguous float64."""
    if xp is np:
        return np.ascontiguousarray(array, dtype=np.float64)
    return array.to(xp.float64).contiguous()


def _cast(xp: Any, array: Array, dtype: str) -> Array:
    return array.astype(dtype, copy=False) if xp is np else array.to(getattr(xp, dtype))


def _as_numpy(mappings: Mappings) -> Mappings:
    def convert(array: Array | None) -> Array | None:
        return None if array is None else to_numpy(array)

    return Mappings(
        mappings.problem,
        mappings.architecture,
        convert(mappings.factors),
        convert(mappings.ranks),
        convert(mappings.keep),
        convert(mappings.residuals),
    )
