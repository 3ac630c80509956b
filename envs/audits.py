"""When a task is degenerate: the thresholds that every audit shares."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from accelgym.envs.space import Designs
    from accelgym.envs.task import Task

__all__ = ["RANDOM_DESIGNS", "best_regret", "verdict"]

RANDOM_DESIGNS = 1000
"""Designs that random search may evaluate in an audit."""
_TRIVIAL_REGRET = 0.02
_MANY_TIES = 1e6


def best_regret(task: Task, optimum: float, designs: Designs) -> float:
    """Returns by how much the best of some designs exceeds the optimum, relative to it."""
    return float(task.evaluate(designs).score.min() / optimum - 1)


def verdict(figures: Mapping[str, float], *, constraint: str = "the constraint", tied: str = "designs") -> str:
    """Names every way in which a task is degenerate; a strong greedy rule is not a fault.

    Args:
        figures: ``constant_regret``, ``random_regret``, ``tied_optima`` and ``relaxed_optimum_ratio`` of an
            :class:`~accelgym.envs.task.Audit`.
        constraint: Name of the constraint.
        tied: What ties.

    Returns:
        The faults, or ``ok``.
    """
    faults = []
    if figures["constant_regret"] < _TRIVIAL_REGRET:
        faults.append(f"a constant design is within {figures['constant_regret']:.1%} of the optimum")
    if figures["random_regret"] < _TRIVIAL_REGRET:
        faults.append(f"random search is within {figures['random_regret']:.1%} of the optimum")
    if figures["relaxed_optimum_ratio"] > 1 - _TRIVIAL_REGRET / 2:
        faults.append(f"{constraint} does not bind")
    if figures["tied_optima"] > _MANY_TIES:
        faults.append(f"at least {figures['tied_optima']:.0e} {tied} tie")
    return "; ".join(faults) or "ok"
