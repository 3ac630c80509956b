"""The layers of single ONNX operators."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Callable
from math import prod
from typing import Any

from accelgym.costmodels.errors import InputError
from accelgym.costmodels.workloads.importers.contraction import add_einsum
from accelgym.costmodels.workloads.importers.onnx_operators import (
    ACTIVATIONS,
    ELEMENTWISE,
    GLOBAL_POOLS,
    NORMS,
    PERMUTES,
    POOLS,
    REDUCTIONS,
)
from accelgym.costmodels.workloads.importers.onnx_shapes import TensorTable, attributes
from accelgym.costmodels.workloads.importers.traced import TracedGraph, Value, words
from accelgym.costmodels.workloads.layer import LayerKind

__all__ = ["LayerFactory", "node_name"]

_GATES = {"LSTM": 4, "GRU": 3, "RNN": 1}


class LayerFactory:
    """Adds the layers of one node after the other; all nodes are in standard form.

    Args:
        graph: The workload that grows.
        tensors: Shapes, entered before a node is added.
        values: Producers by tensor name.
        readers: How many nodes read a tensor.
    """

    def __init__(
        self, graph: TracedGraph, tensors: TensorTable, values: dict[str, Value], readers: Counter[str]
    ) -> None:
        self.graph = graph
        self.tensors = tensors
        self.values = values
        self.readers = readers
        self.fallbacks: Counter[str] = Counter()
        """Operators counted as vector work of the output's size."""
        self.further: dict[str, Value] = {}
        """Outputs of the node just added that other layers produce than its first output."""

        def vector(kind: LayerKind) -> Callable[[Any], Value]:
            return lambda node: self._vector(node, kind, node.op_type.lower())

        self._handlers: dict[str, Callable[[Any], Value]] = {
            **dict.fromkeys(ACTIVATIONS, vector(LayerKind.ACTIVATION)),
            **dict.fromkeys(PERMUTES, vector(LayerKind.PERMUTE)),
            **dict.fromkeys(ELEMENTWISE, self._elementwise),
            **dict.fromkeys(REDUCTIONS, self._reduce),
            **dict.fromkeys(NORMS, self._norm),
            **dict.fromkeys(POOLS, self._pool),
            **dict.fromkeys(GLOBAL_POOLS, self._global_pool),
            **dict.fromkeys(_GATES, self._recurrent),
            **dict.fromkeys(("Softmax", "LogSoftmax", "Hardmax", "BiasSoftmax", "QLinearSoftmax"), self._softmax),
            **dict.fromkeys(("SkipLayerNormalization", "SkipSimplifiedLayerNormalization"), self._skip_norm),
            "Conv": self._conv,
            "DeformConv": self._deform_conv,
            "ConvTranspose": self._conv_transpose,
            "Gemm": self._gemm,
            "MatMul": self._matmul,
            "FusedMatMul": self._matmul,
            "MatMulNBits": self._packed_matmul,
            "Einsum": self._einsum,
            "Attention": lambda node: self._fallback(node) if node.domain == _RUNTIME else self._attention(node),
            "BatchNormalization": self._batch_norm,
            "Gather": lambda node: self._vector(node, LayerKind.EMBEDDING, "lookup"),
        }

    def add(self, node: Any) -> Value:
        """Adds the layers of a node and returns its first output.

        Raises:
            InputError: The operator is not supported, or a shape that it needs depends on the data.
        """
        handler = self._handlers.get(node.op_type)
        if handler is None or node.domain not in _KNOWN_DOMAINS:
            return self._fallback(node)
        return handler(node)

    def _fallback(self, node: Any) -> Value:
        """Vector work of the output's size, where every element of the output may come from one of the input."""
        shapes = [self.tensors[name].shape for name in node.input if name]
        out = self.tensors[node.output[0]].shape
        heavy = _PRODUCTS.search(node.op_type)
        if out is None or out not in shapes or node.op_type in _REFUSED or heavy:
            where = "" if out is not None else ", and the file does not state the shape of its output"
            raise self._error(
                node,
                f"the operator is not supported{where}, allowed: ONNX's convolutions, products, recurrent layers, "
                "attention, softmax, norms, pooling, reductions, data movement and control flow, and operators that "
                "keep the shape of an input and are no products by their name",
            )
        self.fallbacks[node.op_type] += 1
        return self._vector(node, LayerKind.ELEMENTWISE, node.op_type.lower())

    def _conv(self, node: Any, weight: int = 1) -> Value:
        x, filters, out = self._input(node, 0), self._input(node, weight), self._output(node)
        given, axes = attributes(node), len(out) - 2
        stride, dilation = given.get("strides") or [1] * axes, given.get("dilations") or [1] * axes
        groups, taps = given.get("group", 1), given.get("kernel_shape") or filters.shape[2:]
        if x.shape[1] != filters.shape[1] * groups or tuple(taps) != tuple(filters.shape[2:]):
            raise self._error(
                node, f"weights {_sizes(filters.shape)} in {groups} groups do not fit its input {_sizes(x.shape)}"
            )
        return self.graph.conv(
            node_name(node),
            x,
            filters,
            out,
            stride=stride,
            padding=_padding(given, x.shape, out, filters.shape[2:], stride, dilation),
            dilation=dilation,
            groups=groups,
        )

    def _deform_conv(self, node: Any) -> Value:
        # Sampled taps move data; the products are those of the convolution.
        x, offsets = self._input(node, 0), self._input(node, 2)
        sampled = self.graph.vector(
            f"{node_name(node)}.sample", LayerKind.PERMUTE, "deform_sample", x.shape, x, offsets
        )
        self.values[node.input[0]] = sampled
        try:
            return self._conv(node)
        finally:
            self.values[node.input[0]] = x

    def _conv_transpose(self, node: Any) -> Value:
        x, weight, out = self._input(node, 0), self._input(node, 1), self._output(node)
        given, axes = attributes(node), len(out) - 2
        if x.shape[1] != weight.shape[0]:
            raise self._error(node, f"weights {_sizes(weight.shape)} do not fit its input {_sizes(x.shape)}")
        return self.graph.transposed_conv(
            node_name(node),
            x,
            weight,
            out,
            stride=given.get("strides") or [1] * axes,
            dilation=given.get("dilations") or [1] * axes,
            groups=given.get("group", 1),
        )

    def _gemm(self, node: Any) -> Value:
        result = self._matmul(node)
        if len(node.input) > 2 and node.input[2] and not self.values[node.input[2]].constant:
            added = self._input(node, 2)
            return self.graph.vector(
                f"{node_name(node)}.add", LayerKind.ELEMENTWISE, "add", self._output(node), result, added
            )
        return result

    def _matmul(self, node: Any) -> Value:
        a, b, given = self._input(node, 0), self._input(node, 1), attributes(node)
        if given.get("transBatchA") or given.get("transBatchB"):
            raise self._error(node, "transBatchA or transBatchB is set, allowed: 0")
        a, b = (_transposed(a) if given.get("transA") else a), (_transposed(b) if given.get("transB") else b)
        return self.graph.matmul(node_name(node), a, b, self._output(node))

    def _packed_matmul(self, node: Any) -> Value:
        given = attributes(node)
        weight = Value((int(given["K"]), int(given["N"])), (), self.values[node.input[1]].constant)
        return self.graph.matmul(node_name(node), self._input(node, 0), weight, self._output(node))

    def _einsum(self, node: Any) -> Value:
        operands = [self._input(node, i) for i in range(len(node.input))]
        result = add_einsum(self.graph, node_name(node), attributes(node)["equation"], operands)
        return Value(self._output(node), result.producers)

    def _attention(self, node: Any) -> Value:
        given, out = attributes(node), self._output(node)
        query, key, value = (self._input(node, i) for i in range(3))
        if len(query.shape) == 3:
            heads, kv_heads = int(given["q_num_heads"]), int(given["kv_num_heads"])
            query, key, value = _heads(query, heads), _heads(key, kv_heads), _heads(value, kv_heads)
        past = [self._input(node, i) for i in (4, 5) if i < len(node.input) and node.input[i]]
        if len(past) == 2:
            key, value = (
                Value((*new.shape[:-2], old.shape[-2] + new.shape[-2], new.shape[-1]), new.producers + old.producers)
                for new, old in ((key, past[0]), (value, past[1]))
            )
        return self.graph.attention(node_name(node), query, key, value, out)

    def _recurrent(self, node: Any) -> Value:
        given, op = attributes(node), node.op_type
        x, recurrence = self._input(node, 0), self._input(node, 2)
        batch, steps = x.shape[:2] if given.get("layout") else x.shape[1::-1]
        state = [self._input(node, i) for i in (5, 6) if i < len(node.input) and node.input[i]]
        name, hidden, directions = node_name(node), recurrence.shape[2], recurrence.shape[0]
        ends = []
        for direction in range(directions):
            ends.append(
                self.graph.recurrent(
                    f"{name}.reverse" if direction else name,
                    op.lower(),
                    x,
                    state,
                    steps=steps,
                    batch=batch,
                    hidden=hidden,
                    gates=_GATES[op],
                    constant=self.values[node.input[1]].constant,
                )
            )
        return Value((), tuple(position for end in ends for position in end.producers))

    def _softmax(self, node: Any) -> Value:
        out, given, name = self._output(node), attributes(node), node_name(node)
        version = given.get("opset", self.tensors.version if node.domain == "" else 13)
        old = version < 13
        axis = given.get("axis", 1 if old else -1)
        if not old or not out:
            return self._vector(node, LayerKind.SOFTMAX, "softmax", axis=axis)
        # Before version 13 all axes from this one on are one.
        axis %= len(out) + (axis == len(out))
        flat = (prod(out[:axis]), prod(out[axis:]))
        result = self.graph.vector(name, LayerKind.SOFTMAX, "softmax", flat, self._input(node, 0), axis=1)
        return Value(out, result.producers)

    def _batch_norm(self, node: Any) -> Value:
        x, training = self._input(node, 0), attributes(node).get("training_mode", 0)
        scales = [self.values[name].constant for name in node.input[1:] if name]
        if not training and all(scales) and self._folds(node, 0):
            return x
        return self._vector(node, LayerKind.NORM, "batch_norm")

    def _norm(self, node: Any) -> Value:
        op, given, out = node.op_type, attributes(node), self._output(node)
        axis: int | None = None
        if "Layer" in op or "RMS" in op or op == "LpNormalization":
            axis = int(given.get("axis", -1))
            if op != "LpNormalization" and axis not in (-1, len(out) - 1):
                axis = None
        return self._vector(node, LayerKind.NORM, NORMS[op], axis=axis)

    def _skip_norm(self, node: Any) -> Value:
        name, out = node_name(node), self._output(node)
        x, skip = self._input(node, 0), self._input(node, 1)
        total = self.graph.vector(f"{name}.add", LayerKind.ELEMENTWISE, "add", out, x, skip)
        op = "rms_norm" if "Simplified" in node.op_type else "layer_norm"
        result = self.graph.vector(name, LayerKind.NORM, op, out, total, axis=-1)
        if len(node.output) > 3 and node.output[3]:
            # The sum itself, for the next residual connection.
            self.further[node.output[3]] = Value(out, total.producers)
        return result

    def _pool(self, node: Any) -> Value:
        x, out, given = self._input(node, 0), self._output(node), attributes(node)
        axes, kernel = len(out) - 2, given["kernel_shape"]
        stride, dilation = given.get("strides") or [1] * axes, given.get("dilations") or [1] * axes
        return self.graph.pool(
            node_name(node),
            POOLS[node.op_type],
            x,
            out,
            kernel=kernel,
            stride=stride,
            padding=_padding(given, x.shape, out, kernel, stride, dilation),
            dilation=dilation,
        )

    def _global_pool(self, node: Any) -> Value:
        op = GLOBAL_POOLS[node.op_type]
        return self.graph.adaptive_pool(node_name(node), op, self._input(node, 0), self._output(node))

    def _elementwise(self, node: Any) -> Value:
        if node.op_type in ("Add", "Sum") and len(node.input) == 2:
            for moving, other in ((0, 1), (1, 0)):
                bias = self.values[node.input[other]]
                is_vector = bias.words == max(bias.shape, default=1)
                if bias.constant and is_vector and self._folds(node, moving):
                    return self._input(node, moving)
        return self._vector(node, LayerKind.ELEMENTWISE, node.op_type.lower())

    def _reduce(self, node: Any) -> Value:
        x, out = self._input(node, 0), self._output(node)
        spatial = len(x.shape) == 4 and x.shape[:2] == out[:2] and all(size == 1 for size in out[2:])
        if node.op_type in ("ReduceMean", "ReduceMax") and spatial:
            op = "avg" if node.op_type == "ReduceMean" else "max"
            result = self.graph.adaptive_pool(node_name(node), op, x, (*x.shape[:2], 1, 1))
            return Value(out, result.producers)
        return self.graph.reduce(node_name(node), node.op_type.removeprefix("Reduce").lower(), x, out)

    def _vector(self, node: Any, kind: LayerKind, op: str, *, axis: int | None = None) -> Value:
        sources = [self.values[name] for name in node.input if name]
        return self.graph.vector(node_name(node), kind, op, self._output(node), *sources, axis=axis)

    def _folds(self, node: Any, index: int) -> bool:
        """Whether an affine operation can move into the layer before it, which nothing else reads."""
        name = node.input[index]
        return self.readers[name] == 1 and self.graph.ends_in_compute(self.values[name])

    def _input(self, node: Any, index: int) -> Value:
        name = node.input[index]
        tensor = self.tensors[name]
        if tensor.shape is None:
            raise self._open(node, f"its input {name!r}", name, tensor.origin)
        return self.values[name]

    def _output(self, node: Any) -> tuple[int, ...]:
        name = node.output[0]
        tensor = self.tensors[name]
        if tensor.shape is None:
            raise self._open(node, f"its output {name!r}", name, tensor.origin)
        return tensor.shape

    def _open(self, node: Any, what: str, name: str, origin: str) -> InputError:
        path = self.tensors.sizes.path.name
        return self._error(
            node,
            f"the shape of {what} is not fixed: it depends on the data of {origin}, allowed: fixed shapes; state it "
            f"with {path}?{name}=AxB..",
        )

    def _error(self, node: Any, message: str) -> InputError:
        return self.tensors.error(node, message)


