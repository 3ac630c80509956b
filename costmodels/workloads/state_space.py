"""State-space models: Mamba and Vision Mamba, with the selective scan as a layer of its own kind."""

from __future__ import annotations

from collections.abc import Mapping
from typing import ClassVar

from accelgym.costmodels.errors import InputError
from accelgym.costmodels.files.strict_model import Count, StrictModel
from accelgym.costmodels.workloads.graph import TokenGraph, Tokens
from accelgym.costmodels.workloads.layer import Layer, LayerKind
from accelgym.costmodels.workloads.spec import NetworkSpec
from accelgym.costmodels.workloads.transformer import Patches, embed_patches
from accelgym.costmodels.workloads.workload import Workload

__all__ = ["MambaSpec", "Mixer", "VisionMambaSpec"]


class Mixer(StrictModel):
    """The Mamba mixer (Gu and Dao, arXiv:2312.00752, figure 3 and algorithm 2)."""

    inner: Count
    """Channels inside the mixer."""
    state: Count
    """States per channel."""
    conv: Count
    """Taps of the causal depthwise convolution."""
    dt_rank: Count
    """Rank of the step-size projection."""

    def add(self, graph: TokenGraph, prefix: str, x: Tokens, batch: int, directions: tuple[str, ...] = ("",)) -> Tokens:
        """Adds the mixer; every direction has its own convolution, projections and scan.

        The projections in front of the scan are fused as in the published code; their parts are views.
        """
        mixed = graph.linear(f"{prefix}in_proj", x, 2 * self.inner)
        u, z = mixed.part(self.inner), mixed.part(self.inner)
        outputs = [self._scan(graph, f"{prefix}{direction}", u, batch) for direction in directions]
        gate = graph.activation(f"{prefix}gate", "silu", z)
        gated = [
            graph.elementwise(f"{prefix}{direction}gating", "mul", y, gate)
            for direction, y in zip(directions, outputs, strict=True)
        ]
        y = gated[0] if len(gated) == 1 else graph.elementwise(f"{prefix}add_directions", "add", *gated)
        return graph.linear(f"{prefix}out_proj", y, x.width)

    def _scan(self, graph: TokenGraph, prefix: str, u: Tokens, batch: int) -> Tokens:
        rows = u.rows // batch
        # Causal: conv - 1 zeros in front only. The layer says it with the input it reads and no padding.
        conv = Layer(
            f"{prefix}conv1d",
            LayerKind.CONV,
            N=batch,
            K=self.inner,
            C=self.inner,
            P=rows,
            R=self.conv,
            groups=self.inner,
        )
        u = Tokens(u.rows, self.inner, (graph.add(conv, u.producers),))
        u = graph.activation(f"{prefix}conv_act", "silu", u)
        selected = graph.linear(f"{prefix}x_proj", u, self.dt_rank + 2 * self.state)
        step = graph.linear(f"{prefix}dt_proj", selected.part(self.dt_rank), self.inner)
        step = graph.activation(f"{prefix}dt_act", "softplus", step)
        scan = Layer(
            f"{prefix}scan",
            LayerKind.SCAN,
            N=batch,
            K=self.inner,
            C=self.state,
            P=rows,
            op="selective_scan",
        )
        return Tokens(u.rows, self.inner, (graph.add(scan, (*u.producers, *step.producers, *selected.producers)),))


class MambaSpec(NetworkSpec):
    """A Mamba language model; ``block`` is one norm, mixer and residual addition."""

    hidden: Count
    layers: Count
    mixer: Mixer
    vocabulary: Count

    variants: ClassVar[tuple[str, ...]] = ("", "block")

    def parameters(self, variant: str) -> dict[str, int]:
        """``batch``, ``sequence`` and, for the network, ``layers`` and ``logits``."""
        allowed = {"batch": 1, "sequence": 512}
        return allowed if variant else {**allowed, "layers": self.layers, "logits": 1}

    def build(self, name: str, variant: str, values: Mapping[str, int]) -> Workload:
        """Expands the network."""
        batch, sequence = values["batch"], values["sequence"]
        graph = TokenGraph(name, self.source)
        if variant:
            self._block(graph, "", Tokens(batch * sequence, self.hidden), batch)
            return graph.build()
        if values["logits"] > sequence:
            raise InputError(f"workload {name!r}: logits is {values['logits']}, allowed 1..sequence={sequence}")
        x = graph.embedding("embedding", batch * sequence, self.hidden)
        for i in range(values["layers"]):
            x = self._block(graph, f"layer{i}.", x, batch)
        x = graph.norm("norm", "rms_norm", Tokens(batch * values["logits"], self.hidden, x.producers))
        graph.linear("head", x, self.vocabulary)
        return graph.build()

    def _block(self, graph: TokenGraph, prefix: str, x: Tokens, batch: int) -> Tokens:
        y = self.mixer.add(graph, prefix, graph.norm(f"{prefix}norm", "rms_norm", x), batch)
        return graph.elementwise(f"{prefix}add", "add", y, x)


class VisionMambaSpec(NetworkSpec):
    """Vision Mamba (Zhu et al., ICML 2024): blocks that scan the patches forwards and backwards."""

    hidden: Count
    layers: Count
    mixer: Mixer
    patches: Patches
    classes: Count

    variants: ClassVar[tuple[str, ...]] = ("", "block")

    def parameters(self, variant: str) -> dict[str, int]:
        """``batch`` and ``image``; ``layers`` for the network."""
        allowed = {"batch": 1, "image": self.patches.image}
        return allowed if variant else {**allowed, "layers": self.layers}

    def build(self, name: str, variant: str, values: Mapping[str, int]) -> Workload:
        """Expands the network."""
        batch, image = values["batch"], values["image"]
        graph = TokenGraph(name, self.source)
        if variant:
            if image % self.patches.patch:
                raise InputError(f"workload {name!r}: image is {image}, allowed: multiples of {self.patches.patch}")
            tokens = (image // self.patches.patch) ** 2 + self.patches.class_token
            self._block(graph, "", Tokens(batch * tokens, self.hidden), batch)
            return graph.build()
        x = embed_patches(graph, self.patches, self.hidden, batch, image)
        for i in range(values["layers"]):
            x = self._block(graph, f"layer{i}.", x, batch)
        x = graph.norm("norm", "rms_norm", Tokens(batch, self.hidden, x.producers))
        graph.linear("head", x, self.classes)
        return graph.build()

    def _block(self, graph: TokenGraph, prefix: str, x: Tokens, batch: int) -> Tokens:
        y = graph.norm(f"{prefix}norm", "rms_norm", x)
        y = self.mixer.add(graph, prefix, y, batch, directions=("forward.", "backward."))
        return graph.elementwise(f"{prefix}add", "add", y, x)
