"""ONNX models as workloads."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

import numpy as np

from accelgym.costmodels.errors import InputError, warn_input
from accelgym.costmodels.workloads.importers.onnx_layers import LayerFactory, node_name
from accelgym.costmodels.workloads.importers.onnx_model import Sizes, load_model
from accelgym.costmodels.workloads.importers.onnx_operators import SEQUENCES, VIEWS, standard_form
from accelgym.costmodels.workloads.importers.onnx_shapes import Tensor, TensorTable, attributes
from accelgym.costmodels.workloads.importers.traced import TracedGraph, Value, merge
from accelgym.costmodels.workloads.layer import LayerKind
from accelgym.costmodels.workloads.workload import Workload

__all__ = ["import_onnx"]

MAX_UNROLLED = 50_000
"""Nodes that loops may add; beyond, a workload could not be handled anyway."""


def import_onnx(
    path: str | Path, *, name: str | None = None, sizes: Mapping[str, int | tuple[int, ...]] | None = None
) -> Workload:
    """Reads an ONNX model as a workload with edges.

    Convolutions (transposed and integer ones, too), matrix products, ``Einsum``, recurrent layers, attention, softmax,
    norms, activations, element-by-element operations, pooling and data movement become layers; reshapes, transposes,
    quantisation and type conversions pass their edges on. Batch normalisations and constant biases are folded into the
    convolution or product before them. Shape arithmetic is evaluated. ``If`` with a condition known from the shapes is
    the branch taken; ``Loop`` and ``Scan`` are unrolled. An operator that is not known and keeps the shape of an input
    is vector work, and an ``InputWarning`` names it.

    Args:
        path: The file; external weights need not be present.
        name: Name of the workload; the file name and the sizes when omitted.
        sizes: Sizes that the file leaves open, by their name (``batch``), by input and axis where they have none
            (``x.0``), or shapes by tensor (``x``).

    Raises:
        MissingExtraError: The package ``onnx`` is not installed.
        InputError: The file is no ONNX model, a size is open, or an operator is not supported.
    """
    path = Path(path)
    given = {key: (value,) if isinstance(value, int) else tuple(value) for key, value in (sizes or {}).items()}
    model = load_model(path)
    if name is None:
        query = "&".join(f"{key}={'x'.join(map(str, value))}" for key, value in sorted(given.items()))
        name = f"{path.stem}?{query}" if query else path.stem
    opsets = {entry.domain: int(entry.version) for entry in model.opset_import}
    return _Reader(name, model.graph, Sizes(path, model.graph, given), opsets).run()


class _Reader:
    """Walks the nodes once, in the topological order that ONNX prescribes."""

    def __init__(self, name: str, graph: Any, sizes: Sizes, opsets: Mapping[str, int]) -> None:
        self.main = graph
        self.graph = TracedGraph(name, str(sizes.path))
        self.tensors = TensorTable(sizes, opsets)
        self.values: dict[str, Value] = {}
        self.lists: dict[str, list[tuple[Tensor, Value]]] = {}
        """Sequences of tensors, whose members are known."""
        self.unrolled = 0
        self.layers = LayerFactory(self.graph, self.tensors, self.values, _readers(graph))

    def run(self) -> Workload:
        """Returns the workload."""
        self.tensors.state(self.main)
        self.tensors.declare_inputs()
        for value in self.tensors.sizes.inputs:
            self.values[value.name] = Value(self.tensors[value.name].shape or ())
        self._enter_constants(self.main)
        self._walk(self.main.node)
        for op, count in self.layers.fallbacks.items():
            note = f"operator {op} ({count} times) is counted as vector work of the size of its output"
            self.graph.note(note)
        try:
            workload = self.graph.build()
        except InputError as error:
            raise InputError(f"{self.tensors.sizes.path}: {error}") from error
        for note in workload.notes:
            warn_input(f"{self.tensors.sizes.path}: {note}")
        return workload

    def _enter_constants(self, graph: Any) -> None:
        names = [tensor.name for tensor in graph.initializer]
        for name in [*names, *(sparse.values.name for sparse in graph.sparse_initializer)]:
            self.values[name] = Value(self.tensors[name].shape or (), constant=True)

    def _walk(self, nodes: Iterable[Any]) -> None:
        path = str(self.tensors.sizes.path)
        for node in nodes:
            for name in node.input:
                if name and name not in self.tensors and name not in self.lists:
                    raise self.tensors.error(node, f"its input {name!r} is made by no node before it")
            try:
                self._step(node)
            except InputError as error:
                if str(error).startswith(path):
                    raise
                raise self.tensors.error(node, str(error)) from error
            except (ValueError, LookupError, TypeError, AttributeError, ArithmeticError) as error:
                # Attributes, types or ranks that the operator's definition does not allow.
                raise self.tensors.error(node, f"its inputs and attributes do not fit: {error}") from error

    def _step(self, node: Any) -> None:
        op = node.op_type if node.domain in ("", "ai.onnx") else ""
        if op in _CONTROL:
            getattr(self, f"_{op.lower()}")(node)
        elif op in SEQUENCES:
            self._sequence(node)
        else:
            self._node(node)

    def _node(self, original: Any) -> None:
        node, domain = standard_form(original)
        for name in node.input:
            if name in self.lists:
                raise self.tensors.error(node, f"its input {name!r} is a sequence, allowed: tensors")
        self.tensors.infer(node)
        sources = [self.values[name] for name in node.input if name]
        # The shape of a tensor is known beforehand, whatever its values are.
        constant = node.op_type in ("Shape", "Size") or all(source.constant for source in sources)
        is_view = node.op_type in VIEWS and domain in ("", "com.microsoft") and not self._is_lookup(node)
        is_free = constant or is_view
        result = merge(sources, ()) if is_free else self.layers.add(node)
        for name in node.output:
            if name:
                # A size that is not known matters only where a layer reads it.
                made = self.layers.further.pop(name, result)
                self.values[name] = Value(self.tensors[name].shape or (), () if constant else made.producers, constant)

    def _is_lookup(self, node: Any) -> bool:
        """A ``Gather`` of rows of a constant table by computed or given indices is an embedding."""
        if node.op_type != "Gather":
            return False
        table, indices = self.values[node.input[0]], self.values[node.input[1]]
        return table.constant and len(table.shape) == 2 and not indices.constant

    def _if(self, node: Any) -> None:
        given = attributes(node)
        taken = self._known(node, node.input[0], "its condition")
        body = given["then_branch" if bool(taken) else "else_branch"]
        self._body(body)
        for name, source in zip(node.output, body.output, strict=True):
            self._bind(name, source.name)

    def _loop(self, node: Any) -> None:
        body = attributes(node)["body"]
        trips = self._known(node, node.input[0], "its number of trips") if node.input[0] else None
        go_on = bool(self._known(node, node.input[1], "its condition")) if _given(node, 1) else True
        carried = [self._take(name) for name in node.input[2:]]
        count = len(carried)
        stacks: list[list[tuple[Tensor, Value]]] = [[] for _ in body.output[1 + count :]]
        trip = 0
        while go_on and (trips is None or trip < trips):
            self._count(node, body)
            self._put(body.input[0].name, (Tensor((), _INT64, np.array(trip, np.int64)), Value((), constant=True)))
            self._put(body.input[1].name, (Tensor((), _BOOL, np.array(True)), Value((), constant=True)))
            for value, state in zip(body.input[2:], carried, strict=True):
                self._put(value.name, state)
            self._body(body)
            go_on = bool(self._known(node, body.output[0].name, f"its condition after trip {trip}"))
            carried = [self._take(value.name) for value in body.output[1 : 1 + count]]
            for stack, value in zip(stacks, body.output[1 + count :], strict=True):
                stack.append(self._tensor(node, value.name))
            trip += 1
        for name, state in zip(node.output, carried, strict=False):
            self._put(name, state)
        for name, stack in zip(node.output[count:], stacks, strict=True):
            self._put(name, _stacked(stack, 0, node))

    def _scan(self, node: Any) -> None:
        given = attributes(node)
        body, scanned = given["body"], int(given["num_scan_inputs"])
        if self.tensors.version < 9:
            raise self.tensors.error(node, f"operator set {self.tensors.version}, allowed: 9 or later")
        count = len(node.input) - scanned
        states = [self._take(name) for name in node.input[:count]]
        axes = given.get("scan_input_axes") or [0] * scanned
        slices, steps = [], set()
        for name, axis in zip(node.input[count:], axes, strict=True):
            tensor, value = self._tensor(node, name)
            if not tensor.shape:
                raise self.tensors.error(node, f"the shape of its input {name!r} is not fixed")
            position = axis % len(tensor.shape)
            steps.add(tensor.shape[position])
            shape = (*tensor.shape[:position], *tensor.shape[position + 1 :])
            slices.append((Tensor(shape, tensor.elem), Value(shape, value.producers, value.constant)))
        if len(steps) != 1:
            raise self.tensors.error(node, f"its inputs have {sorted(steps)} steps, allowed: one number for all")
        stacks: list[list[tuple[Tensor, Value]]] = [[] for _ in body.output[count:]]
        for _ in range(steps.pop()):
            self._count(node, body)
            for value, state in zip(body.input, [*states, *slices], strict=True):
                self._put(value.name, state)
            self._body(body)
            states = [self._take(value.name) for value in body.output[:count]]
            for stack, value in zip(stacks, body.output[count:], strict=True):
                stack.append(self._tensor(node, value.name))
        for name, state in zip(node.output, states, strict=False):
            self._put(name, state)
        axes = given.get("scan_output_axes") or [0] * len(stacks)
        for name, stack, axis in zip(node.output[count:], stacks, axes, strict=True):
            self._put(name, _stacked(stack, axis, node))

    def _sequence(self, node: Any) -> None:
        """Sequences are lists whose members are known one by one."""
        op, given, name = node.op_type, attributes(node), node.output[0]
        if op == "SequenceEmpty":
            self.lists[name] = []
        elif op == "SequenceConstruct":
            self.lists[name] = [self._tensor(node, source) for source in node.input]
        elif op == "SplitToSequence":
            self.lists[name] = self._split(node, given)
        elif op == "ConcatFromSequence":
            self._join(node, given)
        else:
            members = self.lists.get(node.input[0])
            if members is None:
                raise self.tensors.error(node, f"its input {node.input[0]!r} is no known sequence")
            if op == "SequenceLength":
                length = Tensor((), _INT64, np.array(len(members), np.int64))
                self._put(name, (length, Value((), constant=True)))
                return
            where = 2 if op == "SequenceInsert" else 1
            at = self._known(node, node.input[where], "its position") if _given(node, where) else None
            if at is not None and not -len(members) <= at < len(members) + (op == "SequenceInsert"):
                raise self.tensors.error(node, f"position {at} of a sequence of {len(members)} tensors")
            if op == "SequenceAt":
                self._put(name, members[at or 0])
            elif op == "SequenceErase":
                self.lists[name] = [m for i, m in enumerate(members) if i != (-1 if at is None else at) % len(members)]
            else:
                added = list(members)
                added.insert(len(members) if at is None else at, self._tensor(node, node.input[1]))
                self.lists[name] = added

    def _split(self, node: Any, given: Mapping[str, Any]) -> list[tuple[Tensor, Value]]:
        tensor, value = self._tensor(node, node.input[0])
        if not tensor.shape:
            raise self.tensors.error(node, f"the shape of its input {node.input[0]!r} is not fixed")
        axis = int(given.get("axis", 0)) % len(tensor.shape)
        size = tensor.shape[axis]
        if _given(node, 1):
            parts = self.tensors[node.input[1]].data
            if parts is None:
                raise self.tensors.error(node, f"its parts {node.input[1]!r} depend on the data, allowed: constants")
            if parts.ndim:
                lengths = [int(part) for part in parts]
            else:
                step = max(int(parts), 1)
                lengths = [min(step, size - start) for start in range(0, size, step)]
        else:
            lengths = [1] * size
        squeeze = not _given(node, 1) and not given.get("keepdims", 1)
        members = []
        for length in lengths:
            shape = (*tensor.shape[:axis], *(() if squeeze else (length,)), *tensor.shape[axis + 1 :])
            members.append((Tensor(shape, tensor.elem), Value(shape, value.producers, value.constant)))
        return members

    def _join(self, node: Any, given: Mapping[str, Any]) -> None:
        members = self.lists.get(node.input[0])
        if not members:
            raise self.tensors.error(node, f"its input {node.input[0]!r} is no known sequence of tensors")
        shapes = [tensor.shape for tensor, _ in members]
        if any(not shape for shape in shapes):
            raise self.tensors.error(node, "the shape of a member of its sequence is not fixed")
        name, values = node.output[0], [value for _, value in members]
        first = shapes[0] or ()
        if given.get("new_axis"):
            axis = int(given["axis"]) % (len(first) + 1)
            shape = (*first[:axis], len(members), *first[axis:])
        else:
            axis = int(given["axis"]) % len(first)
            shape = (*first[:axis], sum((s or ())[axis] for s in shapes), *first[axis + 1 :])
        self.tensors[name] = Tensor(shape, members[0][0].elem)
        constant = all(value.constant for value in values)
        self.values[name] = (
            Value(shape, constant=True)
            if constant
            else self.graph.vector(node_name(node), LayerKind.PERMUTE, "concat", shape, *values)
        )

    def _body(self, body: Any) -> None:
        self.tensors.state(body)
        self._enter_constants(body)
        self._walk(body.node)

    def _known(self, node: Any, name: str, what: str) -> int:
        data = self.tensors[name].data
        if data is None or data.size != 1:
            raise self.tensors.error(
                node,
                f"{what} {name!r} depends on the data, allowed: one that follows from shapes and constants; the value "
                f"of an input is given by {self.tensors.sizes.path.name}?NAME=0",
            )
        return int(data.reshape(()))

    def _count(self, node: Any, body: Any) -> None:
        self.unrolled += len(body.node)
        if self.unrolled > MAX_UNROLLED:
            raise self.tensors.error(node, f"its loop unrolls to more than {MAX_UNROLLED} nodes")

    def _tensor(self, node: Any, name: str) -> tuple[Tensor, Value]:
        if name not in self.values:
            raise self.tensors.error(node, f"{name!r} is no tensor")
        return self.tensors[name], self.values[name]

    def _take(self, name: str) -> tuple[Tensor, Value] | list[tuple[Tensor, Value]]:
        return self.lists[name] if name in self.lists else (self.tensors[name], self.values[name])

    def _put(self, name: str, state: tuple[Tensor, Value] | list[tuple[Tensor, Value]]) -> None:
        if not name:
            return
        if isinstance(state, list):
            self.lists[name] = state
        else:
            self.tensors[name], self.values[name] = state

    def _bind(self, name: str, source: str) -> None:
        self._put(name, self._take(source))


_CONTROL = frozenset({"If", "Loop", "Scan"})
_INT64, _BOOL = 7, 9  # TensorProto.DataType


def _given(node: Any, index: int) -> bool:
    return len(node.input) > index and bool(node.input[index])


def _stacked(stack: list[tuple[Tensor, Value]], axis: int, node: Any) -> tuple[Tensor, Value]:
    """Returns the results of all steps as one tensor; the steps write into it, which adds no layer."""
    shape = stack[0][0].shape if stack else None
    if shape is None:
        return Tensor(None, origin=f"node {node_name(node)!r} ({node.op_type})"), merge([v for _, v in stack], ())
    position = axis % (len(shape) + 1)
    whole = (*shape[:position], len(stack), *shape[position:])
    return Tensor(whole, stack[0][0].elem), merge([value for _, value in stack], whole)


def _readers(graph: Any) -> Counter[str]:
    """Counts how often each tensor is read, bodies of control flow included."""
    readers = Counter(name for node in graph.node for name in node.input)
    readers.update(value.name for value in graph.output)
    for node in graph.node:
        for attribute in node.attribute:
            for body in [attribute.g] if attribute.HasField("g") else attribute.graphs:
                readers.update(_readers(body))
    return readers
