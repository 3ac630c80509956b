"""ONNX files: loading, and the sizes that a file leaves open."""

from __future__ import annotations

import ast
import operator
from collections.abc import Mapping
from pathlib import Path
from typing import Any
from urllib.parse import unquote

from accelgym.costmodels.errors import InputError, MissingExtraError, shown

__all__ = ["Sizes", "load_model", "parse_sizes"]

_OPERATORS = {
    ast.Add: operator.add,
    ast.Sub: operator.sub,
    ast.Mult: operator.mul,
    ast.FloorDiv: operator.floordiv,
    ast.Div: operator.floordiv,
    ast.Mod: operator.mod,
}
_MAX_NAMED = 12
"""Names listed in a message."""


def load_model(path: Path) -> Any:
    """Reads a model without its external weights, its own functions inlined.

    Raises:
        MissingExtraError: The package ``onnx`` is not installed.
        InputError: The file is no ONNX model, or has no nodes.
    """
    try:
        import onnx
        import onnx.inliner
    except ImportError as error:
        raise MissingExtraError("importing ONNX models", "onnx", "onnx") from error
    try:
        model = onnx.load(str(path), load_external_data=False)
    except OSError as error:
        raise InputError(f"{path}: cannot be read: {error}") from error
    except Exception as error:  # protobuf's DecodeError is not importable in a stable way
        raise InputError(f"{path}: not an ONNX model: {error}") from error
    if not model.graph.node:
        raise InputError(f"{path}: the model has no nodes")
    if model.functions:
        try:
            model = onnx.inliner.inline_local_functions(model)
        except Exception as error:  # raised by the C++ library
            raise InputError(f"{path}: its functions cannot be inlined: {error}") from error
    return model


def parse_sizes(path: str, query: str) -> dict[str, tuple[int, ...]]:
    """Reads ``batch=1&seq=128&image=1x3x224x224``.

    Raises:
        InputError: No query, a name given twice, or a value that is no size.
    """
    sizes: dict[str, tuple[int, ...]] = {}
    for pair in query.split("&"):
        key, equals, text = pair.partition("=")
        key = unquote(key)
        if not equals or not key:
            raise InputError(f"{path}: {shown(pair)} is no size, allowed: NAME=NUMBER joined by '&'")
        if key in sizes:
            raise InputError(f"{path}: {shown(key)} is given twice")
        parts = text.split("x")
        if not all(part.isascii() and part.isdigit() and len(part) < 12 for part in parts):
            raise InputError(f"{path}: {key} is {shown(text)}, allowed: an integer >= 0 or a shape such as 1x3x224x224")
        sizes[key] = tuple(int(part) for part in parts)
    return sizes


