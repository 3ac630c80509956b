"""The layers of single PyTorch operators."""

from __future__ import annotations

import operator
from collections.abc import Callable
from typing import Any

from accelgym.costmodels.errors import InputError
from accelgym.costmodels.workloads.importers.contraction import add_einsum
from accelgym.costmodels.workloads.importers.torch_operators import (
    ACTIVATIONS,
    ADAPTIVE_POOLS,
    CONVS,
    ELEMENTWISE,
    NORMS,
    PERMUTES,
    POOLS,
    PRODUCTS,
    RECURRENT,
    REDUCTIONS,
    TRANSPOSED_CONVS,
)
from accelgym.costmodels.workloads.importers.traced import TracedGraph, Value, merge
from accelgym.costmodels.workloads.layer import LayerKind

__all__ = ["LayerFactory", "module_of", "operator_name", "shape_of"]


class LayerFactory:
    """Adds the layers of one node after the other.

    Args:
        graph: The workload that grows.
    """

    def __init__(self, graph: TracedGraph) -> None:
        self.graph = graph
        self.values: dict[str, Value] = {}
        """By node name, in the graph or region that is walked."""

    def handler(self, op: str) -> Callable[[str, Any], Value] | None:
        """Returns what adds the layers of an operator; None for one that is not known."""
        return next((handler for names, handler in self._handlers() if op in names), None)

    def fallback(self, op: str, node: Any) -> Value:
        """Adds vector work of the output's size, and a note that says so."""
        self.graph.note(f"operator {op} is counted as vector work of the size of its output")
        return self._vector(LayerKind.ELEMENTWISE, op, node)

    def _handlers(self) -> tuple[tuple[Any, Callable[[str, Any], Value]], ...]:
        return (
            (CONVS, self._conv),
            (TRANSPOSED_CONVS, self._conv_transpose),
            (RECURRENT, self._recurrent),
            (PRODUCTS, self._product),
            (("einsum",), self._einsum),
            (("scaled_dot_product_attention",), self._attention),
            (("softmax", "_softmax", "log_softmax", "_log_softmax"), self._softmax),
            (("batch_norm", "_native_batch_norm_legit_no_training", "native_batch_norm"), self._batch_norm),
            (NORMS, self._norm),
            (POOLS, self._pool),
            (ADAPTIVE_POOLS, self._adaptive_pool),
            (("embedding",), self._embedding),
            (ACTIVATIONS, self._activation),
            (ELEMENTWISE, self._elementwise),
            (PERMUTES, self._permute),
            (REDUCTIONS, self._reduce),
        )

    def _value(self, argument: Any) -> Value:
        found = self.values.get(getattr(argument, "name", ""))
        return Value(()) if found is None else found

    def _conv(self, op: str, node: Any) -> Value:
        args = _bound(node)
        x, weight, out = self._value(args["input"]), self._value(args["weight"]), shape_of(node)
        if args.get("transposed"):
            return self._conv_transpose(op, node)
        axes = len(weight.shape) - 2
        stride, dilation = _sizes(args["stride"], axes), _sizes(args["dilation"], axes)
        if isinstance(args["padding"], str):
            # "same" keeps the size, "valid" pads nothing.
            same = args["padding"] == "same"
            padding = [d * (k - 1) * same for d, k in zip(dilation, weight.shape[2:], strict=True)]
        else:
            padding = [2 * pad for pad in _sizes(args["padding"], axes)]
        if len(x.shape) == len(out) == axes + 1:  # no batch axis
            x, out = Value((1, *x.shape), x.producers, x.constant), (1, *out)
        return self.graph.conv(
            _name(node, op),
            x,
            weight,
            out,
            stride=stride,
            padding=padding,
            dilation=dilation,
            groups=int(args["groups"]),
        )

    def _conv_transpose(self, op: str, node: Any) -> Value:
        args = _bound(node)
        x, weight, out = self._value(args["input"]), self._value(args["weight"]), shape_of(node)
        axes = len(weight.shape) - 2
        if len(x.shape) == len(out) == axes + 1:  # no batch axis
            x, out = Value((1, *x.shape), x.producers, x.constant), (1, *out)
        return self.graph.transposed_conv(
            _name(node, op),
            x,
            weight,
            out,
            stride=_sizes(args["stride"], axes),
            dilation=_sizes(args["dilation"], axes),
            groups=int(args["groups"]),
        )

    def _recurrent(self, op: str, node: Any) -> Value:
        args, name, kind = _bound(node), _name(node, op), op.partition("_")[0]
        if "input" not in args or not hasattr(args["input"], "meta"):
            raise InputError(f"module {self.graph.name!r}: packed sequences (node {node.name!r}) are not supported")
        x, weights = self._value(args["input"]), list(args["params"])
        initial = args["hx"] if isinstance(args["hx"], list | tuple) else [args["hx"]]
        state = [self._value(source) for source in initial]
        shape = x.shape if len(x.shape) == 3 else (x.shape[0], 1, x.shape[1])  # no batch axis
        batch, steps = shape[:2] if args["batch_first"] and len(x.shape) == 3 else shape[1::-1]
        directions = 2 if args["bidirectional"] else 1
        step = len(weights) // (int(args["num_layers"]) * directions)
        has_projection = step == (3 if not args["has_biases"] else 5)
        for layer in range(int(args["num_layers"])):
            ends = []
            for direction in range(directions):
                first = (layer * directions + direction) * step
                matrices = [self._value(weight) for weight in weights[first : first + step]]
                ends.append(
                    self.graph.recurrent(
                        f"{name}.l{layer}" + (".reverse" if direction else ""),
                        kind,
                        x,
                        state,
                        steps=steps,
                        batch=batch,
                        hidden=matrices[0].shape[0] // RECURRENT[op],
                        gates=RECURRENT[op],
                        projection=matrices[-1].shape[0] if has_projection else 0,
                        constant=matrices[0].constant,
                    )
                )
            x = merge(ends, (steps, batch, sum(end.shape[-1] for end in ends)))
        return Value(shape_of(node), x.producers)

    def _product(self, op: str, node: Any) -> Value:
        args, out = _bound(node), shape_of(node)
        if op == "linear":
            x, weight = self._value(args["input"]), self._value(args["weight"])
            return self.graph.matmul(
                _name(node, op), x, Value(weight.shape[::-1], weight.producers, weight.constant), out
            )
        adds = op in ("addmm", "baddbmm", "addbmm", "addmv")
        first, second = (self._value(argument) for argument in node.args[adds : adds + 2])
        if op == "addbmm":  # the products of a batch are summed
            result = add_einsum(self.graph, _name(node, op), "bij,bjk->ik", [first, second])
        else:
            result = self.graph.matmul(_name(node, op), first, second, out)
        added = self._value(node.args[0]) if adds else None
        if added is None or added.constant:
            return result
        return self.graph.vector(_name(node, "add"), LayerKind.ELEMENTWISE, "add", out, result, added)

    def _einsum(self, op: str, node: Any) -> Value:
        equation, operands = node.args[0], [self._value(operand) for operand in node.args[1]]
        try:
            result = add_einsum(self.graph, _name(node, op), equation, operands)
        except InputError as error:
            raise InputError(f"module {self.graph.name!r}: node {node.name!r}: {error}") from error
        return Value(shape_of(node), result.producers)

    def _attention(self, op: str, node: Any) -> Value:
        query, key, value = (self._value(argument) for argument in node.args[:3])
        return self.graph.attention(_name(node, "attention"), query, key, value, shape_of(node))

    def _softmax(self, op: str, node: Any) -> Value:
        axis = int(_bound(node)["dim"])
        return self._vector(LayerKind.SOFTMAX, op.strip("_"), node, axis=axis)

    def _batch_norm(self, op: str, node: Any) -> Value:
        x = self._value(node.args[0])
        if not _bound(node).get("training") and self._folds(x, node.args[0]):
            return x
        return self._vector(LayerKind.NORM, "batch_norm", node)

    def _norm(self, op: str, node: Any) -> Value:
        args = _bound(node)
        op = op.strip("_").removeprefix("native_").removeprefix("fused_")
        axes = args.get("normalized_shape")
        return self._vector(LayerKind.NORM, op, node, axis=-1 if axes is not None and len(axes) == 1 else None)

    def _pool(self, op: str, node: Any) -> Value:
        args, x, out = _bound(node), self._value(node.args[0]), shape_of(node)
        axes = _axes(op)
        kernel = _sizes(args["kernel_size"], axes)
        if len(out) == axes + 1:
            x, out = Value((1, *x.shape), x.producers), (1, *out)
        return self.graph.pool(
            _name(node, op),
            POOLS[op],
            x,
            out,
            kernel=kernel,
            stride=_sizes(args["stride"] or kernel, axes),
            padding=[2 * pad for pad in _sizes(args["padding"], axes)],
            dilation=_sizes(args.get("dilation", 1), axes),
        )

    def _adaptive_pool(self, op: str, node: Any) -> Value:
        x, out = self._value(node.args[0]), shape_of(node)
        kind = "max" if "max" in op else "avg"
        if len(out) == _axes(op) + 1:
            x, out = Value((1, *x.shape), x.producers), (1, *out)
        return self.graph.adaptive_pool(_name(node, op), kind, x, out)

    def _embedding(self, op: str, node: Any) -> Value:
        return self._vector(LayerKind.EMBEDDING, "lookup", node)

    def _activation(self, op: str, node: Any) -> Value:
        return self._vector(LayerKind.ACTIVATION, op, node)

    def _elementwise(self, op: str, node: Any) -> Value:
        moving = [self._value(s) for s in node.all_input_nodes if not self._value(s).constant]
        if op == "add" and len(moving) == 1:
            source = next(s for s in node.all_input_nodes if not self._value(s).constant)
            if len(node.all_input_nodes) == 2 and self._folds(moving[0], source) and self._is_bias(node):
                return Value(shape_of(node), moving[0].producers)
        return self._vector(LayerKind.ELEMENTWISE, op, node)

    def _is_bias(self, node: Any) -> bool:
        constant = next(self._value(s) for s in node.all_input_nodes if self._value(s).constant)
        return constant.words == max(constant.shape, default=1)

    def _permute(self, op: str, node: Any) -> Value:
        return self._vector(LayerKind.PERMUTE, op, node)

    def _reduce(self, op: str, node: Any) -> Value:
        x, out = self._value(node.args[0]), shape_of(node)
        spatial = len(x.shape) == 4 and out[:2] == x.shape[:2] and all(size == 1 for size in out[2:])
        if op in ("mean", "amax") and spatial:
            pooled = (*x.shape[:2], 1, 1)
            kind = "avg" if op == "mean" else "max"
            result = self.graph.pool(
                _name(node, op), kind, x, pooled, kernel=x.shape[2:], stride=(1, 1), padding=(0, 0)
            )
            return Value(out, result.producers)
        return self.graph.reduce(_name(node, op), op, x, out)

    def _vector(self, kind: LayerKind, op: str, node: Any, *, axis: int | None = None) -> Value:
        sources = [self._value(source) for source in node.all_input_nodes]
        return self.graph.vector(_name(node, op), kind, op, shape_of(node), *sources, axis=axis)

    def _folds(self, x: Value, source: Any) -> bool:
        """Whether an affine operation can move into the layer that produces ``x``, which nothing else reads."""
        return source.op != "placeholder" and self.graph.ends_in_compute(x) and len(source.users) == 1


