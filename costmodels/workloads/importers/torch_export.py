"""PyTorch modules, traced with ``torch.export``."""

from __future__ import annotations

import operator
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from accelgym.costmodels.errors import InputError, MissingExtraError
from accelgym.costmodels.workloads.importers.traced import TracedGraph, Value, merge, words
from accelgym.costmodels.workloads.layer import LayerKind
from accelgym.costmodels.workloads.workload import Workload

if TYPE_CHECKING:
    import torch

__all__ = ["import_torch"]

_ACTIVATIONS = words(
    "relu relu6 leaky_relu prelu rrelu elu selu celu gelu silu mish sigmoid tanh hardtanh hardswish hardsigmoid "
    "softplus softsign log_sigmoid logsigmoid threshold glu exp log log1p expm1 sqrt rsqrt reciprocal sin cos erf "
    "abs neg square sign floor ceil round logical_not bitwise_not clamp clamp_min clamp_max"
)
_ELEMENTWISE = words(
    "add sub rsub mul div pow maximum minimum where masked_fill addcmul addcdiv lerp eq ne lt le gt ge "
    "logical_and logical_or bitwise_and bitwise_or true_divide floor_divide remainder atan2 tril triu cumsum"
)
_PERMUTES = words(
    "cat concat stack hstack vstack repeat repeat_interleave tile pixel_shuffle pixel_unshuffle channel_shuffle pad "
    "constant_pad_nd reflection_pad1d reflection_pad2d replication_pad1d replication_pad2d roll flip gather "
    "index_select index upsample_nearest1d upsample_nearest2d upsample_bilinear2d upsample_bicubic2d im2col "
    "unfold slice_scatter index_put scatter"
)
_VIEWS = words(
    "view reshape _unsafe_view view_as reshape_as flatten unflatten squeeze unsqueeze permute transpose t mT "
    "contiguous clone detach alias lift_fresh_copy expand expand_as broadcast_to slice select narrow split "
    "split_with_sizes chunk tensor_split unbind unsafe_split unsafe_chunk diagonal movedim swapaxes swapdims "
    "numpy_T to _to_copy type_as float half dropout feature_dropout alpha_dropout native_dropout "
    "_assert_tensor_metadata _assert_async copy"
)
_REDUCTIONS = words("mean sum amax amin max min prod var std argmax argmin norm linalg_vector_norm any all")
_POOLS = {
    "max_pool1d": "max",
    "max_pool2d": "max",
    "max_pool2d_with_indices": "max",
    "avg_pool1d": "avg",
    "avg_pool2d": "avg",
}
_NORMS = words("layer_norm native_layer_norm rms_norm _fused_rms_norm group_norm native_group_norm instance_norm")
_CONVS = words("conv1d conv2d convolution _convolution")
_PRODUCTS = words("mm bmm matmul dot mv addmm baddbmm addmv linear")
_HINTS = {
    "lstm": "a recurrence has no free position loop; unroll it into products",
    "gru": "a recurrence has no free position loop; unroll it into products",
    "rnn_tanh": "a recurrence has no free position loop; unroll it into products",
    "rnn_relu": "a recurrence has no free position loop; unroll it into products",
    "conv3d": "only one- and two-dimensional convolutions are supported",
    "conv_transpose1d": "replace it by upsampling and a convolution",
    "conv_transpose2d": "replace it by upsampling and a convolution",
}


def import_torch(module: torch.nn.Module, example_inputs: tuple[Any, ...], *, name: str | None = None) -> Workload:
    """Traces a module with ``torch.export`` and returns its layers and edges.

    Convolutions, products (``linear``, ``addmm``, ``bmm``, ``matmul`` ...), scaled dot-product attention (two
    batched products and a softmax; grouped queries become rows), norms, activations, element-by-element
    operations, pooling and data movement become layers; views, transposes and dropout pass their edges on.
    A batch normalisation in evaluation mode and a constant bias are folded into the convolution or product
    before them. The module is traced in the mode it is in and is left unchanged.

    Args:
        module: The module.
        example_inputs: Positional arguments; their sizes become the sizes of the layers.
        name: Name of the workload; the class name when omitted.

    Raises:
        MissingExtraError: PyTorch is not installed.
        InputError: The module cannot be exported, has sizes that are not fixed or an operator that is not
            supported.
    """
    try:
        import torch
    except ImportError as error:
        raise MissingExtraError("importing PyTorch modules", "torch", "agents") from error
    name = name or type(module).__name__
    try:
        program = torch.export.export(module, example_inputs)
    except Exception as error:  # torch.export raises many unrelated classes
        first = str(error).strip().split("\n", 1)[0]
        raise InputError(
            f"module {name!r} cannot be traced by torch.export: {type(error).__name__}: {first}"
        ) from error
    return _Tracer(name, program).run()


