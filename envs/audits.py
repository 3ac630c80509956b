"""When a task is degenerate: the thresholds that every audit shares."""

from __future__ import annotations

__all__ = ["RANDOM_DESIGNS", "verdict"]

RANDOM_DESIGNS = 1000
"""Designs that random search may evaluate in an audit."""
_TRIVIAL_REGRET = 0.02
_MANY_TIES = 1e6


def verdict(
    *,
    constant_regret: float,
    random_regret: float,
    tied_optima: float,
    relaxed_optimum_ratio: float,
    constraint: str = "the constraint",
    tied: str = "designs",
) -> str:
    """Names every way in which a task is degenerate; a strong greedy rule is not a fault.

    Args:
        constant_regret: As in :class:`~accelgym.envs.task.Audit`, the others alike.
        random_regret: Of random search.
        tied_optima: How many are optimal.
        relaxed_optimum_ratio: Optimum without the constraint over that with it.
        constraint: Its name.
        tied: What ties.

    Returns:
        The faults, or ``ok``.
    """
    faults = []
    if constant_regret < _TRIVIAL_REGRET:
        faults.append(f"a constant design is within {constant_regret:.1%} of the optimum")
    if random_regret < _TRIVIAL_REGRET:
        faults.append(f"random search is within {random_regret:.1%} of the optimum")
    if relaxed_optimum_ratio > 1 - _TRIVIAL_REGRET / 2:
        faults.append(f"{constraint} does not bind")
    if tied_optima > _MANY_TIES:
        faults.append(f"at least {tied_optima:.0e} {tied} tie")
    return "; ".join(faults) or "ok"
