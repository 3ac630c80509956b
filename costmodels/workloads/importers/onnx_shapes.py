"""Shapes of the tensors of an ONNX graph, and the values of those that shapes are computed from."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from math import prod
from typing import Any

import numpy as np

from accelgym.costmodels.errors import InputError
from accelgym.costmodels.workloads.importers.onnx_model import Sizes
from accelgym.costmodels.workloads.importers.onnx_operators import FOLDED
from accelgym.costmodels.workloads.importers.traced import words

__all__ = ["MAX_FOLDED", "Tensor", "TensorTable", "attributes"]

MAX_FOLDED = 2**18
"""Elements up to which a tensor's value is kept; shape arithmetic is far smaller, weights are larger."""


@dataclass(frozen=True, eq=False)
class Tensor:
    """Shape and, where constant, value of a tensor before the network runs."""

    shape: tuple[int, ...] | None
    """None: depends on the data."""
    elem: int = 1
    """Element type, a ``TensorProto.DataType``."""
    data: np.ndarray[Any, Any] | None = None
    """The value, where it is known and small."""
    origin: str = ""
    """Where an unknown shape comes from."""


class TensorTable:
    """Shapes and known values by tensor name, filled node by node.

    Args:
        sizes: The sizes given for the file.
        opsets: Version of each operator set, by domain.
    """

    def __init__(self, sizes: Sizes, opsets: Mapping[str, int]) -> None:
        import onnx

        self._onnx = onnx
        self.sizes = sizes
        self.opsets = dict(opsets)
        self.version = self.opsets.get("", self.opsets.get("ai.onnx", 1))
        self._imports = [onnx.helper.make_opsetid("", self.version)]
        self._stated: dict[str, tuple[int | None, ...]] = {}
        self._tensors: dict[str, Tensor] = {}

    def __getitem__(self, name: str) -> Tensor:
        return self._tensors[name]

    def __setitem__(self, name: str, tensor: Tensor) -> None:
        self._tensors[name] = tensor

    def __contains__(self, name: str) -> bool:
        return name in self._tensors

    def state(self, graph: Any) -> None:
        """Notes the shapes that a graph states for its tensors, and its initialisers."""
        for value in [*graph.value_info, *graph.output]:
            shape = self.sizes.stated(value)
            if shape is not None:
                self._stated[value.name] = shape
        for tensor in graph.initializer:
            self[tensor.name] = self._initialiser(tensor)
        for sparse in graph.sparse_initializer:
            self[sparse.values.name] = Tensor(tuple(sparse.dims), sparse.values.data_type)

    def declare_inputs(self) -> None:
        """Enters the inputs of the main graph."""
        for value in self.sizes.inputs:
            shape = self.sizes.shapes.get(value.name)
            number = self.sizes.values.get(value.name)
            elem = int(value.type.tensor_type.elem_type)
            data = None
            if number is not None and shape is not None:
                data = np.full(shape, number, self._onnx.helper.tensor_dtype_to_np_dtype(elem))
            origin = "" if shape is not None else f"input {value.name!r} is no tensor"
            self[value.name] = Tensor(shape, elem, data, origin)

    def infer(self, node: Any) -> None:
        """Enters the outputs of a node, in its standard form.

        Raises:
            InputError: The shapes do not fit the operator.
        """
        if self._fold(node):
            return
        types = self._infer(node)
        unknown = next((self[n].origin for n in node.input if n and self[n].origin), "")
        for index, name in enumerate(node.output):
            if not name:
                continue
            found = types.get(name)
            shape: tuple[int | None, ...] | None = None
            elem = 1
            if found is not None and found.HasField("tensor_type"):
                elem = int(found.tensor_type.elem_type)
                if found.tensor_type.HasField("shape"):
                    shape = tuple(
                        int(d.dim_value) if d.HasField("dim_value") else None for d in found.tensor_type.shape.dim
                    )
            shape = _merged(shape, self._stated.get(name))
            if (shape is None or None in shape) and index == 0:
                shape = self._by_rule(node) or shape
            given = self.sizes.given.get(name)
            if given is not None and (shape is None or None in shape):
                shape = given
            fixed = None if shape is None or any(size is None for size in shape) else tuple(int(s or 0) for s in shape)
            origin = "" if fixed is not None else unknown or f"node {node.name or name!r} ({node.op_type})"
            self[name] = Tensor(fixed, elem, None, origin)

    def _fold(self, node: Any) -> bool:
        op = node.op_type
        if node.domain not in ("", "ai.onnx"):
            return False
        if op in ("Shape", "Size"):
            shape = self[node.input[0]].shape
            if shape is None:
                return False
            given = attributes(node)
            value = shape[given.get("start", 0) : given.get("end")] if op == "Shape" else prod(shape)
            self._enter(node.output[0], np.array(value, np.int64))
            return True
        if op not in FOLDED:
            return False
        sources = [self[name].data for name in node.input if name]
        if any(data is None for data in sources):
            return False
        if op != "Constant" and not self._is_small(node):
            return False
        results = self._evaluate(node, [data for data in sources if data is not None])
        if results is None:
            return False
        for name, result in zip(node.output, results, strict=False):
            if name:
                self._enter(name, result)
        return True

    def _is_small(self, node: Any) -> bool:
        """Whether the outputs of a node with known inputs are within the limit for certain, before it is evaluated."""
        # No operator but these makes more elements than there are combinations of its inputs' elements.
        combinations = prod(max(prod(self[name].shape or ()), 1) for name in node.input if name)
        if node.op_type not in _GROWING and combinations <= MAX_FOLDED:
            return True
        types = self._infer(node)
        for name in node.output:
            found = types[name].tensor_type if name in types else None
            if found is None or not found.HasField("shape"):
                return False
            dims = found.shape.dim
            if not all(dim.HasField("dim_value") for dim in dims):
                return False
            if prod(int(dim.dim_value) for dim in dims) > MAX_FOLDED:
                return False
        return True

    def _evaluate(self, node: Any, sources: Sequence[np.ndarray[Any, Any]]) -> list[Any] | None:
        helper = self._onnx.helper
        names = dict.fromkeys(name for name in node.input if name)
        inputs = [helper.make_tensor_value_info(name, self[name].elem or 1, None) for name in names]
        outputs = [helper.make_tensor_value_info(name, 1, None) for name in node.output if name]
        model = helper.make_model(
            helper.make_graph([node], "folded", inputs, outputs), opset_imports=self._imports, ir_version=10
        )
        from onnx.reference import ReferenceEvaluator

        feeds = dict(zip((name for name in node.input if name), sources, strict=True))
        try:
            with np.errstate(all="ignore"):
                results = iter(ReferenceEvaluator(model).run(None, feeds))
        except Exception:  # of any class: an operator, type or version that the evaluator does not have
            return None
        found = [next(results) if name else None for name in node.output]
        return found if all(isinstance(r, np.ndarray | np.generic) for r in found if r is not None) else None

    def _enter(self, name: str, value: Any) -> None:
        array = np.asarray(value)
        try:
            elem = int(self._onnx.helper.np_dtype_to_tensor_dtype(array.dtype))
        except (ValueError, KeyError):
            elem = 1
        self[name] = Tensor(array.shape, elem, array if array.size <= MAX_FOLDED else None)

    def _initialiser(self, tensor: Any) -> Tensor:
        shape = tuple(int(size) for size in tensor.dims)
        data = None
        inside = tensor.data_location != self._onnx.TensorProto.EXTERNAL
        if inside and prod(shape) <= MAX_FOLDED:
            try:
                data = self._onnx.numpy_helper.to_array(tensor)
            except (ValueError, TypeError):  # weights that were stripped from the file
                data = None
        return Tensor(shape, int(tensor.data_type), data)

    def _infer(self, node: Any) -> dict[str, Any]:
        onnx = self._onnx
        domain = "" if node.domain == "ai.onnx" else node.domain
        try:
            schema = onnx.defs.get_schema(node.op_type, self.opsets.get(domain, self.version), domain)
        except onnx.defs.SchemaError:
            return {}
        try:
            return self._infer_as(node, schema)
        except onnx.checker.ValidationError:
            # An element type that the operator does not have: quantised operators in their standard form.
            return self._infer_as(node, schema, as_float=True)

    def _infer_as(self, node: Any, schema: Any, *, as_float: bool = False) -> dict[str, Any]:
        onnx = self._onnx
        types, data = {}, {}
        for name in node.input:
            if not name:
                continue
            tensor = self[name]
            quantised = as_float and tensor.elem not in _SIZES
            types[name] = onnx.helper.make_tensor_type_proto(1 if quantised else tensor.elem or 1, tensor.shape)
            if quantised:
                continue
            if tensor.data is not None and tensor.data.size <= _PASSED and tensor.data.dtype.kind in "iubf":
                data[name] = onnx.numpy_helper.from_array(tensor.data)
        try:
            inferred = onnx.shape_inference.infer_node_outputs(schema, node, types, data, opset_imports=self._imports)
        except onnx.shape_inference.InferenceError as error:
            first = str(error).strip().split("\n", 1)[0]
            raise self.error(node, f"shape inference failed: {first}") from error
        except onnx.checker.ValidationError as error:
            if not as_float:
                raise
            raise self.error(node, f"its inputs do not fit: {str(error).splitlines()[0]}") from error
        return dict(inferred)

    def _by_rule(self, node: Any) -> tuple[int, ...] | None:
        """Shapes of operators whose definition in this version has no rule of its own."""
        shapes = [self[name].shape if name else () for name in node.input]
        if not shapes or shapes[0] is None:
            return None
        first, op, given = shapes[0], node.op_type, attributes(node)
        if op in _SAME or (self.version < 7 and op in _OLD_SAME):
            return first
        known = [shape for shape in shapes if shape is not None]
        if op == "Concat" and len(known) == len(shapes):
            axis = given.get("axis", 1) % len(first)
            return (*first[:axis], sum(shape[axis] for shape in known), *first[axis + 1 :])
        if op == "Reshape" and "shape" in given:
            sizes = [first[i] if size == 0 else size for i, size in enumerate(given["shape"])]
            rest = prod(first) // max(prod(size for size in sizes if size != -1), 1)
            return tuple(rest if size == -1 else size for size in sizes)
        if op == "Gemm" and len(known) >= 2:
            left = first[::-1] if given.get("transA") else first
            right = known[1][::-1] if given.get("transB") else known[1]
            return (left[0], right[1])
        batched = given.get("transBatchA") or given.get("transBatchB")
        if op in ("FusedMatMul", "MatMul") and len(known) >= 2 and not batched:
            left = (*first[:-2], first[-1], first[-2]) if given.get("transA") else first
            right = (*known[1][:-2], known[1][-1], known[1][-2]) if given.get("transB") else known[1]
            return (*np.broadcast_shapes(left[:-2], right[:-2]), left[-2], right[-1])
        if op == "MatMulNBits":
            return (*first[:-1], int(given["N"]))
        if op == "Pad" and "pads" in given:
            return tuple(n + given["pads"][i] + given["pads"][len(first) + i] for i, n in enumerate(first))
        if op == "Upsample" and "width_scale" in given:
            return (*first[:2], int(first[2] * given["height_scale"]), int(first[3] * given["width_scale"]))
        return None

    def error(self, node: Any, message: str) -> InputError:
        """Returns an error that names file, node and operator."""
        name = node.name or next(filter(None, node.output), node.op_type)
        op = node.op_type if node.domain in ("", "ai.onnx") else f"{node.domain}.{node.op_type}"
        return InputError(f"{self.sizes.path}: node {name!r} ({op}): {message}")