class _Tracer:
    """Walks the exported graph once."""

    def __init__(self, name: str, program: torch.export.ExportedProgram) -> None:
        self.program = program
        self.graph = TracedGraph(name, f"torch.export of {name}")
        self.values: dict[str, Value] = {}

    def run(self) -> Workload:
        """Returns the workload."""
        inputs = set(self.program.graph_signature.user_inputs)
        for node in self.program.graph.nodes:
            if node.op == "placeholder":
                if hasattr(node.meta.get("val"), "shape"):
                    self.values[node.name] = Value(_shape(node), constant=node.name not in inputs)
            elif node.op == "call_function":
                self._call(node)
        return self.graph.build()

    def _call(self, node: Any) -> None:
        sources = [self.values[source.name] for source in node.all_input_nodes if source.name in self.values]
        op = _operator(node)
        if op in ("getitem", *_VIEWS) or (not hasattr(node.meta.get("val"), "shape") and not sources):
            value = merge(sources, _shape(node))
        elif all(source.constant for source in sources):
            # Also tensors made from nothing: arange, zeros ...
            value = Value(_shape(node), constant=True)
        else:
            value = self._layer(op, node)
        self.values[node.name] = value

    def _layer(self, op: str, node: Any) -> Value:
        for names, handler in self._handlers():
            if op in names:
                return handler(op, node)
        where = f"node {node.name!r}" + (f" in module {_module(node)!r}" if _module(node) else "")
        hint = next((text for key, text in _HINTS.items() if op.startswith(key)), None)
        raise InputError(
            f"module {self.graph.name!r}: operator {op!r} ({where}) is not supported" + (f": {hint}" if hint else "")
        )

    def _handlers(self) -> tuple[tuple[Any, Callable[[str, Any], Value]], ...]:
        return (
            (_CONVS, self._conv),
            (_PRODUCTS, self._product),
            (("einsum",), self._einsum),
            (("scaled_dot_product_attention",), self._attention),
            (("softmax", "_softmax", "log_softmax", "_log_softmax"), self._softmax),
            (("batch_norm", "_native_batch_norm_legit_no_training", "native_batch_norm"), self._batch_norm),
            (_NORMS, self._norm),
            (_POOLS, self._pool),
            (("adaptive_avg_pool1d", "adaptive_avg_pool2d", "adaptive_max_pool2d"), self._adaptive_pool),
            (("embedding",), self._embedding),
            (_ACTIVATIONS, self._activation),
            (_ELEMENTWISE, self._elementwise),
            (_PERMUTES, self._permute),
            (_REDUCTIONS, self._reduce),
        )

    def _value(self, argument: Any) -> Value:
        found = self.values.get(getattr(argument, "name", ""))
        return Value(()) if found is None else found

    def _conv(self, op: str, node: Any) -> Value:
        args = _bound(node)
        x, weight, out = self._value(args["input"]), self._value(args["weight"]), _shape(node)
        if args.get("transposed"):
            raise InputError(
                f"module {self.graph.name!r}: transposed convolution (node {node.name!r}) is not supported"
            )
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

    def _product(self, op: str, node: Any) -> Value:
        args, out = _bound(node), _shape(node)
        if op == "linear":
            x, weight = self._value(args["input"]), self._value(args["weight"])
            return self.graph.matmul(
                _name(node, op), x, Value(weight.shape[::-1], weight.producers, weight.constant), out
            )
        if op in ("addmm", "baddbmm", "addmv"):
            first, second = node.args[1], node.args[2]
        else:
            first, second = node.args[0], node.args[1]
        result = self.graph.matmul(_name(node, op), self._value(first), self._value(second), out)
        added = self._value(node.args[0]) if op in ("addmm", "baddbmm", "addmv") else None
        if added is None or added.constant:
            return result
        return self.graph.vector(_name(node, "add"), LayerKind.ELEMENTWISE, "add", out, result, added)

    def _einsum(self, op: str, node: Any) -> Value:
        equation, operands = node.args[0], [self._value(operand) for operand in node.args[1]]
        inputs, arrow, output = equation.replace(" ", "").partition("->")
        terms = inputs.split(",")
        if len(operands) != 2 or not arrow or "." in equation or any(len(set(term)) != len(term) for term in terms):
            raise InputError(
                f"module {self.graph.name!r}: einsum {equation!r} (node {node.name!r}) is not supported, allowed: two "
                "operands, an explicit output and no ellipsis or repeated index"
            )
        size = {
            index: extent
            for term, operand in zip(terms, operands, strict=True)
            for index, extent in zip(term, operand.shape, strict=True)
        }
        kinds = {"M": 1, "K": 1, "C": 1, "groups": 1}
        for index, extent in size.items():
            left, right = index in terms[0], index in terms[1]
            if index not in output and not (left and right):
                raise InputError(
                    f"module {self.graph.name!r}: einsum {equation!r} (node {node.name!r}) sums {index!r} of one "
                    "operand alone, allowed: sums over indices of both"
                )
            kinds["C" if index not in output else "groups" if left and right else "M" if left else "K"] *= extent
        groups, M, K, C = kinds["groups"], kinds["M"], kinds["K"], kinds["C"]
        first, second = (
            Value(shape, operand.producers, operand.constant)
            for shape, operand in zip(((groups, M, C), (groups, C, K)), operands, strict=True)
        )
        return self.graph.matmul(_name(node, op), first, second, _shape(node))

    def _attention(self, op: str, node: Any) -> Value:
        query, key, value = (self._value(argument) for argument in node.args[:3])
        return self.graph.attention(_name(node, "attention"), query, key, value, _shape(node))

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
        args, x, out = _bound(node), self._value(node.args[0]), _shape(node)
        axes = 1 if op.endswith("1d") else 2
        kernel = _sizes(args["kernel_size"], axes)
        if set(_sizes(args.get("dilation", 1), axes)) != {1}:
            raise InputError(f"module {self.graph.name!r}: dilated pooling (node {node.name!r}) is not supported")
        if len(out) == axes + 1:
            x, out = Value((1, *x.shape), x.producers), (1, *out)
        return self.graph.pool(
            _name(node, op),
            _POOLS[op],
            x,
            out,
            kernel=kernel,
            stride=_sizes(args["stride"] or kernel, axes),
            padding=[2 * pad for pad in _sizes(args["padding"], axes)],
        )

    def _adaptive_pool(self, op: str, node: Any) -> Value:
        x, out = self._value(node.args[0]), _shape(node)
        kind = "max" if "max" in op else "avg"
        if len(out) == (2 if op.endswith("1d") else 3):
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
                return Value(_shape(node), moving[0].producers)
        return self._vector(LayerKind.ELEMENTWISE, op, node)

    def _is_bias(self, node: Any) -> bool:
        constant = next(self._value(s) for s in node.all_input_nodes if self._value(s).constant)
        return constant.words == max(constant.shape, default=1)

    def _permute(self, op: str, node: Any) -> Value:
        return self._vector(LayerKind.PERMUTE, op, node)

    def _reduce(self, op: str, node: Any) -> Value:
        x, out = self._value(node.args[0]), _shape(node)
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
        return self.graph.vector(_name(node, op), kind, op, _shape(node), *sources, axis=axis)

    def _folds(self, x: Value, source: Any) -> bool:
        """Whether an affine operation can move into the layer that produces ``x``, which nothing else reads."""
        return self.graph.ends_in_compute(x) and len(source.users) == 1


def _operator(node: Any) -> str:
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


def _shape(node: Any) -> tuple[int, ...]:
    value = node.meta.get("val")
    if isinstance(value, tuple | list):
        value = next((item for item in value if hasattr(item, "shape")), None)
    shape = tuple(getattr(value, "shape", ()))
    if not all(isinstance(size, int) for size in shape):
        raise InputError(
            f"node {node.name!r} has the shape {shape}, allowed: fixed sizes; export without dynamic shapes"
        )
    return shape


def _sizes(value: Any, axes: int) -> list[int]:
    """Returns one number per axis."""
    values = [value] if isinstance(value, int) else list(value)
    return values * axes if len(values) == 1 else values


def _module(node: Any) -> str:
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
