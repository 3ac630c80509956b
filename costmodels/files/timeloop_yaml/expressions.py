"""Arithmetic in Timeloop files: Python expressions over attributes, parents and variables, evaluated within limits."""

from __future__ import annotations

import ast
import math
import operator
import re
from collections.abc import Callable, Mapping
from typing import Any

from accelgym.costmodels.errors import InputError, shown

__all__ = ["Scope"]

_MAX_TEXT = 1000
_MAX_BITS = 512
"""Longest integer that an operation may give."""

_BINARY: dict[type, Callable[[Any, Any], Any]] = {
    ast.Add: operator.add,
    ast.Sub: operator.sub,
    ast.Mult: operator.mul,
    ast.Div: operator.truediv,
    ast.FloorDiv: operator.floordiv,
    ast.Mod: operator.mod,
    ast.Pow: operator.pow,
    ast.LShift: operator.lshift,
    ast.RShift: operator.rshift,
    ast.BitAnd: operator.and_,
    ast.BitOr: operator.or_,
    ast.BitXor: operator.xor,
}
_UNARY: dict[type, Callable[[Any], Any]] = {ast.USub: operator.neg, ast.UAdd: operator.pos, ast.Not: operator.not_}
_COMPARISONS: dict[type, Callable[[Any, Any], Any]] = {
    ast.Eq: operator.eq,
    ast.NotEq: operator.ne,
    ast.Lt: operator.lt,
    ast.LtE: operator.le,
    ast.Gt: operator.gt,
    ast.GtE: operator.ge,
    ast.In: lambda left, right: left in right,
    ast.NotIn: lambda left, right: left not in right,
    ast.Is: operator.is_,
    ast.IsNot: operator.is_not,
}
_FUNCTIONS: dict[str, Callable[..., Any]] = {
    "abs": abs,
    "acos": math.acos,
    "asin": math.asin,
    "atan": math.atan,
    "atan2": math.atan2,
    "bool": bool,
    "ceil": math.ceil,
    "comb": lambda n, k: math.comb(_small(n), _small(k)),
    "copysign": math.copysign,
    "cos": math.cos,
    "cosh": math.cosh,
    "degrees": math.degrees,
    "exp": math.exp,
    "expm1": math.expm1,
    "fabs": math.fabs,
    "factorial": lambda n: math.factorial(_small(n)),
    "float": float,
    "floor": math.floor,
    "fmod": math.fmod,
    "gcd": math.gcd,
    "hypot": math.hypot,
    "int": int,
    "isclose": math.isclose,
    "isfinite": math.isfinite,
    "isinf": math.isinf,
    "isnan": math.isnan,
    "isqrt": math.isqrt,
    "ldexp": math.ldexp,
    "len": len,
    "log": math.log,
    "log10": math.log10,
    "log1p": math.log1p,
    "log2": math.log2,
    "max": max,
    "min": min,
    "perm": lambda n, k: math.perm(_small(n), _small(k)),
    "pow": operator.pow,
    "prod": math.prod,
    "radians": math.radians,
    "remainder": math.remainder,
    "round": lambda value, digits=0: round(value, max(-300, min(digits, 300))) if digits else round(value),
    "sin": math.sin,
    "sinh": math.sinh,
    "sqrt": math.sqrt,
    "sum": sum,
    "tan": math.tan,
    "tanh": math.tanh,
    "trunc": math.trunc,
}
"""Those of Accelergy that give numbers."""
_CONSTANTS = {"pi": math.pi, "tau": math.tau, "e": math.e, "inf": math.inf}
_WHOLE = re.compile(r"[+-]?[0-9]{1,300}")
_DATE = re.compile(r"[0-9]{4}-[0-9]{1,2}-[0-9]{1,2}")
_GROUPED = re.compile(r"(?<![A-Za-z0-9_])[0-9.]+_[0-9]")
_DECIMAL = re.compile(r"[+-]?([0-9]+\.?[0-9]*|\.[0-9]+)([eE][+-]?[0-9]+)?")


