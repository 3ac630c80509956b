"""A network as an exported graph whose multiply-add layers have names."""

from __future__ import annotations

import hashlib
import math
import operator
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, fx

from accelgym.costmodels.errors import InputError, unknown_name

__all__ = ["CONVOLUTION_ARGUMENTS", "NetworkLayer", "TracedNetwork", "named_arguments"]

CONVOLUTIONS = {"conv1d", "conv2d", "conv3d"}
CONVOLUTION_ARGUMENTS = ("input", "weight", "bias", "stride", "padding", "dilation", "groups")
PRODUCTS = {"matmul", "bmm", "mm"}
ATTENTION = "scaled_dot_product_attention"
_MATRIX = 2
LAYERS = CONVOLUTIONS | PRODUCTS | {"linear", "addmm", ATTENTION}
"""Operators that are quantised."""
_COMPOSED = (
    "einsum",
    "tensordot",
    "inner",
    "baddbmm",
    "addbmm",
    "addmv",
    "mv",
    "dot",
    "chain_matmul",
    "linalg_multi_dot",
)
"""Operators that PyTorch expresses by these."""
_REFUSED = (
    *_COMPOSED,
    "conv_",
    "convolution",
    "lstm",
    "gru",
    "rnn",
    "bilinear",
    "_native_multi_head",
    "_transformer_enc",
)
"""Beginnings of other operators that multiply and add."""


@dataclass(frozen=True)
class NetworkLayer:
    """One multiply-add operator of the graph."""

    name: str
    """That of its weight without ``.weight``; that of the module and operator where there is no weight."""
    op: str
    node: fx.Node
    weight: str | None
    """Node of a constant second operand."""

    @property
    def is_attention(self) -> bool:
        """Whether it is both products of an attention."""
        return self.op == ATTENTION

    @property
    def groups(self) -> int:
        """Groups of a convolution."""
        return int(_argument(self.node, 6, "groups", 1)) if self.op in CONVOLUTIONS else 1

    @property
    def operands(self) -> tuple[str, ...]:
        """What is quantised at run time."""
        if self.is_attention:
            return ("query", "key", "mixture", "value")
        return ("input",) if self.weight is not None else ("input", "second")


