"""The rows of a convolutional layer table: one model per operator, each able to add its layers."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated, Literal

from pydantic import Field

from accelgym.costmodels.errors import InputError
from accelgym.costmodels.files.strict_model import Count, Pair, StrictModel
from accelgym.costmodels.workloads.graph import GraphBuilder
from accelgym.costmodels.workloads.layer import Layer, LayerKind

__all__ = ["Feature", "Row"]

Size = Count | Pair
Pad = Annotated[int, Field(ge=0)] | Pair


@dataclass(frozen=True)
class Feature:
    """A feature map ``batch x channels x height x width`` and the layer that produces it."""

    batch: int
    channels: int
    height: int
    width: int
    position: int | None = None
    """None for the input of the network."""

    @property
    def producers(self) -> tuple[int, ...]:
        """The producing layer, if any."""
        return () if self.position is None else (self.position,)


class BaseRow(StrictModel):
    """Fields that all rows have in common."""

    name: str
    source: str | list[str] | None = Field(default=None, alias="from")
    """Rows read; the previous one when omitted. ``in`` is the input of a block."""
    act: str | None = None
    """Activation applied to the result."""

    def apply(self, graph: GraphBuilder, name: str, inputs: list[Feature]) -> Feature:
        """Adds the layers of the row and of its activation; returns the result."""
        out = self.add(graph, name, inputs)
        return out if self.act is None else _vector(graph, f"{name}.{self.act}", LayerKind.ACTIVATION, self.act, out)

    def add(self, graph: GraphBuilder, name: str, inputs: list[Feature]) -> Feature:
        """Adds the layers of the row without the activation."""
        raise NotImplementedError


class Conv(BaseRow):
    """Convolution; a batch normalisation behind it is folded into its weights."""

    op: Literal["conv"]
    out: Count
    kernel: Size = 1
    stride: Size = 1
    padding: Pad = 0
    dilation: Size = 1
    groups: Count = 1

    def add(self, graph: GraphBuilder, name: str, inputs: list[Feature]) -> Feature:
        """Adds the convolution."""
        return _conv(graph, name, _single(name, inputs), self.out, self.groups, self)


class Depthwise(BaseRow):
    """Depthwise convolution with one filter per channel."""

    op: Literal["depthwise"]
    kernel: Size
    stride: Size = 1
    padding: Pad = 0
    dilation: Size = 1

    def add(self, graph: GraphBuilder, name: str, inputs: list[Feature]) -> Feature:
        """Adds the convolution."""
        x = _single(name, inputs)
        return _conv(graph, name, x, x.channels, x.channels, self)


class Linear(BaseRow):
    """Fully connected layer over the flattened input."""

    op: Literal["linear"]
    out: Count

    def add(self, graph: GraphBuilder, name: str, inputs: list[Feature]) -> Feature:
        """Adds the product."""
        x = _single(name, inputs)
        layer = Layer.gemm(name, M=x.batch, K=self.out, C=x.channels * x.height * x.width)
        return Feature(x.batch, self.out, 1, 1, graph.add(layer, x.producers))


class Pool(BaseRow):
    """Max or average pooling."""

    op: Literal["max_pool", "avg_pool"]
    kernel: Size
    stride: Size
    padding: Pad = 0
    ceil: bool = False
    """Keep the last, partial window."""

    def add(self, graph: GraphBuilder, name: str, inputs: list[Feature]) -> Feature:
        """Adds the pooling."""
        x = _single(name, inputs)
        kernel, stride, padding = _pair(self.kernel), _pair(self.stride), _pair(self.padding)
        out = []
        for axis, size in enumerate((x.height, x.width)):
            room = size + 2 * padding[axis] - kernel[axis]
            if room < 0:
                raise InputError(f"row {name!r}: window {kernel} exceeds the padded input {x.height} x {x.width}")
            last = -(-room // stride[axis]) if self.ceil else room // stride[axis]
            # A window that would start in the padding behind the input is dropped, as PyTorch does.
            if self.ceil and last * stride[axis] >= size + padding[axis]:
                last -= 1
            out.append(last + 1)
        return _pool(graph, name, self.op.removesuffix("_pool"), x, (out[0], out[1]), kernel, stride, padding)


class AdaptivePool(BaseRow):
    """Average pooling to a fixed output size; nothing where the input has it already."""

    op: Literal["adaptive_avg_pool"]
    size: Count = 1

    def add(self, graph: GraphBuilder, name: str, inputs: list[Feature]) -> Feature:
        """Adds the pooling."""
        x = _single(name, inputs)
        if (x.height, x.width) == (self.size, self.size):
            return x
        stride = (max(x.height // self.size, 1), max(x.width // self.size, 1))
        kernel = (-(-x.height // self.size), -(-x.width // self.size))
        return _pool(graph, name, "avg", x, (self.size, self.size), kernel, stride, (0, 0))


class Add(BaseRow):
    """Residual addition."""

    op: Literal["add"]

    def add(self, graph: GraphBuilder, name: str, inputs: list[Feature]) -> Feature:
        """Adds the addition."""
        shapes = {(x.channels, x.height, x.width) for x in inputs}
        if len(inputs) < 2 or len(shapes) != 1:
            raise InputError(f"row {name!r}: add needs two or more inputs of one shape, found {sorted(shapes)}")
        return _vector(graph, name, LayerKind.ELEMENTWISE, "add", *inputs)


class Concat(BaseRow):
    """Concatenation of channels, optionally interleaving ``shuffle`` groups (ShuffleNet's channel shuffle)."""

    op: Literal["concat"]
    shuffle: Count = 1

    def add(self, graph: GraphBuilder, name: str, inputs: list[Feature]) -> Feature:
        """Adds the data movement."""
        sizes = {(x.height, x.width) for x in inputs}
        channels = sum(x.channels for x in inputs)
        if len(inputs) < 2 or len(sizes) != 1 or channels % self.shuffle:
            raise InputError(
                f"row {name!r}: concat needs two or more inputs of one height and width and channels divisible by "
                f"shuffle={self.shuffle}, found {[(x.channels, x.height, x.width) for x in inputs]}"
            )
        op = "concat" if self.shuffle == 1 else "concat_shuffle"
        return _vector(graph, name, LayerKind.PERMUTE, op, *inputs, channels=channels)


class Slice(BaseRow):
    """A view of some channels; it moves no data and adds no layer."""

    op: Literal["slice"]
    channels: Count

    def add(self, graph: GraphBuilder, name: str, inputs: list[Feature]) -> Feature:
        """Returns the view."""
        x = _single(name, inputs)
        if self.channels > x.channels:
            raise InputError(f"row {name!r}: channels is {self.channels}, allowed 1..{x.channels}")
        return Feature(x.batch, self.channels, x.height, x.width, x.position)


class Norm(BaseRow):
    """A normalisation that cannot be folded into the layer before it."""

    op: Literal["batch_norm", "group_norm"]

    def add(self, graph: GraphBuilder, name: str, inputs: list[Feature]) -> Feature:
        """Adds the normalisation."""
        return _vector(graph, name, LayerKind.NORM, self.op, _single(name, inputs))


Row = Annotated[
    Conv | Depthwise | Linear | Pool | AdaptivePool | Add | Concat | Slice | Norm, Field(discriminator="op")
]


def _single(name: str, inputs: list[Feature]) -> Feature:
    if len(inputs) != 1:
        raise InputError(f"row {name!r}: one input allowed, found {len(inputs)}")
    return inputs[0]


def _conv(graph: GraphBuilder, name: str, x: Feature, out: int, groups: int, row: Conv | Depthwise) -> Feature:
    kernel = _pair(row.kernel)
    layer = Layer.conv(
        name,
        N=x.batch,
        K=out,
        C=x.channels,
        H=x.height,
        W=x.width,
        R=kernel[0],
        S=kernel[1],
        stride=row.stride,
        padding=row.padding,
        dilation=row.dilation,
        groups=groups,
    )
    return Feature(x.batch, out, layer.P, layer.Q, graph.add(layer, x.producers))


def _pool(
    graph: GraphBuilder,
    name: str,
    op: str,
    x: Feature,
    out: tuple[int, int],
    kernel: tuple[int, int],
    stride: tuple[int, int],
    padding: tuple[int, int],
) -> Feature:
    layer = Layer(
        name,
        LayerKind.POOL,
        N=x.batch,
        K=x.channels,
        C=x.channels,
        P=out[0],
        Q=out[1],
        R=kernel[0],
        S=kernel[1],
        stride=stride,
        padding=padding,
        op=op,
    )
    return Feature(x.batch, x.channels, *out, graph.add(layer, x.producers))


def _vector(
    graph: GraphBuilder, name: str, kind: LayerKind, op: str, *inputs: Feature, channels: int | None = None
) -> Feature:
    x = inputs[0]
    width = x.channels if channels is None else channels
    layer = Layer(name, kind, N=x.batch, K=width, C=width, P=x.height, Q=x.width, op=op)
    producers = [position for feature in inputs for position in feature.producers]
    return Feature(x.batch, width, x.height, x.width, graph.add(layer, producers))


def _pair(value: int | tuple[int, int]) -> tuple[int, int]:
    return (value, value) if isinstance(value, int) else value
