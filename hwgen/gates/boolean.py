"""Boolean expressions of liberty files, as truth tables."""

from __future__ import annotations

import re
from collections.abc import Sequence

from accelgym.costmodels.errors import InputError

__all__ = ["truth_table"]

_TOKEN = re.compile(r"\s*([A-Za-z_]\w*(?:\[\d+\])?|[01!'^&*|+()])")


def truth_table(expression: str, pins: Sequence[str]) -> int:
    """Returns the table of an expression.

    ``!x`` and ``x'`` invert and bind most, then ``^``, then ``&``, ``*`` or a space, then ``|`` or ``+``.

    Args:
        expression: As liberty files write it.
        pins: Names of the variables, at most 6.

    Returns:
        An integer whose bit ``i`` is the value where pin ``j`` is bit ``j`` of ``i``.

    Raises:
        InputError: It is no expression, or names another pin.
    """
    return _Parser(expression, pins).table()


class _Parser:
    def __init__(self, expression: str, pins: Sequence[str]) -> None:
        self._expression = expression
        rows = range(1 << len(pins))
        self._full = (1 << len(rows)) - 1
        self._values = {pin: sum((row >> j & 1) << row for row in rows) for j, pin in enumerate(pins)}
        self._values |= {"0": 0, "1": self._full}
        self._tokens = [match[1] for match in _TOKEN.finditer(expression)]
        if _TOKEN.sub("", expression).strip():
            raise self._error()

    def table(self) -> int:
        value = self._either()
        if self._tokens:
            raise self._error()
        return value

    def _error(self) -> InputError:
        pins = ", ".join(pin for pin in self._values if pin not in "01")
        return InputError(f"liberty function {self._expression!r}: not an expression over the pins {pins}")

    def _peek(self) -> str:
        return self._tokens[0] if self._tokens else ""

    def _either(self) -> int:
        value = self._both()
        while self._peek() in ("|", "+"):
            self._tokens.pop(0)
            value |= self._both()
        return value

    def _both(self) -> int:
        value = self._different()
        while (token := self._peek()) and token not in "|+)":
            if token in "&*":
                self._tokens.pop(0)
            value &= self._different()
        return value

    def _different(self) -> int:
        value = self._atom()
        while self._peek() == "^":
            self._tokens.pop(0)
            value ^= self._atom()
        return value

    def _atom(self) -> int:
        token = self._tokens.pop(0) if self._tokens else ""
        if token == "!":
            return self._full ^ self._atom()
        if token == "(":
            value = self._either()
            if not self._tokens or self._tokens.pop(0) != ")":
                raise self._error()
        elif token in self._values:
            value = self._values[token]
        else:
            raise self._error()
        while self._peek() == "'":
            self._tokens.pop(0)
            value ^= self._full
        return value