_PASSED = 2**12
"""Elements up to which a value is handed to the inference of a node; sizes and axes are far fewer."""
_GROWING = words("ConstantOfShape Range Expand Tile OneHot Pad EyeLike")
"""Operators whose output is bounded by the values of their inputs, not by the sizes."""
_SIZES = frozenset({7, 9})
"""Element types of sizes, axes and conditions, INT64 and BOOL of ``TensorProto.DataType``."""
_SAME = words(
    "BatchNormalization SkipLayerNormalization SkipSimplifiedLayerNormalization SimplifiedLayerNormalization "
    "RotaryEmbedding BiasSoftmax BiasAdd GroupNorm LayerNormalization QuantizeLinear DequantizeLinear Gelu "
    "QLinearSoftmax"
)
_OLD_SAME = words(
    "Add Sub Mul Div Pow Sum Max Min Mean Relu LeakyRelu Elu Selu Sigmoid Tanh Softplus Softsign Exp Log Sqrt Abs "
    "Neg Floor Ceil Reciprocal Clip Dropout Cast PRelu HardSigmoid InstanceNormalization LRN Softmax Identity"
)


def attributes(node: Any) -> dict[str, Any]:
    """Returns the attributes of a node by name."""
    import onnx

    values = {}
    for attribute in node.attribute:
        value = onnx.helper.get_attribute_value(attribute)
        values[attribute.name] = value.decode(errors="replace") if isinstance(value, bytes) else value
    return values


def _merged(
    first: tuple[int | None, ...] | None, second: tuple[int | None, ...] | None
) -> tuple[int | None, ...] | None:
    if first is None or second is None or len(first) != len(second):
        return second if first is None else first
    return tuple(a if a is not None else b for a, b in zip(first, second, strict=True))
