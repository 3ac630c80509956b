"""Texts with expressions in ``${...}``: command lines and input files of a design."""

from __future__ import annotations

import ast
import re
from collections import UserString
from collections.abc import Collection, Iterator, Mapping
from typing import Any

from accelgym.costmodels.errors import InputError, shown, unknown_name
from accelgym.costmodels.files.timeloop_yaml.expressions import Scope

__all__ = ["check_names", "fill", "number_of"]

_PLACEHOLDER = re.compile(r"(\$?)\$\{([^{}]*)\}")
"""``$${`` stands for ``${`` itself."""


def fill(text: str, values: Mapping[str, Any], where: str) -> str:
    """Replaces every ``${expression}`` by its value; ``$${`` becomes ``${`` and any other ``$`` stays.

    Args:
        text: The template.
        values: What expressions may name.
        where: Place of the text, for messages.

    Raises:
        InputError: An expression that names something else, or that cannot be evaluated.
    """
    scope = Scope(_opaque(values))

    def replace(found: re.Match[str]) -> str:
        if found[1]:
            return found[0][1:]
        check_names(found[2], values, where)
        return _text(scope.resolve(found[2], where))

    return _PLACEHOLDER.sub(replace, text)


def check_names(expression: str, allowed: Collection[str], where: str) -> None:
    """Refuses an expression that is none, or that names what does not exist.

    Raises:
        InputError: Says which name, and the nearest ones that exist.
    """
    try:
        tree = ast.parse(expression.strip(), mode="eval")
    except (SyntaxError, ValueError, MemoryError, RecursionError):
        raise InputError(f"{where}: {shown(expression)} is no expression over {', '.join(allowed)}") from None
    for name in _names(tree):
        if name not in allowed:
            raise InputError(f"{where}: {unknown_name('name', name, allowed)}")


def number_of(expression: str, values: Mapping[str, Any], where: str) -> float:
    """Returns the value of an expression.

    Raises:
        InputError: It cannot be evaluated, or is no number.
    """
    value = Scope(_opaque(values)).resolve(expression, where)
    if not isinstance(value, int | float):
        raise InputError(f"{where}: {shown(expression)} is {shown(value)}, allowed: a number")
    try:
        return float(value)
    except OverflowError:
        raise InputError(f"{where}: {shown(expression)} is beyond the range of a double") from None


def _names(tree: ast.AST) -> Iterator[str]:
    called = {node.func for node in ast.walk(tree) if isinstance(node, ast.Call)}
    for node in ast.walk(tree):
        if isinstance(node, ast.Name) and node not in called:
            yield node.id


def _opaque(values: Mapping[str, Any]) -> dict[str, Any]:
    """Texts that are no expressions themselves: a dataflow ``os`` is not the parameter of that name."""
    return {name: UserString(value) if isinstance(value, str) else value for name, value in values.items()}


def _text(value: Any) -> str:
    return str(value).lower() if isinstance(value, bool) else str(value)
