"""MobileBERT: an encoder whose blocks work inside a narrow bottleneck."""

from __future__ import annotations

from collections.abc import Mapping

from accelgym.costmodels.errors import InputError
from accelgym.costmodels.files.strict_model import Count
from accelgym.costmodels.workloads.graph import TokenGraph, Tokens
from accelgym.costmodels.workloads.layer import LayerKind
from accelgym.costmodels.workloads.spec import NetworkSpec
from accelgym.costmodels.workloads.workload import Workload

__all__ = ["BottleneckEncoderSpec"]


class BottleneckEncoderSpec(NetworkSpec):
    """MobileBERT (Sun et al., ACL 2020, section 3 and table 1) with its ``NoNorm`` scale-and-shift norms.

    The released models have no pooler, so the network ends with the last block.
    """

    hidden: Count
    """Width between blocks."""
    bottleneck: Count
    """Width inside a block."""
    embedding: Count
    layers: Count
    heads: Count
    ffn: Count
    """Width of each feed-forward network."""
    ffn_count: Count
    """Stacked feed-forward networks per block."""
    bottleneck_attention: bool
    """Query, key and value all come from the bottleneck of the layer input; otherwise query and key come from
    a bottleneck of their own and the value from the full width."""
    vocabulary: Count
    max_sequence: Count = 512

    def parameters(self, variant: str) -> dict[str, int]:
        """``batch``, ``sequence`` and ``layers``."""
        return {"batch": 1, "sequence": 128, "layers": self.layers}

    def build(self, name: str, variant: str, values: Mapping[str, int]) -> Workload:
        """Expands the network."""
        batch, sequence = values["batch"], values["sequence"]
        if sequence > self.max_sequence:
            raise InputError(f"workload {name!r}: sequence is {sequence}, allowed 1..{self.max_sequence}")
        graph = TokenGraph(name, self.source)
        word = graph.embedding("word_embedding", batch * sequence, self.embedding)
        # Each token sees its neighbours: three embeddings side by side, projected to the hidden width.
        word = graph.vector("trigram", LayerKind.PERMUTE, "concat", word, width=3 * self.embedding)
        x = graph.linear("embedding_transform", word, self.hidden)
        position = graph.embedding("position_embedding", sequence, self.hidden)
        segment = graph.embedding("segment_embedding", batch * sequence, self.hidden)
        x = graph.elementwise("embedding_add", "add", x, position, segment)
        x = graph.norm("embedding_norm", "scale_shift", x)
        for i in range(values["layers"]):
            x = self._block(graph, f"layer{i}.", x, batch)
        return graph.build()

    def _dense(self, graph: TokenGraph, name: str, x: Tokens, width: int) -> Tokens:
        return graph.norm(f"{name}_norm", "scale_shift", graph.linear(name, x, width))

    def _residual(self, graph: TokenGraph, name: str, y: Tokens, x: Tokens) -> Tokens:
        return graph.norm(f"{name}_norm", "scale_shift", graph.elementwise(f"{name}_add", "add", y, x))

    def _block(self, graph: TokenGraph, prefix: str, x: Tokens, batch: int) -> Tokens:
        inner = self._dense(graph, f"{prefix}bottleneck_input", x, self.bottleneck)
        if self.bottleneck_attention:
            shared, full = inner, inner
        else:
            shared, full = self._dense(graph, f"{prefix}bottleneck_attention", x, self.bottleneck), x
        query = graph.linear(f"{prefix}q", shared, self.bottleneck)
        key = graph.linear(f"{prefix}k", shared, self.bottleneck)
        value = graph.linear(f"{prefix}v", full, self.bottleneck)
        y = graph.attention(f"{prefix}attention", query, key, value, batch=batch, heads=self.heads)
        y = self._residual(graph, f"{prefix}o", graph.linear(f"{prefix}o", y, self.bottleneck), inner)
        for i in range(self.ffn_count):
            z = graph.activation(f"{prefix}ffn{i}.act", "relu", graph.linear(f"{prefix}ffn{i}.up", y, self.ffn))
            z = graph.linear(f"{prefix}ffn{i}.down", z, self.bottleneck)
            y = self._residual(graph, f"{prefix}ffn{i}", z, y)
        y = graph.linear(f"{prefix}bottleneck_output", y, self.hidden)
        return self._residual(graph, f"{prefix}output", y, x)
