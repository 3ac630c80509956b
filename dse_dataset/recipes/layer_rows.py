"""Recipes whose rows are single layers that take a second or more each."""

from __future__ import annotations

from abc import abstractmethod
from functools import cached_property
from typing import Any, ClassVar

import numpy as np
import numpy.typing as npt
from pydantic import Field

from accelgym.costmodels.errors import InputError
from accelgym.costmodels.workloads import Layer
from accelgym.dse_dataset.layers import LayerTable, draw_log_uniform, network_layers, twin_key
from accelgym.dse_dataset.recipes.base import HELD_OUT, Recipe, RecipeSpec, draw_apart
from accelgym.dse_dataset.streams import RowStreams

__all__ = ["CHOICE", "LayerRecipe", "LayerSpec", "as_layer"]

_SOURCE_DRAW, _PLACE_DRAW = 30, 31
_REFUSALS = 200
CHOICE = 40
"""First draw that a recipe uses for what is not the layer."""


class LayerSpec(RecipeSpec):
    """Layers of networks and random ones."""

    shard_rows: int = Field(default=256, ge=1)
    networks: tuple[str, ...] = Field(default=(), strict=False)
    """Whose layers are drawn beside random ones."""
    network_share: float = Field(default=0.5, ge=0.0, le=1.0)
    """Share of the rows that draw from ``networks``, if there are any."""
    held_out: tuple[str, ...] = Field(default=(), strict=False)
    """Networks each of whose layers, and no twin of it elsewhere, makes a row of a split of their own."""


def as_layer(layers: LayerTable, place: int = 0) -> Layer:
    """Returns a layer of a table as the workloads have it."""
    row = {name: int(column[place]) for name, column in layers.columns().items()}
    groups = row["C"] if row["depthwise"] else 1
    name = "x".join(str(row[n]) for n in "KCYXRS")
    if row["X"] == row["R"] == row["S"] == 1 and groups == 1:
        return Layer.gemm(name, M=row["Y"], K=row["K"], C=row["C"])
    K = row["C"] if row["depthwise"] else row["K"]
    return Layer.conv(name, K=K, C=row["C"], H=row["Y"], W=row["X"], R=row["R"], S=row["S"], groups=groups)


class LayerRecipe(Recipe):
    """Draws a layer for every row, and draws again where its task cannot be built."""

    by_row: ClassVar[bool] = True
    depthwise: ClassVar[bool] = True
    """Whether depthwise layers are drawn."""

    def __init__(self, spec: LayerSpec) -> None:
        self._spec = spec

    @property
    def spec(self) -> LayerSpec:
        return self._spec

    @cached_property
    def _held_out(self) -> tuple[LayerTable, list[str]]:
        return self._distinct(self.spec.held_out)

    @cached_property
    def _drawn_from(self) -> tuple[LayerTable, list[str]]:
        return self._distinct(self.spec.networks)

    def check(self) -> None:
        _ = self._drawn_from, self._held_out  # Networks that there are.

    def _distinct(self, networks: tuple[str, ...]) -> tuple[LayerTable, list[str]]:
        layers, names = network_layers(networks)
        kept = np.flatnonzero(~layers.depthwise | self.depthwise)
        return layers.take(kept), [names[i] for i in kept]

    @property
    def splits(self) -> dict[str, int]:
        return super().splits | ({HELD_OUT: len(self._held_out[1])} if self.spec.held_out else {})

    def _sample(self, streams: RowStreams) -> LayerTable:
        drawn = draw_log_uniform(streams)
        known, _ = self._drawn_from
        if len(known):
            shares = (self.spec.network_share, 1.0 - self.spec.network_share)
            from_network = streams.choice(_SOURCE_DRAW, shares) == 0
            place = streams.integers(_PLACE_DRAW, 0, len(known) - 1)
            both = LayerTable.joined([drawn, known.take(place)])
            drawn = both.take(np.arange(len(drawn)) + np.where(from_network, len(drawn), 0))
        return drawn

    @abstractmethod
    def build(self, layer: Layer, streams: RowStreams) -> Any:
        """Returns the task of a row.

        Raises:
            InputError: There is none for the layer.
        """
        ...

    @abstractmethod
    def answer(self, task: Any, streams: RowStreams) -> dict[str, Any]:
        """Returns the columns behind those of the layer, as plain data."""
        ...

    def label_row(self, split: str, row: int) -> dict[str, Any]:
        streams = RowStreams.of(self.spec.seed, np.array([row]))
        tasks: list[Any] = []
        refusals: list[InputError] = []

        def buildable(layers: LayerTable, places: npt.NDArray[np.int64]) -> npt.NDArray[np.bool_]:
            if len(layers) == 0 or (layers.depthwise[0] and not self.depthwise):
                return np.zeros(len(layers), dtype=bool)
            try:
                tasks.append(self.build(as_layer(layers), streams))
            except InputError as error:
                refusals.append(error)
                if len(refusals) == _REFUSALS:
                    raise InputError(f"row {row}: none of {_REFUSALS} layers has a task; the last: {error}") from error
                return np.array([False])
            return np.array([True])

        if split == HELD_OUT:
            known, names = self._held_out
            place = row - self.spec.rows
            layers, source = known.take([place]), names[place]
            tasks.append(self.build(as_layer(layers), streams))
        else:
            bounds = self.spec.shares.bounds(split)
            refused = twin_key(self._held_out[0])
            layers = draw_apart(self._sample, self.spec.seed, np.array([row]), bounds, refused, buildable)
            source = self._source_of(layers)
        shape = {name: column[0].item() for name, column in layers.columns().items()}
        return {"row": row, "source": source, **shape, **self.answer(tasks[-1], streams)}

    def _source_of(self, layers: LayerTable) -> str:
        known, names = self._drawn_from
        equal = np.ones(len(known), dtype=bool)
        for name, column in layers.columns().items():
            equal &= known.columns()[name] == column[0]
        return names[int(equal.argmax())] if equal.any() else ""
