"""Transformers from their hyperparameters: decoders (dense or mixture of experts) and encoders."""

from __future__ import annotations

from collections.abc import Mapping
from typing import ClassVar, Literal

from pydantic import model_validator

from accelgym.costmodels.errors import InputError
from accelgym.costmodels.files.strict_model import Count, StrictModel
from accelgym.costmodels.workloads.graph import TokenGraph, Tokens
from accelgym.costmodels.workloads.layer import Layer, LayerKind
from accelgym.costmodels.workloads.spec import NetworkSpec
from accelgym.costmodels.workloads.workload import Workload

__all__ = ["DecoderSpec", "EncoderSpec", "Patches", "embed_patches"]


class FeedForward(StrictModel):
    """The feed-forward network of a block."""

    width: Count
    activation: str
    gated: bool = False
    """``down(act(gate(x)) * up(x))`` as in SwiGLU, instead of ``down(act(up(x)))``."""


class Experts(StrictModel):
    """A mixture of experts in place of the feed-forward network."""

    count: Count
    per_token: Count


class DecoderSpec(NetworkSpec):
    """A decoder-only language model.

    ``prefill`` processes ``sequence`` new positions per sequence and computes the logits of the last
    ``logits`` of them (serving engines need one). ``decode`` processes one new position per sequence against
    a cache of ``context`` positions, the new one included. ``*_block`` is one block without embedding, final
    norm and head. All positions count as attended: a causal mask saves no multiplications.
    """

    hidden: Count
    layers: Count
    heads: Count
    kv_heads: Count
    head_dim: Count
    feed_forward: FeedForward
    experts: Experts | None = None
    vocabulary: Count
    norm: Literal["layer_norm", "rms_norm"]
    positions: Literal["rotary", "learned"]
    max_context: Count

    variants: ClassVar[tuple[str, ...]] = ("prefill", "decode", "prefill_block", "decode_block")

    @model_validator(mode="after")
    def _heads_divide(self) -> DecoderSpec:
        if self.heads % self.kv_heads:
            raise InputError(f"kv_heads is {self.kv_heads}, allowed: divisors of heads={self.heads}")
        if self.experts is not None and self.experts.per_token > self.experts.count:
            raise InputError(f"experts.per_token is {self.experts.per_token}, allowed 1..{self.experts.count}")
        return self

    def parameters(self, variant: str) -> dict[str, int]:
        """``batch``, ``sequence`` (prefill) or ``context`` (decode), ``layers`` and ``logits``."""
        allowed = {"batch": 1, **({"sequence": 512} if "prefill" in variant else {"context": 1024})}
        if variant.endswith("block"):
            return allowed
        return {**allowed, "layers": self.layers, **({"logits": 1} if variant == "prefill" else {})}

    def build(self, name: str, variant: str, values: Mapping[str, int]) -> Workload:
        """Expands the network."""
        batch = values["batch"]
        fresh = values.get("sequence", 1)
        context = values.get("context", fresh)
        logits = values.get("logits", 1)
        if context > self.max_context:
            key = "context" if "context" in values else "sequence"
            raise InputError(f"workload {name!r}: {key} is {context}, allowed 1..{self.max_context}")
        if logits > fresh:
            raise InputError(f"workload {name!r}: logits is {logits}, allowed 1..sequence={fresh}")
        graph = TokenGraph(name, self.source)
        if variant.endswith("block"):
            self._block(graph, "", Tokens(batch * fresh, self.hidden), batch, context)
            return graph.build()
        x = graph.embedding("embedding", batch * fresh, self.hidden)
        if self.positions == "learned":
            position = graph.embedding("position_embedding", fresh, self.hidden)
            x = graph.elementwise("add_position", "add", x, position)
        for i in range(values["layers"]):
            x = self._block(graph, f"layer{i}.", x, batch, context)
        x = graph.norm("norm", self.norm, Tokens(batch * logits, self.hidden, x.producers))
        graph.linear("head", x, self.vocabulary)
        return graph.build()

    def _block(self, graph: TokenGraph, prefix: str, x: Tokens, batch: int, context: int) -> Tokens:
        y = graph.norm(f"{prefix}norm1", self.norm, x)
        query = graph.linear(f"{prefix}q", y, self.heads * self.head_dim)
        key = graph.linear(f"{prefix}k", y, self.kv_heads * self.head_dim)
        value = graph.linear(f"{prefix}v", y, self.kv_heads * self.head_dim)
        if self.positions == "rotary":
            query = graph.elementwise(f"{prefix}q_rotary", "rotary", query)
            key = graph.elementwise(f"{prefix}k_rotary", "rotary", key)
        y = graph.attention(
            f"{prefix}attention",
            query,
            key,
            value,
            batch=batch,
            heads=self.heads,
            kv_heads=self.kv_heads,
            context=context,
        )
        x = graph.elementwise(f"{prefix}add1", "add", graph.linear(f"{prefix}o", y, self.hidden), x)
        y = graph.norm(f"{prefix}norm2", self.norm, x)
        if self.experts is None:
            y = add_feed_forward(graph, prefix, y, self.feed_forward)
        else:
            y = add_experts(graph, prefix, y, self.feed_forward, self.experts)
        return graph.elementwise(f"{prefix}add2", "add", y, x)


