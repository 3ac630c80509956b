"""Convolutional networks as layer tables with blocks and repeats."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from pydantic import Field, TypeAdapter, ValidationError

from accelgym.costmodels.errors import InputError
from accelgym.costmodels.files.strict_model import Count, StrictModel, Triple, explain, key_of
from accelgym.costmodels.workloads.cnn_rows import Feature, Row
from accelgym.costmodels.workloads.graph import GraphBuilder
from accelgym.costmodels.workloads.spec import NetworkSpec
from accelgym.costmodels.workloads.workload import Workload

__all__ = ["CnnTable"]

_ROW: TypeAdapter[Any] = TypeAdapter(Row)
_MAX_DEPTH = 16
"""A description whose blocks contain themselves ends here."""


class Block(StrictModel):
    """A sequence of rows used several times, with ``$name`` placeholders."""

    defaults: dict[str, int] = Field(default_factory=dict)
    """Values of placeholders that a use may leave out."""
    layers: list[dict[str, Any]] = Field(min_length=1)


class BlockUse(StrictModel):
    """A row that stands for a block."""

    name: str
    block: str
    repeat: Count | None = None
    """Copies in sequence, named ``<name>.0``, ``<name>.1`` ..."""
    values: dict[str, int] = Field(default_factory=dict, alias="with")


class CnnTable(NetworkSpec):
    """A table of rows, read top to bottom.

    A row is either an operator (``{name: conv1, op: conv, out: 64, kernel: 7, stride: 2, padding: 3, act: relu}``)
    or a use of a block (``{name: layer1, block: basic, repeat: 2, with: {width: 64}}``). Its input is the row
    before unless ``from`` names others; inside a block ``in`` names the input of the block, and the result of
    a block is its last row. The batch normalisation behind a convolution is folded and does not appear.
    """

    input: Triple
    """Channels, height and width."""
    blocks: dict[str, Block] = Field(default_factory=dict)
    layers: list[dict[str, Any]] = Field(min_length=1)

    def parameters(self, variant: str) -> dict[str, int]:
        """``batch`` and ``image``, the height and width of the input."""
        return {"batch": 1, "image": self.input[1]}

    def build(self, name: str, variant: str, values: Mapping[str, int]) -> Workload:
        """Expands the blocks.

        Raises:
            InputError: Naming the row and the key.
        """
        graph = GraphBuilder(name, self.source)
        height = values["image"]
        width = self.input[2] * height // self.input[1]
        self._expand(graph, "", self.layers, Feature(values["batch"], self.input[0], height, width), "layers", {})
        return graph.build()

    def _expand(
        self,
        graph: GraphBuilder,
        prefix: str,
        rows: list[dict[str, Any]],
        x: Feature,
        where: str,
        values: Mapping[str, int],
    ) -> Feature:
        known = {"in": x}
        for index, raw in enumerate(rows):
            place = f"{where}[{index}]"
            row = {key: _fill(f"{place}.{key}", value, values) for key, value in raw.items()}
            if "block" in row:
                use: BlockUse = _check(TypeAdapter(BlockUse), row, place)
                x = self._use(graph, prefix, use, x, place)
                known[use.name] = x
                continue
            operator = _check(_ROW, row, place)
            names = operator.source
            if names is None:
                inputs = [x]
            else:
                wanted = [names] if isinstance(names, str) else names
                unknown = [n for n in wanted if n not in known]
                if unknown:
                    raise InputError(f"{place}.from: {unknown[0]!r}: no earlier row has this name: {sorted(known)}")
                inputs = [known[n] for n in wanted]
            x = known[operator.name] = operator.apply(graph, prefix + operator.name, inputs)
        return x

    def _use(self, graph: GraphBuilder, prefix: str, use: BlockUse, x: Feature, place: str) -> Feature:
        if use.block not in self.blocks:
            raise InputError(f"{place}.block: {use.block!r}: allowed {sorted(self.blocks)}")
        if prefix.count(".") > _MAX_DEPTH:
            raise InputError(f"{place}.block: {use.block!r}: blocks may nest {_MAX_DEPTH} deep")
        block = self.blocks[use.block]
        values = {**block.defaults, **use.values}
        for copy in range(use.repeat or 1):
            name = use.name if use.repeat is None else f"{use.name}.{copy}"
            x = self._expand(graph, f"{prefix}{name}.", block.layers, x, f"blocks.{use.block}.layers", values)
        return x


def _fill(place: str, value: Any, values: Mapping[str, int]) -> Any:
    """Replaces ``$name`` by its value."""
    if isinstance(value, dict):
        return {key: _fill(f"{place}.{key}", item, values) for key, item in value.items()}
    if not (isinstance(value, str) and value.startswith("$")):
        return value
    if value[1:] not in values:
        raise InputError(f"{place}: {value!r} has no value here: allowed {sorted(f'${name}' for name in values)}")
    return values[value[1:]]


def _check(adapter: TypeAdapter[Any], row: dict[str, Any], place: str) -> Any:
    try:
        return adapter.validate_python(row)
    except ValidationError as error:
        first = error.errors(include_url=False)[0]
        # The location of an operator row starts with the operator, which is no key.
        key = [str(part) for part in key_of(first)]
        key = key if not key or key[0] in row else key[1:]
        raise InputError(f"{'.'.join([place, *key])}: {explain(first)}") from error
