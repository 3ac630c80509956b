"""One source for NumPy and torch: the few array functions the cost models use.

A cost model asks for the namespace of its inputs and uses only what both libraries spell alike
(``where``, ``minimum``, ``maximum``, ``floor``, arithmetic, comparisons). torch is never imported unless a
tensor is passed in.
"""

from __future__ import annotations

import sys
from typing import Any

import numpy as np

__all__ = ["Array", "array_namespace", "to_numpy"]

Array = Any
"""A ``numpy.ndarray`` or a ``torch.Tensor``. Shapes are given in the docstrings."""


def array_namespace(*arrays: Array) -> Any:
    """Returns the module (``numpy`` or ``torch``) whose functions fit the arrays; for recorded ones the recorder."""
    recorder = next((a.recorder for a in arrays if hasattr(a, "recorder")), None)
    if recorder is not None:
        return recorder
    torch = sys.modules.get("torch")
    if torch is not None and any(isinstance(a, torch.Tensor) for a in arrays):
        return torch
    return np


def to_numpy(array: Array) -> np.ndarray[Any, Any]:
    """Returns the array as NumPy, copying from the device when it is a tensor."""
    if hasattr(array, "detach"):
        array = array.detach().cpu().numpy()
    return np.asarray(array)
