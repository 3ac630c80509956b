"""Numbers as tables show them."""

from __future__ import annotations

import math

__all__ = ["NOTHING", "percent", "quantity", "regret"]

NOTHING = "–"


def percent(value: float | None) -> str:
    """Formats a share or regret with three significant digits."""
    if value is None:
        return NOTHING
    figure = 100 * value
    digits = f"{figure:,.0f}" if abs(figure) >= 1000 else f"{figure:.3g}"
    return f"{digits} %"


def regret(value: float | None) -> str:
    """Formats the regret of searches, ∞ where too many of them found nothing feasible, which summaries tell as None."""
    return "∞" if value is None or math.isinf(value) else percent(value)


def quantity(value: float | None) -> str:
    """Formats a count or a time with three significant digits, one below 0.01."""
    if value is None:
        return NOTHING
    return f"{value:,.0f}" if abs(value) >= 100 else f"{value:.3g}" if abs(value) >= 0.01 else f"{value:.1g}"
