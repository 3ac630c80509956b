"""PyTorch modules, traced with ``torch.export``."""

from __future__ import annotations

import operator
from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

from accelgym.costmodels.errors import InputError, MissingExtraError, warn_input
from accelgym.costmodels.workloads.importers.torch_layers import LayerFactory, module_of, operator_name, shape_of
from accelgym.costmodels.workloads.importers.torch_operators import (
    FACTORIES,
    INLINED,
    PRODUCT_NAMES,
    VIEWS,
    WITHOUT_FALLBACK,
)
from accelgym.costmodels.workloads.importers.traced import TracedGraph, Value, merge
from accelgym.costmodels.workloads.workload import Workload

if TYPE_CHECKING:
    import torch

__all__ = ["import_torch"]

_MAX_ROUNDS = 8
"""Decompositions of decompositions; PyTorch's own nest two or three deep."""


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
    workload = _Tracer(name, _decomposed(program)).run()
    for note in workload.notes:
        warn_input(f"module {name!r}: {note}")
    return workload


def _decomposed(program: torch.export.ExportedProgram) -> torch.export.ExportedProgram:
    """Replaces operators that are not known by PyTorch's decompositions of them, and leaves all others as they are."""
    import torch

    layers = LayerFactory(TracedGraph(""))
    table: dict[Any, Any] | None = None
    tried: set[Any] = set()
    for _ in range(_MAX_ROUNDS):
        unknown = {
            node.target
            for node in _calls(program.graph_module)
            if isinstance(node.target, torch._ops.OpOverload)
            and operator_name(node) not in VIEWS | FACTORIES
            and layers.handler(operator_name(node)) is None
        } - tried
        if not unknown:
            break
        if table is None:
            defaults: Any = torch.export.default_decompositions()
            table = dict(defaults.items())
        tried |= unknown
        chosen = {target: table[target] for target in unknown if target in table}
        if chosen:
            program = program.run_decompositions(chosen)
    return program


def _calls(graph_module: Any) -> Iterator[Any]:
    for module in graph_module.modules():
        if hasattr(module, "graph"):
            yield from (node for node in module.graph.nodes if node.op == "call_function")


class _Tracer:
    """Walks the exported graph once."""

    def __init__(self, name: str, program: torch.export.ExportedProgram) -> None:
        self.program = program
        self.graph = TracedGraph(name, f"torch.export of {name}")
        self.layers = LayerFactory(self.graph)
        self.regions: dict[str, list[Value]] = {}
        """Results of regions, by node name."""

    def run(self) -> Workload:
        """Returns the workload."""
        inputs = set(self.program.graph_signature.user_inputs)
        given = {
            node.name: Value(shape_of(node), constant=node.name not in inputs)
            for node in self.program.graph.nodes
            if node.op == "placeholder" and hasattr(node.meta.get("val"), "shape")
        }
        self._walk(self.program.graph_module, given)
        return self.graph.build()

    def _walk(self, module: Any, given: dict[str, Value]) -> list[Value]:
        """Walks a graph or region whose inputs are given; returns its results."""
        values = self.layers.values = dict(given)
        for node in module.graph.nodes:
            if node.op == "get_attr":
                constant: Any = getattr(module, str(node.target), None)
                if hasattr(constant, "shape"):
                    values[node.name] = Value(tuple(constant.shape), constant=True)
            elif node.op == "call_function":
                values[node.name] = self._call(module, node)
            elif node.op == "output":
                results = node.args[0] if isinstance(node.args[0], list | tuple) else [node.args[0]]
                return [values.get(getattr(result, "name", ""), Value(())) for result in results]
        return []

    def _call(self, module: Any, node: Any) -> Value:
        values, op = self.layers.values, operator_name(node)
        if op in INLINED:
            return self._inline(module, node)
        if op == "getitem" and node.args[0].name in self.regions:
            return self.regions[node.args[0].name][int(node.args[1])]
        if _is_higher_order(node):
            raise self._unsupported(op, node)
        sources = [values[source.name] for source in node.all_input_nodes if source.name in values]
        # Also tensors made from nothing: arange, zeros ...
        if op in FACTORIES or all(source.constant for source in sources):
            return Value(shape_of(node), constant=True)
        if op in ("getitem", *VIEWS):
            return merge(sources, shape_of(node))
        handler = self.layers.handler(op)
        if handler is not None:
            return handler(op, node)
        shapes = [source.shape for source in sources]
        plain = not op.startswith(WITHOUT_FALLBACK) and not PRODUCT_NAMES.search(op)
        if plain and hasattr(node.meta.get("val"), "shape") and shape_of(node) in shapes:
            return self.layers.fallback(op, node)
        raise self._unsupported(op, node)

    def _inline(self, module: Any, node: Any) -> Value:
        values = self.layers.values
        position = next(i for i, a in enumerate(node.args) if getattr(a, "op", "") == "get_attr")
        region = getattr(module, str(node.args[position].target))
        names = [inner.name for inner in region.graph.nodes if inner.op == "placeholder"]
        given = {
            name: values.get(getattr(argument, "name", ""), Value(()))
            for name, argument in zip(names, node.args[position + 1 :], strict=True)
        }
        self.regions[node.name] = results = self._walk(region, given)
        self.layers.values = values
        return merge(results, ())

    def _unsupported(self, op: str, node: Any) -> InputError:
        where = f"node {node.name!r}" + (f" in module {module_of(node)!r}" if module_of(node) else "")
        hint = ": data decide what is computed; trace the branch that is meant" if _is_higher_order(node) else ""
        return InputError(f"module {self.graph.name!r}: operator {op!r} ({where}) is not supported{hint}")


def _is_higher_order(node: Any) -> bool:
    import torch

    return node.target is not operator.getitem and isinstance(node.target, torch._ops.HigherOrderOperator)
