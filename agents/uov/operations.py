"""The few operations of a transformer that NumPy and torch word differently."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import AbstractContextManager, nullcontext
from functools import lru_cache
from typing import Any, Protocol

import numpy as np

__all__ = ["NumpyOperations", "Operations", "one_thread"]


def one_thread() -> AbstractContextManager[Any]:
    """Keeps NumPy's linear algebra to one thread: products this small only wait for one another on several.

    Needs the package threadpoolctl, and does nothing without it.
    """
    controller = _controller()
    found: AbstractContextManager[Any] = nullcontext() if controller is None else controller.limit(limits=1)
    return found


@lru_cache(maxsize=1)
def _controller() -> Any:
    try:
        from threadpoolctl import ThreadpoolController
    except ImportError:
        return None
    return ThreadpoolController()


class Operations(Protocol):
    """Arrays in, arrays of the same kind out."""

    def layer_norm(self, x: Any, weight: Any, bias: Any) -> Any:
        """Normalises the last axis."""

    def attention(self, query: Any, key: Any, value: Any) -> Any:
        """Attends over the second last axis; shapes ``(rows, heads, places, size)``."""

    def relu(self, x: Any) -> Any:
        """Zero where negative; may change what it is given."""

    def broadcast(self, x: Any, shape: tuple[int, ...]) -> Any:
        """Repeats along leading axes."""

    def concatenate(self, parts: Sequence[Any]) -> Any:
        """Joins along the second axis."""


class NumpyOperations:
    """On NumPy arrays: predicting needs no torch, whose import takes longer than the answer."""

    def layer_norm(self, x: Any, weight: Any, bias: Any) -> Any:
        centred = x - x.mean(axis=-1, keepdims=True)
        variance = np.square(centred).mean(axis=-1, keepdims=True)
        return centred / np.sqrt(variance + 1e-5) * weight + bias

    def attention(self, query: Any, key: Any, value: Any) -> Any:
        scores = query @ key.swapaxes(-1, -2) * (query.shape[-1] ** -0.5)
        scores = np.exp(scores - scores.max(axis=-1, keepdims=True))
        return scores / scores.sum(axis=-1, keepdims=True) @ value

    def relu(self, x: Any) -> Any:
        return np.maximum(x, 0.0, out=x)

    def broadcast(self, x: Any, shape: tuple[int, ...]) -> Any:
        return np.broadcast_to(x, shape)

    def concatenate(self, parts: Sequence[Any]) -> Any:
        return np.concatenate(parts, axis=1)