_RUNTIME = "com.microsoft"
_KNOWN_DOMAINS = ("", "ai.onnx", _RUNTIME)
_REFUSED = words("DFT STFT Det Inverse SequenceMap")
"""Operators that keep shapes or seem to, but whose work is not that of their elements."""
_PRODUCTS = re.compile(r"Attention|Attn|Conv(?!er)|Gemm|GRU|LSTM|(?<!Q)(?<!ize)Linear|MatMul|MoE|RNN")
"""Parts of names that tell of products, which no operator of unknown kind may leave out."""


def node_name(node: Any) -> str:
    """Returns a name for the layers of a node."""
    return str(node.name or next(filter(None, node.output), node.op_type))


def _padding(
    given: dict[str, Any], x: tuple[int, ...], out: tuple[int, ...], taps: Any, stride: Any, dilation: Any
) -> list[int]:
    """Returns the total padding of each axis."""
    axes = len(out) - 2
    if given.get("auto_pad", "NOTSET") in ("SAME_UPPER", "SAME_LOWER"):
        return [max((out[2 + i] - 1) * stride[i] + (taps[i] - 1) * dilation[i] + 1 - x[2 + i], 0) for i in range(axes)]
    pads = given.get("pads") or [0] * (2 * axes)
    return [pads[i] + pads[axes + i] for i in range(axes)]


def _sizes(shape: tuple[int, ...]) -> str:
    return "x".join(map(str, shape))


def _transposed(x: Value) -> Value:
    return Value((*x.shape[:-2], x.shape[-1], x.shape[-2]), x.producers, x.constant)


def _heads(x: Value, heads: int) -> Value:
    batch, positions, width = x.shape
    return Value((batch, heads, positions, width // heads), x.producers, x.constant)