class Sizes:
    """Shapes of the tensors that a file states, with the open sizes filled in.

    A size that the file names (``batch``) is given by that name, one without a name by input and axis (``x.0``), and
    the shape of a tensor of unknown shape by the tensor's name (``x=1x3x8x8``). The value of an integer or boolean
    input of one element (``use_cache_branch``) can be given by its name, too.

    Args:
        path: The file, for messages.
        graph: The main graph.
        given: Sizes by name.

    Raises:
        InputError: Sizes of inputs that are not given (all are listed), or a name that nothing has.
    """

    def __init__(self, path: Path, graph: Any, given: Mapping[str, tuple[int, ...]]) -> None:
        self.path = path
        self.given = dict(given)
        self._numbers = {name: value[0] for name, value in given.items() if len(value) == 1}
        initialised = {tensor.name for tensor in graph.initializer}
        initialised.update(tensor.values.name for tensor in graph.sparse_initializer)
        self.inputs = [value for value in graph.input if value.name not in initialised]
        self.values: dict[str, int] = {}
        """Values of inputs of one element."""
        missing: dict[str, None] = {}
        known: set[str] = set()
        self.shapes: dict[str, tuple[int, ...]] = {}
        for value in self.inputs:
            if not value.type.HasField("tensor_type"):
                continue
            shape = self._input_shape(value, missing, known)
            self.shapes[value.name] = shape
        if missing:
            raise self._missing(list(missing))
        tensors = {name for node in graph.node for name in node.output}
        for name, numbers in self.given.items():
            if name in known or name in tensors:
                continue
            allowed = sorted(known)
            raise InputError(
                f"{path}: no size is named {shown(name)}, allowed: {', '.join(allowed) or 'none, all sizes are fixed'}"
                f"{'; for ' + shown(name) + ' give one number' if len(numbers) > 1 and allowed else ''}"
            )

    def stated(self, value: Any) -> tuple[int | None, ...] | None:
        """Returns the shape that a file states for a tensor; None for what stays open."""
        if not value.type.HasField("tensor_type") or not value.type.tensor_type.HasField("shape"):
            return None
        return tuple(self._size(dim) for dim in value.type.tensor_type.shape.dim)

    def _input_shape(self, value: Any, missing: dict[str, None], known: set[str]) -> tuple[int, ...]:
        tensor, name = value.type.tensor_type, value.name
        if not tensor.HasField("shape"):
            known.add(name)
            if name not in self.given:
                missing[name] = None
            return self.given.get(name, ())
        shape: list[int] = []
        for axis, dim in enumerate(tensor.shape.dim):
            size, text = self._size(dim), dim.dim_param
            key = text if text and _expression(text) is None else f"{name}.{axis}"
            names = _names(text) if text else [key]
            if not size and key in self._numbers:
                size = self._numbers[key]
            if text or not size or key in self._numbers:
                known.update(names)
            if size is None:
                missing.update(dict.fromkeys([n for n in names if n not in self._numbers] or [key]))
            shape.append(0 if size is None else size)
        if tensor.elem_type in _INTEGERS and all(size in (0, 1) for size in shape):
            known.add(name)
            if name in self._numbers:
                self.values[name] = self._numbers[name]
        return tuple(shape)

    def _size(self, dim: Any) -> int | None:
        if dim.dim_param:
            if dim.dim_param in self._numbers:
                return self._numbers[dim.dim_param]
            tree = _expression(dim.dim_param)
            return None if tree is None else _evaluate(tree, self._numbers)
        # Some exporters write -1 for a size that is open.
        return int(dim.dim_value) if dim.HasField("dim_value") and dim.dim_value >= 0 else None

    def _missing(self, names: list[str]) -> InputError:
        inputs = []
        for value in self.inputs:
            tensor = value.type.tensor_type
            dims = [
                d.dim_param or (d.dim_value if d.HasField("dim_value") and d.dim_value >= 0 else "?")
                for d in tensor.shape.dim
            ]
            if not tensor.HasField("shape"):
                inputs.append(f"{value.name!r} (shape unknown)")
            elif any(isinstance(dim, str) for dim in dims):
                inputs.append(f"{value.name!r} [{', '.join(map(str, dims))}]")
        more = f", ... ({len(inputs)} in all)" if len(inputs) > _MAX_NAMED else ""
        shapeless = {v.name for v in self.inputs if not v.type.tensor_type.HasField("shape")}
        query = "&".join(f"{name}={'AxBx..' if name in shapeless else 'N'}" for name in names[:_MAX_NAMED])
        return InputError(
            f"{self.path}: sizes {', '.join(names[: 4 * _MAX_NAMED])} are open (inputs "
            f"{', '.join(inputs[:_MAX_NAMED])}{more}), allowed: {self.path.name}?{query}"
        )


_INTEGERS = frozenset({2, 3, 4, 5, 6, 7, 9, 12, 13})  # integer types and BOOL of TensorProto.DataType


def _expression(text: str) -> ast.expr | None:
    """Returns a size such as ``past + 1`` as a tree; None for a plain name or other text."""
    try:
        tree = ast.parse(text.strip(), mode="eval").body
    except (SyntaxError, ValueError, RecursionError, MemoryError):
        return None
    return tree if isinstance(tree, ast.BinOp) and _is_arithmetic(tree) else None


def _is_arithmetic(tree: ast.expr) -> bool:
    if isinstance(tree, ast.BinOp):
        return type(tree.op) in _OPERATORS and _is_arithmetic(tree.left) and _is_arithmetic(tree.right)
    return isinstance(tree, ast.Name) or (isinstance(tree, ast.Constant) and type(tree.value) is int)


def _names(text: str) -> list[str]:
    tree = _expression(text)
    return [node.id for node in ast.walk(tree) if isinstance(node, ast.Name)] if tree is not None else [text]


def _evaluate(tree: ast.expr, numbers: Mapping[str, int]) -> int | None:
    if isinstance(tree, ast.BinOp):
        left, right = _evaluate(tree.left, numbers), _evaluate(tree.right, numbers)
        if left is None or right is None or (right == 0 and not isinstance(tree.op, ast.Add | ast.Sub | ast.Mult)):
            return None
        return int(_OPERATORS[type(tree.op)](left, right))
    if isinstance(tree, ast.Name):
        return numbers.get(tree.id)
    assert isinstance(tree, ast.Constant)
    return int(tree.value)  # type: ignore[arg-type]
