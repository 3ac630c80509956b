"""The inputs of the model as broadcast float64 columns, and which of them are meaningful."""

from __future__ import annotations

from dataclasses import dataclass, fields
from typing import Any

import numpy as np

from accelgym.costmodels.arrays import Array, array_namespace
from accelgym.costmodels.costs import Reason
from accelgym.costmodels.designs import Dataflow, ResourceDesigns

__all__ = ["EXACT_LIMIT", "Problem", "ceil_div", "columns", "input_faults"]

EXACT_LIMIT = 2.0**53
"""Integers stay exact in float64 up to here; all counts of the model are float64."""

_FIELDS = ("K", "C", "Y", "X", "R", "S", "depthwise", "dataflow", "num_pes", "buffer_level", "noc_bw")


@dataclass(frozen=True)
class Problem:
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
    flow: Array
    """Values of :class:`Dataflow` as float64."""
    bw: Array | None
    """NoC elements per cycle; ``None`` means unlimited."""

    @property
    def OY(self) -> Array:
        """Output rows."""
        return self.Y - self.R + 1.0

    @property
    def OX(self) -> Array:
        """Output columns."""
        return self.X - self.S + 1.0

    @property
    def zero(self) -> Array:
        """A 0-d zero of the arrays' library."""
        return self.xp.asarray(0.0)

    @property
    def one(self) -> Array:
        """A 0-d one of the arrays' library."""
        return self.xp.asarray(1.0)

    def is_flow(self, dataflow: Dataflow) -> Array:
        """Returns the mask of the designs that run a dataflow."""
        return self.flow == float(dataflow)

    def take(self, rows: Any) -> Problem:
        """Returns the rows an index or a slice selects; 0-d columns stay 0-d."""
        picked = {}
        for f in fields(self)[1:]:
            column = getattr(self, f.name)
            picked[f.name] = column if column is None or column.ndim == 0 else column[rows]
        return Problem(self.xp, **picked)


def ceil_div(xp: Any, a: Array, b: Array) -> Array:
    """Returns the exact ceiling of a quotient of non-negative integers in float64."""
    return xp.ceil(a / b)


def columns(designs: ResourceDesigns, noc_bw: float | None) -> tuple[Problem, Array, tuple[int, ...]]:
    """Turns designs into flat float64 columns.

    Args:
        designs: The batch.
        noc_bw: NoC bandwidth where the designs state none; ``None`` for unlimited.

    Returns:
        The problem, with ``K`` and whatever varies of shape ``(rows,)`` and the rest 0-d; the depthwise mask; the
        shape of the batch.
    """
    given = {f: getattr(designs, f) for f in _FIELDS}
    if given["noc_bw"] is None:
        given["noc_bw"] = noc_bw
    given = {f: value for f, value in given.items() if value is not None}
    xp = array_namespace(*given.values())
    placed = {"device": next(a.device for a in given.values() if hasattr(a, "detach"))} if xp is not np else {}
    arrays = {f: xp.asarray(value, dtype=xp.float64, **placed) for f, value in given.items()}
    shape = tuple(np.broadcast_shapes(*(tuple(a.shape) for a in arrays.values())))
    flat = {}
    for f, a in arrays.items():
        constant = f != "K" and all(n == 1 for n in a.shape)
        flat[f] = a.reshape(()) if constant else xp.broadcast_to(a, shape).reshape(-1)
    depthwise = flat["depthwise"] != 0.0
    problem = Problem(
        xp,
        *(flat[f] for f in ("K", "C", "Y", "X", "R", "S")),
        P=flat["num_pes"],
        k=flat["buffer_level"],
        flow=xp.where(depthwise, xp.asarray(float(Dataflow.DPT), dtype=xp.float64, **placed), flat["dataflow"]),
        bw=flat.get("noc_bw"),
    )
    return problem, depthwise, shape


def input_faults(p: Problem, depthwise: Array) -> tuple[Array, Array]:
    """Finds rows whose inputs mean nothing.

    Returns:
        Reason codes as float64 (``OK``, ``BAD_VALUE``, ``KERNEL_EXCEEDS_INPUT``, ``OVERFLOW``), and the MACs of
        the layer, NaN-free and possibly beyond the exact range.
    """
    xp = p.xp
    least = xp.minimum(xp.minimum(xp.minimum(p.K, p.C), xp.minimum(p.Y, p.X)), xp.minimum(p.R, p.S))
    least = xp.minimum(least, xp.minimum(p.P, p.k))
    if p.bw is not None:
        least = xp.minimum(least, p.bw)
    dpt = p.is_flow(Dataflow.DPT)
    # A depthwise layer has one filter per channel (K = 1), and dpt maps no other layer.
    known = (p.flow >= 0.0) & (p.flow <= 3.0) & (~dpt | (depthwise & (p.K == 1.0)))
    # Comparisons are written so that NaN fails them.
    meaningful = (least >= 1.0) & known
    fits = (p.R <= p.Y) & (p.S <= p.X)
    macs = p.K * p.C * p.R * p.S * p.OY * p.OX
    # The inputs of the traffic terms: k and P may exceed the layer, where they are clipped, but not the range.
    largest = xp.maximum(macs, p.P * p.k)
    reason = xp.where(largest <= EXACT_LIMIT, float(Reason.OK), float(Reason.OVERFLOW))
    reason = xp.where(fits, reason, float(Reason.KERNEL_EXCEEDS_INPUT))
    return xp.where(meaningful, reason, float(Reason.BAD_VALUE)), macs
