"""What a solver hands back: a value, a design, and what is proved about them."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import Any

__all__ = ["Certificate"]


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

    def to_json(self) -> dict[str, Any]:
        """Returns plain data for JSON."""
        return asdict(self)
