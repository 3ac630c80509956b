"""Checks of the options that agents take."""

from __future__ import annotations

from numbers import Real
from typing import Any

from accelgym.costmodels.errors import InputError

__all__ = ["require"]


def require(agent: str, least: float = 0, most: float = float("inf"), **options: Any) -> None:
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
            allowed = f">= {least}" if most == float("inf") else f"{least}..{most}"
            raise InputError(f"option {name!r} of agent {agent!r} is {value!r}, allowed {allowed}")
