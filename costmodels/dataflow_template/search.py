"""The best mapping inside a template for every number of PEs and size of the buffer, by exhaustive search."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, fields
from typing import Any

import numpy as np
import numpy.typing as npt

from accelgym.costmodels.architecture.loop_nest import LoopNest
from accelgym.costmodels.dataflow_template.templates import BUFFER, DRAM, REGISTERS, WORD_BYTES, Template, build_machine
from accelgym.costmodels.dataflow_template.tilings import Block, Tilings
from accelgym.costmodels.loopnest.kernel import Kernel, Totals
from accelgym.costmodels.loopnest.terms import TermTable
from accelgym.costmodels.objective import Objective

__all__ = ["Best", "Prices", "search_mappings"]

Floats = npt.NDArray[np.float64]
Ints = npt.NDArray[np.int64]

_TILINGS = 1 << 17
_ROWS = 1 << 14
"""Mappings priced at a time, so that columns stay in cache."""


@dataclass(frozen=True)
class Prices:
    """What sizes alone decide; arrays of shape ``(pes, buffers)`` or ``(buffers,)``."""

    read_pj: Floats
    write_pj: Floats
    leakage_pj: Floats
    """Per cycle, of the whole machine."""
    area_um2: Floats

    @classmethod
    def of(
        cls, template: Template, pes: Sequence[int], buffers: Sequence[int], *, noc_bw: float, dram_bw: float
    ) -> Prices:
        """Prices machines of a template."""
        machines = [[build_machine(template, p, b, noc_bw=noc_bw, dram_bw=dram_bw) for b in buffers] for p in pes]
        return cls(
            np.array([m.levels[BUFFER].read_pj for m in machines[0]]),
            np.array([m.levels[BUFFER].write_pj for m in machines[0]]),
            np.array([[m.whole_leakage_pj for m in row] for row in machines]),
            np.array([[m.area_um2 for m in row] for row in machines]),
        )


@dataclass
class Best:
    """The best mapping of every cell; arrays of shape ``(pes, buffers)``."""

    cost: Floats
    """The objective; ``inf`` where no mapping fits."""
    tie: Floats
    tiling: Ints
    order: Ints
    cycles: Floats
    mac_pj: Floats
    registers_pj: Floats
    dram_pj: Floats
    buffer_reads: Floats
    """Words."""
    buffer_writes: Floats
    """Words filled and updated."""
    dram_words: Floats
    """Words read and written."""
    buffer_words: Floats
    """Words of the tiles in use."""
    utilized_pes: Floats

    @classmethod
    def nothing(cls, shape: tuple[int, int]) -> Best:
        """A table without any mapping."""
        table: dict[str, npt.NDArray[Any]] = {f.name: np.zeros(shape) for f in fields(cls)}
        for name in ("cost", "tie"):
            table[name] += np.inf
        for name in ("tiling", "order"):
            table[name] = table[name].astype(np.int64)
        return cls(**table)


_FIGURES = tuple(f.name for f in fields(Best))[2:]


def search_mappings(
    problem: LoopNest,
    template: Template,
    pes: Sequence[int],
    buffers: Sequence[int],
    objective: Objective,
    *,
    noc_bw: float,
    dram_bw: float,
) -> tuple[Best, Tilings]:
    """Prices every mapping once, and picks the best that fits each cell.

    Traffic and cycles of a mapping depend neither on the number of PEs that are left idle nor on the size of a
    buffer that holds its tiles; energy is linear in the prices that do. So one enumeration serves all cells.

    Args:
        problem: A problem from :func:`layer_problem`.
        template: The dataflow.
        pes: Numbers of PEs, ascending.
        buffers: Sizes of the buffer in bytes, ascending.
        objective: What is minimised.
        noc_bw: Bytes per cycle out of the buffer, and into it.
        dram_bw: Bytes per cycle, reads and writes together.

    Returns:
        The best mappings, and the tilings that their indices refer to.
    """
    machine = build_machine(template, max(2, pes[-1]), buffers[-1], noc_bw=noc_bw, dram_bw=dram_bw)
    kernel = Kernel(problem, machine, TermTable.build(problem, machine, elide_first_read=True))
    prices = Prices.of(template, pes, buffers, noc_bw=noc_bw, dram_bw=dram_bw)
    capacities = [b // WORD_BYTES // 2 for b in buffers]
    tilings = Tilings(problem, template, most_pes=pes[-1], most_words=capacities[-1])
    best = Best.nothing((len(pes), len(buffers)))
    for block in tilings.blocks(_TILINGS):
        figures = _price(kernel, tilings, block)
        by_pes = np.argsort(block.pes, kind="stable")
        figures = {name: column[by_pes] for name, column in figures.items()}
        for j, capacity in enumerate(capacities):
            fitting = np.flatnonzero(figures["buffer_words"] <= capacity)
            if len(fitting):
                part = {name: column[fitting] for name, column in figures.items()}
                _improve(best, part, j, pes, prices, objective)
    return best, tilings


def _price(kernel: Kernel, tilings: Tilings, block: Block) -> dict[str, Floats]:
    """Figures of every mapping of a block by name, shape ``(n,)``; the buffer's energy is left to its size."""
    parts: list[dict[str, Floats]] = list(_price_rows(kernel, tilings, block))
    figures = {name: np.concatenate([part[name] for part in parts]) for name in parts[0]}
    return figures | {
        "tiling": block.tiling,
        "order": block.order,
        "buffer_words": block.words.astype(np.float64),
        "utilized_pes": block.pes.astype(np.float64),
    }


