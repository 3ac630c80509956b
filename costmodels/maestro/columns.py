"""The inputs of the model as broadcast float64 columns, and which rows are meaningful."""

from __future__ import annotations

from dataclasses import dataclass, fields
from functools import cached_property
from typing import Any

import numpy as np

from accelgym.costmodels.arrays import Array, array_namespace
from accelgym.costmodels.costs import Reason
from accelgym.costmodels.maestro.designs import Dataflow, ResourceDesigns

__all__ = ["EXACT_LIMIT", "Batch", "LayerColumns", "Mask", "input_faults", "positions"]

Mask = Any
"""A bool array, or a plain bool where all designs share one dataflow."""

EXACT_LIMIT = 2.0**53
"""Integers stay exact in float64 up to here; all counts of the model are float64."""


@dataclass(frozen=True)
class LayerColumns:
    """Float64 columns of one shape (or 0-d): layer dimensions, array size ``P``, tile ``k``, NoC bandwidth.

    Division of two such integers followed by ``floor`` is exact below 2**53: the quotient's distance to the next
    integer is at least ``1 / divisor``, more than its rounding error.
    """

    xp: Any
    K: Array
    C: Array
    Y: Array
    X: Array
    R: Array
    S: Array
    P: Array
    """Number of PEs."""
    k: Array
    """Output channels (``dpt``: channels) tiled per PE."""
    flow: Array | float
    """Values of :class:`Dataflow` as float64; a plain float where all designs share one."""
    bw: Array | None
    """NoC elements per cycle; ``None`` means unlimited."""

    OY: Array
    """Output rows."""
    OX: Array
    """Output columns."""

    @classmethod
    def of(cls, xp: Any, *, Y: Array, X: Array, R: Array, S: Array, **columns: Array) -> LayerColumns:
        """Adds the output's extents."""
        return cls(xp, Y=Y, X=X, R=R, S=S, OY=Y - R + 1.0, OX=X - S + 1.0, **columns)

    @property
    def zero(self) -> Array:
        """A 0-d zero of the arrays' library."""
        return self.xp.asarray(0.0, dtype=self.xp.float64)

    @property
    def one(self) -> Array:
        """A 0-d one of the arrays' library."""
        return self.xp.asarray(1.0, dtype=self.xp.float64)

    def is_flow(self, dataflow: Dataflow) -> Mask:
        """Returns which designs run a dataflow."""
        return self.flow == dataflow.value

    def select(self, mask: Mask, yes: Array, no: Array) -> Array:
        """Returns ``yes`` where the mask holds, else ``no``."""
        if isinstance(mask, bool):
            return yes if mask else no
        return self.xp.where(mask, yes, no)

    def take(self, rows: Any) -> LayerColumns:
        """Returns the rows an index selects; 0-d columns stay 0-d."""
        columns = {f.name: getattr(self, f.name) for f in fields(self)[1:]}
        return LayerColumns(self.xp, **{n: c[rows] if getattr(c, "ndim", 0) else c for n, c in columns.items()})