class TracedNetwork:
    """A module exported by ``torch.export``: constants evaluated once, batch normalisations folded into convolutions.

    Args:
        module: The module, in evaluation mode; or an exported program.
        example: Positional arguments with a batch axis in front; batches of other sizes follow where the module allows.
        name: Name for messages.

    Raises:
        InputError: The module cannot be exported, or has an operator that multiplies and adds and is not supported.
    """

    def __init__(
        self, module: torch.nn.Module | torch.export.ExportedProgram, example: tuple[Any, ...], name: str
    ) -> None:
        self.name = name
        given = module if isinstance(module, torch.export.ExportedProgram) else _exported(module, example, name)
        program = _decomposed(given)
        self.module = program.graph_module
        self.constants, self._parameters = _constants(program)
        self._folded: dict[str, tuple[str, str, str]] = {}  # Weight, folded weight and folded bias by convolution.
        self._stand_ins: dict[str, str] = {}  # Convolutions by the normalisation folded into them.
        self.inputs = tuple(program.graph_signature.user_inputs)
        self.nodes: list[fx.Node] = []
        self.output = ""
        self.batch: int | None = None
        """Examples that the graph takes at a time; None for any number."""
        with torch.no_grad():
            self._walk()
        self._fold_norms()
        self.layers = self._layers()
        if not self.layers:
            raise InputError(f"module {name!r} has no convolution, product or attention to quantise")
        self.last_use = {source: index for index, node in enumerate(self.nodes) for source in self.sources(node)}

    @property
    def layer_names(self) -> tuple[str, ...]:
        """Names of the layers in the order of the graph."""
        return tuple(layer.name for layer in self.layers)

    def layer(self, name: str) -> NetworkLayer:
        """Returns a layer.

        Raises:
            InputError: No such layer.
        """
        for layer in self.layers:
            if layer.name == name:
                return layer
        raise unknown_name("layer", name, self.layer_names)

    def digest(self) -> str:
        """Returns a hash of operators and constants."""
        found = hashlib.sha256("\n".join(node.format_node() or "" for node in self.nodes).encode())
        for name, value in sorted(self.constants.items()):
            found.update(name.encode() + str(tuple(value.shape)).encode() + value.contiguous().numpy().tobytes())
        return found.hexdigest()

    def _walk(self) -> None:
        """Sorts the calls into constants, evaluated now, and what depends on the inputs."""
        for node in self.module.graph.nodes:
            if node.op == "placeholder" and node.name in self.inputs and self.batch is None:
                sizes = list(getattr(node.meta.get("val"), "shape", ()))
                self.batch = sizes[0] if sizes and isinstance(sizes[0], int) else None
            elif node.op == "get_attr":
                value = getattr(self.module, str(node.target), None)
                if isinstance(value, Tensor):
                    self.constants[node.name] = value.detach()
            elif node.op == "output":
                results = node.args[0]
                first = results[0] if isinstance(results, list | tuple) else results
                if not isinstance(first, fx.Node):
                    raise InputError(f"module {self.name!r}: its first result is {first!r}, allowed: a tensor")
                self.output = first.name
            elif node.op == "call_function":
                op = operator_name(node)
                if isinstance(node.target, torch._ops.HigherOrderOperator):
                    raise InputError(f"module {self.name!r}: operator {op!r} (node {node.name!r}) is not supported")
                if op not in LAYERS and op.startswith(_REFUSED):
                    raise InputError(
                        f"module {self.name!r}: operator {op!r} (node {node.name!r}) multiplies and adds, and cannot "
                        f"be quantised, allowed: {', '.join(sorted(LAYERS))}"
                    )
                sources = node.all_input_nodes
                random = torch.Tag.nondeterministic_seeded in getattr(node.target, "tags", ())
                if not random and all(s.name in self.constants for s in sources):
                    value = self.call(node, self.constants)
                    if isinstance(value, Tensor):
                        self.constants[node.name] = value
                        continue
                self.nodes.append(node)

    def call(self, node: fx.Node, values: Mapping[str, Any]) -> Any:
        """Evaluates one operator."""
        args, kwargs = self.arguments(node, values)
        target: Any = node.target
        if target is torch.ops.aten.view.default:
            return args[0].reshape(*args[1:], **kwargs)  # Strides may differ from those of the export.
        return target(*args, **kwargs)

    def arguments(self, node: fx.Node, values: Mapping[str, Any]) -> tuple[tuple[Any, ...], dict[str, Any]]:
        """Returns the arguments of a node with its sources replaced by their values."""

        def value(source: fx.Node) -> Any:
            name = self._stand_ins.get(source.name, source.name)
            return values[name] if name in values else self.constants[name]

        return fx.map_arg(node.args, value), fx.map_arg(node.kwargs, value)

    def sources(self, node: fx.Node) -> set[str]:
        """Returns the names of the values that a node reads."""
        return {self._stand_ins.get(source.name, source.name) for source in node.all_input_nodes}

    def _fold_norms(self) -> None:
        """Multiplies the scale of a batch normalisation into the convolution that nothing else reads."""
        kept = []
        for node in self.nodes:
            folded = operator_name(node) == "batch_norm" and self._fold(node)
            if not folded:
                kept.append(node)
        self.nodes = kept

    def _fold(self, norm: fx.Node) -> bool:
        conv = norm.args[0]
        constants = self.constants
        if not isinstance(conv, fx.Node) or operator_name(conv) not in CONVOLUTIONS or len(conv.users) > 1:
            return False
        gamma, beta, mean, variance = (getattr(a, "name", None) for a in norm.args[1:5])
        weight = str(getattr(conv.args[1], "name", ""))
        bias = getattr(_argument(conv, 2, "bias", None), "name", None)
        trains = bool(norm.args[5])
        if trains or mean not in constants or variance not in constants or weight not in constants:
            return False
        scale = torch.rsqrt(constants[variance] + float(norm.args[7]))  # type: ignore[arg-type]
        scale = scale * constants[gamma] if gamma in constants else scale
        old = constants[weight]
        shift = torch.zeros_like(scale) if bias is None else constants[bias]
        shift = (shift - constants[mean]) * scale + (constants[beta] if beta in constants else torch.zeros_like(scale))
        # Who reads the normalisation reads the convolution.
        folded = f"{conv.name}_folded"
        self.constants |= {folded: old * scale.reshape(-1, *[1] * (old.ndim - 1)), f"{folded}_bias": shift}
        self._folded[conv.name] = (weight, folded, f"{folded}_bias")
        self._stand_ins[norm.name] = conv.name
        if self.output == norm.name:
            self.output = conv.name
        return True

    def weight_and_bias(self, layer: NetworkLayer) -> tuple[Tensor, Tensor | None]:
        """Returns the constant second operand of a layer and its bias."""
        assert layer.weight is not None
        if layer.node.name in self._folded:
            return self.constants[layer.weight], self.constants[self._folded[layer.node.name][2]]
        if layer.op in PRODUCTS:
            return self.constants[layer.weight], None
        bias = _argument(layer.node, 0 if layer.op == "addmm" else 2, "bias", None)
        return self.constants[layer.weight], self.constants.get(getattr(bias, "name", ""))

    def _layers(self) -> tuple[NetworkLayer, ...]:
        found: list[NetworkLayer] = []
        names: dict[str, int] = {}
        for node in self.nodes:
            op = operator_name(node)
            if op not in LAYERS:
                continue
            second = node.args[2 if op == "addmm" else 1]
            weight = original = getattr(second, "name", "")
            if node.name in self._folded:
                original, weight, _ = self._folded[node.name]
            if op == "addmm" and node.kwargs:
                raise InputError(
                    f"module {self.name!r}: operator 'addmm' (node {node.name!r}) with {', '.join(node.kwargs)}, "
                    "allowed: without"
                )
            constant = op != ATTENTION and weight in self.constants
            if (
                constant
                and op in PRODUCTS
                and self.constants[weight].numel() == math.prod(self.constants[weight].shape[-2:])
            ):
                # A matrix with axes of one in front, as einsum makes them.
                self.constants[weight] = self.constants[weight].reshape(self.constants[weight].shape[-2:])
            constant = constant and (op not in PRODUCTS or self.constants[weight].ndim == _MATRIX)
            if constant and op not in PRODUCTS:
                bias = getattr(_argument(node, 0 if op == "addmm" else 2, "bias", None), "name", None)
                if bias is not None and bias not in self.constants:
                    if op != "addmm":
                        raise InputError(
                            f"module {self.name!r}: operator {op!r} (node {node.name!r}) has a bias that is computed, "
                            "allowed: a parameter"
                        )
                    constant = False
            name = self._parameters.get(original, node.name).removesuffix(".weight") if constant else _place(node, op)
            names[name] = names.get(name, 0) + 1
            name = name if names[name] == 1 else f"{name}#{names[name]}"
            found.append(NetworkLayer(name, op, node, weight if constant else None))
        return tuple(found)


