"""The four ConfuciuX mappings as MAESTRO directives, one or two levels deep."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from accelgym.costmodels.arrays import Array
from accelgym.costmodels.maestro.columns import LayerColumns
from accelgym.costmodels.maestro.designs import Dataflow
from accelgym.costmodels.maestro.faults import Faults

__all__ = ["EDGE", "INIT", "STEADY", "Directive", "Level", "coupled_dims", "inner_level", "top_level"]

INIT, STEADY, EDGE = range(3)
"""States of a loop: its first tile, further full ones, a partial last one."""


@dataclass(frozen=True)
class Directive:
    """``TemporalMap(size, offset) dim`` or ``SpatialMap(size, offset) dim`` in input coordinates."""

    dim: str
    size: Array
    offset: Array
    spatial: bool = False
    last_state: int = EDGE
    """``INIT`` if one step always covers the dimension, ``STEADY`` if no tile is ever partial."""


@dataclass(frozen=True)
class Level:
    """One cluster level: its loops (outermost first), its dimensions and the units it spreads over.

    Loops over R and S have one iteration and are left out; their extents are in ``dims``.
    """

    loops: tuple[Directive, ...]
    dims: Mapping[str, Array]
    units: Array
    columns_share_pes: bool = False
    """A step's output columns run on different PEs (``eye`` without its diagonal fault)."""


def coupled_dims(dataflow: Dataflow) -> dict[str, tuple[str, ...]]:
    """Returns the dimensions each tensor depends on; output rows and columns are named by Y and X."""
    if dataflow is Dataflow.DPT:
        return {"input": ("C", "Y", "X"), "filter": ("C", "R", "S"), "output": ("C", "Y", "X")}
    return {"input": ("C", "Y", "X"), "filter": ("K", "C", "R", "S"), "output": ("K", "Y", "X")}


def top_level(p: LayerColumns, dataflow: Dataflow) -> Level:
    """Returns the loops over tiles; a single cluster runs them (``dpt``: the PEs themselves)."""
    one = p.K * 0.0 + 1.0
    dims = {"K": p.K, "C": p.C, "Y": p.Y, "X": p.X, "R": p.R, "S": p.S}
    rows = Directive("Y", p.R, one, last_state=STEADY)
    cols = Directive("X", p.S, one, last_state=STEADY)
    if dataflow is Dataflow.DLA:
        loops: tuple[Directive, ...] = (Directive("K", p.k, p.k, spatial=True), Directive("C", p.P, p.P), rows, cols)
    elif dataflow is Dataflow.SHI:
        loops = (
            Directive("K", p.k, p.k),
            Directive("Y", 2.0 * p.R - 1.0, p.R, spatial=True),
            Directive("X", p.P + p.S - 1.0, p.P),
            Directive("C", one, one, last_state=STEADY),
        )
    elif dataflow is Dataflow.EYE:
        loops = (
            Directive("C", one, one, last_state=STEADY),
            Directive("K", p.k, p.k),
            Directive("Y", p.P + p.R - 1.0, p.P, spatial=True),
            Directive("X", 2.0 * p.S - 1.0, p.S),
        )
    else:
        loops = (Directive("C", p.k, p.k, spatial=True), rows, cols)
        return Level(loops, dims, p.P)
    return Level(loops, dims, one)


def inner_level(p: LayerColumns, dataflow: Dataflow, dims: Mapping[str, Array], faults: Faults) -> Level:
    """Returns the loops inside the cluster of ``P`` PEs, over a tile of the given dimensions."""
    one = p.K * 0.0 + 1.0
    channels = Directive("K", p.k, p.k, last_state=INIT)
    if dataflow is Dataflow.DLA:
        spatial_c = Directive("C", one, one, spatial=True, last_state=INIT)
        rows, cols = (Directive(dim, size, one, last_state=INIT) for dim, size in (("Y", p.R), ("X", p.S)))
        return Level((channels, spatial_c, rows, cols), dims, p.P)
    c = Directive("C", one, one, last_state=INIT)
    if dataflow is Dataflow.SHI:
        rows = Directive("Y", p.R, one, last_state=STEADY)
        cols = Directive("X", p.S, one, spatial=True, last_state=INIT)
        return Level((channels, c, rows, cols), dims, p.P)
    rows = Directive("Y", p.R, one, spatial=True, last_state=INIT)
    if faults.eye_diagonal:
        return Level((channels, c, rows, Directive("X", p.S, one, spatial=True)), dims, p.P)
    # PEs that the rows of the tile leave free take further columns of it.
    at_once = p.xp.floor(p.P / (dims["Y"] - p.R + 1.0))
    cols = Directive("X", at_once + p.S - 1.0, at_once)
    return Level((channels, c, rows, cols), dims, p.P, columns_share_pes=True)
