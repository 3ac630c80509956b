"""The YAML that all readers of this package share: what could be read in two ways is an error."""

from __future__ import annotations

import re
from collections.abc import Hashable
from typing import Any

import yaml

__all__ = ["StrictLoader"]

_MOST_VALUES = 500_000
"""Largest number of values after aliases are followed; the largest public file has about 20,000."""
_DEEPEST = 60
"""Beyond any machine's nesting; keeps hostile files from exhausting the stack."""
_MOST_DIGITS = 1000

_INTEGER = re.compile(r"[-+]?(?:0|[1-9][0-9]*|0x[0-9a-fA-F]+)")
_FLOAT = re.compile(r"[-+]?(?:[0-9]+\.[0-9]*|\.[0-9]+)(?:[eE][-+]?[0-9]+)?|[-+]?\.(?:inf|Inf|INF)|\.(?:nan|NaN|NAN)")


class StrictLoader(yaml.SafeLoader):
    """Safe loader that refuses keys given twice, numbers that only YAML 1.1 reads so, and documents without end.

    Ambiguous numbers are digits in groups (``1_000``), octal ones (``010``, ``0o10``), binary ones and base 60
    (``1:30``): other readers, and people, take them for something else. A document without end has an alias that
    contains itself, nests more than 60 deep, or has more than 500,000 values after aliases are followed.

    Raises:
        yaml.MarkedYAMLError: Where it stands and what is allowed.
    """

    _depth = 0

    def compose_node(self, parent: yaml.Node | None, index: int) -> yaml.Node | None:
        """Composes a node and counts how deep it lies."""
        if self._depth > _DEEPEST:
            mark = self.peek_event().start_mark  # type: ignore[no-untyped-call]
            raise yaml.composer.ComposerError(None, None, f"nested more than {_DEEPEST} deep", mark)
        self._depth += 1
        try:
            return super().compose_node(parent, index)
        finally:
            self._depth -= 1

    def construct_document(self, node: yaml.Node) -> Any:
        """Constructs a document, once it is known how large it is."""
        _size(node, {}, set())
        return super().construct_document(node)

    def construct_yaml_timestamp(self, node: yaml.ScalarNode) -> Any:
        """Constructs a date that exists."""
        try:
            return super().construct_yaml_timestamp(node)
        except (ValueError, OverflowError) as error:
            raise yaml.constructor.ConstructorError(None, None, f"no date: {error}", node.start_mark) from error

    def compose_mapping_node(self, anchor: Any) -> yaml.MappingNode:
        """Composes a mapping and refuses keys that stand in it twice; ``<<`` may, once per mapping to merge."""
        node = super().compose_mapping_node(anchor)
        seen: dict[Hashable, yaml.Node] = {}
        for key, _ in node.value:
            if not isinstance(key, yaml.ScalarNode) or key.tag == "tag:yaml.org,2002:merge":
                continue
            first = seen.setdefault((key.tag, key.value), key)
            if first is not key:
                message = f"key {key.value[:80]!r} is given twice, first in line {first.start_mark.line + 1}"
                raise yaml.constructor.ConstructorError(None, None, message, key.start_mark)
        return node

    def construct_strict_integer(self, node: yaml.ScalarNode) -> int:
        """Constructs a decimal or hexadecimal integer."""
        return int(self.construct_yaml_int(self._checked(node, _INTEGER, "digits alone, as in 1000")))

    def construct_strict_float(self, node: yaml.ScalarNode) -> float:
        """Constructs a decimal fraction."""
        return float(self.construct_yaml_float(self._checked(node, _FLOAT, "a decimal fraction, as in 0.5 or 1.0e3")))

    def _checked(self, node: yaml.ScalarNode, allowed: re.Pattern[str], words: str) -> yaml.ScalarNode:
        if len(node.value) > _MOST_DIGITS:
            message = f"a number of {len(node.value)} digits, allowed: {_MOST_DIGITS}"
            raise yaml.constructor.ConstructorError(None, None, message, node.start_mark)
        if allowed.fullmatch(node.value) is None:
            message = f"number {node.value[:80]!r} can be read in two ways, allowed: {words}"
            raise yaml.constructor.ConstructorError(None, None, message, node.start_mark)
        return node


def _size(node: yaml.Node, known: dict[int, int], above: set[int]) -> int:
    """Returns the number of values of a node, aliases followed."""
    if id(node) in known:
        return known[id(node)]
    total = 1
    if isinstance(node, (yaml.SequenceNode, yaml.MappingNode)):
        if id(node) in above:
            raise yaml.composer.ComposerError(None, None, "an alias contains itself", node.start_mark)
        above.add(id(node))
        parts = node.value if isinstance(node, yaml.SequenceNode) else [part for pair in node.value for part in pair]
        total += sum(_size(part, known, above) for part in parts)
        above.discard(id(node))
    if total > _MOST_VALUES:
        message = f"more than {_MOST_VALUES:,} values after aliases are followed"
        raise yaml.composer.ComposerError(None, None, message, node.start_mark)
    known[id(node)] = total
    return total


StrictLoader.add_constructor("tag:yaml.org,2002:timestamp", StrictLoader.construct_yaml_timestamp)
StrictLoader.add_constructor("tag:yaml.org,2002:int", StrictLoader.construct_strict_integer)
StrictLoader.add_constructor("tag:yaml.org,2002:float", StrictLoader.construct_strict_float)
