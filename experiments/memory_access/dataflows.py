"""Five dataflows of a 1-D convolution on a main memory and a buffer: accesses, MACs and energy.

``O[m, p] += W[m, r] * I[p + r]`` runs on the preset ``memory_access_exercise``. A dataflow orders the loops of the
main memory; the loops that make up the stationary tile stand at the buffer.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import astuple, dataclass, fields
from typing import Any

from accelgym.costmodels.architecture import LoopNest
from accelgym.costmodels.errors import InputError, unknown_name
from accelgym.costmodels.loopnest import LoopnestModel, Mappings
from accelgym.costmodels.loopnest.model import Counting
from accelgym.costmodels.loopnest.steps import Engine
from accelgym.costmodels.timeloop.presets import preset

__all__ = ["DATAFLOWS", "DataflowAccesses", "dataflow_loops", "format_accesses", "memory_accesses"]

DATAFLOWS = {
    "ws": ("MR", "P"),
    "os_untiled_1": ("MP", "R"),
    "os_untiled_2": ("PM", "R"),
    "os_tiled_1": ("MP", "MR"),
    "os_tiled_2": ("PM", "PR"),
}
"""Loops of the main memory and of the buffer, outer to inner: weight stationary, then output stationary without
and with tiles. A dimension at both is tiled; the buffer takes ``M2`` or ``P2`` of it."""


@dataclass(frozen=True)
class DataflowAccesses:
    """One line of the exercise's table: words summed over the tensors, writes being fills and updates."""

    dataflow: str
    main_reads: int
    main_writes: int
    buffer_reads: int
    buffer_writes: int
    macs: int
    energy_pj: float


def dataflow_loops(
    dataflow: str, *, M: int = 8, P: int = 16, R: int = 3, M2: int = 2, P2: int = 4
) -> dict[str, list[dict[str, Any]]]:
    """Returns the loops of one dataflow by level, as :meth:`Mappings.from_loops` takes them.

    Args:
        dataflow: A key of :data:`DATAFLOWS`.
        M: Filters.
        P: Output positions.
        R: Filter taps.
        M2: Filters of a tile (``os_tiled_1``).
        P2: Output positions of a tile (``os_tiled_2``).

    Raises:
        InputError: No such dataflow, or a size that is not positive or does not divide.
    """
    if dataflow not in DATAFLOWS:
        raise unknown_name("dataflow", dataflow, DATAFLOWS)
    bounds, tiles = {"M": M, "P": P, "R": R}, {"M": M2, "P": P2}
    for name, value in (*bounds.items(), ("M2", M2), ("P2", P2)):
        if isinstance(value, bool) or not isinstance(value, int) or value < 1:
            raise InputError(f"{name} is {value!r}, allowed integers >= 1")
    main, buffer = DATAFLOWS[dataflow]
    inner = {}
    for dim in buffer:
        inner[dim] = tiles[dim] if dim in main else bounds[dim]
        if bounds[dim] % inner[dim]:
            raise InputError(f"{dim}2 is {inner[dim]}, allowed divisors of {dim}={bounds[dim]}")
    return {
        "MainMemory": [{"dim": dim, "bound": bounds[dim] // inner.get(dim, 1)} for dim in main],
        "Buffer": [{"dim": dim, "bound": inner[dim]} for dim in buffer],
    }


def memory_accesses(
    *,
    M: int = 8,
    P: int = 16,
    R: int = 3,
    M2: int = 2,
    P2: int = 4,
    engine: Engine = "head",
    counting: Counting = "closed",
) -> tuple[DataflowAccesses, ...]:
    """Evaluates the five dataflows.

    Args:
        M: Filters.
        P: Output positions.
        R: Filter taps.
        M2: Filters of a tile (``os_tiled_1``).
        P2: Output positions of a tile (``os_tiled_2``).
        engine: ``head``, or ``v3.0.3``, which reads more inputs where an irrelevant loop interrupts the window.
        counting: See :class:`LoopnestModel`; all three agree here.

    Returns:
        One line per dataflow, in the order of :data:`DATAFLOWS`.

    Raises:
        InputError: A size is not positive or does not divide, or a tile does not fit the buffer.
    """
    machine = preset("memory_access_exercise")
    loops = [{"temporal": dataflow_loops(name, M=M, P=P, R=R, M2=M2, P2=P2)} for name in DATAFLOWS]
    problem = LoopNest.conv1d("memory_access", M=M, P=P, R=R)
    costs = LoopnestModel(problem, machine, engine=engine, counting=counting).evaluate(
        Mappings.from_loops(problem, machine, loops)
    )
    lines = []
    for row, name in enumerate(DATAFLOWS):
        if not costs.valid[row]:
            sizes = f"M={M}, P={P}, R={R}, M2={M2}, P2={P2}"
            raise InputError(f"dataflow {name!r} with {sizes}: a tile exceeds the memories of {machine.name}")
        words = {
            (level, counter): sum(
                int(costs.breakdown[f"{level}.{tensor}.{counter}"][row])
                for tensor in problem.tensor_names
                if f"{level}.{tensor}.{counter}" in costs.breakdown
            )
            for level in machine.level_names
            for counter in ("reads", "fills", "updates")
        }
        main, buffer = machine.level_names
        lines.append(
            DataflowAccesses(
                dataflow=name,
                main_reads=words[main, "reads"],
                main_writes=words[main, "fills"] + words[main, "updates"],
                buffer_reads=words[buffer, "reads"],
                buffer_writes=words[buffer, "fills"] + words[buffer, "updates"],
                macs=problem.macs,
                energy_pj=float(costs.energy_pj[row]),
            )
        )
    return tuple(lines)


def format_accesses(lines: Sequence[DataflowAccesses]) -> str:
    """Returns the table as text."""
    header = [field.name.replace("_pj", "_pJ").replace("_", " ") for field in fields(DataflowAccesses)]
    rows = [header, *([f"{x:.2f}" if isinstance(x, float) else str(x) for x in astuple(line)] for line in lines)]
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    return "\n".join(
        "  ".join([row[0].ljust(widths[0]), *(cell.rjust(w) for cell, w in zip(row[1:], widths[1:], strict=True))])
        for row in rows
    )
