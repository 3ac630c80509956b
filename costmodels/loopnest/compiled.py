"""The ranking path as one compiled function: by Numba on a CPU (extra ``fast``), by torch on a GPU (extra ``agents``).

The windows of a convolution make some 850 operations a design, five times those of a matrix product. Numba takes a few
seconds to compile them and keeps float64, so that its numbers are those of :meth:`LoopnestModel.score` bit by bit;
``torch.compile`` takes over a minute for them, and what it makes for a CPU is half as fast
(``benchmarks/loopnest_speed.py``).
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from accelgym.costmodels import kernels
from accelgym.costmodels.arrays import Array, array_namespace, to_numpy
from accelgym.costmodels.errors import InputError, MissingExtraError
from accelgym.costmodels.lines import is_read_in_place
from accelgym.costmodels.loopnest.model import LoopnestModel
from accelgym.costmodels.loopnest.recorded import place_of, record_score

__all__ = ["compile_score"]

Score = Callable[[Array, Array], tuple[Array, Array, Array]]
_OTHER_DTYPES_BLOCK = 16_384
"""Designs at a time whose columns are converted before they are read; copies of them stay in the cache."""


def compile_score(model: LoopnestModel, *, device: str = "cpu") -> Score:
    """Compiles :meth:`LoopnestModel.score` for one problem and machine, without bypass.

    Compiled at the first call, for a convolution in 4 s by Numba and in over a minute by torch; by torch again when
    the dtype, or once more when the batch size, changes.

    Args:
        model: The model.
        device: Where the arrays will live. Numba compiles for ``"cpu"``; torch for others, and where there is no Numba.

    Returns:
        A function of ``factors`` and ``ranks``, ``(slots, dims, n)`` each, to energy (pJ), cycles and validity,
        ``(n,)`` each, of the library of ``factors``. By Numba the arrays may have any dtype of numbers, narrow ones
        being the fastest, and the results are float64; by torch they are tensors of one floating dtype, which is
        that of the results.

    Raises:
        MissingExtraError: Neither Numba nor torch is installed, or torch is not and the device is no CPU.
    """
    return _by_numba(model) if device == "cpu" and kernels.is_available() else _by_torch(model, device)


def _by_numba(model: LoopnestModel) -> Score:
    shape = (len(model.architecture.slots), len(model.problem.dims))
    machine = kernels.Kernel(lambda: record_score(model.score))

    def score(factors: Array, ranks: Array) -> tuple[Array, Array, Array]:
        given = {"factors": to_numpy(factors), "ranks": to_numpy(ranks)}
        n = given["factors"].shape[-1]
        for name, array in given.items():
            if array.shape != (*shape, n):
                raise InputError(f"{name} has the shape {array.shape}, allowed: {(*shape, n)} (slots, dims, n)")
        results = np.empty(n), np.empty(n), np.empty(n, dtype=np.bool_)
        direct = all(is_read_in_place(array.dtype) for array in given.values())
        size = n if direct else _OTHER_DTYPES_BLOCK
        places = {column: place_of(column) for column in machine.inputs}
        for start in range(0, n, max(size, 1)):
            part = slice(start, start + size)
            columns = {column: given[name][slot, dim, part] for column, (name, slot, dim) in places.items()}
            written = dict(zip(machine.names, (result[part] for result in results), strict=True))
            machine.bind(columns, written).run(0, min(size, n - start))
        xp = array_namespace(factors)
        return results if xp is np else tuple(map(xp.from_numpy, results))

    return score


def _by_torch(model: LoopnestModel, device: str) -> Score:
    try:
        import torch
        from torch.fx.experimental.proxy_tensor import make_fx
    except ImportError as error:
        if device == "cpu":
            raise MissingExtraError("compile_score", "numba", "fast") from error
        raise MissingExtraError(f"compile_score for {device!r}", "torch", "agents") from error

    def score(factors: torch.Tensor, ranks: torch.Tensor) -> tuple[Array, Array, Array]:
        return model.score(factors, ranks)

    # Traced once into a graph of elementwise operations.
    shape = (len(model.architecture.slots), len(model.problem.dims), 4)
    example = torch.ones(shape, device=device)
    graph = make_fx(score)(example, torch.zeros(shape, device=device))
    compiled: Score = torch.compile(graph, fullgraph=True)
    return compiled
