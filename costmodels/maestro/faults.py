"""Named faults of the MAESTRO program, each a switch."""

from __future__ import annotations

from dataclasses import dataclass

__all__ = ["FIXED", "MAESTRO_FAULTS", "Faults"]


@dataclass(frozen=True)
class Faults:
    """Which faults of MAESTRO (commit 4eb08d17) the model reproduces; ``True`` reproduces the fault.

    With every switch on, results equal the program's; with every switch off, the model is MAESTRO's analysis
    carried out without slips. Each switch changes single terms of one and the same model.
    """

    edge_tiles: bool = True
    """A tile larger than its dimension gets the size ``dimension - offset``; when that leaves no output, the
    program skips the iterations (runtime 0, negative energy), and the design is ``DEGENERATE``. In the inner
    level, edge tiles of K (and of C in ``dla``) take the time and traffic of full ones. In ``dpt``, in a round
    after the first, one full PE beside a partial one takes the time of the partial one. Off: every tile has its true
    size, nothing is degenerate."""
    int32_iterations: bool = True
    """Iteration counts are C++ ``int``: above 2**31 - 1 the program aborts or wraps silently, and the design is
    ``INT32_OVERFLOW``. Off: no such limit."""
    energy_l2_only: bool = True
    """Energy of two-level mappings counts L2 accesses alone (depthwise, one level: L1 too). Off: MACs, L1
    accesses and the read-back of partial sums in L2 count as well."""
    missed_reloads: bool = True
    """A tensor is not fetched again when a loop it does not depend on steps, even if the loops inside it, which
    have started over, do change it. Off: it is fetched again."""
    edge_traffic: bool = True
    """Edge tiles are charged the traffic of full ones, and the output rows of a spatial edge their input rows.
    Off: every tile is charged what it holds."""
    l1_output_window: bool = True
    """The output tile in L1 is sized as an input window (R * S * k elements) and k is not clipped to the layer.
    Off: one element per output channel of the tile."""
    eye_diagonal: bool = True
    """``eye`` maps rows and columns to the same PE index and lets one PE finish a whole diagonal at once, up to S
    MACs per cycle and PE. Off: PE i takes one output position, and the columns of a row tile share the PEs that
    its rows leave free."""


MAESTRO_FAULTS = Faults()
"""Every fault on: the program as published."""

FIXED = Faults(
    edge_tiles=False,
    int32_iterations=False,
    energy_l2_only=False,
    missed_reloads=False,
    edge_traffic=False,
    l1_output_window=False,
    eye_diagonal=False,
)
"""Every fault off."""
