"""Checks of the options that agents take."""

from __future__ import annotations

import inspect
import os
from collections.abc import Callable, Mapping
from numbers import Integral, Real
from typing import Any

from accelgym.costmodels.errors import InputError, shown

__all__ = ["require", "require_kinds"]

_MOST = 1e6
"""Far above what any option is good for; arrays are as large as many of them."""


def require(agent: str, least: float = 0, most: float = _MOST, /, **options: Any) -> None:
    """Checks that numeric options lie in a closed range.

    Args:
        agent: Name of the agent, for the message.
        least: Smallest value allowed.
        most: Largest value allowed.
        **options: The options by name.

    Raises:
        InputError: Names the first option out of range.
    """
    for name, value in options.items():
        if isinstance(value, bool) or not isinstance(value, Real) or value < least or not value <= most:
            raise InputError(
                f"option {name!r} of agent {agent!r} is {shown(value)}, allowed >= {least:g} and <= {most:g}"
            )


def _is_number(kind: type) -> Callable[[Any], bool]:
    return lambda value: isinstance(value, kind) and not isinstance(value, bool)


_KINDS: dict[str, tuple[str, Callable[[Any], bool]]] = {
    "int": ("an integer", _is_number(Integral)),
    "float": ("a number", _is_number(Real)),
    "bool": ("True or False", lambda value: isinstance(value, bool)),
    "str": ("a text", lambda value: isinstance(value, (str, os.PathLike))),
    "Mapping": ("a table", lambda value: isinstance(value, Mapping)),
    "None": ("None", lambda value: value is None),
}
"""What an annotation says in words, and how a value is told."""


def require_kinds(agent: str, parameters: Mapping[str, inspect.Parameter], options: Mapping[str, Any]) -> None:
    """Checks options against the annotations of an agent's constructor; others than plain types are not looked at.

    Args:
        agent: Name of the agent, for the message.
        parameters: Of the constructor, by name.
        options: The options by name, with Python's own numbers.

    Raises:
        InputError: Names the first option of another type.
    """
    for name, value in options.items():
        annotation = parameters[name].annotation if name in parameters else inspect.Parameter.empty
        text = annotation if isinstance(annotation, str) else inspect.formatannotation(annotation)
        names = [part.partition("[")[0].strip() for part in text.split("|")]
        if all(kind in _KINDS for kind in names) and not any(_KINDS[kind][1](value) for kind in names):
            allowed = " or ".join(_KINDS[kind][0] for kind in names)
            raise InputError(f"option {name!r} of agent {agent!r} is {shown(value)}, allowed {allowed}")
