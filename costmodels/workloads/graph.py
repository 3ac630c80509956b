"""Building a workload layer by layer, keeping track of who produces what."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, replace

from accelgym.costmodels.workloads.layer import Layer, LayerKind
from accelgym.costmodels.workloads.workload import Workload

__all__ = ["GraphBuilder", "TokenGraph", "Tokens"]


class GraphBuilder:
    """Collects layers in execution order and the edges between them.

    Args:
        name: Name of the workload.
        source: Where the shapes come from.
    """

    def __init__(self, name: str, source: str = "") -> None:
        self.name = name
        self.source = source
        self._layers: list[Layer] = []
        self._edges: dict[tuple[int, int], None] = {}
        self._names: set[str] = set()
        self._notes: dict[str, None] = {}

    def add(self, layer: Layer, producers: Iterable[int] = ()) -> int:
        """Appends a layer and the edges from its producers; returns its position.

        A name that is taken already gets a numeric suffix, as traced graphs repeat names.
        """
        name, repeats = layer.name, 0
        while name in self._names:
            repeats += 1
            name = f"{layer.name}_{repeats}"
        self._names.add(name)
        if repeats:
            layer = replace(layer, name=name)
        position = len(self._layers)
        self._layers.append(layer)
        for producer in producers:
            self._edges[producer, position] = None
        return position

    def note(self, text: str) -> None:
        """States once what the layers do not say."""
        self._notes[text] = None

    def layer(self, position: int) -> Layer:
        """Returns a layer added before."""
        return self._layers[position]

    def build(self) -> Workload:
        """Returns the finished workload.

        Raises:
            InputError: No layer was added.
        """
        return Workload(self.name, tuple(self._layers), tuple(self._edges), self.source, tuple(self._notes))


@dataclass(frozen=True)
class Tokens:
    """A matrix of activations, ``rows x width``, and the layers that produce it."""

    rows: int
    width: int
    producers: tuple[int, ...] = ()

    def part(self, width: int) -> Tokens:
        """Returns a view of ``width`` columns; a view moves no data and adds no layer."""
        return replace(self, width=width)


class TokenGraph(GraphBuilder):
    """Builder for networks over token matrices: transformers and state-space models.

    Rows of all sequences of a batch are stacked. Splitting into heads and transposing operands is a matter of
    address generation and adds no layer.
    """

    def linear(self, name: str, x: Tokens, width: int) -> Tokens:
        """Adds a projection ``(rows x x.width) @ (x.width x width)``."""
        layer = Layer.gemm(name, M=x.rows, K=width, C=x.width)
        return Tokens(x.rows, width, (self.add(layer, x.producers),))

    def vector(self, name: str, kind: LayerKind, op: str, *inputs: Tokens, width: int | None = None) -> Tokens:
        """Adds a vector operation over matrices of equal row count; the first input gives the shape."""
        width = inputs[0].width if width is None else width
        layer = Layer(name, kind, K=width, C=width, P=inputs[0].rows, op=op)
        producers = [position for x in inputs for position in x.producers]
        return Tokens(inputs[0].rows, width, (self.add(layer, producers),))

    def norm(self, name: str, op: str, x: Tokens) -> Tokens:
        """Adds a normalisation over the columns."""
        return self.vector(name, LayerKind.NORM, op, x)

    def activation(self, name: str, op: str, x: Tokens) -> Tokens:
        """Adds an activation function."""
        return self.vector(name, LayerKind.ACTIVATION, op, x)

    def elementwise(self, name: str, op: str, *inputs: Tokens) -> Tokens:
        """Adds an element-by-element operation on equally shaped matrices."""
        return self.vector(name, LayerKind.ELEMENTWISE, op, *inputs)

    def embedding(self, name: str, rows: int, width: int) -> Tokens:
        """Adds a table look-up."""
        layer = Layer(name, LayerKind.EMBEDDING, K=width, C=width, P=rows, op="lookup")
        return Tokens(rows, width, (self.add(layer),))

    def attention(
        self,
        name: str,
        query: Tokens,
        key: Tokens,
        value: Tokens,
        *,
        batch: int,
        heads: int,
        kv_heads: int | None = None,
        context: int | None = None,
    ) -> Tokens:
        """Adds scaled dot-product attention: two batched products and a softmax.

        Heads that share keys and values (grouped-query attention) are stacked as rows of one product, so the
        weight words of the two products are the words of the key and value caches. A causal mask saves no
        multiplications here.

        Args:
            name: Prefix of the layer names.
            query: ``batch * new positions`` rows.
            key: New keys; with a cache, ``context`` exceeds the rows given.
            value: New values.
            batch: Sequences.
            heads: Query heads.
            kv_heads: Key and value heads; ``heads`` when omitted.
            context: Positions attended to per sequence; those of ``key`` when omitted.
        """
        kv_heads = heads if kv_heads is None else kv_heads
        context = key.rows // batch if context is None else context
        rows = query.rows // batch * (heads // kv_heads)
        groups = batch * kv_heads
        head_dim, value_dim = query.width // heads, value.width // kv_heads
        scores = Layer.gemm(f"{name}.scores", M=rows, K=context, C=head_dim, batch=groups, weights_are_parameters=False)
        softmax = Layer(f"{name}.softmax", LayerKind.SOFTMAX, K=context, C=context, P=query.rows * heads, op="softmax")
        weighted = Layer.gemm(
            f"{name}.context", M=rows, K=value_dim, C=context, batch=groups, weights_are_parameters=False
        )
        score_position = self.add(scores, (*query.producers, *key.producers))
        softmax_position = self.add(softmax, (score_position,))
        position = self.add(weighted, (softmax_position, *value.producers))
        return Tokens(query.rows, heads * value_dim, (position,))
