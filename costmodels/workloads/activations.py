"""Activations between the layers of an array: who writes them, who reads them, and how large they are.

Vector operations run where the results of the array leave it, so each belongs to the last of the compute layers it
depends on: what that layer writes is the value behind them. An activation is the output of a compute layer with its
vector operations; an edge is one reading of it by a later compute layer, as the operand that streams through the array
or as another operand of that layer's vector operations (the other side of a residual addition).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from accelgym.costmodels.errors import InputError
from accelgym.costmodels.workloads.workload import Workload

__all__ = ["Activations", "Edge", "activations_of"]


@dataclass(frozen=True)
class Edge:
    """One reading of an activation."""

    producer: int
    """Position among the compute layers."""
    consumer: int
    operand: bool
    """Whether the consumer streams it through the array."""
    side_words: int
    """Elements that vector operations of the consumer read; 0 where none does."""


@dataclass(frozen=True)
class Activations:
    """Activations of a network whose compute layers run one after the other."""

    layers: tuple[str, ...]
    """Names of the compute layers in the order in which they run."""
    words: tuple[int, ...]
    """Elements of each layer's activation; 0 where no edge leaves it."""
    edges: tuple[Edge, ...]
    """By producer, then by consumer."""
    leaves: tuple[bool, ...]
    """Whether a layer's output is needed in memory whatever stays on chip: it is a result of the network, or keys or
    values, which are cached there."""

    def __post_init__(self) -> None:
        count = len(self.layers)
        for edge in self.edges:
            if not 0 <= edge.producer < edge.consumer < count:
                raise InputError(
                    f"activation from layer {edge.producer} to layer {edge.consumer}: consumers run after producers, "
                    f"positions 0..{count - 1}"
                )
        pairs = [(edge.producer, edge.consumer) for edge in self.edges]
        if pairs != sorted(set(pairs)):
            raise InputError("activations: edges stand once each, by producer and then by consumer")

    def open_at(self, layer: int) -> list[int]:
        """Returns the edges that pass or leave a layer when it has run: produced by then, and read later."""
        return [i for i, edge in enumerate(self.edges) if edge.producer <= layer < edge.consumer]

    def refuse_wider_than(self, most: int, what: str) -> None:
        """Checks how many edges are open at once.

        Args:
            most: How many may be.
            what: Whose activations they are, for the message.

        Raises:
            InputError: More are; the message names the layer and the activations.
        """
        for layer, name in enumerate(self.layers):
            found = self.open_at(layer)
            if len(found) > most:
                sources = ", ".join(dict.fromkeys(self.layers[self.edges[i].producer] for i in found))
                raise InputError(
                    f"{what}: behind layer {name!r} {len(found)} readings of activations are still to come (of "
                    f"{sources}), allowed up to {most}: the residency program cannot order more"
                )


def activations_of(workload: Workload) -> Activations:
    """Returns the activations between the compute layers of a workload, which run in its order.

    The second operand of a product of activations (keys, values) is cached in memory and has no edge. Inputs of the
    network, and what vector operations make of them alone, have none either.
    """
    owner = _owners(workload)
    numbered = [i for i, layer in enumerate(workload.layers) if layer.is_compute]
    words = [0] * len(numbered)
    found: dict[tuple[int, int], Edge] = {}
    producers: list[list[int]] = [[] for _ in workload.layers]
    for producer, consumer in workload.edges:
        producers[consumer].append(producer)
    leaves = [False] * len(numbered)
    used = {producer for producer, _ in workload.edges}
    for position, layer in enumerate(workload.layers):
        mine = owner[position]
        if mine is None:
            continue
        if position not in used:
            leaves[mine] = True
        streams = layer.is_compute
        outside = streams and any(owner[p] is None for p in producers[position])
        for number, producer in enumerate(producers[position]):
            source = owner[producer]
            if source is None or source == mine:
                continue
            if streams and number and not layer.weights_are_parameters:
                leaves[source] = True
                continue
            size = workload.layers[producer].output_words
            words[source] = max(words[source], size)
            before = found.get((source, mine), Edge(source, mine, False, 0))
            operand = streams and not outside
            side = before.side_words if operand else max(before.side_words, size)
            found[source, mine] = Edge(source, mine, before.operand or operand, side)
    names = tuple(workload.layers[i].name for i in numbered)
    return Activations(names, tuple(words), tuple(found[key] for key in sorted(found)), tuple(leaves))


def _owners(workload: Workload) -> Sequence[int | None]:
    """Position among the compute layers of the one that each layer belongs to, None without one."""
    producers: list[list[int]] = [[] for _ in workload.layers]
    for producer, consumer in workload.edges:
        producers[consumer].append(producer)
    owner: list[int | None] = []
    count = 0
    for position, layer in enumerate(workload.layers):
        if layer.is_compute:
            owner.append(count)
            count += 1
        else:
            known = [found for p in producers[position] if (found := owner[p]) is not None]
            owner.append(max(known, default=None))
    return owner
