"""ONNX models, with shapes from ``onnx.shape_inference``."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import Any

from accelgym.costmodels.errors import InputError, MissingExtraError
from accelgym.costmodels.workloads.importers.traced import TracedGraph, Value, merge, words
from accelgym.costmodels.workloads.layer import LayerKind
from accelgym.costmodels.workloads.workload import Workload

__all__ = ["import_onnx"]

_ACTIVATIONS = words(
    "Relu LeakyRelu PRelu Elu Selu Celu Gelu Sigmoid HardSigmoid HardSwish Tanh Mish Softplus Softsign Swish "
    "ThresholdedRelu Clip Erf Exp Log Sqrt Reciprocal Abs Neg Sin Cos Floor Ceil Round Sign Not"
)
_ELEMENTWISE = words(
    "Add Sub Mul Div Pow Sum Max Min Mean Where Equal Greater GreaterOrEqual Less LessOrEqual And Or Xor Mod "
    "CumSum Trilu"
)
_PERMUTES = words("Concat Resize Upsample DepthToSpace SpaceToDepth Pad Tile ScatterND GatherElements")
_VIEWS = words(
    "Reshape Flatten Squeeze Unsqueeze Transpose Identity Dropout Cast CastLike Slice Split Expand Gather Shape "
    "Size Constant ConstantOfShape Range QuantizeLinear DequantizeLinear NonZero"
)
_NORMS = {
    "LayerNormalization": "layer_norm",
    "RMSNormalization": "rms_norm",
    "SimplifiedLayerNormalization": "rms_norm",
    "GroupNormalization": "group_norm",
    "InstanceNormalization": "instance_norm",
    "LpNormalization": "lp_norm",
}
_REDUCTIONS = words(
    "ReduceMean ReduceSum ReduceMax ReduceMin ReduceL1 ReduceL2 ReduceProd ReduceSumSquare ArgMax ArgMin"
)
_POOLS = {"MaxPool": "max", "AveragePool": "avg", "LpPool": "lp"}
_GLOBAL_POOLS = {"GlobalMaxPool": "max", "GlobalAveragePool": "avg"}


def import_onnx(path: str | Path, *, name: str | None = None) -> Workload:
    """Reads an ONNX model as a workload with edges.

    Convolutions, ``Gemm``, ``MatMul``, softmax, norms, activations, element-by-element operations, pooling and
    data movement become layers; reshapes, transposes and type conversions pass their edges on. Batch
    normalisations and constant biases are folded into the convolution or product before them.

    Args:
        path: The file; external weights need not be present.
        name: Name of the workload; the file name when omitted.

    Raises:
        MissingExtraError: The package ``onnx`` is not installed.
        InputError: The file is no ONNX model, a size is symbolic or unknown, or an operator is not supported.
    """
    try:
        import onnx
    except ImportError as error:
        raise MissingExtraError("importing ONNX models", "onnx", "onnx") from error
    path = Path(path)
    try:
        model = onnx.load(str(path), load_external_data=False)
    except OSError as error:
        raise InputError(f"{path}: cannot be read: {error}") from error
    except Exception as error:  # protobuf's DecodeError is not importable in a stable way
        raise InputError(f"{path}: not an ONNX model: {error}") from error
    if not model.graph.node:
        raise InputError(f"{path}: the model has no nodes")
    _refuse_symbolic_inputs(path, model.graph)
    try:
        model = onnx.shape_inference.infer_shapes(model, strict_mode=True, data_prop=True)
    except onnx.shape_inference.InferenceError as error:
        first = str(error).strip().split("\n", 1)[0]
        raise InputError(f"{path}: shape inference failed: {first}") from error
    return _Reader(path, name or path.stem, model.graph).run()


def _refuse_symbolic_inputs(path: Path, graph: Any) -> None:
    initialised = {tensor.name for tensor in graph.initializer}
    for value in graph.input:
        if value.name in initialised:
            continue
        dims = [dim.dim_param or (dim.dim_value if dim.HasField("dim_value") else "?") for dim in _dims(value)]
        if any(isinstance(dim, str) for dim in dims):
            shown = ", ".join(str(dim) for dim in dims)
            raise InputError(
                f"{path}: input {value.name!r} has the symbolic shape [{shown}], allowed: fixed sizes; fix them with "
                "onnx.tools.update_model_dims or export the model without dynamic axes"
            )


def _dims(value: Any) -> Any:
    return value.type.tensor_type.shape.dim


class _Reader:
    """Walks the nodes once, in the topological order that ONNX prescribes."""

    def __init__(self, path: Path, name: str, graph: Any) -> None:
        self.path = path
        self.nodes = graph.node
        self.graph = TracedGraph(name, str(path))
        self.shapes: dict[str, tuple[int, ...] | None] = {}
        self.values: dict[str, Value] = {}
        for value in [*graph.input, *graph.value_info, *graph.output]:
            dims = _dims(value)
            fixed = all(dim.HasField("dim_value") for dim in dims)
            known = value.type.tensor_type.HasField("shape") and fixed
            self.shapes[value.name] = tuple(int(dim.dim_value) for dim in dims) if known else None
        for value in graph.input:
            self.values[value.name] = Value(self.shapes[value.name] or ())
        for tensor in graph.initializer:
            self.values[tensor.name] = Value(tuple(int(d) for d in tensor.dims), constant=True)
        self.readers = Counter(name for node in graph.node for name in node.input)
        self.readers.update(value.name for value in graph.output)

    def run(self) -> Workload:
        """Returns the workload."""
        for node in self.nodes:
            sources = [self.values[name] for name in node.input if name in self.values]
            op = node.op_type
            # The shape of a tensor is known beforehand, whatever its values are.
            constant = op in ("Shape", "Size") or all(source.constant for source in sources)
            if constant or (op in _VIEWS and not self._is_lookup(node)):
                for i, output in enumerate(node.output):
                    shape = self.shapes.get(output)
                    passed = Value((), (), True) if constant else merge(sources, ())
                    # Only where a layer reads it does an unknown size matter.
                    self.values[output] = Value(shape or self._constant_shape(node, i), passed.producers, constant)
                continue
            result = self._layer(node)
            for output in node.output:
                if output:
                    self.values[output] = Value(self.shapes.get(output) or (), result.producers)
        return self.graph.build()

    def _constant_shape(self, node: Any, index: int) -> tuple[int, ...]:
        attributes = _attributes(node)
        tensor = attributes.get("value")
        return tuple(int(d) for d in tensor.dims) if node.op_type == "Constant" and tensor is not None else ()

    def _is_lookup(self, node: Any) -> bool:
        """A ``Gather`` of rows of a constant table by computed or given indices is an embedding."""
        if node.op_type != "Gather":
            return False
        table, indices = self.values[node.input[0]], self.values[node.input[1]]
        return table.constant and len(table.shape) == 2 and not indices.constant

    def _layer(self, node: Any) -> Value:
        op = node.op_type
        for names, handler in self._handlers():
            if op in names:
                return handler(node)
        supported = sorted({name for names, _ in self._handlers() for name in names} | _VIEWS)
        raise self._error(node, f"the operator is not supported: {', '.join(supported)}")

    def _handlers(self) -> tuple[tuple[Any, Callable[[Any], Value]], ...]:
        return (
            (("Conv",), self._conv),
            (("Gemm",), self._gemm),
            (("MatMul",), self._matmul),
            (("Softmax", "LogSoftmax"), self._softmax),
            (("BatchNormalization",), self._batch_norm),
            (_NORMS, self._norm),
            (_POOLS, self._pool),
            (_GLOBAL_POOLS, self._global_pool),
            (("Gather",), lambda node: self._vector(node, LayerKind.EMBEDDING, "lookup")),
            (_ACTIVATIONS, lambda node: self._vector(node, LayerKind.ACTIVATION, node.op_type.lower())),
            (_ELEMENTWISE, self._elementwise),
            (_PERMUTES, lambda node: self._vector(node, LayerKind.PERMUTE, node.op_type.lower())),
            (_REDUCTIONS, self._reduce),
        )

    def _conv(self, node: Any) -> Value:
        x, weight, out = self._input(node, 0), self._input(node, 1), self._output(node)
        attributes = _attributes(node)
        axes = len(out) - 2
        stride = attributes.get("strides") or [1] * axes
        dilation = attributes.get("dilations") or [1] * axes
        taps = weight.shape[2:]
        if attributes.get("auto_pad", "NOTSET") in ("SAME_UPPER", "SAME_LOWER"):
            padding = [
                max((out[2 + i] - 1) * stride[i] + (taps[i] - 1) * dilation[i] + 1 - x.shape[2 + i], 0)
                for i in range(axes)
            ]
        else:
            padding = self._padding(attributes, axes)
        return self.graph.conv(
            _name(node),
            x,
            weight,
            out,
            stride=stride,
            padding=padding,
            dilation=dilation,
            groups=attributes.get("group", 1),
        )

    def _gemm(self, node: Any) -> Value:
        a, b, out = self._input(node, 0), self._input(node, 1), self._output(node)
        attributes = _attributes(node)
        if attributes.get("transA"):
            a = Value(a.shape[::-1], a.producers, a.constant)
        if attributes.get("transB"):
            b = Value(b.shape[::-1], b.producers, b.constant)
        result = self.graph.matmul(_name(node), a, b, out)
        if len(node.input) > 2 and node.input[2] and not self.values[node.input[2]].constant:
            added = self._input(node, 2)
            return self.graph.vector(f"{_name(node)}.add", LayerKind.ELEMENTWISE, "add", out, result, added)
        return result

    def _matmul(self, node: Any) -> Value:
        return self.graph.matmul(_name(node), self._input(node, 0), self._input(node, 1), self._output(node))

    def _softmax(self, node: Any) -> Value:
        return self._vector(node, LayerKind.SOFTMAX, "softmax", axis=_attributes(node).get("axis", -1))

    def _batch_norm(self, node: Any) -> Value:
        x = self._input(node, 0)
        return x if self._folds(node, 0) else self._vector(node, LayerKind.NORM, "batch_norm")

    def _norm(self, node: Any) -> Value:
        last = "Layer" in node.op_type or "RMS" in node.op_type
        axis = _attributes(node).get("axis", -1) if last else None
        rank = len(self._output(node))
        return self._vector(node, LayerKind.NORM, _NORMS[node.op_type], axis=-1 if axis in (-1, rank - 1) else None)

    def _pool(self, node: Any) -> Value:
        x, out, attributes = self._input(node, 0), self._output(node), _attributes(node)
        axes = len(out) - 2
        return self.graph.pool(
            _name(node),
            _POOLS[node.op_type],
            x,
            out,
            kernel=attributes["kernel_shape"],
            stride=attributes.get("strides") or [1] * axes,
            padding=self._padding(attributes, axes),
        )

    def _global_pool(self, node: Any) -> Value:
        return self.graph.adaptive_pool(
            _name(node), _GLOBAL_POOLS[node.op_type], self._input(node, 0), self._output(node)
        )

    def _elementwise(self, node: Any) -> Value:
        if node.op_type in ("Add", "Sum") and len(node.input) == 2:
            for moving, other in ((0, 1), (1, 0)):
                bias = self._input(node, other)
                is_vector = bias.words == max(bias.shape, default=1)
                if bias.constant and is_vector and self._folds(node, moving):
                    return self._input(node, moving)
        return self._vector(node, LayerKind.ELEMENTWISE, node.op_type.lower())

    def _reduce(self, node: Any) -> Value:
        x, out = self._input(node, 0), self._output(node)
        if node.op_type in ("ReduceMean", "ReduceMax") and len(x.shape) == 4 and x.shape[:2] == out[:2]:
            op = "avg" if node.op_type == "ReduceMean" else "max"
            return self.graph.adaptive_pool(_name(node), op, x, (*x.shape[:2], 1, 1))
        return self.graph.reduce(_name(node), node.op_type.removeprefix("Reduce").lower(), x, out)

    def _vector(self, node: Any, kind: LayerKind, op: str, *, axis: int | None = None) -> Value:
        sources = [self.values[name] for name in node.input if name in self.values]
        return self.graph.vector(_name(node), kind, op, self._output(node), *sources, axis=axis)

    def _folds(self, node: Any, index: int) -> bool:
        """Whether an affine operation can move into the layer before it, which nothing else reads."""
        name = node.input[index]
        return self.readers[name] == 1 and self.graph.ends_in_compute(self.values[name])

    def _padding(self, attributes: dict[str, Any], axes: int) -> list[int]:
        pads = attributes.get("pads") or [0] * (2 * axes)
        return [pads[i] + pads[axes + i] for i in range(axes)]

    def _input(self, node: Any, index: int) -> Value:
        name = node.input[index]
        value = self.values.get(name)
        if value is None or (self.shapes.get(name) is None and not value.constant):
            raise self._error(node, f"the shape of its input {name!r} is not fixed")
        return value

    def _output(self, node: Any) -> tuple[int, ...]:
        shape = self.shapes.get(node.output[0])
        if shape is None:
            raise self._error(node, f"the shape of its output {node.output[0]!r} is not fixed")
        return shape

    def _error(self, node: Any, message: str) -> InputError:
        return InputError(f"{self.path}: node {_name(node)!r} ({node.op_type}): {message}")


def _name(node: Any) -> str:
    return str(node.name or (node.output[0] if node.output else node.op_type))


def _attributes(node: Any) -> dict[str, Any]:
    import onnx

    values = {}
    for attribute in node.attribute:
        value = onnx.helper.get_attribute_value(attribute)
        values[attribute.name] = value.decode() if isinstance(value, bytes) else value
    return values