def add_feed_forward(graph: TokenGraph, prefix: str, x: Tokens, spec: FeedForward) -> Tokens:
    """Adds a feed-forward network that returns to the width of its input."""
    if spec.gated:
        gate = graph.activation(f"{prefix}act", spec.activation, graph.linear(f"{prefix}gate", x, spec.width))
        y = graph.elementwise(f"{prefix}gating", "mul", gate, graph.linear(f"{prefix}up", x, spec.width))
    else:
        y = graph.activation(f"{prefix}act", spec.activation, graph.linear(f"{prefix}up", x, spec.width))
    return graph.linear(f"{prefix}down", y, x.width)


def add_experts(graph: TokenGraph, prefix: str, x: Tokens, spec: FeedForward, experts: Experts) -> Tokens:
    """Adds a router and the experts it uses.

    Which experts a token takes depends on the data; here the load is spread evenly, the first experts taking
    the remainder. Experts without a token do no work and have no layers, so the weights counted are those
    that are read: with one token, ``per_token`` experts.
    """
    scores = graph.linear(f"{prefix}router", x, experts.count)
    scores = graph.vector(f"{prefix}router_softmax", LayerKind.SOFTMAX, "softmax", scores)
    share, rest = divmod(x.rows * experts.per_token, experts.count)
    grouped = Tokens(x.rows * experts.per_token, x.width, (*x.producers, *scores.producers))
    grouped = graph.vector(f"{prefix}dispatch", LayerKind.PERMUTE, "dispatch", grouped)
    outputs = []
    for i in range(experts.count):
        rows = share + (i < rest)
        if rows:
            part = Tokens(rows, x.width, grouped.producers)
            outputs.append(add_feed_forward(graph, f"{prefix}expert{i}.", part, spec))
    producers = tuple(position for y in outputs for position in y.producers)
    combined = Tokens(x.rows, x.width, (*producers, *scores.producers))
    return graph.elementwise(f"{prefix}combine", "weighted_sum", combined)


class Patches(StrictModel):
    """Cutting an image into patches, as vision transformers do."""

    image: Count
    patch: Count
    channels: Count = 3
    class_token: bool = True


