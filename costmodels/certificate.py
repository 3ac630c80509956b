"""Result of a solver: a value, a design, and a lower bound."""

from __future__ import annotations

import math
from dataclasses import asdict, dataclass
from decimal import ROUND_FLOOR, Context
from typing import Any, overload

import numpy as np
import numpy.typing as npt

from accelgym.costmodels.errors import BoundError

__all__ = ["EXACT_GAP", "Certificate", "relative_gap", "rounded_down"]

EXACT_GAP = 1e-9
"""Largest relative gap of a reference that counts as the optimum, and largest regret that counts as none.

Sums of thousands of rounded terms in another order differ by less.
"""
_BOUND_DIGITS = 10
"""Significant digits of a bound that is kept: it loses at most 1e-9 of itself, no more than :data:`EXACT_GAP`."""


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
    """Limit that ended the proof before the gap was closed: ``nodes``, which is the same everywhere, or ``seconds``,
    in which another machine may prove more or less; empty where neither did."""

    @property
    def exact(self) -> bool:
        """Whether :attr:`value` is the proved optimum."""
        return self.gap <= EXACT_GAP

    @property
    def yardstick(self) -> float:
        """Reference of regrets: the optimum where it is proved, else the certified lower bound.

        A bound of 0 or below says nothing about a ratio; the best known value stands in for it.
        """
        return self.value if self.exact or not 0 < self.lower_bound < np.inf else self.lower_bound

    @overload
    def regret(self, value: float) -> float: ...

    @overload
    def regret(self, value: npt.NDArray[np.float64]) -> npt.NDArray[np.float64]: ...

    def regret(self, value: Any) -> Any:
        """Returns by how much objectives exceed :attr:`yardstick`, relative to it.

        Never less than the regret to the true optimum. 0 up to :data:`EXACT_GAP`, ``inf`` where the objective is, or
        where it exceeds a yardstick of 0. Negative only where the yardstick is a best known value.

        Args:
            value: Objective of a feasible design, or ``inf`` for none; any shape.

        Raises:
            BoundError: An objective lies below the certified bound.
        """
        self.check(value)
        objective = np.asarray(value, dtype=np.float64)
        scale = abs(self.yardstick)
        if scale > 0 and np.isfinite(scale):
            found = (objective - self.yardstick) / scale
        else:
            found = np.where(objective == self.yardstick, 0.0, np.inf)
        found = np.where(np.isinf(objective), np.inf, np.where(np.abs(found) <= EXACT_GAP, 0.0, found))
        return float(found) if found.ndim == 0 else found

    def check(self, value: Any) -> None:
        """Checks that objectives of feasible designs do not contradict the bound.

        Args:
            value: Objectives of any shape, ``inf`` for none.

        Raises:
            BoundError: One is below it, or is no number.
        """
        objective = np.asarray(value, dtype=np.float64)
        slack = EXACT_GAP * abs(self.lower_bound) if np.isfinite(self.lower_bound) else 0.0
        wrong = objective[~(objective >= self.lower_bound - slack)]
        if len(wrong):
            raise BoundError(
                f"an objective of {float(wrong[0])!r} lies below the certified bound {self.lower_bound!r} "
                f"({self.method}): the result, the cost model or the proof is wrong"
            )

    @classmethod
    def from_json(cls, data: dict[str, Any]) -> Certificate:
        """Returns a certificate from :meth:`to_json`'s data after a round trip through JSON, where ``inf`` is null."""
        values = dict(data)
        for name in ("value", "lower_bound", "gap"):
            values[name] = float("inf") if values[name] is None else float(values[name])
        for name in ("design", "relaxations"):
            values[name] = None if values[name] is None else tuple(values[name])
        return cls(**values)

    def to_json(self) -> dict[str, Any]:
        """Returns plain data for JSON."""
        return asdict(self)


def relative_gap(value: float, bound: float) -> float:
    """Returns ``(value - bound) / value``, 0 where the two are equal, as where nothing has a price."""
    return 0.0 if bound == value else (value - bound) / value


def rounded_down(bound: float) -> float:
    """Rounds a lower bound down to ten significant digits, so that it reads the same on every machine."""
    if not math.isfinite(bound):
        return bound
    return float(Context(prec=_BOUND_DIGITS, rounding=ROUND_FLOOR).create_decimal_from_float(bound))
