"""The YAML that all readers of this package share: what could be read in two ways is an error."""

from __future__ import annotations

import re
from collections.abc import Hashable
from typing import Any

import yaml

__all__ = ["StrictLoader"]

_INTEGER = re.compile(r"[-+]?(?:0|[1-9][0-9]*|0x[0-9a-fA-F]+)")
_FLOAT = re.compile(r"[-+]?(?:[0-9]+\.[0-9]*|\.[0-9]+)(?:[eE][-+]?[0-9]+)?|[-+]?\.(?:inf|Inf|INF)|\.(?:nan|NaN|NAN)")


class StrictLoader(yaml.SafeLoader):
    """Safe loader that refuses a key given twice, and numbers that only YAML 1.1 reads as numbers.

    Those are digits in groups (``1_000``), octal ones (``010``, ``0o10``), binary ones and base 60 (``1:30``): other
    readers, and people, take them for something else.

    Raises:
        yaml.MarkedYAMLError: Where it stands and what is allowed.
    """

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
        if allowed.fullmatch(node.value) is None:
            message = f"number {node.value[:80]!r} can be read in two ways, allowed: {words}"
            raise yaml.constructor.ConstructorError(None, None, message, node.start_mark)
        return node


StrictLoader.add_constructor("tag:yaml.org,2002:int", StrictLoader.construct_strict_integer)
StrictLoader.add_constructor("tag:yaml.org,2002:float", StrictLoader.construct_strict_float)