def operator_name(node: Any) -> str:
    """Returns the plain name of an operator; the trace already reads the result of one that works in place."""
    if node.target is operator.getitem:
        return "getitem"
    name = getattr(getattr(node.target, "_schema", None), "name", None) or str(node.target)
    name = name.rpartition("::")[2].partition(".")[0]
    return name if name.startswith("__") else name.rstrip("_")


def _bound(node: Any) -> dict[str, Any]:
    """Returns the arguments by name, with the defaults of the operator's schema."""
    schema = node.target._schema.arguments
    values = {argument.name: argument.default_value for argument in schema}
    values.update({argument.name: value for argument, value in zip(schema, node.args, strict=False)})
    values.update(node.kwargs)
    return values


def shape_of(node: Any) -> tuple[int, ...]:
    """Returns the shape of a node's result, of its first tensor where it has several.

    Raises:
        InputError: A size is not fixed.
    """
    value = node.meta.get("val")
    if isinstance(value, tuple | list):
        value = next((item for item in value if hasattr(item, "shape")), None)
    shape = tuple(getattr(value, "shape", ()))
    if not all(isinstance(size, int) for size in shape):
        raise InputError(
            f"node {node.name!r} has the shape {shape}, allowed: fixed sizes; export without dynamic shapes"
        )
    return shape


def _axes(op: str) -> int:
    """Returns the number of pooled axes, from a name such as ``max_pool2d_with_indices``."""
    return next(axes for axes in (1, 2, 3) if f"{axes}d" in op)


def _sizes(value: Any, axes: int) -> list[int]:
    """Returns one number per axis."""
    values = [value] if isinstance(value, int) else list(value)
    return values * axes if len(values) == 1 else values


def module_of(node: Any) -> str:
    """Returns the path of the module that a node comes from; empty at the top."""
    stack = node.meta.get("nn_module_stack") or {}
    return str(list(stack.values())[-1][0]) if stack else ""


def _name(node: Any, op: str) -> str:
    """Names a layer after its module; a module of one operator gives its own name, others append the operator's."""
    stack = node.meta.get("nn_module_stack") or {}
    if not stack:
        return str(node.name)
    path, kind = list(stack.values())[-1]
    kind = str(kind).rpartition(".")[2].lower()
    plain = op.strip("_").replace("_", "")
    if not path:
        return op
    return str(path) if plain.startswith(kind) or kind.startswith(plain) else f"{path}.{op}"