class Scope:
    """The names an expression may use: tables of values that may be expressions themselves.

    A name is looked up in the innermost table that has it. A definition that mentions its own name means the next
    table outwards: ``width: width`` takes the width of the parent.

    Args:
        *tables: Innermost first.
    """

    def __init__(self, *tables: Mapping[str, Any]) -> None:
        self._tables = tables
        self._known: dict[tuple[int, str], Any] = {}
        self._active: list[tuple[int, str]] = []

    def within(self, table: Mapping[str, Any]) -> Scope:
        """Returns this scope with one more table inside."""
        return Scope(table, *self._tables)

    def resolve(self, value: Any, where: str) -> Any:
        """Evaluates text that is an expression; anything else comes back unchanged.

        Text that is no Python expression (``45nm``), or a single name that nothing defines (``LPDDR4``), is a name.

        Args:
            value: As read.
            where: Its place, for messages.

        Raises:
            InputError: An expression over names that do not exist or of a kind that is not allowed, a definition that
                leads back to itself, or a result out of range.
        """
        if not isinstance(value, str):
            return value
        try:
            return self._text(value)
        except RecursionError:
            reason = "it leads back to itself or is nested too deep"
        except (TypeError, ValueError, KeyError, IndexError, ArithmeticError) as error:
            reason = error.args[0] if isinstance(error, KeyError) and error.args else str(error)
        finally:
            self._active.clear()
        raise InputError(f"{where}: cannot evaluate {shown(value)} ({reason})")

    def _text(self, text: str) -> Any:
        text = text.strip()
        if _WHOLE.fullmatch(text):
            return int(text)
        if _DECIMAL.fullmatch(text):
            return float(text)
        if len(text) > _MAX_TEXT or _DATE.fullmatch(text):
            return text
        try:
            tree = ast.parse(text, mode="eval").body
        except (SyntaxError, ValueError, MemoryError):
            return text
        if isinstance(tree, ast.Name):
            try:
                return self._name(tree.id)
            except _UnknownName:
                return text
        if isinstance(tree, ast.Constant) and isinstance(tree.value, str | bytes):
            return text
        if _GROUPED.search(text):
            raise ValueError("a number with _ can be read in two ways, allowed: digits alone")
        return self._value(tree)

    def _name(self, name: str) -> Any:
        for depth, table in enumerate(self._tables):
            key = (depth, name)
            if name not in table or (self._active and self._active[-1] == key):
                continue
            if key in self._known:
                return self._known[key]
            if key in self._active:
                raise ValueError(f"{name!r} leads back to itself")
            self._active.append(key)
            raw = table[name]
            value = self._text(raw) if isinstance(raw, str) else raw
            self._active.pop()
            self._known[key] = value
            return value
        if name in _CONSTANTS:
            return _CONSTANTS[name]
        raise _UnknownName(f"nothing defines {name!r}")

    def _value(self, node: ast.AST) -> Any:
        match node:
            case ast.Constant(value=int() | float() | str() | None):
                return node.value
            case ast.Name():
                return self._name(node.id)
            case ast.BinOp() if type(node.op) in _BINARY:
                return _operate(_BINARY[type(node.op)], self._value(node.left), self._value(node.right))
            case ast.UnaryOp() if type(node.op) in _UNARY:
                return _UNARY[type(node.op)](self._value(node.operand))
            case ast.BoolOp():
                return self._first_that_decides(node)
            case ast.Compare():
                return self._compared(node)
            case ast.IfExp():
                return self._value(node.body if self._value(node.test) else node.orelse)
            case ast.List() | ast.Tuple():
                return [self._value(part) for part in node.elts]
            case ast.Attribute():
                return self._member(self._value(node.value), node.attr)
            case ast.Subscript():
                return self._member(self._value(node.value), self._value(node.slice))
            case ast.Call(func=ast.Name(id=name)) if name in _FUNCTIONS and not node.keywords:
                values = [self._value(part) for part in node.args]
                return _bounded(_operate(operator.pow, *values) if name == "pow" else _FUNCTIONS[name](*values))
            case ast.Call(func=ast.Name(id=name)):
                raise ValueError(f"no function {name!r}; there are {', '.join(_FUNCTIONS)}")
        raise TypeError(f"{type(node).__name__} is not allowed")

    def _first_that_decides(self, node: ast.BoolOp) -> Any:
        """Evaluates ``and`` and ``or``: the value of one operand, those behind it left alone."""
        value = None
        for part in node.values:
            value = self._value(part)
            if bool(value) is isinstance(node.op, ast.Or):
                break
        return value

    def _compared(self, node: ast.Compare) -> bool:
        left = self._value(node.left)
        for op, part in zip(node.ops, node.comparators, strict=True):
            right = self._value(part)
            if not _COMPARISONS[type(op)](left, right):
                return False
            left = right
        return True

    def _member(self, owner: Any, key: Any) -> Any:
        if isinstance(owner, Mapping):
            if key not in owner:
                raise KeyError(f"no entry {key!r}")
            value = owner[key]
        elif isinstance(owner, list) and isinstance(key, int):
            value = owner[key]
        else:
            raise TypeError(f"{type(owner).__name__} has no entries")
        return self._text(value) if isinstance(value, str) else value


class _UnknownName(ValueError):
    """A name that no table has."""


def _operate(function: Callable[[Any, Any], Any], left: Any, right: Any) -> Any:
    for value in (left, right):
        if not isinstance(value, int | float):
            raise TypeError(f"arithmetic with {shown(value)}")
    if function is operator.pow:
        if isinstance(left, int) and isinstance(right, int) and abs(left).bit_length() * max(right, 1) > 2 * _MAX_BITS:
            raise ValueError("the power is too large")
        if left < 0 and not float(right).is_integer():
            raise ValueError("a root of a negative number")
    if function is operator.lshift and right > 2 * _MAX_BITS:
        raise ValueError("the number is too large")
    return _bounded(function(left, right))


def _small(value: Any) -> Any:
    """Refuses what a factorial would make a long calculation of."""
    if value > _MAX_BITS:
        raise ValueError("the number is too large")
    return value


def _bounded(value: Any) -> Any:
    if isinstance(value, int) and value.bit_length() > _MAX_BITS:
        raise ValueError("the number is too large")
    return value
