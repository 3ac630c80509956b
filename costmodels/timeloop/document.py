"""Timeloop YAML as plain data: tags, arithmetic expressions, and look-ups that name what is wrong."""

from __future__ import annotations

import ast
import math
import operator
import re
from collections.abc import Callable, Iterable, Mapping
from pathlib import Path
from typing import Any

import yaml

from accelgym.costmodels.errors import InputError, unknown_name
from accelgym.costmodels.strict_yaml import StrictLoader

__all__ = [
    "Tagged",
    "as_integer",
    "as_list",
    "as_number",
    "as_table",
    "merge_documents",
    "normalise",
    "parse_document",
    "resolve",
]


class Tagged(dict[str, Any]):
    """A v0.4 node, ``!Container {...}`` and the like."""

    tag: str = ""


class _Loader(StrictLoader):
    """Strict loader that keeps v0.4's node tags."""


def _node(loader: yaml.SafeLoader, suffix: str, node: yaml.Node) -> Any:
    if isinstance(node, yaml.MappingNode):
        result = Tagged({str(k): v for k, v in loader.construct_mapping(node, deep=True).items()})
    elif isinstance(node, yaml.SequenceNode):
        result = Tagged(nodes=loader.construct_sequence(node, deep=True))
    else:
        result = Tagged()
    result.tag = suffix
    return result


_Loader.add_multi_constructor("!", _node)


def parse_document(source: str | Path) -> dict[str, Any]:
    """Reads one YAML file, or YAML text (anything with a line break).

    Raises:
        InputError: The file does not exist, is no YAML, is no mapping, or uses Jinja or ``<<<:`` merges.
    """
    if isinstance(source, Path) or "\n" not in source:
        path = Path(source)
        if not path.is_file():
            raise InputError(f"{path}: no such file")
        try:
            text, where = path.read_text(encoding="utf-8"), str(path)
        except (OSError, UnicodeDecodeError) as error:
            raise InputError(f"{path}: cannot be read ({error})") from error
    else:
        text, where = source, "YAML text"
    for mark in ("{{", "{%"):
        if mark in text:
            raise InputError(f"{where}: Jinja template {mark!r} is not supported; expand it first")
    if "<<<:" in text:
        raise InputError(f"{where}: recursive merge '<<<:' is not supported; expand it first")
    try:
        data = yaml.load(text, Loader=_Loader)
    except yaml.YAMLError as error:
        raise InputError(f"{where}: not valid YAML: {error}") from error
    if not isinstance(data, dict):
        raise InputError(f"{where}: a mapping of sections is expected, found {type(data).__name__}")
    return data


def merge_documents(documents: Iterable[Mapping[str, Any]]) -> dict[str, Any]:
    """Joins sections of several files.

    Raises:
        InputError: A section appears twice.
    """
    merged: dict[str, Any] = {}
    for document in documents:
        for section, value in document.items():
            if section in merged:
                raise InputError(f"section {section!r} appears in two files")
            merged[section] = value
    return merged


def normalise(mapping: Any, where: str, allowed: Iterable[str]) -> dict[str, Any]:
    """Checks keys and spells them with underscores.

    Args:
        mapping: A mapping as read.
        where: Its path, for messages.
        allowed: Known keys, with underscores.

    Raises:
        InputError: Not a mapping, or a key that is not understood.
    """
    if not isinstance(mapping, Mapping):
        raise InputError(f"{where} is {mapping!r}, allowed: a mapping")
    known = set(allowed)
    result = {}
    for key, value in mapping.items():
        name = str(key).replace("-", "_")
        if name not in known:
            raise unknown_name(f"key in {where}", key, known)
        if name in result:
            raise InputError(f"{where}: key {name!r} is given twice, with - and with _")
        result[name] = value
    return result


def as_list(value: Any, where: str) -> list[Any]:
    """Returns a list, ``[]`` for nothing.

    Raises:
        InputError: Something else.
    """
    if value is None:
        return []
    if not isinstance(value, list):
        raise InputError(f"{where} is {value!r}, allowed: a list")
    return value


def as_table(value: Any, where: str) -> Mapping[str, Any]:
    """Returns a mapping, ``{}`` for nothing.

    Raises:
        InputError: Something else.
    """
    if value is None:
        return {}
    if not isinstance(value, Mapping):
        raise InputError(f"{where} is {value!r}, allowed: a mapping")
    return value


def as_number(value: Any, where: str) -> float:
    """Returns a finite number.

    Raises:
        InputError: Something else.
    """
    if isinstance(value, bool) or not isinstance(value, int | float) or not math.isfinite(value):
        raise InputError(f"{where} is {value!r}, allowed numbers")
    return float(value)


def as_integer(value: Any, where: str) -> int:
    """Returns an integer from 1 to 2**31 - 1.

    Raises:
        InputError: Something else.
    """
    whole = isinstance(value, int | float) and math.isfinite(value) and value == int(value)
    if isinstance(value, bool) or not whole or not 1 <= value < 2**31:
        raise InputError(f"{where} is {value!r}, allowed integers >= 1")
    return int(value)


_OPERATORS: dict[type, Callable[..., Any]] = {
    ast.Add: operator.add,
    ast.Sub: operator.sub,
    ast.Mult: operator.mul,
    ast.Div: operator.truediv,
    ast.FloorDiv: operator.floordiv,
    ast.Mod: operator.mod,
    ast.USub: operator.neg,
}
_FUNCTIONS: dict[str, Callable[..., Any]] = {"min": min, "max": max, "ceil": lambda x: -int(-x // 1), "int": int}


def resolve(value: Any, variables: Mapping[str, Any], where: str) -> Any:
    """Evaluates an arithmetic expression over ``variables``; anything but a string comes back unchanged.

    Strings that are no expression (names, technologies) come back as they are.

    Raises:
        InputError: An expression that uses more than numbers, variables and ``+ - * / // %``, min, max, ceil.
    """
    if not isinstance(value, str):
        return value
    if value in variables:
        return resolve(variables[value], variables, where)
    if "_" in value.strip("_") and re.fullmatch(r"[-+]?[0-9_.]+", value):
        raise InputError(f"{where}: number {value!r} can be read in two ways, allowed: digits alone")
    if not value.isascii():
        return value
    if not any(mark in value for mark in "+*/%("):
        try:
            return int(value)
        except ValueError:
            pass
        try:
            return float(value)
        except ValueError:
            return value
    try:
        return _compute(ast.parse(value, mode="eval").body, variables)
    except (SyntaxError, TypeError, KeyError, ZeroDivisionError) as error:
        raise InputError(f"{where}: cannot evaluate {value!r} ({error})") from error


def _compute(node: ast.AST, variables: Mapping[str, Any]) -> Any:
    if isinstance(node, ast.Constant) and isinstance(node.value, int | float):
        return node.value
    if isinstance(node, ast.Name):
        return resolve(variables[node.id], variables, node.id)
    if isinstance(node, ast.BinOp) and type(node.op) in _OPERATORS:
        return _OPERATORS[type(node.op)](_compute(node.left, variables), _compute(node.right, variables))
    if isinstance(node, ast.UnaryOp) and type(node.op) in _OPERATORS:
        return _OPERATORS[type(node.op)](_compute(node.operand, variables))
    if isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.func.id in _FUNCTIONS:
        return _FUNCTIONS[node.func.id](*(_compute(argument, variables) for argument in node.args))
    raise TypeError(f"{type(node).__name__} is not allowed")
