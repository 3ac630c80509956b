"""A workload: layers in execution order and the producer-consumer edges between them."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from accelgym.costmodels.errors import InputError
from accelgym.costmodels.workloads.layer import Layer

__all__ = ["Workload"]


@dataclass(frozen=True)
class Workload:
    """A network as a directed acyclic graph of layers.

    Layers stand in execution order: every edge leads from an earlier to a later layer.
    """

    name: str
    layers: tuple[Layer, ...]
    edges: tuple[tuple[int, int], ...] = ()
    """(producer, consumer) positions in ``layers``; inputs of the network have no producer."""
    source: str = ""
    """Where the shapes come from."""
    notes: tuple[str, ...] = ()
    """Beside the layers: operators counted as vector work, waits between the steps of a recurrence."""

    def __post_init__(self) -> None:
        if not self.layers:
            raise InputError(f"workload {self.name!r} has no layers")
        seen: dict[str, int] = {}
        for i, layer in enumerate(self.layers):
            if layer.name in seen:
                raise InputError(
                    f"workload {self.name!r}: layers {seen[layer.name]} and {i} are both named {layer.name!r}"
                )
            seen[layer.name] = i
        count = len(self.layers)
        for producer, consumer in self.edges:
            if not 0 <= producer < consumer < count:
                raise InputError(
                    f"workload {self.name!r}: edge ({producer}, {consumer}) must lead from an earlier to a later "
                    f"layer, positions 0..{count - 1}"
                )

    @classmethod
    def chain(cls, name: str, layers: Sequence[Layer], *, source: str = "") -> Workload:
        """Builds a workload whose every layer feeds the next."""
        edges = tuple((i, i + 1) for i in range(len(layers) - 1))
        return cls(name, tuple(layers), edges, source)

    @property
    def compute_layers(self) -> tuple[Layer, ...]:
        """The multiply-accumulate layers (convolutions and GEMMs), in order."""
        return tuple(layer for layer in self.layers if layer.is_compute)

    @property
    def macs(self) -> int:
        """Multiply-accumulates of the whole network."""
        return sum(layer.macs for layer in self.layers)

    @property
    def parameters(self) -> int:
        """Elements of all filters and weight matrices (without biases, norms, and tables that are only looked up)."""
        return sum(layer.weight_words for layer in self.layers if layer.weights_are_parameters)

    def select(self, names: Iterable[str], *, name: str | None = None) -> Workload:
        """Returns the sub-workload of the named layers, with the edges among them."""
        wanted = set(names)
        missing = wanted - {layer.name for layer in self.layers}
        if missing:
            raise InputError(f"workload {self.name!r} has no layer {sorted(missing)[0]!r}")
        keep = [i for i, layer in enumerate(self.layers) if layer.name in wanted]
        position = {old: new for new, old in enumerate(keep)}
        edges = tuple((position[a], position[b]) for a, b in self.edges if a in position and b in position)
        return Workload(name or self.name, tuple(self.layers[i] for i in keep), edges, self.source, self.notes)