def operator_name(node: fx.Node) -> str:
    """Returns the name of an operator without namespace and overload."""
    if node.target is operator.getitem:
        return "getitem"
    target: Any = node.target
    return str(getattr(target, "__name__", target)).split(".")[0]


def named_arguments(names: Sequence[str], args: Sequence[Any], kwargs: Mapping[str, Any]) -> dict[str, Any]:
    """Returns the arguments that a call gives, by name, the positional ones named in order."""
    return {**dict(zip(names, args, strict=False)), **kwargs}


def _place(node: fx.Node, op: str) -> str:
    """Returns the path of the module that calls an operator, and the operator."""
    stack = list(node.meta.get("nn_module_stack", {}).values())
    path = str(stack[-1][0]) if stack else ""
    return f"{path}.{op}" if path else op


def _argument(node: fx.Node, position: int, name: str, default: Any) -> Any:
    return node.args[position] if len(node.args) > position else node.kwargs.get(name, default)


def _exported(module: torch.nn.Module, example: tuple[Any, ...], name: str) -> torch.export.ExportedProgram:
    shapes = tuple({0: torch.export.Dim.AUTO} if isinstance(x, Tensor) and x.ndim else None for x in example)
    try:
        with torch.no_grad():
            return torch.export.export(module.eval(), example, dynamic_shapes=shapes)
    except Exception as error:  # torch.export raises many unrelated classes
        lines = [line.strip() for line in str(error).splitlines() if line.strip()]
        first = lines[0] if lines else "no message"
        called = next((line for line in lines if line.startswith(("Operator", "Explanation", "from user code"))), "")
        raise InputError(
            f"module {name!r} cannot be exported by torch.export: {type(error).__name__}: {first}"
            + (f" ({called})" if called and called != first else "")
        ) from error


def _decomposed(program: torch.export.ExportedProgram) -> torch.export.ExportedProgram:
    """Replaces composed products, and leaves all other operators as they are."""
    found: set[Any] = {node.target for node in program.graph.nodes if operator_name(node) in _COMPOSED}
    if not found:
        return program
    defaults: Any = torch.export.default_decompositions()
    table = dict(defaults.items())
    chosen = {target: table[target] for target in found if target in table}
    return program.run_decompositions(chosen) if chosen else program


def _constants(program: torch.export.ExportedProgram) -> tuple[dict[str, Tensor], dict[str, str]]:
    """Returns parameters, buffers and lifted tensors by node name, and the full names of the parameters."""
    signature = program.graph_signature
    names = {**signature.inputs_to_parameters, **signature.inputs_to_buffers}
    found: dict[str, Any] = {}
    for node, name in names.items():
        found[node] = program.state_dict[name] if name in program.state_dict else program.constants[name]
    for node, name in signature.inputs_to_lifted_tensor_constants.items():
        found[node] = program.constants[name]
    return {node: value.detach() for node, value in found.items() if isinstance(value, Tensor)}, names
