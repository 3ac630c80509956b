"""The latency compiled by torch, for search loops that ask for hundreds of millions of designs."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import TYPE_CHECKING

from accelgym.costmodels.errors import MissingExtraError
from accelgym.costmodels.maestro.closed_form import latency
from accelgym.costmodels.maestro.columns import LayerColumns
from accelgym.costmodels.maestro.designs import Dataflow
from accelgym.costmodels.maestro.faults import FIXED, MAESTRO_FAULTS, Faults

if TYPE_CHECKING:
    import torch

__all__ = ["compiled_latency"]


def compiled_latency(
    *, compat: bool = True, faults: Faults | None = None, dataflow: Dataflow | None = None
) -> Callable[..., torch.Tensor]:
    """Compiles the closed-form latency into one fused loop; the first call takes seconds and needs a C++ compiler.

    Args:
        compat: Whether to repeat the faults of the program, as in ``MaestroModel``.
        faults: Switches fault by fault; overrides ``compat``.
        dataflow: The dataflow of all designs; by default each design's own.

    Returns:
        A function of float64 tensors of one shape, ``(K, C, Y, X, R, S, num_pes, buffer_level, dataflow)`` (the
        last holding :class:`Dataflow` values), that returns the cycles as float64: the integers
        ``MaestroModel.latency`` returns, for a NoC that never limits. It checks no validity.

    Raises:
        MissingExtraError: torch is not installed.
    """
    try:
        import torch
    except ImportError as error:
        raise MissingExtraError("compiled_latency", "torch", "agents") from error
    switches = faults if faults is not None else MAESTRO_FAULTS if compat else FIXED
    return torch.compile(partial(_latency, switches=switches, dataflow=dataflow), fullgraph=True, dynamic=True)


def _latency(
    K: torch.Tensor,
    C: torch.Tensor,
    Y: torch.Tensor,
    X: torch.Tensor,
    R: torch.Tensor,
    S: torch.Tensor,
    num_pes: torch.Tensor,
    buffer_level: torch.Tensor,
    flow: torch.Tensor,
    *,
    switches: Faults,
    dataflow: Dataflow | None,
) -> torch.Tensor:
    import torch

    shared = flow if dataflow is None else dataflow.value
    p = LayerColumns.of(torch, K=K, C=C, Y=Y, X=X, R=R, S=S, P=num_pes, k=buffer_level, flow=shared, bw=None)
    cycles: torch.Tensor = latency(p, switches)
    return cycles
