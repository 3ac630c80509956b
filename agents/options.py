"""Checks of the options that agents take."""

from __future__ import annotations

from numbers import Real
from typing import Any

from accelgym.costmodels.errors import InputError, shown

__all__ = ["require"]

_MOST = 1e6
"""Far above what any option is good for; arrays are as large as many of them."""


def require(agent: str, least: float = 0, most: float = _MOST, **options: Any) -> None:
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
        if isinstance(value, bool) or not isinstance(value, Real) or not least <= float(value) <= most:
            raise InputError(
                f"option {name!r} of agent {agent!r} is {shown(value)}, allowed >= {least:g} and <= {most:g}"
            )