class EncoderSpec(NetworkSpec):
    """A transformer encoder over text (BERT) or image patches (ViT) with a classifier on the first token."""

    hidden: Count
    layers: Count
    heads: Count
    feed_forward: FeedForward
    vocabulary: Count | None = None
    """None for images."""
    patches: Patches | None = None
    norm_first: bool
    """Norms before attention and feed-forward (ViT) instead of behind their residual additions (BERT)."""
    pooler: bool
    """A projection with tanh of the first token (BERT)."""
    classes: Count | None = None
    """Outputs of the classifier; None for none."""
    max_sequence: Count = 512

    @model_validator(mode="after")
    def _one_input(self) -> EncoderSpec:
        if (self.vocabulary is None) == (self.patches is None):
            raise InputError("exactly one of vocabulary and patches must be given")
        if self.hidden % self.heads:
            raise InputError(f"heads is {self.heads}, allowed: divisors of hidden={self.hidden}")
        return self

    def parameters(self, variant: str) -> dict[str, int]:
        """``batch``, ``layers`` and, for text, ``sequence``; for images, ``image``."""
        size = {"sequence": 128} if self.patches is None else {"image": self.patches.image}
        return {"batch": 1, **size, "layers": self.layers}

    def build(self, name: str, variant: str, values: Mapping[str, int]) -> Workload:
        """Expands the network."""
        batch = values["batch"]
        graph = TokenGraph(name, self.source)
        if self.patches is None:
            sequence = values["sequence"]
            if sequence > self.max_sequence:
                raise InputError(f"workload {name!r}: sequence is {sequence}, allowed 1..{self.max_sequence}")
            x = self._embed_text(graph, batch, sequence)
        else:
            x = embed_patches(graph, self.patches, self.hidden, batch, values["image"])
        for i in range(values["layers"]):
            x = self._block(graph, f"layer{i}.", x, batch)
        if self.norm_first:
            x = graph.norm("norm", "layer_norm", x)
        first = Tokens(batch, self.hidden, x.producers)
        if self.pooler:
            first = graph.activation("pooler_tanh", "tanh", graph.linear("pooler", first, self.hidden))
        if self.classes is not None:
            graph.linear("head", first, self.classes)
        return graph.build()

    def _embed_text(self, graph: TokenGraph, batch: int, sequence: int) -> Tokens:
        tables = [
            graph.embedding(f"{kind}_embedding", rows, self.hidden)
            for kind, rows in (("word", batch * sequence), ("position", sequence), ("segment", batch * sequence))
        ]
        return graph.norm("embedding_norm", "layer_norm", graph.elementwise("embedding_add", "add", *tables))

    def _block(self, graph: TokenGraph, prefix: str, x: Tokens, batch: int) -> Tokens:
        y = graph.norm(f"{prefix}norm1", "layer_norm", x) if self.norm_first else x
        query, key, value = (graph.linear(f"{prefix}{role}", y, self.hidden) for role in "qkv")
        y = graph.attention(f"{prefix}attention", query, key, value, batch=batch, heads=self.heads)
        x = graph.elementwise(f"{prefix}add1", "add", graph.linear(f"{prefix}o", y, self.hidden), x)
        if self.norm_first:
            y = add_feed_forward(graph, prefix, graph.norm(f"{prefix}norm2", "layer_norm", x), self.feed_forward)
            return graph.elementwise(f"{prefix}add2", "add", y, x)
        x = graph.norm(f"{prefix}norm1", "layer_norm", x)
        x = graph.elementwise(f"{prefix}add2", "add", add_feed_forward(graph, prefix, x, self.feed_forward), x)
        return graph.norm(f"{prefix}norm2", "layer_norm", x)


def embed_patches(graph: TokenGraph, patches: Patches, hidden: int, batch: int, image: int) -> Tokens:
    """Adds the patch convolution, the class token and the position embedding."""
    if image % patches.patch:
        raise InputError(f"workload {graph.name!r}: image is {image}, allowed: multiples of {patches.patch}")
    conv = Layer.conv(
        "patch_embedding",
        N=batch,
        K=hidden,
        C=patches.channels,
        H=image,
        R=patches.patch,
        stride=patches.patch,
    )
    count = (image // patches.patch) ** 2
    x = Tokens(batch * count, hidden, (graph.add(conv),))
    if patches.class_token:
        x = Tokens(batch * (count + 1), hidden, x.producers)
        x = graph.vector("prepend_class_token", LayerKind.PERMUTE, "concat", x)
    return graph.elementwise("add_position", "add", x)
