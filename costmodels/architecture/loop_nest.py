"""Loop nests: loop dimensions, and tensors indexed by sums of ``coefficient * dimension`` (an affine einsum)."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any

from accelgym.costmodels.errors import InputError, unknown_name
from accelgym.costmodels.workloads.layer import MAX_MACS, Layer, LayerKind

__all__ = ["Axis", "LoopNest", "Tensor"]

Axis = tuple[tuple[str, int], ...]
"""One index of a tensor, as ``((dimension, coefficient), ...)``: the index is the sum of the products."""


@dataclass(frozen=True)
class Tensor:
    """An operand of the einsum."""

    name: str
    axes: tuple[Axis, ...]
    read_write: bool = False
    """True for the tensor that is accumulated into."""

    @cached_property
    def dims(self) -> frozenset[str]:
        """The relevant dimensions: those that some axis uses."""
        return frozenset(dim for axis in self.axes for dim, _ in axis)


@dataclass(frozen=True)
class LoopNest:
    """A perfectly nested loop over ``dims`` whose body multiplies one word of every read-only tensor.

    No padding is modelled: a tensor holds exactly the words its axes reach, so an input extent is
    ``(P-1)*stride + (R-1)*dilation + 1``.

    Raises:
        InputError: A dimension is used twice or not at all, a bound or coefficient is not positive, there is
            not exactly one output, or the counts would leave the exact range ``2**53``.
    """

    name: str
    dims: tuple[str, ...]
    bounds: tuple[int, ...]
    tensors: tuple[Tensor, ...]
    kind: str = "einsum"
    options: Mapping[str, tuple[int, int]] = field(default_factory=dict, hash=False)
    """``stride`` and ``dilation`` of a convolution, for export."""

    def __post_init__(self) -> None:
        where = f"problem {self.name!r}"
        if len(self.dims) != len(self.bounds) or len(set(self.dims)) != len(self.dims) or not self.dims:
            raise InputError(f"{where}: dims {self.dims} and bounds {self.bounds} must pair up, names unique")
        for dim, bound in zip(self.dims, self.bounds, strict=True):
            if isinstance(bound, bool) or not isinstance(bound, int) or bound < 1:
                raise InputError(f"{where}: bound of {dim} is {bound!r}, allowed integers >= 1")
        if len({tensor.name for tensor in self.tensors}) != len(self.tensors):
            raise InputError(f"{where}: tensor names repeat")
        if sum(tensor.read_write for tensor in self.tensors) != 1:
            raise InputError(f"{where}: exactly one tensor must be read-write (the output)")
        for tensor in self.tensors:
            for axis in tensor.axes:
                for dim, coefficient in axis:
                    if dim not in self.dims:
                        raise unknown_name(f"dimension of tensor {tensor.name!r}", dim, self.dims)
                    if coefficient < 1:
                        raise InputError(
                            f"{where}: coefficient {coefficient} of {dim} in {tensor.name!r}, allowed >= 1"
                        )
        unused = set(self.dims) - {dim for tensor in self.tensors for dim in tensor.dims}
        if unused:
            raise InputError(f"{where}: no tensor uses dimension {sorted(unused)[0]!r}")
        # Every count is at most MACs times the bounding-box holes a coefficient can open per axis.
        holes = max(math.prod(max((c for _, c in axis), default=1) for axis in tensor.axes) for tensor in self.tensors)
        if self.macs * holes > MAX_MACS:
            raise InputError(f"{where}: counts up to {self.macs * holes:.3e} exceed the exact range 2**53")

    @cached_property
    def bound(self) -> dict[str, int]:
        """Bound of each dimension by name."""
        return dict(zip(self.dims, self.bounds, strict=True))

    @cached_property
    def macs(self) -> int:
        """Multiply-accumulates: the product of all bounds."""
        return math.prod(self.bounds)

    @property
    def tensor_names(self) -> tuple[str, ...]:
        """Names of the tensors, in order."""
        return tuple(tensor.name for tensor in self.tensors)

    @cached_property
    def output(self) -> int:
        """Position of the read-write tensor."""
        return next(i for i, tensor in enumerate(self.tensors) if tensor.read_write)

    def tile_words(self, tensor: Tensor, extents: Mapping[str, Any]) -> Any:
        """Words of the bounding box that a tile touches.

        Args:
            tensor: The tensor.
            extents: Extent of the tile by dimension, numbers or arrays of one shape; absent ones are 1.
        """
        words: Any = 1
        for axis in tensor.axes:
            offset, reach = 1, None
            for dim, coefficient in axis:
                if dim in extents:
                    offset -= coefficient
                    scaled = extents[dim] if coefficient == 1 else coefficient * extents[dim]
                    reach = scaled if reach is None else reach + scaled
            if reach is not None:
                reach = reach + offset if offset else reach
                words = reach if isinstance(words, int) and words == 1 else words * reach
        return words

    def tensor_words(self, name: str) -> int:
        """Words of a whole tensor."""
        if name not in self.tensor_names:
            raise unknown_name("tensor", name, self.tensor_names)
        return int(self.tile_words(self.tensors[self.tensor_names.index(name)], self.bound))

    @classmethod
    def conv(
        cls,
        name: str,
        *,
        K: int,
        C: int,
        P: int,
        Q: int,
        R: int,
        S: int,
        N: int = 1,
        stride: tuple[int, int] = (1, 1),
        dilation: tuple[int, int] = (1, 1),
        groups: int = 1,
    ) -> LoopNest:
        """Builds a 2-D convolution from its output size.

        ``K`` and ``C`` count over all groups. With ``groups > 1`` a dimension ``G`` is added and ``K``, ``C``
        become per-group bounds; depthwise convolution is ``groups == C``.
        """
        if groups < 1 or K % groups or C % groups:
            raise InputError(f"problem {name!r}: groups={groups} must divide K={K} and C={C}")
        bounds = {"N": N, "K": K // groups, "C": C // groups, "P": P, "Q": Q, "R": R, "S": S}
        group: tuple[Axis, ...] = ()
        if groups > 1:
            bounds = {"G": groups, **bounds}
            group = ((("G", 1),),)
        height: Axis = (("P", stride[0]), ("R", dilation[0]))
        width: Axis = (("Q", stride[1]), ("S", dilation[1]))
        return cls(
            name,
            tuple(bounds),
            tuple(bounds.values()),
            (
                Tensor("Weights", (*group, *_plain("KCRS"))),
                Tensor("Inputs", (*_plain("N"), *group, *_plain("C"), height, width)),
                Tensor("Outputs", (*_plain("N"), *group, *_plain("KPQ")), read_write=True),
            ),
            "conv2d",
            {"stride": stride, "dilation": dilation},
        )

    @classmethod
    def depthwise(
        cls,
        name: str,
        *,
        C: int,
        P: int,
        Q: int,
        R: int,
        S: int,
        N: int = 1,
        stride: tuple[int, int] = (1, 1),
        dilation: tuple[int, int] = (1, 1),
    ) -> LoopNest:
        """Builds a depthwise 2-D convolution: each of ``C`` channels with one filter of its own."""
        height: Axis = (("P", stride[0]), ("R", dilation[0]))
        width: Axis = (("Q", stride[1]), ("S", dilation[1]))
        return cls(
            name,
            ("N", "C", "P", "Q", "R", "S"),
            (N, C, P, Q, R, S),
            (
                Tensor("Weights", _plain("CRS")),
                Tensor("Inputs", (*_plain("NC"), height, width)),
                Tensor("Outputs", _plain("NCPQ"), read_write=True),
            ),
            "depthwise2d",
            {"stride": stride, "dilation": dilation},
        )

    @classmethod
    def conv1d(cls, name: str, *, M: int, P: int, R: int, C: int = 1, stride: int = 1, dilation: int = 1) -> LoopNest:
        """Builds a 1-D convolution: ``M`` filters of ``C x R`` over an input that yields ``P`` positions."""
        return cls(
            name,
            ("M", "C", "P", "R"),
            (M, C, P, R),
            (
                Tensor("Weights", _plain("MCR")),
                Tensor("Inputs", (*_plain("C"), (("P", stride), ("R", dilation)))),
                Tensor("Outputs", _plain("MP"), read_write=True),
            ),
            "conv1d",
            {"stride": (stride, 1), "dilation": (dilation, 1)},
        )

    @classmethod
    def gemm(cls, name: str, *, I: int, J: int, L: int, batch: int = 1) -> LoopNest:  # noqa: E741
        """Builds ``batch`` products ``Outputs[I,J] = Inputs[I,L] @ Weights[L,J]``, each with its own weights."""
        if batch > 1:
            return cls.batched_gemm(name, B=batch, I=I, J=J, L=L)
        return cls._product(name, {"I": I, "J": J, "L": L}, "")

    @classmethod
    def batched_gemm(cls, name: str, *, B: int, I: int, J: int, L: int) -> LoopNest:  # noqa: E741
        """Builds ``B`` products like :meth:`gemm`, with the dimension ``B`` even where it is 1."""
        return cls._product(name, {"B": B, "I": I, "J": J, "L": L}, "B")

    @classmethod
    def _product(cls, name: str, bounds: dict[str, int], group: str) -> LoopNest:
        return cls(
            name,
            tuple(bounds),
            tuple(bounds.values()),
            (
                Tensor("Inputs", _plain(f"{group}IL")),
                Tensor("Weights", _plain(f"{group}LJ")),
                Tensor("Outputs", _plain(f"{group}IJ"), read_write=True),
            ),
            "gemm",
        )

    @classmethod
    def from_layer(cls, layer: Layer) -> LoopNest:
        """Converts a convolution or GEMM layer; zero padding is counted as data.

        Raises:
            InputError: The layer is a vector operation.
        """
        if layer.kind is LayerKind.GEMM:
            groups = layer.groups
            return cls.gemm(layer.name, I=layer.N * layer.P, J=layer.K // groups, L=layer.C // groups, batch=groups)
        if layer.kind is not LayerKind.CONV:
            raise InputError(f"layer {layer.name!r} is a {layer.kind}; a loop nest needs a conv or a gemm")
        return cls.as_convolution(layer, layer.name)

    @classmethod
    def as_convolution(cls, layer: Layer, name: str) -> LoopNest:
        """Converts a layer by its convolution dimensions, which matrix products have, too."""
        return cls.conv(
            name,
            N=layer.N,
            K=layer.K,
            C=layer.C,
            P=layer.P,
            Q=layer.Q,
            R=layer.R,
            S=layer.S,
            stride=layer.stride,
            dilation=layer.dilation,
            groups=layer.groups,
        )


def _plain(dims: Iterable[str]) -> tuple[Axis, ...]:
    return tuple(((dim, 1),) for dim in dims)
