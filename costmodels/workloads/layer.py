"""A layer: seven loop dimensions, or a vector operation over a tensor."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum

from accelgym.costmodels.errors import InputError

__all__ = ["COMPUTE_KINDS", "MAX_DIM", "MAX_MACS", "Layer", "LayerKind"]

MAX_DIM = 2**31 - 1
"""Largest int32; products of two dimensions stay exact in int64."""
MAX_MACS = 2**53
"""Counts stay exact in float64 up to here; larger layers are refused."""


class LayerKind(StrEnum):
    """Kind of operation. The first two are multiply-accumulate nests, the rest vector operations."""

    CONV = "conv"
    GEMM = "gemm"
    SOFTMAX = "softmax"
    NORM = "norm"
    ACTIVATION = "activation"
    ELEMENTWISE = "elementwise"
    """Residual additions, gating products and other operations on equally shaped tensors."""
    POOL = "pool"
    PERMUTE = "permute"
    """Moves data without arithmetic: reshapes that are not free, transposes, channel shuffles, concatenations."""
    SCAN = "scan"
    """A recurrence along P, as in state-space models."""
    EMBEDDING = "embedding"


COMPUTE_KINDS = frozenset({LayerKind.CONV, LayerKind.GEMM})

_DIMS = ("N", "K", "C", "P", "Q", "R", "S", "groups")


@dataclass(frozen=True)
class Layer:
    """One layer of a network.

    A convolution computes ``out[n, k, p, q] += in[n, c, p*stride + r*dilation - padding, ...] * w[k, c, r, s]``
    over ``c`` of its group. A GEMM ``(P x C) @ (C x K)`` is the case ``Q = R = S = 1``; a batched GEMM whose
    second operand differs per batch entry is a grouped one (``groups`` entries, ``K`` and ``C`` counted over
    all of them). Depthwise convolution is ``groups == C``.

    A vector operation has the output shape ``N x K x P x Q``; ``C`` equals ``K`` unless stated by its kind
    (``SCAN``: ``C`` is the state size per channel), ``R x S`` is the window of a pooling.
    """

    name: str
    kind: LayerKind
    N: int = 1
    K: int = 1
    """Output channels over all groups."""
    C: int = 1
    """Input channels over all groups."""
    P: int = 1
    """Output height; rows of the result for a GEMM."""
    Q: int = 1
    R: int = 1
    S: int = 1
    stride: tuple[int, int] = (1, 1)
    padding: tuple[int, int] = (0, 0)
    """Zeros on each side, height and width."""
    dilation: tuple[int, int] = (1, 1)
    groups: int = 1
    weights_are_parameters: bool = True
    """False when the second operand is computed or cached (attention scores, KV cache)."""
    op: str = ""
    """Finer name of a vector operation: ``gelu``, ``rms_norm``, ``max``, ``selective_scan`` ..."""

    def __post_init__(self) -> None:
        for dim in _DIMS:
            value = getattr(self, dim)
            if not isinstance(value, int) or not 1 <= value <= MAX_DIM:
                raise InputError(f"layer {self.name!r}: {dim} is {value!r}, allowed 1..{MAX_DIM}")
        for field, low in (("stride", 1), ("padding", 0), ("dilation", 1)):
            pair = getattr(self, field)
            if len(pair) != 2 or any(not isinstance(v, int) or not low <= v <= MAX_DIM for v in pair):
                raise InputError(f"layer {self.name!r}: {field} is {pair!r}, allowed two integers {low}..{MAX_DIM}")
        for axis, size in (("height", self.input_height), ("width", self.input_width)):
            if size > MAX_DIM:
                raise InputError(f"layer {self.name!r}: the windows reach an input {axis} of {size}, allowed {MAX_DIM}")
        if self.input_words > MAX_MACS:
            raise InputError(f"layer {self.name!r}: {self.input_words:.3e} inputs exceed the exact range 2**53")
        if not self.is_compute:
            return
        if self.K % self.groups or self.C % self.groups:
            raise InputError(f"layer {self.name!r}: groups={self.groups} must divide K={self.K} and C={self.C}")
        if min(self.input_height, self.input_width) < 1:
            raise InputError(
                f"layer {self.name!r}: padding {self.padding} leaves no input "
                f"({self.input_height} x {self.input_width})"
            )
        if self.macs > MAX_MACS:
            raise InputError(f"layer {self.name!r}: {self.macs:.3e} MACs exceed the exact range 2**53")

    @classmethod
    def conv(
        cls,
        name: str,
        *,
        K: int,
        C: int,
        H: int,
        W: int | None = None,
        R: int = 1,
        S: int | None = None,
        N: int = 1,
        stride: int | tuple[int, int] = 1,
        padding: int | tuple[int, int] = 0,
        dilation: int | tuple[int, int] = 1,
        groups: int = 1,
    ) -> Layer:
        """Builds a convolution from its input size, as ``torch.nn.Conv2d`` is described.

        Args:
            name: Layer name.
            K: Output channels over all groups.
            C: Input channels over all groups.
            H: Input height.
            W: Input width; ``H`` when omitted.
            R: Kernel height.
            S: Kernel width; ``R`` when omitted.
            N: Batch.
            stride: Stride, one value or (height, width).
            padding: Zeros on each side.
            dilation: Kernel dilation.
            groups: Channel groups.

        Raises:
            InputError: The kernel exceeds the padded input, or a dimension is out of range.
        """
        W = H if W is None else W
        S = R if S is None else S
        strides, paddings, dilations = _pair(stride), _pair(padding), _pair(dilation)
        out = []
        for axis, size, kernel, i in (("height", H, R, 0), ("width", W, S, 1)):
            span = dilations[i] * (kernel - 1) + 1
            padded = size + 2 * paddings[i]
            if span > padded:
                raise InputError(
                    f"layer {name!r}: kernel {axis} {span} (dilation included) exceeds the padded input {padded}"
                )
            out.append((padded - span) // max(strides[i], 1) + 1)
        return cls(
            name,
            LayerKind.CONV,
            N=N,
            K=K,
            C=C,
            P=out[0],
            Q=out[1],
            R=R,
            S=S,
            stride=strides,
            padding=paddings,
            dilation=dilations,
            groups=groups,
        )

    @classmethod
    def gemm(cls, name: str, *, M: int, K: int, C: int, batch: int = 1, weights_are_parameters: bool = True) -> Layer:
        """Builds ``batch`` independent products ``(M x C) @ (C x K)``.

        Args:
            name: Layer name.
            M: Rows of the result of one product.
            K: Columns of the result of one product.
            C: Reduction length.
            batch: Independent products, each with its own second operand.
            weights_are_parameters: False for attention products.
        """
        return cls(
            name,
            LayerKind.GEMM,
            K=K * batch,
            C=C * batch,
            P=M,
            groups=batch,
            weights_are_parameters=weights_are_parameters,
        )

    @property
    def is_compute(self) -> bool:
        """Whether the layer is a multiply-accumulate nest."""
        return self.kind in COMPUTE_KINDS

    @property
    def is_depthwise(self) -> bool:
        """Whether every input channel has its own filters."""
        return self.kind is LayerKind.CONV and self.groups > 1 and self.groups == self.C

    @property
    def macs(self) -> int:
        """Multiply-accumulates; 0 for vector operations."""
        if not self.is_compute:
            return 0
        return self.N * self.K * (self.C // self.groups) * self.P * self.Q * self.R * self.S

    @property
    def weight_words(self) -> int:
        """Elements of the second operand (filters); 0 for vector operations."""
        return self.K * (self.C // self.groups) * self.R * self.S if self.is_compute else 0

    @property
    def output_words(self) -> int:
        """Elements of the output."""
        return self.N * self.K * self.P * self.Q

    @property
    def input_words(self) -> int:
        """Elements of the input that the layer touches (first operand only)."""
        channels = self.C if self.is_compute else self.K
        return self.N * channels * self.input_height * self.input_width

    @property
    def input_height(self) -> int:
        """Input rows touched, without padding."""
        return (self.P - 1) * self.stride[0] + (self.R - 1) * self.dilation[0] + 1 - 2 * self.padding[0]

    @property
    def input_width(self) -> int:
        """Input columns touched, without padding."""
        return (self.Q - 1) * self.stride[1] + (self.S - 1) * self.dilation[1] + 1 - 2 * self.padding[1]


def _pair(value: int | tuple[int, int]) -> tuple[int, int]:
    return (value, value) if isinstance(value, int) else (value[0], value[1])
