"""The U-Net of latent diffusion models: residual blocks and transformer blocks with cross-attention."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Annotated, ClassVar

from pydantic import Field

from accelgym.costmodels.errors import InputError
from accelgym.costmodels.files.strict_model import Count
from accelgym.costmodels.workloads.graph import TokenGraph, Tokens
from accelgym.costmodels.workloads.layer import Layer, LayerKind
from accelgym.costmodels.workloads.spec import NetworkSpec
from accelgym.costmodels.workloads.workload import Workload

__all__ = ["UNetSpec"]


@dataclass(frozen=True)
class Image:
    """A feature map ``batch x channels x size x size``; as tokens, its pixels are rows."""

    batch: int
    channels: int
    size: int
    producers: tuple[int, ...] = ()

    @property
    def tokens(self) -> Tokens:
        """The pixels as rows of a matrix."""
        return Tokens(self.batch * self.size**2, self.channels, self.producers)


class UNetSpec(NetworkSpec):
    """A conditional denoising U-Net (Rombach et al., CVPR 2022).

    The whole network is the name itself; ``block`` is one residual block and one transformer block (self- and
    cross-attention, gated feed-forward) at the first level that has attention.
    """

    latent: Count
    """Height and width of the latent."""
    latent_channels: Count
    widths: Annotated[list[Count], Field(min_length=2)]
    """Channels of the levels, from the outermost."""
    attention: list[bool]
    """Which levels have transformer blocks."""
    resnets: Count
    """Residual blocks per level on the way down; one more on the way up."""
    heads: Count
    time_channels: Count
    text_tokens: Count
    text_width: Count

    variants: ClassVar[tuple[str, ...]] = ("", "block")

    def parameters(self, variant: str) -> dict[str, int]:
        """``batch`` and ``latent``, the height and width of the latent."""
        return {"batch": 1, "latent": self.latent}

    def build(self, name: str, variant: str, values: Mapping[str, int]) -> Workload:
        """Expands the network."""
        batch, latent = values["batch"], values["latent"]
        factor = 2 ** (len(self.widths) - 1)
        if latent % factor:
            raise InputError(f"workload {name!r}: latent is {latent}, allowed: multiples of {factor}")
        graph = TokenGraph(name, self.source)
        if variant:
            level = self.attention.index(True)
            width = self.widths[level]
            x = Image(batch, width, latent // 2**level)
            x = self._resnet(graph, "resnet.", x, width, Tokens(batch, self.time_channels))
            self._transformer(graph, "transformer.", x)
            return graph.build()
        self._network(graph, batch, latent)
        return graph.build()

    def _network(self, graph: TokenGraph, batch: int, latent: int) -> None:
        time = graph.linear("time.linear1", Tokens(batch, self.widths[0]), self.time_channels)
        time = graph.linear("time.linear2", graph.activation("time.act", "silu", time), self.time_channels)
        x = self._conv(graph, "conv_in", Image(batch, self.latent_channels, latent), self.widths[0], 3)
        skips = [x]
        for level, width in enumerate(self.widths):
            for i in range(self.resnets):
                x = self._level(graph, f"down{level}.{i}.", x, level, time)
                skips.append(x)
            if level + 1 < len(self.widths):
                x = self._conv(graph, f"down{level}.downsample", x, width, 3, stride=2)
                skips.append(x)
        x = self._resnet(graph, "middle.resnet1.", x, x.channels, time)
        x = self._transformer(graph, "middle.transformer.", x)
        x = self._resnet(graph, "middle.resnet2.", x, x.channels, time)
        for level in reversed(range(len(self.widths))):
            for i in range(self.resnets + 1):
                skip = skips.pop()
                merged = Image(x.batch, x.channels + skip.channels, x.size, (*x.producers, *skip.producers))
                x = self._vector(graph, f"up{level}.{i}.concat", LayerKind.PERMUTE, "concat", merged)
                x = self._level(graph, f"up{level}.{i}.", x, level, time)
            if level:
                x = Image(x.batch, x.channels, 2 * x.size, x.producers)
                x = self._vector(graph, f"up{level}.upsample", LayerKind.PERMUTE, "upsample_nearest", x)
                x = self._conv(graph, f"up{level}.upsample_conv", x, x.channels, 3)
        x = self._norm_act(graph, "conv_out_", x)
        self._conv(graph, "conv_out", x, self.latent_channels, 3)

    def _level(self, graph: TokenGraph, prefix: str, x: Image, level: int, time: Tokens) -> Image:
        x = self._resnet(graph, f"{prefix}resnet.", x, self.widths[level], time)
        return self._transformer(graph, f"{prefix}transformer.", x) if self.attention[level] else x

    def _resnet(self, graph: TokenGraph, prefix: str, x: Image, width: int, time: Tokens) -> Image:
        y = self._conv(graph, f"{prefix}conv1", self._norm_act(graph, f"{prefix}conv1_", x), width, 3)
        shift = graph.linear(f"{prefix}time", graph.activation(f"{prefix}time_act", "silu", time), width)
        y = Image(y.batch, width, y.size, (*y.producers, *shift.producers))
        y = self._vector(graph, f"{prefix}time_add", LayerKind.ELEMENTWISE, "add", y)
        y = self._conv(graph, f"{prefix}conv2", self._norm_act(graph, f"{prefix}conv2_", y), width, 3)
        if x.channels != width:
            x = self._conv(graph, f"{prefix}shortcut", x, width, 1)
        y = Image(y.batch, width, y.size, (*y.producers, *x.producers))
        return self._vector(graph, f"{prefix}add", LayerKind.ELEMENTWISE, "add", y)

    def _transformer(self, graph: TokenGraph, prefix: str, image: Image) -> Image:
        width = image.channels
        normed = self._vector(graph, f"{prefix}norm", LayerKind.NORM, "group_norm", image)
        x = self._conv(graph, f"{prefix}proj_in", normed, width, 1).tokens
        y = graph.norm(f"{prefix}norm1", "layer_norm", x)
        x = self._attention(graph, f"{prefix}self_attention", x, y, y, image.batch)
        y = graph.norm(f"{prefix}norm2", "layer_norm", x)
        text = Tokens(image.batch * self.text_tokens, self.text_width)
        x = self._attention(graph, f"{prefix}cross_attention", x, y, text, image.batch)
        y = graph.norm(f"{prefix}norm3", "layer_norm", x)
        # GEGLU: one projection gives value and gate side by side.
        both = graph.linear(f"{prefix}ff.up", y, 8 * width).part(4 * width)
        gate = graph.activation(f"{prefix}ff.gelu", "gelu", both)
        y = graph.elementwise(f"{prefix}ff.gating", "mul", both, gate)
        x = graph.elementwise(f"{prefix}ff.add", "add", graph.linear(f"{prefix}ff.down", y, width), x)
        out = self._conv(graph, f"{prefix}proj_out", Image(image.batch, width, image.size, x.producers), width, 1)
        out = Image(image.batch, width, image.size, (*out.producers, *image.producers))
        return self._vector(graph, f"{prefix}add", LayerKind.ELEMENTWISE, "add", out)

    def _attention(
        self, graph: TokenGraph, prefix: str, residual: Tokens, x: Tokens, memory: Tokens, batch: int
    ) -> Tokens:
        query = graph.linear(f"{prefix}.q", x, x.width)
        key = graph.linear(f"{prefix}.k", memory, x.width)
        value = graph.linear(f"{prefix}.v", memory, x.width)
        y = graph.attention(prefix, query, key, value, batch=batch, heads=self.heads)
        return graph.elementwise(f"{prefix}.add", "add", graph.linear(f"{prefix}.o", y, x.width), residual)

    def _norm_act(self, graph: TokenGraph, prefix: str, x: Image) -> Image:
        y = self._vector(graph, f"{prefix}norm", LayerKind.NORM, "group_norm", x)
        return self._vector(graph, f"{prefix}act", LayerKind.ACTIVATION, "silu", y)

    def _conv(self, graph: TokenGraph, name: str, x: Image, width: int, kernel: int, *, stride: int = 1) -> Image:
        layer = Layer.conv(
            name,
            N=x.batch,
            K=width,
            C=x.channels,
            H=x.size,
            R=kernel,
            stride=stride,
            padding=kernel // 2,
        )
        return Image(x.batch, width, layer.P, (graph.add(layer, x.producers),))

    def _vector(self, graph: TokenGraph, name: str, kind: LayerKind, op: str, x: Image) -> Image:
        layer = Layer(name, kind, N=x.batch, K=x.channels, C=x.channels, P=x.size, Q=x.size, op=op)
        return Image(x.batch, x.channels, x.size, (graph.add(layer, x.producers),))