@dataclass(frozen=True)
class Batch:
    """Designs as flat columns of their own types: ``K`` and whatever varies ``(rows,)``, the rest 0-d."""

    xp: Any
    raw: dict[str, Array]
    shape: tuple[int, ...]
    """Shape of the batch."""

    @classmethod
    def of(cls, designs: ResourceDesigns, noc_bw: float | None) -> Batch:
        """Flattens designs.

        Args:
            designs: The batch; its arrays broadcast to one shape.
            noc_bw: NoC bandwidth where the designs state none; ``None`` for unlimited.
        """
        given = {f.name: getattr(designs, f.name) for f in fields(designs)}
        if given["noc_bw"] is None:
            given["noc_bw"] = noc_bw
        given = {name: value for name, value in given.items() if value is not None}
        xp = array_namespace(*given.values())
        placed = {"device": next(a.device for a in given.values() if hasattr(a, "detach"))} if xp is not np else {}
        arrays = {name: xp.asarray(value, **placed) for name, value in given.items()}
        shape = tuple(np.broadcast_shapes(*(tuple(a.shape) for a in arrays.values())))
        raw = {}
        for name, a in arrays.items():
            constant = name != "K" and all(n == 1 for n in a.shape)
            raw[name] = a.reshape(()) if constant else xp.broadcast_to(a, shape).reshape(-1)
        return cls(xp, raw, shape)

    @property
    def rows(self) -> int:
        """Number of designs."""
        return int(self.raw["K"].shape[0])

    def groups(self) -> list[tuple[float, Array | None]]:
        """Returns each dataflow in the batch with the rows that run it, ``None`` for all rows.

        Values that stand for no dataflow come under -1.
        """
        xp, flow, depthwise = self.xp, self.raw["dataflow"], self.raw["depthwise"] != 0
        if depthwise.ndim or bool(depthwise):
            flow = xp.where(depthwise, xp.full_like(flow, Dataflow.DPT.value), flow)
        if flow.ndim == 0:
            return [(float(flow) if int(flow) in set(Dataflow) else -1.0, None)]
        found: list[tuple[float, Array | None]] = []
        left = self.rows
        for dataflow in Dataflow:
            rows = positions(xp, flow == dataflow.value)
            left -= len(rows)
            if len(rows) == self.rows:
                return [(float(dataflow.value), None)]
            if len(rows):
                found.append((float(dataflow.value), rows))
        if left:
            found.append((-1.0, positions(xp, (flow < 0) | (flow > max(Dataflow).value))))
        return found

    def some(self, name: str, rows: Any) -> Array:
        """Returns some rows (a slice or indices) of a column; a 0-d one stays 0-d."""
        column = self.raw[name]
        if column.ndim == 0:
            return column
        return column[rows] if self.xp is not np or isinstance(rows, slice) else column.take(rows)

    @cached_property
    def widest_transfer(self) -> float:
        """An upper bound of :func:`closed_form.transfer_bound` over all rows."""
        most = (float(self.raw[name].max()) for name in ("buffer_level", "num_pes", "R", "S"))
        level, pes, *kernel = most if self.rows else (0.0,) * 4
        return 4.0 * (level + 2.0) * pes * kernel[0] * kernel[1]

    def problem(self, rows: Any, flow: float) -> tuple[LayerColumns, Array]:
        """Returns some rows, all of one dataflow, as float64, and which of them are depthwise layers."""
        xp = self.xp
        some = {name: self.some(name, rows) for name in self.raw if name != "dataflow"}
        depthwise = some.pop("depthwise") != 0
        column = {name: xp.asarray(a, dtype=xp.float64) for name, a in some.items()}
        problem = LayerColumns.of(
            xp,
            K=column["K"],
            C=column["C"],
            Y=column["Y"],
            X=column["X"],
            R=column["R"],
            S=column["S"],
            P=column["num_pes"],
            k=column["buffer_level"],
            flow=flow,
            bw=column.get("noc_bw"),
        )
        return problem, depthwise


def positions(xp: Any, mask: Array) -> Array:
    """Returns the indices at which a one-dimensional mask holds."""
    return mask.nonzero()[0] if xp is np else mask.nonzero().reshape(-1)


def input_faults(p: LayerColumns, depthwise: Array) -> tuple[Array, Array]:
    """Finds rows whose inputs mean nothing, among designs that all use one dataflow.

    Returns:
        Reason codes as float64 (``OK``, ``BAD_VALUE``, ``KERNEL_EXCEEDS_INPUT``, ``OVERFLOW``), 0-d if all rows
        are fine; and the MACs of the layers, which may exceed the exact range.
    """
    xp = p.xp
    least = xp.minimum(xp.minimum(xp.minimum(p.K, p.C), xp.minimum(p.R, p.S)), xp.minimum(p.P, p.k))
    if p.bw is not None:
        least = xp.minimum(least, p.bw)
    # Comparisons are written so that NaN fails them.
    meaningful = (least >= 1.0) & (xp.minimum(p.Y, p.X) >= 1.0)
    if p.is_flow(Dataflow.DPT):
        # A depthwise layer has one filter per channel (K = 1), and dpt maps no other layer.
        meaningful = meaningful & depthwise & (p.K == 1.0)
    elif p.flow == -1.0:
        meaningful = meaningful & False
    fits = (p.R <= p.Y) & (p.S <= p.X)
    macs = p.K * p.C * (p.R * p.S) * (p.OY * p.OX)
    exact = (macs <= EXACT_LIMIT) & (p.P * p.k <= EXACT_LIMIT)
    if bool((meaningful & fits & exact).all()):
        return p.zero, macs
    reason = xp.where(exact, p.zero, float(Reason.OVERFLOW))
    reason = xp.where(fits, reason, float(Reason.KERNEL_EXCEEDS_INPUT))
    return xp.where(meaningful, reason, float(Reason.BAD_VALUE)), macs
