"""Layers of equal shape: networks repeat them, and what holds for one holds for all."""

from __future__ import annotations

from collections.abc import Callable, Hashable, Iterable
from dataclasses import dataclass, replace
from typing import Any, Generic, TypeVar

import numpy as np
import numpy.typing as npt

__all__ = ["EqualLayers", "unnamed"]

T = TypeVar("T")


def unnamed(layer: Any) -> Any:
    """Returns a layer or loop nest (a frozen dataclass with a ``name``) without its name: equal for equal shapes."""
    return replace(layer, name="")


@dataclass(frozen=True)
class EqualLayers(Generic[T]):
    """Layers grouped by shape, groups in the order in which the network first has them."""

    first: tuple[T, ...]
    """The first layer of every group, with its name."""
    group: npt.NDArray[np.int64]
    """Group of every layer, shape ``(layers,)``."""

    @classmethod
    def of(cls, layers: Iterable[T], shape: Callable[[T], Hashable] = unnamed) -> EqualLayers[T]:
        """Groups layers.

        Args:
            layers: In the order of the network.
            shape: Key of a layer; layers with equal keys share a group.
        """
        number: dict[Hashable, int] = {}
        first: list[T] = []
        group: list[int] = []
        for layer in layers:
            group.append(number.setdefault(shape(layer), len(number)))
            if len(number) > len(first):
                first.append(layer)
        return cls(tuple(first), np.array(group, dtype=np.int64))

    @property
    def counts(self) -> npt.NDArray[np.int64]:
        """How often each shape occurs, shape ``(groups,)``."""
        return np.bincount(self.group, minlength=len(self.first)).astype(np.int64)
