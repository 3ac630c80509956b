"""What a solver hands back: a value, a design, and what is proved about them."""

from __future__ import annotations

import math
from dataclasses import asdict, dataclass
from decimal import ROUND_FLOOR, Context
from typing import Any

__all__ = ["Certificate", "rounded_down"]

_BOUND_DIGITS = 10


@dataclass(frozen=True)
class Certificate:
    """A minimum with its proof status.

    ``lower_bound <= true minimum <= value`` always holds; ``gap`` is ``(value - lower_bound) / value``
    (0 when the value is proved optimal up to floating-point rounding).
    """

    value: float
    """Objective of ``design``; ``inf`` when no feasible design exists."""
    design: tuple[int, ...] | None
    """Indices into the task's space, or ``None`` when nothing is feasible."""
    lower_bound: float
    gap: float
    method: str
    relaxations: tuple[str, ...] = ()
    """Relaxations the lower bound rests on; empty for an exact method."""
    nodes: int = 0
    """Work done, in units of the method (states, branch-and-bound nodes, enumerated designs)."""
    seconds: float = 0.0
    limited_by: str = ""
    """What ended the proof before the gap was closed: ``nodes``, a limit that is the same everywhere, or ``seconds``,
    after which another machine may prove more or less; empty where neither did."""

    def to_json(self) -> dict[str, Any]:
        """Returns plain data for JSON."""
        return asdict(self)


def rounded_down(bound: float) -> float:
    """Rounds a lower bound down to ten significant digits, so that it reads the same on every machine."""
    if not math.isfinite(bound):
        return bound
    return float(Context(prec=_BOUND_DIGITS, rounding=ROUND_FLOOR).create_decimal_from_float(bound))
