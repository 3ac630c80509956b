"""The few operations that the network leaves to others, so that it can be read without torch; and its threads."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import AbstractContextManager, nullcontext
from functools import lru_cache
from typing import Any, Protocol

__all__ = ["Operations", "one_thread"]


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