def _price_rows(kernel: Kernel, tilings: Tilings, block: Block) -> Iterator[dict[str, Floats]]:
    compute = kernel.architecture.compute
    for start in range(0, len(block), _ROWS):
        rows = slice(start, start + _ROWS)
        factors = tilings.factors(block.tiling[rows]).astype(np.float64)
        totals = kernel(factors, tilings.ranks(block.order[rows]).astype(np.float64))
        yield {
            "cycles": totals.cycles,
            "mac_pj": np.full(len(totals.cycles), kernel.problem.macs * compute.mac_pj),
            "registers_pj": totals.level_energy[REGISTERS],
            "dram_pj": totals.level_energy[DRAM],
            "buffer_reads": _moved(totals, BUFFER, "reads"),
            "buffer_writes": _moved(totals, BUFFER, "fills", "updates"),
            "dram_words": _moved(totals, DRAM, "reads", "fills", "updates"),
        }


def _moved(totals: Totals, level: int, *counters: str) -> Floats:
    """Words that a level reads or writes, all tensors together."""
    parts = [words for (v, _, counter), words in totals.counters.items() if v == level and counter in counters]
    return np.asarray(np.sum(parts, axis=0))


def _improve(
    best: Best,
    part: dict[str, Floats],
    buffer: int,
    pes: Sequence[int],
    prices: Prices,
    objective: Objective,
) -> None:
    """Compares mappings that fit one size of the buffer, sorted by PEs in use, with the best so far."""
    dynamic = part["mac_pj"] + part["registers_pj"] + part["dram_pj"]
    dynamic += prices.read_pj[buffer] * part["buffer_reads"] + prices.write_pj[buffer] * part["buffer_writes"]
    ends = np.searchsorted(part["utilized_pes"], pes, side="right")
    for i, end in enumerate(ends):
        if end == 0:
            continue
        cycles = part["cycles"][:end]
        energy = dynamic[:end] + prices.leakage_pj[i, buffer] * cycles
        if objective is Objective.LATENCY:
            cost, tie = cycles, energy
        elif objective is Objective.ENERGY:
            cost, tie = energy, cycles
        else:
            cost, tie = energy * cycles, energy
        equal = np.flatnonzero(cost == cost.min())
        row = equal[tie[equal].argmin()]
        if (cost[row], tie[row]) < (best.cost[i, buffer], best.tie[i, buffer]):
            best.cost[i, buffer], best.tie[i, buffer] = cost[row], tie[row]
            for name in _FIGURES:
                getattr(best, name)[i, buffer] = part[name][row]
