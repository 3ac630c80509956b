"""The ranking path as one fused kernel (extra ``agents`` brings torch; a C++ compiler must be present)."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from accelgym.costmodels.errors import MissingExtraError
from accelgym.costmodels.loopnest.model import LoopnestModel

if TYPE_CHECKING:
    import torch

__all__ = ["compile_score"]


def compile_score(
    model: LoopnestModel, *, device: str = "cpu"
) -> Callable[[torch.Tensor, torch.Tensor], tuple[torch.Tensor, torch.Tensor, torch.Tensor]]:
    """Compiles :meth:`LoopnestModel.score` for one problem and machine, without bypass.

    The model is traced once into a graph of elementwise operations, which is compiled with ``fullgraph=True`` at
    the first call (some 10 s) and again when the dtype, or once more when the batch size, changes.

    Args:
        model: The model.
        device: Where the tensors will live.

    Returns:
        A function of ``factors`` and ``ranks``, ``(slots, dims, n)`` of one floating dtype, to energy (pJ),
        cycles and validity, ``(n,)`` each.

    Raises:
        MissingExtraError: torch is not installed.
    """
    try:
        import torch
        from torch.fx.experimental.proxy_tensor import make_fx
    except ImportError as error:
        raise MissingExtraError("compile_score", "torch", "agents") from error

    def score(factors: torch.Tensor, ranks: torch.Tensor) -> tuple[Any, Any, Any]:
        return model.score(factors, ranks)

    shape = (len(model.architecture.slots), len(model.problem.dims), 4)
    example = torch.ones(shape, device=device)
    graph = make_fx(score)(example, torch.zeros(shape, device=device))
    compiled: Callable[[torch.Tensor, torch.Tensor], tuple[torch.Tensor, torch.Tensor, torch.Tensor]]
    compiled = torch.compile(graph, fullgraph=True)
    return compiled
